# SPDX-License-Identifier: MIT
"""Arithmetic on curves over a logarithmic scale."""

from collections.abc import Sequence

Points = Sequence[tuple[float, float]]


def crossing(points: Points, height: float) -> float | None:
    """Where a curve rises to a height for good, between its points on a logarithmic scale; the
    least x if it is never below, None if it ends below."""
    points = sorted(points)
    below = [index for index, (_, y) in enumerate(points) if y < height]
    if not below:
        return points[0][0]
    if below[-1] == len(points) - 1:
        return None
    (x1, y1), (x2, y2) = points[below[-1]], points[below[-1] + 1]
    return x1 * (x2 / x1) ** ((height - y1) / (y2 - y1))
