#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that conformance.md says which test covers each row, and nothing else.

A test says so itself: `// Row 93: ring-corrupt.` (or `// Rows 154 and 144: ...`) stands before it.
With --write the column of tests is written anew; what a row without a test waits for is kept.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent
TABLE = TESTS / "conformance.md"
ROW = re.compile(r"\| (\d+) \| ([\w-]+) \| (.*) \|")
COMMENT = re.compile(r"^\s*// Rows? (\d+(?:(?:, | and )\d+)*)\b")
TEST = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)")
WAITS = "waits for: "


def marks(path: Path) -> Iterator[tuple[int, str]]:
    """The rows named in a file, each with the test that follows."""
    rows: list[int] = []
    for line in re.sub(r",\n\s+", ", ", path.read_text()).splitlines():
        if comment := COMMENT.match(line):
            rows += map(int, re.findall(r"\d+", comment[1]))
        elif test := TEST.match(line):
            yield from ((row, f"{test[1]}.{test[2]}") for row in rows)
            rows = []
    if rows:
        sys.exit(f"{path}: no test follows the comment on row {rows[0]}")


def tests_of_rows() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for path in sorted(TESTS.glob("**/*_test.cpp")):
        for row, test in marks(path):
            names = found.setdefault(row, [])
            if test not in names:
                names.append(test)
    return found


def expected(text: str, found: dict[int, list[str]]) -> str:
    """The table as it should be."""
    lines = []
    for line in text.splitlines():
        if match := ROW.fullmatch(line):
            row, name, now = int(match[1]), match[2], match[3]
            tests = ", ".join(f"`{test}`" for test in found.pop(row, []))
            if not tests and not now.startswith(WAITS):
                sys.exit(f"{TABLE}: row {row} ({name}) has no test, and does not say what it waits for")
            line = f"| {row} | {name} | {tests or now} |"
        lines.append(line)
    if found:
        sys.exit(f"{TABLE}: there is no row {min(found)}, which {found[min(found)][0]} names")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the column of tests anew")
    write = parser.parse_args().write
    text = TABLE.read_text()
    table = expected(text, tests_of_rows())
    if write:
        TABLE.write_text(table)
    elif table != text:
        sys.exit(f"{TABLE} does not say what the tests say: run {Path(__file__).name} --write")


if __name__ == "__main__":
    main()
