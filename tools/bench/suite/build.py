# SPDX-License-Identifier: MIT
"""Building bulkhead and the C++ peers in release."""

import os
import shutil
from pathlib import Path

from suite.child import run_child
from suite.paths import BUILD, ROOT

BUILD_SECONDS = 1800


def build(folder: Path = BUILD, flags: str = "") -> None:
    """`flags` are for the compiler. Raises Failed with the end of what CMake or the compiler
    printed."""
    configure = [
        "cmake", "-S", str(ROOT), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release",
        "-DBULKHEAD_BENCH=ON", "-DBULKHEAD_TESTS=OFF", "-DBULKHEAD_TOOLS=OFF",
        f"-DCMAKE_CXX_FLAGS={flags}",
    ]
    if shutil.which("ninja") and not (folder / "CMakeCache.txt").exists():
        configure += ["-G", "Ninja"]  # an existing build directory keeps its generator
    run_child(configure, BUILD_SECONDS, tail=40)
    run_child(["cmake", "--build", str(folder), "--parallel", str(os.cpu_count() or 1)],
              BUILD_SECONDS, tail=40)
