#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The process pools of Python on the workloads of workloads.hpp.

    python_peer.py WORKLOAD PEER SIZE WORKERS PARAMETER

prints the figure as one JSON line. Inputs, warm-up, what is timed and the check of every result
are those of workloads.hpp.
"""

import functools
import json
import math
import mmap
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # mpi4py.futures does not

from python_pools import POOLS
from python_processes import cpu_nanoseconds, process_tree, resident_bytes, tree_memory_bytes

SMALL_BYTES = 4 * 1024
LARGE_BYTES = 16 * 1024 * 1024
MAX_SIZE = 10_000_000
MAX_INPUT_BYTES = 2 * 1024**3
WARM_UP_CALLS = 100
CPU_TASK_NANOSECONDS = 20_000_000
DEADLINE_SECONDS = 110
PATIENCE_SECONDS = 10

NEXT_BYTE = bytes((byte + 1) % 256 for byte in range(256))  # table for bytes.translate


@dataclass
class Request:
    """What is to be measured; `pool()` makes a pool of the peer."""

    new_pool: Callable[[int], Any]
    size: int
    workers: int
    parameter: int

    def pool(self) -> Any:
        return self.new_pool(self.workers)


@dataclass
class Figure:
    value: float
    unit: str
    details: dict[str, float] = field(default_factory=dict)


def increment(x: int) -> int:
    return x + 1


def increment_all(data: bytes) -> bytes:
    return data.translate(NEXT_BYTE)


def increment_first(data: bytes) -> bytes:
    """With one copy: bytes cannot be changed in place, and bytearray is slower to pickle."""
    return b"".join((data[:1].translate(NEXT_BYTE), memoryview(data)[1:]))


def busy(nanoseconds: int) -> int:
    if nanoseconds > 0:
        end = time.perf_counter_ns() + nanoseconds
        while time.perf_counter_ns() < end:
            pass
    return nanoseconds + 1


def work(steps: int, x: int) -> int:
    for _ in range(steps):
        x = (x * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
    return x


def steps_for(nanoseconds: int) -> int:
    """The steps of work() that take so long when nothing disturbs them; at least 1."""
    steps = 50_000
    best = float("inf")
    for _ in range(9):
        start = time.perf_counter_ns()
        work(steps, 1)
        best = min(best, time.perf_counter_ns() - start)
    return max(round(nanoseconds * steps / best), 1)


def require(good: bool, message: str) -> None:
    if not good:
        sys.exit(message)


def make_items(count: int, size: int) -> list[bytes]:
    """`count` values of `size` bytes, every one different."""
    require(count * size <= MAX_INPUT_BYTES, "the items would take more than 2 GiB")
    pattern = (bytes(range(256)) * (size // 256 + 1))[:size]
    return [index.to_bytes(8, "little") + pattern[8:] for index in range(count)]


def check(expected: Iterable, results: Sequence) -> None:
    for index, (x, y) in enumerate(zip(expected, results, strict=True)):
        require(x == y, f"wrong result at index {index}")


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def time_map(pool: Any, inputs: Sequence, function: Callable) -> float:
    """Seconds that a map takes, after a warm-up (see workloads.hpp)."""
    check(map(function, inputs), pool.map(function, inputs))
    taken, results = timed(lambda: pool.map(function, inputs))
    check(map(function, inputs), results)
    return taken


def noop(request: Request) -> Figure:
    with request.pool() as pool:
        taken = time_map(pool, list(range(request.size)), increment)
    return Figure(request.size / taken, "tasks/s")


def latency(request: Request) -> Figure:
    taken = []
    with request.pool() as pool:
        for x in range(WARM_UP_CALLS + request.size):
            start = time.perf_counter()
            y = pool.apply(increment, x)
            taken.append(time.perf_counter() - start)
            require(y == x + 1, f"wrong result of call {x}")
    calls = sorted(taken[WARM_UP_CALLS:])
    mean, p99 = statistics.mean(calls), calls[len(calls) * 99 // 100]
    return Figure(statistics.median(calls) * 1e6, "us",
                  {"mean_us": mean * 1e6, "p99_us": p99 * 1e6})


def stream(request: Request) -> Figure:
    """See workloads.hpp."""
    with request.pool() as pool:
        require(list(pool.imap(increment, range(100))) == list(range(1, 101)), "wrong result")
        before = most = resident_bytes()
        start = time.perf_counter()
        read = 0
        for result in pool.imap(increment, range(request.size)):
            read += 1
            require(result == read, "wrong result of a stream")
            if read == 1:
                time.sleep(request.parameter)
            if read % 1_000_000 == 1:
                most = max(most, resident_bytes())
        taken = time.perf_counter() - start - request.parameter
        require(read == request.size, "a stream has lost results")
    return Figure(request.size / taken, "items/s", {"growth_mib": (most - before) / (1 << 20)})


def small(request: Request) -> Figure:
    with request.pool() as pool:
        taken = time_map(pool, make_items(request.size, SMALL_BYTES), increment_all)
    return Figure(request.size / taken, "items/s")


def transfer(request: Request, size: int) -> Figure:
    with request.pool() as pool:
        taken = time_map(pool, make_items(request.size, size), increment_first)
    return Figure(2 * request.size * size / taken / 1e9, "GB/s")


def large(request: Request) -> Figure:
    return transfer(request, LARGE_BYTES)


def payload(request: Request) -> Figure:
    return transfer(request, request.parameter)


def startup(request: Request) -> Figure:
    """In a process that has touched so many mebibytes as the parameter says."""
    ballast = mmap.mmap(-1, max(request.parameter << 20, mmap.PAGESIZE), mmap.MAP_PRIVATE)
    for start in range(0, len(ballast), 1 << 20):
        ballast[start:start + (1 << 20)] = b"\1" * min(1 << 20, len(ballast))
    taken = []
    for _ in range(request.size):
        start_time = time.perf_counter()
        with request.pool() as pool:
            answer = pool.apply(increment, 41)
        taken.append(time.perf_counter() - start_time)
        require(answer == 42, "wrong answer of a new pool")
    return Figure(statistics.median(taken) * 1e3, "ms")


def against_serial(request: Request, nanoseconds: int) -> tuple[float, float]:
    """Seconds of a plain loop and of a map over equal tasks; the loop runs before and after."""
    task = functools.partial(work, steps_for(nanoseconds))
    seeds = list(range(1, request.size + 1))
    with request.pool() as pool:
        before, expected = timed(lambda: [task(seed) for seed in seeds])
        check(expected, pool.map(task, seeds))
        parallel, results = timed(lambda: pool.map(task, seeds))
        check(expected, results)
        after, _ = timed(lambda: [task(seed) for seed in seeds])
    return (before + after) / 2, parallel


def cpu(request: Request) -> Figure:
    serial, parallel = against_serial(request, CPU_TASK_NANOSECONDS)
    return Figure(serial / parallel / request.workers, "efficiency")


def speedup(request: Request) -> Figure:
    serial, parallel = against_serial(request, CPU_TASK_NANOSECONDS)
    return Figure(serial / parallel, "speed-up")


def duration(request: Request) -> Figure:
    serial, parallel = against_serial(request, request.parameter)
    return Figure(request.size / parallel, "tasks/s", {"speedup": serial / parallel})


def uneven(request: Request) -> Figure:
    """The tasks on standard input, after so many tiny ones as the parameter says."""
    durations = [int(word) for word in sys.stdin.read().split()][:request.size]
    require(len(durations) == request.size, "too few durations on standard input")
    inputs = [0] * request.parameter + durations
    with request.pool() as pool:
        check([x + 1 for x in inputs], pool.map(busy, inputs))
        taken, results = timed(lambda: pool.map(busy, inputs))
    check([x + 1 for x in inputs], results)
    return Figure(taken * 1e3, "ms")


def recovery(request: Request) -> Figure:
    """From the death of a worker that idles, mostly the only one, to the next answer; if the pool
    breaks, from a new one. Infinite, if there is none."""
    taken = []
    request.workers = max(request.workers, getattr(request.new_pool, "least_workers", 1))
    pool = request.pool().__enter__()
    for _ in range(request.size):
        worker = pool.apply(os.getpid)
        time.sleep(0.02)
        start = time.perf_counter()
        os.kill(worker, signal.SIGKILL)
        try:
            answer = pool.apply_within(PATIENCE_SECONDS, increment, 41)
        except (TimeoutError, multiprocessing.TimeoutError):
            return Figure(math.inf, "ms")
        except BrokenProcessPool:
            pool.__exit__()
            pool = request.pool().__enter__()
            answer = pool.apply(increment, 41)
        taken.append(time.perf_counter() - start)
        require(answer == 42, "wrong answer of a new worker")
    pool.__exit__()
    return Figure(statistics.median(taken) * 1e3, "ms")


def idle(request: Request) -> Figure:
    with request.pool() as pool:
        check([42] * 10_000, pool.map(increment, [41] * 10_000))
        tree = process_tree()
        before = sum(map(cpu_nanoseconds, reversed(tree)))  # this process last, and then first
        time.sleep(request.size)
        after = sum(map(cpu_nanoseconds, tree))
    return Figure((after - before) * 1e-6, "CPU ms")


SLICES: list[bytearray] = []  # what forked workers see


def read_slice(index: int) -> int:
    return int.from_bytes(SLICES[index][:8], "little") + 1


def fork_map(request: Request) -> Figure:
    """A pool for each call, forked when SLICES is there; see bulkhead_bench.cpp."""
    size = (request.parameter << 20) // request.size // 4096 * 4096
    SLICES.extend(bytearray(size) for _ in range(request.size))
    for index, one in enumerate(SLICES):
        one[:] = index.to_bytes(8, "little") + b"\1" * (size - 8)
    indices = range(request.size)

    def call() -> list[int]:
        with request.pool() as pool:
            return pool.map(read_slice, indices)

    before = tree_memory_bytes()
    with request.pool() as pool:
        check(range(1, request.size + 1), pool.map(read_slice, indices))
        grown = tree_memory_bytes() - before
    taken = []
    for _ in range(5):
        one_taken, results = timed(call)
        check(range(1, request.size + 1), results)
        taken.append(one_taken)
    percent = grown / (size * request.size) * 100
    return Figure(statistics.median(taken) * 1e3, "ms", {"growth_percent": percent})


WORKLOADS: dict[str, Callable[[Request], Figure]] = {
    "noop": noop,
    "latency": latency,
    "async-latency": latency,  # an executor's apply() is a future that is waited for
    "stream": stream,
    "small": small,
    "large": large,
    "payload": payload,
    "startup": startup,
    "cpu": cpu,
    "speedup": speedup,
    "duration": duration,
    "uneven": uneven,
    "recovery": recovery,
    "idle": idle,
    "fork-map": fork_map,
}


def main(arguments: list[str]) -> None:
    require(len(arguments) == 5, "usage: python_peer.py WORKLOAD PEER SIZE WORKERS PARAMETER")
    workload, peer, *numbers = arguments
    require(workload in WORKLOADS, f"unknown workload {workload}")
    require(peer in POOLS, f"unknown peer {peer}")
    require(all(number.isdecimal() for number in numbers), "not a number")
    size, workers, parameter = map(int, numbers)
    require(1 <= size <= MAX_SIZE and 1 <= workers <= 64, "SIZE or WORKERS is out of range")
    signal.alarm(DEADLINE_SECONDS)
    figure = WORKLOADS[workload](Request(POOLS[peer], size, workers, parameter))
    print(json.dumps({"value": figure.value, "unit": figure.unit} | figure.details), flush=True)
    if math.isinf(figure.value):  # a pool that does not answer does not end either
        for child in process_tree()[1:]:
            os.kill(child, signal.SIGKILL)
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
