# SPDX-License-Identifier: MIT
"""What this process and all below it use, from /proc; as processes.cpp."""

import contextlib
import os
import time
from pathlib import Path

PROC = Path("/proc")


def _numbers_in(directory: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal()]
    return []


def _contents(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8")
    return ""


def process_tree() -> list[int]:
    """This process, first, and its descendants."""
    parents = {}
    for process in _numbers_in(PROC):
        words = _contents(PROC / str(process) / "stat").rpartition(")")[2].split()
        if len(words) > 1:
            parents[process] = int(words[1])
    tree = [os.getpid()]
    for ancestor in tree:  # grows meanwhile
        tree += [process for process, parent in parents.items() if parent == ancestor]
    return tree


def cpu_nanoseconds(process: int) -> int:
    """CPU time that a process has used so far; in another one, its threads alive now."""
    if process == os.getpid():
        return time.process_time_ns()
    tasks = PROC / str(process) / "task"
    times = [_contents(tasks / str(thread) / "schedstat") for thread in _numbers_in(tasks)]
    return sum(int(time.split()[0]) for time in times if time)


def resident_bytes() -> int:
    """Of this process."""
    return int(_contents(PROC / "self" / "statm").split()[1]) * os.sysconf("SC_PAGESIZE")


def tree_memory_bytes() -> int:
    """A page that n processes share counts 1/n in each."""
    total = 0
    for process in process_tree():
        for line in _contents(PROC / str(process) / "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
