#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check.py COMPILER FILE FLAGS...: FILE must not compile, and the compiler must say what its lines
'// Must say: ...' ask for. The first error must be ours, so that the reader need not search for it."""
import re
import subprocess
import sys


def main() -> int:
    compiler, path, *flags = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        wanted = re.findall(r"^// Must say: (.*)$", file.read(), re.MULTILINE)
    result = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", *flags, path],
                            capture_output=True, text=True, check=False, timeout=100)
    if result.returncode == 0:
        print(f"{path} compiles, but must not")
        return 1
    text = " ".join(result.stderr.split())
    missing = [words for words in wanted if words not in text]
    for words in missing:
        print(f"{path}: the compiler does not say: {words}")
    errors = [line for line in result.stderr.splitlines() if "error:" in line]
    if errors and "bulkhead: " not in errors[0]:
        print(f"{path}: the first error is not bulkhead's: {errors[0]}")
        missing.append(errors[0])
    if missing:
        print(result.stderr[:4000])
    return 1 if missing or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
