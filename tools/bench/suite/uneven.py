# SPDX-License-Identifier: MIT
"""Tasks of very different durations, and how long they should take."""

import random
from collections.abc import Sequence

SEED = 7
ALPHA = 0.7  # below 1: a few long tasks are most of the work
SHORTEST_NS = 100_000
LONGEST_NS = 50_000_000


def durations(count: int) -> tuple[int, ...]:
    """Nanoseconds, of a bounded Pareto distribution; the same ones every time."""
    source = random.Random(SEED)
    span = 1 - (SHORTEST_NS / LONGEST_NS) ** ALPHA
    return tuple(int(SHORTEST_NS * (1 - source.random() * span) ** (-1 / ALPHA))
                 for _ in range(count))


def greedy(tasks: Sequence[int], workers: int) -> int:
    """When the last task ends, if whoever is idle takes the next in order, at no cost."""
    free_at = [0] * workers
    for task in tasks:
        free_at[free_at.index(min(free_at))] += task
    return max(free_at)
