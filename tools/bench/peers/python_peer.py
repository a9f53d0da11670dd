#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pools of Python's standard library on the workloads of bench.hpp.

    python_peer.py WORKLOAD PEER SIZE

prints the figure as one JSON line. Inputs, warm-up, what is timed and the check of every result
are those of bench.hpp; both pools fork their workers, as bulkhead does.
"""

import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

SMALL_BYTES = 4 * 1024
LARGE_BYTES = 16 * 1024 * 1024
MAX_SIZE = 10_000_000
MAX_INPUT_BYTES = 2 * 1024**3
WARM_UP_CALLS = 100

NEXT_BYTE = bytes((byte + 1) % 256 for byte in range(256))  # table for bytes.translate
FORK = multiprocessing.get_context("fork")

Figure = tuple[float, str]


def increment(x: int) -> int:
    return x + 1


def increment_all(data: bytes) -> bytes:
    return data.translate(NEXT_BYTE)


def increment_first(data: bytes) -> bytes:
    """With one copy: bytes cannot be changed in place, and bytearray is slower to pickle."""
    return b"".join((data[:1].translate(NEXT_BYTE), memoryview(data)[1:]))


class MultiprocessingPool:
    """multiprocessing.Pool; without a chunksize it forms four chunks per worker."""

    def __init__(self, workers: int, chunksize: int | None = None) -> None:
        self._pool = FORK.Pool(workers)
        self._chunksize = chunksize

    def map(self, function: Callable, inputs: Sequence) -> list:
        return self._pool.map(function, inputs, self._chunksize)

    def apply(self, function: Callable, x: Any) -> Any:
        return self._pool.apply(function, (x,))

    def __enter__(self) -> "MultiprocessingPool":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.terminate()
        self._pool.join()


class OneByOnePool(MultiprocessingPool):
    """multiprocessing.Pool that sends each element by itself."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, chunksize=1)


class Executor:
    """ProcessPoolExecutor with its default of one element per message."""

    def __init__(self, workers: int) -> None:
        self._executor = ProcessPoolExecutor(workers, mp_context=FORK)

    def map(self, function: Callable, inputs: Sequence) -> list:
        return list(self._executor.map(function, inputs))

    def apply(self, function: Callable, x: Any) -> Any:
        return self._executor.submit(function, x).result()

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=True)


PEERS: dict[str, Callable[[int], Any]] = {
    "multiprocessing.Pool": MultiprocessingPool,
    "multiprocessing.Pool chunksize=1": OneByOnePool,
    "ProcessPoolExecutor": Executor,
}


def require(good: bool, message: str) -> None:
    if not good:
        sys.exit(message)


def make_items(count: int, size: int) -> list[bytes]:
    """`count` values of `size` bytes, every one different."""
    require(count * size <= MAX_INPUT_BYTES, "the items would take more than 2 GiB")
    pattern = bytes(range(256)) * (size // 256)
    return [index.to_bytes(8, "little") + pattern[8:] for index in range(count)]


def verify(inputs: Sequence, results: Sequence, function: Callable) -> None:
    require(len(results) == len(inputs), "wrong number of results")
    for index, (x, y) in enumerate(zip(inputs, results)):
        require(y == function(x), f"wrong result at index {index}")


def time_map(pool: Any, inputs: Sequence, function: Callable) -> float:
    """Seconds that a map takes, after a warm-up (see bench.hpp)."""
    verify(inputs, pool.map(function, inputs), function)
    start = time.perf_counter()
    results = pool.map(function, inputs)
    taken = time.perf_counter() - start
    verify(inputs, results, function)
    return taken


def noop(new_pool: Callable, size: int) -> Figure:
    with new_pool(2) as pool:
        return size / time_map(pool, list(range(size)), increment), "tasks/s"


def latency(new_pool: Callable, size: int) -> Figure:
    taken = []
    with new_pool(1) as pool:
        for x in range(WARM_UP_CALLS + size):
            start = time.perf_counter()
            y = pool.apply(increment, x)
            taken.append(time.perf_counter() - start)
            require(y == x + 1, f"wrong result of call {x}")
    return statistics.median(taken[WARM_UP_CALLS:]) * 1e6, "us"


def small(new_pool: Callable, size: int) -> Figure:
    with new_pool(2) as pool:
        return size / time_map(pool, make_items(size, SMALL_BYTES), increment_all), "items/s"


def large(new_pool: Callable, size: int) -> Figure:
    with new_pool(2) as pool:
        taken = time_map(pool, make_items(size, LARGE_BYTES), increment_first)
    return 2 * size * LARGE_BYTES / taken / 1e9, "GB/s"


def startup(new_pool: Callable, size: int) -> Figure:
    taken = []
    for _ in range(size):
        start = time.perf_counter()
        with new_pool(2) as pool:
            answer = pool.apply(increment, 41)
        taken.append(time.perf_counter() - start)
        require(answer == 42, "wrong answer of a new pool")
    return statistics.median(taken) * 1e3, "ms"


WORKLOADS: dict[str, Callable[[Callable, int], Figure]] = {
    "noop": noop,
    "latency": latency,
    "small": small,
    "large": large,
    "startup": startup,
}


def main(arguments: list[str]) -> None:
    require(len(arguments) == 3, "usage: python_peer.py WORKLOAD PEER SIZE")
    workload, peer, size = arguments
    require(workload in WORKLOADS, f"unknown workload {workload}")
    require(peer in PEERS, f"unknown peer {peer}")
    require(size.isdecimal() and 1 <= int(size) <= MAX_SIZE, f"SIZE must be from 1 to {MAX_SIZE}")
    value, unit = WORKLOADS[workload](PEERS[peer], int(size))
    print(json.dumps({"value": value, "unit": unit}))


if __name__ == "__main__":
    main(sys.argv[1:])
