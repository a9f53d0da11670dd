# SPDX-License-Identifier: MIT
"""How busy everybody else was while something was measured."""

import os
import resource
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # of /proc/stat, a second


def _busy_seconds() -> float:
    """CPU seconds that all processes have had, or other machines on the same host."""
    words = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def _own_seconds() -> float:
    """CPU seconds of this process and of all it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Others:
    """What others take of the machine's CPUs, from the time this is made."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._others = _busy_seconds() - _own_seconds()

    def share(self) -> float:
        taken = _busy_seconds() - _own_seconds() - self._others
        capacity = (time.monotonic() - self._start) * (os.cpu_count() or 1)
        return min(max(taken / capacity, 0), 1) if capacity else 0
