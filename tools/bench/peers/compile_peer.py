#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a program pays at compile time: g++ -O2 on one file that maps one function.

    compile_peer.py compile PEER SIZE WORKERS PARAMETER

prints the median of SIZE runs as one JSON line, with the size of the object.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("serialization", "worker", "runtime")

SOURCES = {
    "bulkhead": """
#include <bulkhead/pool.hpp>
#include <vector>

double half(int x) { return x / 2.0; }

std::vector<double> halves(const std::vector<int>& xs) {
  bulkhead::Pool pool;
  return pool.map(half, xs);
}
""",
    "std::async": """
#include <functional>
#include <future>
#include <string>
#include <vector>

double half(int x) { return x / 2.0; }

std::vector<double> halves(const std::vector<int>& xs) {
  std::vector<std::future<double>> futures;
  for (int x : xs) futures.push_back(std::async(std::launch::async, half, x));
  std::vector<double> results;
  for (auto& future : futures) results.push_back(future.get());
  return results;
}
""",
}


def compile_once(compiler: str, source: Path, target: Path) -> float:
    includes = [f"-I{ROOT / room / 'include'}" for room in ROOMS]
    start = time.perf_counter()
    subprocess.run([compiler, "-std=c++20", "-O2", *includes, "-c", source, "-o", target],
                   check=True, timeout=100)
    return time.perf_counter() - start


def main(arguments: list[str]) -> None:
    if len(arguments) != 5 or arguments[1] not in SOURCES:
        sys.exit("usage: compile_peer.py compile PEER SIZE WORKERS PARAMETER")
    compiler = os.environ.get("CXX") or shutil.which("g++") or "c++"
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "user.cpp", Path(folder) / "user.o"
        source.write_text(SOURCES[arguments[1]], encoding="utf-8")
        compile_once(compiler, source, target)  # brings the headers into the page cache
        taken = [compile_once(compiler, source, target) for _ in range(int(arguments[2]))]
        size = target.stat().st_size
    print(json.dumps({"value": statistics.median(taken), "unit": "s", "object_kib": size / 1024}))


if __name__ == "__main__":
    main(sys.argv[1:])
