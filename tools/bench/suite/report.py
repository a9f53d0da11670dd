# SPDX-License-Identifier: MIT
"""Rows as text and as JSON."""

import json
import math
import statistics

from suite import machine
from suite.measure import Row

NOISY = 0.03  # the share of the machine from which on others are mentioned


def label(workload: str, parameter: int | None) -> str:
    return workload if parameter is None else f"{workload} {parameter}"


def parameter_of(row: Row) -> int | None:
    """What tells the rows of a sweep apart."""
    swept = row.workload.name in ("duration", "payload", "speedup")
    return row.workload.parameter if swept else None


def as_json(row: Row, base: Row) -> str:
    entry: dict[str, object] = {"workload": row.workload.name}
    if (parameter := parameter_of(row)) is not None:
        entry["parameter"] = parameter
    entry |= {"peer": row.peer, "unit": row.workload.unit, "workers": row.workload.workers}
    if row.error:
        return json.dumps(entry | {"error": row.error})
    entry |= {
        "median": row.median, "min": min(row.figures), "max": max(row.figures),
        "ratio": row.ratio_to(base), "rounds": len(row.figures),
        "others": round(statistics.median(row.others), 3),
    }
    return json.dumps(entry | {name: statistics.median(values)
                               for name, values in row.details.items()})


def as_text(row: Row, base: Row) -> str:
    start = f"{label(row.workload.name, parameter_of(row)):18} {row.peer:32}"
    if row.error:
        return f"{start}  error: {row.error}"
    cells = "".join(f" {show(value):>13}" for value in
                    (row.median, min(row.figures), max(row.figures)))
    ratio = row.ratio_to(base)
    details = "".join(f"  {name} {show(statistics.median(values))}"
                      for name, values in row.details.items())
    others = statistics.median(row.others)
    noise = f"  noise {others:.0%}" if others >= NOISY else ""
    return (f"{start}{cells}  {row.workload.unit:10} {'-' if ratio is None else show(ratio):>9}"
            f"{details}{noise}")


def show(value: float) -> str:
    """Three significant digits, more only before the point."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{min(digits, 6)}f}"


def print_header(rounds: int) -> None:
    about = machine.describe()
    print(f"# {about['cpu']}, {about['cpus']} CPUs, {about['kernel']}; medians of {rounds} rounds "
          "or fewer, each peer a fresh process per round")
    print("# ratio = median of the peer / median of bulkhead. For rates, efficiency and speed-up\n"
          "# below 1 means slower than bulkhead; for times and `x greedy` above 1 means slower.")
    print("# noise = share of the CPU time that others had meanwhile, median of the rounds.")
    print(f"{'workload':18} {'peer':32} {'median':>13} {'min':>13} {'max':>13}  {'unit':10} "
          f"{'ratio':>9}", flush=True)
