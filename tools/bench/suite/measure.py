# SPDX-License-Identifier: MIT
"""Rounds of a workload: every figure from a fresh process, the peers in turn."""

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from suite.child import Failed, hogs, note, on_one_cpu, run_child
from suite.noise import Others
from suite.peers import Peer
from suite.table import Workload
from suite.uneven import greedy

ROUNDS = 7
QUICK_ROUNDS = 5
RUN_SECONDS = 120  # for one peer in one round


@dataclass
class Row:
    """What the rounds of one peer gave."""

    workload: Workload
    peer: str
    figures: list[float] = field(default_factory=list)
    details: dict[str, list[float]] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)  # their share of the machine meanwhile
    error: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.figures)

    def ratio_to(self, base: "Row") -> float | None:
        return None if base.error or not base.median else self.median / base.median


def parse(output: str, workload: Workload) -> tuple[float, dict[str, float]]:
    """The figure that a program printed, and its details. Raises Failed."""
    unit = "ms" if workload.tasks else workload.unit
    try:
        details = json.loads(output.strip().splitlines()[-1])
        value, printed_unit = float(details.pop("value")), details.pop("unit")
        details = {name: float(detail) for name, detail in details.items()}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise Failed(f"not a figure: {output.strip()[-200:]!r}") from None
    if printed_unit != unit or not value >= 0:  # infinite: it never came to an end
        raise Failed(f"not a figure in {unit}: {value} {printed_unit}")
    return value, details


def per_greedy(milliseconds: float, workload: Workload) -> float:
    """Against the schedule of one who is never late. Raises Failed if no schedule is as short."""
    nanoseconds = milliseconds * 1e6
    if nanoseconds * workload.workers < sum(workload.tasks):
        raise Failed(f"{milliseconds} ms is less than the tasks take")
    return nanoseconds / greedy(workload.tasks, workload.workers)


def measure(workload: Workload, peer: Peer, size: int) -> tuple[float, dict[str, float]]:
    """The figure of one fresh process. Raises Failed."""
    command = peer.command(workload.mode or workload.name, size, workload.workers,
                           workload.parameter)
    if workload.one_cpu:
        command = on_one_cpu(command)
    tasks = "".join(f"{task}\n" for task in workload.tasks)
    with hogs(workload.hogs, workload.one_cpu):
        output = run_child(command, RUN_SECONDS, text=tasks)
    value, details = parse(output, workload)
    return (per_greedy(value, workload) if workload.tasks else value), details


def installed_peers(workload: Workload) -> list[Peer]:
    peers = []
    for peer in workload.sizes:
        if peer.installed():
            peers.append(peer)
        else:
            note(f"{workload.name}: skipped {peer.name}; install {peer.package} to have it")
    return peers


def available_gib() -> float:
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / (1 << 20)
    return 0


def rounds_of(workload: Workload, quick: bool) -> int:
    return min(QUICK_ROUNDS if quick else ROUNDS, workload.most_rounds)


def run_workload(workload: Workload, quick: bool) -> list[Row]:
    """All installed peers in turn, for all rounds. One that failed is left out of later rounds."""
    if available_gib() < workload.needs_gib:
        note(f"{workload.name}: skipped; it needs {workload.needs_gib} GiB of available memory")
        return []
    peers = installed_peers(workload)
    rows = [Row(workload, peer.name) for peer in peers]
    for _ in range(rounds_of(workload, quick)):
        for peer, row in zip(peers, rows):
            if not row.error:
                run_round(row, peer, workload.size(peer, quick))
    return rows


def run_round(row: Row, peer: Peer, size: int) -> None:
    others = Others()
    try:
        value, details = measure(row.workload, peer, size)
    except (Failed, OSError) as failure:
        row.error = str(failure)
        note(f"{row.workload.name}: {peer.name} failed: {failure}")
        return
    row.figures.append(value)
    row.others.append(others.share())
    for name, detail in details.items():
        row.details.setdefault(name, []).append(detail)
