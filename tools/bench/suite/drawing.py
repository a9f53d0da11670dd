# SPDX-License-Identifier: MIT
"""How all pictures look: lines with their names beside them, and nothing that is not read."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

INK = "#222222"
FAINT = "#c9c9c9"

# Colours of Okabe and Ito, told apart by colour-blind people too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")


def new_picture(title: str, width: float = 9, height: float = 5.6) -> tuple[Figure, Axes]:
    plt.rcParams.update({
        "font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "axes.edgecolor": INK,
        "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "svg.hashsalt": "bulkhead",
    })
    figure, axes = plt.subplots(figsize=(width, height))
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=24)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", which="major", color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def save(figure: Figure, folder: Path, name: str) -> None:
    for axes in figure.axes:
        axes.minorticks_off()
    figure.tight_layout()
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    figure.savefig(folder / f"{name}.png", dpi=130, metadata={"Software": None})
    plt.close(figure)


def label_ends(axes: Axes, ends: dict[str, tuple[float, float, str]], left: bool = False,
               gap: float = 0.046) -> None:
    """Writes each name beside the end (x, y, colour) of its line, at the right or left of the
    axes, moved up or down as far as needed to keep `gap` of the height between them."""
    axes.figure.canvas.draw()
    to_axes = axes.transAxes.inverted().transform
    placed = sorted((*to_axes(axes.transData.transform((x, y)))[::-1], name, colour)
                    for name, (x, y, colour) in ends.items())
    heights = spread([height for height, *_ in placed], gap)
    for height, (end, x, name, colour) in zip(heights, placed):
        axes.annotate(
            name, xy=(x, end), xytext=(-0.04 if left else 1.04, height),
            xycoords="axes fraction", textcoords="axes fraction", color=colour, va="center",
            ha="right" if left else "left", fontsize=9, annotation_clip=False,
            fontweight="bold" if name == "bulkhead" else "normal",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "alpha": 0.7,
                        "shrinkA": 1, "shrinkB": 3, "relpos": (1 if left else 0, 0.5)},
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """The heights, which rise, moved as little as possible to be `gap` apart and inside 0 to 1."""
    groups: list[tuple[float, int]] = []  # centre and number of labels
    for height in heights:
        group = (height, 1)
        while groups and group[0] - groups[-1][0] < gap * (group[1] + groups[-1][1]) / 2:
            centre, count = groups.pop()
            group = ((centre * count + group[0] * group[1]) / (count + group[1]), count + group[1])
        half = gap * (group[1] - 1) / 2
        groups.append((min(max(group[0], half), max(1 - half, half)), group[1]))
    return [centre + gap * (index - (count - 1) / 2)
            for centre, count in groups for index in range(count)]
