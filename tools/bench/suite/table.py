# SPDX-License-Identifier: MIT
"""All workloads: who takes part in each, with how many elements, calls or cycles.

bulkhead comes first in each. A peer that is slow by nature does less, as figures are rates or
medians.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from suite.peers import (
    AFTER_INIT, ARRAYS, ARRAYS_THREADS, ASYNC, BULKHEAD, CEREAL, CEREAL_ONE, CODEC, COMPILED, DEATH,
    EXECUTOR, FORK, FUTEX, FUTEX_TWO_CORES, GNU_PARALLEL, INDEX, INDEX_POOL, INDEX_THREADS, JOBLIB,
    JOBLIB_1, MCE, MCE_1, MCLAPPLY, MCLAPPLY_1, MEMCPY, MESSAGE_QUEUE, MPI, PIPE, POOL, POOL_1, RING,
    TBB, THREADS, WORDS, WORDS_BUDGETS, WORDS_DASK, WORDS_DUCKDB, WORDS_MAWK, WORDS_POOL, WORDS_SORT,
    WORDS_THREADS, WORDS_THREADS_TINY, WORDS_WHOLE, Peer,
)
from suite.uneven import durations


@dataclass(frozen=True)
class Workload:
    name: str
    unit: str
    sizes: dict[Peer, int]
    mode: str = ""  # of the programs, if not the name
    parameter: int = 0  # what a sweep varies
    workers: int = 2
    one_cpu: bool = False  # all processes confined to one CPU
    hogs: int = 0  # busy processes beside it
    needs_gib: int = 0  # memory that must be available
    most_rounds: int = 100
    quick_part: int = 1  # the part of their work that slow peers do with --quick: 1/2, 1/4 ...
    tasks: tuple[int, ...] = ()  # nanoseconds, on standard input; the figure is per greedy()

    def size(self, peer: Peer, quick: bool) -> int:
        slow = 0 < peer.rate < 1e6
        return max(self.sizes[peer] // (self.quick_part if quick and slow else 1), 1)


NOOP = {BULKHEAD: 1_000_000, POOL: 1_000_000, POOL_1: 50_000, TBB: 1_000_000}
LATENCY = {BULKHEAD: 10_000, POOL: 10_000, FUTEX: 10_000, PIPE: 10_000}

POOLS = (BULKHEAD, POOL, POOL_1, EXECUTOR, JOBLIB, JOBLIB_1, MPI, MCE, MCE_1, MCLAPPLY, MCLAPPLY_1,
         GNU_PARALLEL, TBB, THREADS)
FAST_POOLS = (BULKHEAD, POOL, POOL_1, MCE, MCLAPPLY, TBB, THREADS)  # for many tasks in a job

SWEEP_ROUNDS = 3
DURATIONS_NS = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
PAYLOADS = (8, 64, 512, 4 << 10, 32 << 10, 256 << 10, 2 << 20, 16 << 20)
WORKERS = range(1, len(os.sched_getaffinity(0)) + 1)


def everyone(size: int, peers: Sequence[Peer] = POOLS) -> dict[Peer, int]:
    return {peer: size for peer in peers}


def duration(nanoseconds: int) -> Workload:
    """About half a second of work, or of the peer's own cost; as many tasks for each worker."""
    def size(peer: Peer) -> int:
        each = max(nanoseconds / 1e9, 2 / peer.rate)
        return min(max(round(0.5 / each / 8), 1) * 8, 1_000_000)

    return Workload("duration", "tasks/s", {peer: size(peer) for peer in POOLS},
                    parameter=nanoseconds, most_rounds=SWEEP_ROUNDS)


