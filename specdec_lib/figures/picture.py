"""A figure that says what it shows: a takeaway for its title, alt text, and labels at the ends of lines."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from specdec_lib.figures.style import STYLE, WIDTH, ink_of, styled
from specdec_lib.figures.words import short
from specdec_lib.figures.wrapping import wrapped
from specdec_lib.language import say

NEAR = 30
"""Points between the ends of lines whose labels share a column."""


class Picture(Figure):
    """A figure with its takeaway, one sentence, and alt text for who cannot see it: the takeaway, and what is shown.

    Labels put at the ends of lines (`label_end`) are moved apart when the takeaway is given (`say_it`).
    """

    def __init__(self, height: float, width: float = WIDTH):
        super().__init__(figsize=(width, height), layout="constrained")
        self.takeaway = self.alt = ""
        self._ends: dict[tuple[Axes, int], list[Annotation]] = defaultdict(list)

    def panels(self, rows: int, columns: int, **options) -> list[Axes]:
        """Axes row by row."""
        return list(self.subplots(rows, columns, squeeze=False, **options).flat)

    def label_end(self, axes: Axes, x: float, y: float, text: str, colour: str | tuple, side: int = 1) -> None:
        """Name a line at its end, to the right of it; side -1: at its beginning, to the left."""
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "alpha": 0.7, "shrinkA": 0, "shrinkB": 3}
        label = axes.annotate(
            text,
            (x, y),
            xytext=(9 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            color=ink_of(colour),
            annotation_clip=False,
            arrowprops=line,
        )
        self._ends[axes, side].append(label)

    def name_axes(self, x: str, y: str) -> None:
        """What the axes that all panels share are."""
        self.supxlabel(x, fontsize=STYLE["axes.labelsize"])
        self.supylabel(y, fontsize=STYLE["axes.labelsize"])

    @styled
    def say_it(self, takeaway: str, shown: str) -> "Picture":
        """The finished figure. takeaway: one sentence, its title; shown: its axes and series, for the alt text."""
        self.takeaway, self.alt = takeaway, takeaway + say(" ", "") + shown
        self.suptitle(wrapped(takeaway, self.get_figwidth()), x=0.012, ha="left", linespacing=1.35)
        if self._ends:
            self.draw_without_rendering()
        for (axes, side), labels in self._ends.items():
            self._move_apart(axes, side, labels)
        return self

    def _move_apart(self, axes: Axes, side: int, labels: Sequence[Annotation]) -> None:
        """Labels of lines that end near each other get one column, and keep apart in it."""
        ends = 72 / self.dpi * axes.transData.transform([label.xy for label in labels])
        outward = side * ends[:, 0]
        order = np.argsort(outward, kind="stable")
        breaks = np.flatnonzero(np.diff(outward[order]) > NEAR) + 1
        for column in np.split(order, breaks):
            x, y = outward[column], ends[column, 1]
            places = spread(y, 1.2 * labels[0].get_fontsize())
            for number, along, up in zip(column, x.max() - x + 9, places - y, strict=True):
                labels[number].set_position((side * along, up))


def spread(places: Sequence[float], gap: float) -> np.ndarray:
    """The nearest places, least squares, that keep their order and are at least a gap apart."""
    order = np.argsort(places, kind="stable")
    blocks: list[list[float]] = []
    for rank, number in enumerate(order):
        blocks.append([places[number] - rank * gap])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    moved = np.empty(len(order))
    moved[order] = [np.mean(block) for block in blocks for _ in block] + gap * np.arange(len(order))
    return moved


def key(axes: Axes, rows: Iterable[tuple[str, dict]]) -> None:
    """Say in an empty panel what each line means."""
    names, styles = zip(*rows, strict=True)
    handles = [Line2D([], [], **style) for style in styles]
    axes.legend(handles, names, loc="center left", borderpad=0, borderaxespad=0, handlelength=2.4, labelspacing=0.7)


def draft_panels(drafts: Iterable[str], height: float) -> tuple[Picture, list[Axes]]:
    """A figure with a panel for each draft, under its name, and one more for a key; height: of a row, in inches."""
    drafts, columns = list(drafts), 3
    rows = -(-(len(drafts) + 1) // columns)
    figure = Picture(1.0 + height * rows)
    panels = figure.panels(rows, columns, sharex=True, sharey=True)
    for axes, draft in zip(panels, drafts, strict=False):
        axes.set_title(short(draft))
        axes.tick_params(labelbottom=True)
    for axes in panels[len(drafts) :]:
        axes.set_axis_off()
    return figure, panels[: len(drafts) + 1]
