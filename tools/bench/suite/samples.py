# SPDX-License-Identifier: MIT
"""Where perf(1) found the processes of a program, as lines of source code or calls of the kernel."""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.child import run_child

FREQUENCY = 10_000  # samples per second of CPU time

_EVENT = re.compile(r"^(\S+)\s+\d+\s*$")
_LIBRARY = re.compile(r"(^|\s)bulkhead::(Pool|detail)::")
_FRAME = re.compile(r"^\s+([0-9a-f]+)\s+(.*?)(?:\+0x[0-9a-f]+)?\s+\(([^()]*)\)$")


@dataclass(frozen=True)
class Sample:
    """`command` is the name of the process; `in_call` says whether it was in a call of the library,
    as far as frame pointers tell. In the kernel, `kernel` has the functions, innermost
    first; else `file` is the innermost source file of ours that the code was inlined from, or the
    library."""

    command: str
    in_call: bool
    kernel: tuple[str, ...] = ()
    file: str = ""


def record(command: Sequence[str], ours: str, seconds: float) -> tuple[dict, Counter[Sample]]:
    """What the program printed, and how often each place was met. Source files count as ours if
    their paths begin with `ours`. Raises Failed."""
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "data")
        printed = run_child(["perf", "record", "--quiet", "-e", "cpu-clock", "-F", str(FREQUENCY),
                             "-g", "-o", data, *command], seconds, tail=5)
        script = run_child(["perf", "script", "-i", data, "-F", "comm,tid,ip,sym,dso"], seconds)
    places = _places(command[0], script, ours)
    return json.loads(printed), Counter(_samples(script, command[0], places))


def _frames(script: str) -> Iterator[tuple[str, list[tuple[int, str, str]]]]:
    """For each sample the name of its process and its frames (address, function, object)."""
    for block in script.split("\n\n"):
        lines = block.splitlines()
        event = _EVENT.match(lines[0].strip()) if lines else None
        frames = [_FRAME.match(line) for line in lines[1:]]
        if event and frames and all(frames):
            yield event[1], [(int(f[1], 16), f[2], f[3]) for f in frames if f]


def _samples(script: str, program: str, places: dict[int, str]) -> Iterator[Sample]:
    for command, frames in _frames(script):
        address, function, where = frames[0]
        in_call = any(_LIBRARY.search(name) for _, name, _ in frames)
        kernel = tuple(name for _, name, place in frames if "kernel" in place)
        if kernel:
            yield Sample(command, in_call, kernel=kernel)
        elif where == program:
            yield Sample(command, in_call, file=places.get(address, "?"))
        else:
            yield Sample(command, in_call, file=f"{Path(where).name.split('.so')[0]}: {function}")


def _places(program: str, script: str, ours: str) -> dict[int, str]:
    """The source file of each address at which the program itself was met."""
    met = sorted({frames[0][0] for _, frames in _frames(script) if frames[0][2] == program})
    lines = run_child(["addr2line", "-e", program, "-a", "-i", "-f", *map(hex, met)], 60)
    places: dict[int, str] = {}
    address = 0
    for line in lines.splitlines():
        if line.startswith("0x"):
            address = int(line, 16)
        elif line.startswith(ours) and address not in places:
            places[address] = Path(line.split(":")[0]).name
    return places
