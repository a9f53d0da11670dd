# SPDX-License-Identifier: MIT
"""Other programs, run so that nothing of them is left."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

from suite.paths import PROGRAMS

# For all peers alike: memory once freed stays with the allocator (of glibc), so that the rounds do
# not measure how fast the machine hands out fresh pages.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


class Failed(Exception):
    """A child that ended badly, took too long or printed nonsense."""


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run_child(command: Sequence[str], seconds: float, tail: int = 1, text: str = "") -> str:
    """The standard output of `command`, which is in a group of its own so all of it can be killed.

    `text` is its standard input. Raises Failed, with the last `tail` lines it printed, unless it
    ends in time with exit code 0.
    """
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace", start_new_session=True, env=os.environ | KEEP_MEMORY,
    ) as child:
        try:
            output, errors = child.communicate(text, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"no answer within {seconds:.0f} s") from None
        finally:
            if child.returncode != 0:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
    if child.returncode == 0:
        return output
    how = f"exit code {child.returncode}"
    if child.returncode < 0:
        how = f"killed by {signal.Signals(-child.returncode).name}"
    lines = [*output.splitlines(), *errors.splitlines()][-tail:]
    raise Failed(": ".join([how, "\n".join(lines)]) if lines else how)


def succeeds(command: Sequence[str], seconds: float = 30) -> bool:
    try:
        run_child(command, seconds)
    except (Failed, OSError):
        return False
    return True


def on_one_cpu(command: Sequence[str]) -> list[str]:
    """The command, confined with all its children to the first CPU that may be used."""
    return ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), *command]


@contextlib.contextmanager
def hogs(count: int, one_cpu: bool) -> Iterator[None]:
    """So many processes, busy for as long as the context lasts."""
    command = [str(PROGRAMS / "bench_hog")]
    if one_cpu:
        command = on_one_cpu(command)
    busy = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield
    finally:
        for hog in busy:
            hog.kill()
            hog.wait()
