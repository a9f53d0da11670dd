#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The `index` workload by multiprocessing.Pool: lists by word of some documents at a time.

    index_peer.py PROGRAMS MODE SIZE WORKERS PARAMETER

prints the figure as one JSON line. The documents are those of bench_index, which makes them, in
PROGRAMS.
"""

import json
import multiprocessing
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

DEADLINE_SECONDS = 110
AT_ONCE = 64
DOCUMENT_BYTES = 20_000

Index = dict[bytes, list[int]]


def index_some(some: tuple[int, list[Path]]) -> Index:
    first, paths = some
    words: defaultdict[bytes, list[int]] = defaultdict(list)
    for number, path in enumerate(paths, first):
        for word in set(path.read_bytes().split()):
            words[word].append(number)
    return dict(words)


def index_all(paths: list[Path], workers: int) -> Index:
    parts = [(first, paths[first:first + AT_ONCE]) for first in range(0, len(paths), AT_ONCE)]
    words: defaultdict[bytes, list[int]] = defaultdict(list)
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for part in pool.imap(index_some, parts):  # in order, as the lists are to be
            for word, numbers in part.items():
                words[word] += numbers
    return words


def main() -> None:
    programs, mode, *numbers = sys.argv[1:]
    size, workers, _ = map(int, numbers)
    signal.alarm(DEADLINE_SECONDS)
    folder = Path(programs) / f"documents-{size}"
    if not folder.exists():
        subprocess.run([str(Path(programs) / "bench_index"), mode, str(size)], check=True,
                       stdout=subprocess.DEVNULL)
    paths = sorted(folder.iterdir())
    for path in paths:
        path.read_bytes()  # into the page cache
    begin = time.perf_counter()
    words = index_all(paths, workers)
    taken = time.perf_counter() - begin
    print(json.dumps({"value": size * DOCUMENT_BYTES / taken * 1e-9, "unit": "GB/s",
                      "seconds": taken, "words": len(words),
                      "postings": sum(map(len, words.values()))}))


if __name__ == "__main__":
    main()
