# SPDX-License-Identifier: MIT
"""What figures depend on: the machine, and the versions of what is measured."""

import os
import platform
import time
from pathlib import Path

from suite.child import Failed, run_child
from suite.paths import BUILD, ROOT

PACKAGES = (
    "libboost-dev", "libcereal-dev", "libmce-perl", "libtbb-dev", "openmpi-bin", "parallel",
    "perl", "python3", "python3-joblib", "python3-mpi4py", "r-base-core",
)


def output_of(*command: str) -> str:
    """The first line that a command prints; nothing if it cannot be run."""
    try:
        return (run_child(command, 30).splitlines() or [""])[0].strip()
    except (Failed, OSError):
        return ""


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def compiler() -> str:
    cache = BUILD / "CMakeCache.txt"
    for line in cache.read_text(encoding="utf-8").splitlines() if cache.exists() else []:
        if line.startswith("CMAKE_CXX_COMPILER:"):
            return output_of(line.partition("=")[2], "--version")
    return ""


def describe() -> dict[str, object]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    huge_pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    versions = {name: output_of("dpkg-query", "-W", "-f=${Version}", name) for name in PACKAGES}
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "huge_pages": huge_pages.read_text(encoding="utf-8").strip() if huge_pages.exists() else "",
        "load": os.getloadavg()[0],
        "compiler": compiler(),
        "bulkhead": output_of("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "versions": {name: version for name, version in versions.items() if version},
    }
