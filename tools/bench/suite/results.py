# SPDX-License-Identifier: MIT
"""Results that are kept: a directory with results.jsonl, its first line about the machine, and what
is made of it: README.md, and the pictures of tools/bench/plot and tools/bench/model.
"""

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from suite import machine
from suite.child import Failed, note, run_child
from suite.paths import BENCH, PYTHON
from suite.report import NOISY, label, show

FILE = "results.jsonl"
PICTURES = ("throughput", "duration", "payload", "speedup", "model")
PICTURES_SECONDS = 120
WIDTH = 118

Entry = dict[str, Any]  # one row, as report.as_json has it


@dataclass(frozen=True)
class Results:
    machine: dict[str, Any]
    entries: list[Entry]

    def of(self, workload: str) -> list[Entry]:
        """The rows of a workload that have figures."""
        return [entry for entry in self.entries
                if entry["workload"] == workload and "error" not in entry]

    def median(self, workload: str, peer: str = "bulkhead") -> float | None:
        found = [entry["median"] for entry in self.of(workload) if entry["peer"] == peer]
        return found[0] if found else None

    def curves(self, workload: str, figure: str = "median") -> dict[str, list[tuple[int, float]]]:
        """For each peer of a sweep, its figure for each parameter."""
        curves: dict[str, list[tuple[int, float]]] = {}
        for entry in self.of(workload):
            curves.setdefault(entry["peer"], []).append((entry["parameter"], entry[figure]))
        return curves


def create(folder: Path) -> TextIO:
    """An open file for the rows, with its first line written."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / FILE).open("w", encoding="utf-8")
    print(json.dumps({"machine": machine.describe()}), file=file, flush=True)
    return file


def load(folder: Path) -> Results:
    with (folder / FILE).open(encoding="utf-8") as file:
        first, *rows = [json.loads(line) for line in file]
    return Results(first["machine"], rows)


def finish(folder: Path) -> None:
    """Draws the pictures and writes the table."""
    said = {}
    for script in ("plot", "model"):
        try:
            said[script] = run_child([PYTHON, str(BENCH / script), str(folder)], PICTURES_SECONDS,
                                     tail=3)
        except (Failed, OSError) as failure:
            note(f"no pictures by {script}: {failure}")
    pictures = [name for name in PICTURES if (folder / f"{name}.svg").exists()]
    lines = readme(load(folder), pictures, said.get("model", ""))
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def readme(results: Results, pictures: Sequence[str], model: str) -> Iterator[str]:
    about = results.machine
    yield f"# Results of {about['date']}"
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    yield textwrap.fill(
        f"{about['cpu']}, {about['cpus']} CPUs, {about['memory_gib']} GiB, {about['kernel']}, "
        f"transparent huge pages {about['huge_pages']}, {about['compiler']}, "
        f"bulkhead {about['bulkhead']}; load at the start {about['load']:.1f}. "
        f"Versions: {versions or 'not known'}.", WIDTH, break_on_hyphens=False)
    yield ""
    yield textwrap.fill("What the rows mean: [tools/bench](../../README.md). "
                        f"The sweeps are in [{FILE}]({FILE}) only, and in the pictures.", WIDTH)
    yield ""
    yield "| workload | peer | median | min | max | unit | ratio | |"
    yield "|---|---|---:|---:|---:|---|---:|---|"
    yield from (row(entry) for entry in results.entries if "parameter" not in entry)
    for picture in pictures:
        yield ""
        yield f"![{picture}]({picture}.svg)"
    if model:
        yield ""
        yield model.rstrip()


KNOWN = ("workload", "parameter", "peer", "unit", "workers", "median", "min", "max", "ratio",
         "rounds", "others")


def row(entry: Entry) -> str:
    name = f"`{label(entry['workload'], entry.get('parameter'))}`"
    if "error" in entry:
        return f"| {name} | {entry['peer']} | error: {entry['error']} | | | | | |"
    cells = [show(entry[key]) for key in ("median", "min", "max")]
    ratio = "" if entry["ratio"] is None else show(entry["ratio"])
    more = [f"{key} {show(value)}" for key, value in entry.items() if key not in KNOWN]
    if entry["others"] >= NOISY:
        more.append(f"noise {entry['others']:.0%}")
    details = ", ".join(more)
    columns = [name, entry["peer"], *cells, entry["unit"], ratio, details]
    return f"| {' | '.join(columns)} |"
