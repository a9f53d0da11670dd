# SPDX-License-Identifier: MIT
"""System calls per task, counted by strace."""

import json
import shutil
import statistics
import tempfile
from pathlib import Path

from suite.child import Failed, note, run_child
from suite.measure import QUICK_ROUNDS, RUN_SECONDS
from suite.paths import PROGRAMS

TASKS = 1_000_000


def count(tasks: int) -> int:
    """System calls that all processes of one noop run make, start-up included. Raises Failed."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary"
        bench = [str(PROGRAMS / "bulkhead_bench"), "noop", str(tasks)]
        run_child(["strace", "-c", "-f", "-U", "calls,name", "-o", str(summary), *bench],
                  RUN_SECONDS)
        lines = [line.split() for line in summary.read_text(encoding="utf-8").splitlines()]
    totals = [int(words[0]) for words in lines if len(words) == 2 and words[1] == "total"]
    if not totals:
        raise Failed("strace printed no total")
    return totals[0]


def system_calls(as_json_line: bool) -> int:
    """Prints the system calls that one more task costs. Returns the exit code."""
    if not shutil.which("strace"):
        note("system calls: skipped; install strace to have them")
        return 0
    try:
        per_task = [(count(2 * TASKS) - count(TASKS)) / TASKS for _ in range(QUICK_ROUNDS)]
    except Failed as failure:
        note(f"system calls: {failure}")
        return 1
    median, low, high = statistics.median(per_task), min(per_task), max(per_task)
    if as_json_line:
        print(json.dumps({
            "workload": "noop", "peer": "bulkhead", "unit": "system calls/task",
            "median": median, "min": low, "max": high, "ratio": 1.0,
        }))
    else:
        print(f"noop: bulkhead: {median:.6f} system calls per task "
              f"(min {low:.6f}, max {high:.6f}), start-up excluded")
    return 0