def payload(size: int) -> Workload:
    """At most 256 MiB one way, and about half a second of the peer's own cost."""
    def count(peer: Peer) -> int:
        return max(min((256 << 20) // size, round(peer.rate / 4), 500_000), 4)

    peers = (BULKHEAD, POOL, EXECUTOR, JOBLIB, TBB, THREADS)
    return Workload("payload", "GB/s", {peer: count(peer) for peer in peers}, parameter=size,
                    most_rounds=SWEEP_ROUNDS)


def speedup(workers: int) -> Workload:
    return Workload("speedup", "speed-up", everyone(48, (BULKHEAD, POOL, EXECUTOR, TBB, THREADS)),
                    parameter=workers, workers=workers, most_rounds=SWEEP_ROUNDS)


WORKLOADS = [
    # What a task costs.
    Workload("noop", "tasks/s", quick_part=4, sizes=NOOP | {
        EXECUTOR: 20_000, JOBLIB: 200_000, JOBLIB_1: 5_000, MPI: 5_000, MCE: 1_000_000,
        MCE_1: 50_000, MCLAPPLY: 1_000_000, MCLAPPLY_1: 200, GNU_PARALLEL: 100, THREADS: 200_000,
        RING: 1_000_000,
    }),
    Workload("noop-1", "tasks/s", NOOP | {RING: 1_000_000}, mode="noop", workers=1, quick_part=4),
    Workload("noop-3", "tasks/s", NOOP, mode="noop", workers=3, quick_part=4),
    Workload("noop-8", "tasks/s", NOOP, mode="noop", workers=8, quick_part=4),
    Workload("noop-one-cpu", "tasks/s", NOOP, mode="noop", one_cpu=True, quick_part=4),
    Workload("noop-hog", "tasks/s", NOOP, mode="noop", hogs=1, quick_part=4),

    # Results that are read while elements are drawn.
    Workload("stream", "items/s", {BULKHEAD: 10_000_000, POOL: 2_000_000, POOL_1: 50_000},
             quick_part=4),
    Workload("stream-paused", "items/s", {BULKHEAD: 10_000_000, POOL: 2_000_000}, mode="stream",
             parameter=5, quick_part=4, most_rounds=3),

    # Elements that are combined where they are mapped.
    Workload("reduce", "items/s", {BULKHEAD: 10_000_000, TBB: 10_000_000, THREADS: 10_000_000}),

    # The same of a file of doubles, which workers map: thousands of them.
    Workload("squares", "GB/s", {ARRAYS: 100_000, ARRAYS_THREADS: 100_000}, needs_gib=2),
    Workload("histogram", "GB/s", {ARRAYS: 100_000, ARRAYS_THREADS: 100_000}, needs_gib=2),

    # Values that are combined by key: MiB of text, and thousands of different words in it.
    Workload("words-64mib", "GB/s", dict.fromkeys(
                 [WORDS, WORDS_WHOLE, WORDS_THREADS, WORDS_DUCKDB, WORDS_POOL, WORDS_DASK,
                  WORDS_MAWK, WORDS_SORT], 64),
             mode="words", parameter=1000, needs_gib=2),
    Workload("words-1gib", "GB/s",
             dict.fromkeys([WORDS, WORDS_WHOLE, WORDS_THREADS, WORDS_THREADS_TINY, WORDS_DUCKDB],
                           1024),
             mode="words", parameter=1000, needs_gib=8, most_rounds=5),
    Workload("words-budgets", "GB/s", dict.fromkeys([WORDS, *WORDS_BUDGETS], 1024),
             mode="words", parameter=1000, needs_gib=4, most_rounds=3),
    Workload("words-many", "GB/s", dict.fromkeys([WORDS, *WORDS_BUDGETS, WORDS_THREADS], 1024),
             mode="words-uniform", parameter=20_000, needs_gib=12, most_rounds=3),

    Workload("index", "GB/s", dict.fromkeys([INDEX, INDEX_THREADS, INDEX_POOL], 10_000),
             needs_gib=2, most_rounds=3),

    # One call at a time.
    Workload("latency", "us", workers=1, quick_part=4, sizes=LATENCY | {
        EXECUTOR: 10_000, MPI: 2_000, FUTEX_TWO_CORES: 10_000, MESSAGE_QUEUE: 10_000, TBB: 10_000,
        THREADS: 10_000,
    }),
    Workload("latency-one-cpu", "us", LATENCY, mode="latency", workers=1, one_cpu=True,
             quick_part=4),
    Workload("latency-hog", "us", LATENCY, mode="latency", workers=1, hogs=1, quick_part=4),
    Workload("latency-2-hogs", "us", LATENCY | {BULKHEAD: 2_000, POOL: 2_000}, mode="latency",
             workers=1, hogs=2, quick_part=4),
    Workload("latency-64-one-cpu", "us", {BULKHEAD: 10_000, POOL: 2_000}, mode="latency",
             workers=64, one_cpu=True, quick_part=4),

    Workload("async-latency", "us", {BULKHEAD: 10_000, EXECUTOR: 5_000}, workers=1, quick_part=4),

    # Bytes there and back.
    Workload("small", "items/s", quick_part=4, sizes={
        BULKHEAD: 20_000, POOL: 20_000, POOL_1: 20_000, EXECUTOR: 20_000, JOBLIB: 20_000,
        MESSAGE_QUEUE: 20_000, TBB: 20_000, THREADS: 20_000,
    }),
    Workload("large", "GB/s", quick_part=4, sizes={
        BULKHEAD: 64, POOL: 64, EXECUTOR: 64, MEMCPY: 64, TBB: 64, THREADS: 64,
    }),
    Workload("struct-encode", "ns", {CODEC: 500_000, CEREAL: 500_000, CEREAL_ONE: 500_000},
             mode="encode"),
    Workload("struct-decode", "ns", {CODEC: 500_000, CEREAL: 500_000, CEREAL_ONE: 500_000},
             mode="decode"),

    # Who gets which task, and when.
    Workload("cpu", "efficiency", everyone(48)),
    Workload("uneven", "x greedy", everyone(200), tasks=durations(200)),
    Workload("uneven-after-tiny", "x greedy", everyone(200, FAST_POOLS), mode="uneven",
             parameter=100_000, tasks=durations(200)),

    # Processes that come, go and wait.
    Workload("startup", "ms", {BULKHEAD: 20, AFTER_INIT: 20, POOL: 20, EXECUTOR: 20, FORK: 20}),
    Workload("startup-4gib", "ms", {BULKHEAD: 5, AFTER_INIT: 5, POOL: 5, FORK: 5}, mode="startup",
             parameter=4096, needs_gib=8, most_rounds=5),
    Workload("recovery", "ms", workers=1, sizes={
        BULKHEAD: 50, POOL: 1, EXECUTOR: 50, JOBLIB: 10, FORK: 50, DEATH: 50,
    }),
    Workload("recovery-4gib", "ms", {BULKHEAD: 20, AFTER_INIT: 50}, mode="recovery", workers=1,
             parameter=4096, needs_gib=8, most_rounds=5),
    Workload("fork-map-64mib", "ms", {BULKHEAD: 1000, POOL: 1000}, mode="fork-map", parameter=64,
             needs_gib=1),
    Workload("fork-map-1gib", "ms", {BULKHEAD: 1000, POOL: 1000}, mode="fork-map", parameter=1024,
             needs_gib=4, most_rounds=5),
    Workload("broadcast-64mib", "ms", {BULKHEAD: 1000}, mode="broadcast", parameter=64,
             needs_gib=1),
    Workload("broadcast-1gib", "ms", {BULKHEAD: 1000}, mode="broadcast", parameter=1024,
             needs_gib=4, most_rounds=5),
    Workload("idle", "CPU ms", everyone(5, (BULKHEAD, POOL, EXECUTOR, JOBLIB)), most_rounds=3),
    Workload("compile", "s", {COMPILED: 3, ASYNC: 3}, most_rounds=3),

    # Sweeps; the parameter is printed beside the name.
    *map(duration, DURATIONS_NS),
    *map(payload, PAYLOADS),
    *map(speedup, WORKERS),
]
