#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The `words` workload by what people count words with.

    words_peer.py PROGRAMS MODE PEER SIZE WORKERS PARAMETER

prints the figure as one JSON line. The text is that of bench_words, which makes it, in PROGRAMS.
"""

import json
import multiprocessing
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

DEADLINE_SECONDS = 110
PART_BYTES = 16 << 20

Counts = tuple[int, int]  # different words, and all


def require(good: bool, message: str) -> None:
    if not good:
        sys.exit(message)


def parts_of(path: str) -> list[tuple[str, int, int]]:
    size = Path(path).stat().st_size
    return [(path, at, min(at + PART_BYTES, size)) for at in range(0, size, PART_BYTES)]


def count_part(part: tuple[str, int, int]) -> Counter[bytes]:
    """Of the lines that begin in the part."""
    path, begin, end = part
    with open(path, "rb") as text:
        if begin != 0:
            text.seek(begin - 1)
            text.readline()
        lines = text.read(max(end - text.tell(), 0))
        return Counter((lines + text.readline() if lines and not lines.endswith(b"\n") else lines)
                       .split())


def summed(counters: Iterable[Counter[bytes]]) -> Counts:
    counts: Counter[bytes] = Counter()
    for counter in counters:
        counts.update(counter)
    return len(counts), sum(counts.values())


def by_multiprocessing(path: str, workers: int) -> Counts:
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        return summed(pool.imap_unordered(count_part, parts_of(path)))


def by_dask(path: str, workers: int) -> Counts:
    import dask.bag  # noqa: PLC0415 # only where it is asked for
    lines = dask.bag.read_text(path, blocksize=PART_BYTES)
    counts = lines.map(str.split).flatten().frequencies()
    found = counts.compute(scheduler="processes", num_workers=workers)
    return len(found), sum(number for _, number in found)


def by_shell(command: str) -> Counts:
    result = subprocess.run(["sh", "-c", command], env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
                            capture_output=True, text=True, check=False)
    require(result.returncode == 0, result.stderr)
    distinct, words = result.stdout.split()
    return int(distinct), int(words)


def by_mawk(path: str, _: int) -> Counts:
    script = ("{ for (i = 1; i <= NF; ++i) ++count[$i] } "
              "END { for (word in count) { ++n; all += count[word] } printf \"%d %d\", n, all }")
    return by_shell(f"mawk {shlex.quote(script)} {shlex.quote(path)}")


def by_sort(path: str, workers: int) -> Counts:
    return by_shell(f"tr -s ' \\n' '\\n' < {shlex.quote(path)} | sort --parallel={workers} | uniq -c | "
                    "awk '{ ++n; all += $1 } END { printf \"%d %d\", n, all }'")


PEERS = {
    "multiprocessing, Counter": by_multiprocessing, "dask.bag": by_dask, "mawk": by_mawk,
    "sort | uniq -c": by_sort,
}


def main() -> None:
    programs, _, peer, *numbers = sys.argv[1:]
    size, workers, parameter = map(int, numbers)
    signal.alarm(DEADLINE_SECONDS)
    path = Path(programs) / f"words-{size}-{parameter * 1000}.txt"
    if not path.exists():
        subprocess.run([str(Path(programs) / "bench_words"), "words", str(size), "2",
                        str(parameter)], check=True, stdout=subprocess.DEVNULL)
    size_in_bytes, expected, _ = map(int, Path(f"{path}.facts").read_text().split())
    path.read_bytes()  # into the page cache
    begin = time.perf_counter()
    distinct, words = PEERS[peer](str(path), workers)
    taken = time.perf_counter() - begin
    require(words == expected, f"wrong counts: {words}, not {expected}")
    print(json.dumps({"value": size_in_bytes / taken * 1e-9, "unit": "GB/s", "seconds": taken,
                      "distinct": distinct}))


if __name__ == "__main__":
    main()
