#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""GNU parallel on some of the workloads of workloads.hpp: each task is a run of bench_task.

    gnu_parallel_peer.py BENCH_TASK WORKLOAD PEER SIZE WORKERS PARAMETER

prints the figure as one JSON line. There is no pool to warm up, so the start of the program
counts.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

CPU_TASK_NANOSECONDS = 20_000_000
MAX_SIZE = 10_000
DEADLINE_SECONDS = 110

Figure = dict[str, float | str]


def require(good: bool, message: str) -> None:
    if not good:
        sys.exit(message)


def output_of(command: Sequence[str], lines: Sequence[int] = ()) -> list[str]:
    """What a command prints whose standard input are the given numbers."""
    result = subprocess.run(command, input="".join(f"{line}\n" for line in lines), text=True,
                            capture_output=True, check=False)
    require(result.returncode == 0, result.stderr.strip() or f"{command[0]} failed")
    return result.stdout.split()


class GnuParallel:
    def __init__(self, task: str, workers: int) -> None:
        self.task = task
        self._parallel = ["parallel", "--jobs", str(workers), "--keep-order"]

    def time_map(self, what: Sequence[str], inputs: Sequence[int],
                 expected: Sequence[int]) -> float:
        """Seconds for a run of `bench_task WHAT INPUT` for each input."""
        start = time.perf_counter()
        results = output_of([*self._parallel, self.task, *what], inputs)
        taken = time.perf_counter() - start
        require([int(result) for result in results] == list(expected), "wrong results")
        return taken

    def against_serial(self, size: int, nanoseconds: int) -> tuple[float, float]:
        """Seconds of a plain loop in one process, run before and after, and of a map."""
        (steps,) = output_of([self.task, "steps", str(nanoseconds)])
        seeds = range(1, size + 1)
        expected = [int(output_of([self.task, "work", steps, str(seed)])[0]) for seed in seeds]
        loop = [self.task, "loop", steps, str(size)]
        before, checksum = output_of(loop)
        require(int(checksum) == sum(expected) % 2**64, "wrong results of the loop")
        parallel = self.time_map(["work", steps], seeds, expected)
        after, _ = output_of(loop)
        return (float(before) + float(after)) / 2, parallel


def measure(workload: str, parallel: GnuParallel, size: int, workers: int,
            parameter: int) -> Figure:
    if workload == "noop":
        taken = parallel.time_map(["increment"], range(size), range(1, size + 1))
        return {"value": size / taken, "unit": "tasks/s"}
    if workload == "uneven":
        durations = [0] * parameter + [int(word) for word in sys.stdin.read().split()][:size]
        require(len(durations) == parameter + size, "too few durations on standard input")
        taken = parallel.time_map(["busy"], durations, [one + 1 for one in durations])
        return {"value": taken * 1e3, "unit": "ms"}
    if workload == "cpu":
        serial, taken = parallel.against_serial(size, CPU_TASK_NANOSECONDS)
        return {"value": serial / taken / workers, "unit": "efficiency"}
    if workload == "duration":
        serial, taken = parallel.against_serial(size, parameter)
        return {"value": size / taken, "unit": "tasks/s", "speedup": serial / taken}
    sys.exit(f"unknown workload {workload}")


def main(arguments: list[str]) -> None:
    require(len(arguments) == 6, "usage: see the head of gnu_parallel_peer.py")
    task, workload, _, *numbers = arguments
    require(all(number.isdecimal() for number in numbers), "not a number")
    size, workers, parameter = map(int, numbers)
    require(1 <= size <= MAX_SIZE and 1 <= workers <= 64, "SIZE or WORKERS is out of range")
    signal.alarm(DEADLINE_SECONDS)
    print(json.dumps(measure(workload, GnuParallel(task, workers), size, workers, parameter)))


if __name__ == "__main__":
    main(sys.argv[1:])
