"""The one look of all figures."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps

import matplotlib_fontja  # noqa: F401  makes its font known
import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context, rcdefaults, rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

WIDTH = 7.2
"""Of a figure, in inches: two columns of a paper, or a slide at half size."""

INK, MUTED, FAINT = "#1f1f1f", "#5f6368", "#b9bec5"

BLUE, ORANGE, GREEN, RED, PURPLE = "#0072b2", "#e69f00", "#00825f", "#d55e00", "#b05c8e"
"""After Okabe and Ito: apart for colour-blind readers, too; each comes with a marker or a dash of its own."""

STYLE = {
    "font.family": ["IPAexGothic", "DejaVu Sans"],
    "font.size": 10.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelsize": 10.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": "#e6e7ea",
    "grid.linewidth": 0.8,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.titlesize": 13,
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "savefig.facecolor": "white",
    "savefig.bbox": None,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "hatch.linewidth": 0.8,
    "pdf.fonttype": 42,
}
"""What matplotlib is set to while a figure is drawn or written; in a PDF letters stay letters of a font (type 42)."""


def use_style() -> None:
    """Set matplotlib to the look of our figures, for a reader's own plots; ours have it without."""
    rcParams.update(STYLE)


def styled(work: Callable) -> Callable:
    """The same work in our style, whatever matplotlib is set to."""

    @wraps(work)
    def in_style(*arguments, **options):
        with rc_context():
            rcdefaults()
            rcParams.update(STYLE)
            return work(*arguments, **options)

    return in_style


@dataclass(frozen=True)
class Look:
    """How the values of one model, session or way are drawn."""

    colour: str
    marker: str
    dash: str = "-"

    @property
    def line(self) -> dict:
        """What a line with its markers is drawn by."""
        face = "white" if self.dash != "-" else self.colour
        return {"color": self.colour, "marker": self.marker, "linestyle": self.dash, "markerfacecolor": face}


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each of a family's models, from small to large: dark to light, and each with a marker of its own."""
    names = list(dict.fromkeys(names))
    shades = np.linspace(0.0, 0.78, max(len(names), 2))
    return {
        name: Look(colormaps["viridis"](shade), "os^DvPX*"[place % 8])
        for place, (name, shade) in enumerate(zip(names, shades, strict=False))
    }


SESSIONS = {
    "uncached": Look(BLUE, "o"),
    "cached": Look(GREEN, "^"),
    "static": Look(PURPLE, "D"),
    "auto": Look(PURPLE, "D"),
}


def session_look(session: str) -> Look:
    return SESSIONS.get(session, Look(MUTED, "s"))


def ink_of(colour: str | tuple) -> tuple[float, ...]:
    """A colour dark enough to be read in as text on white."""
    red, green, blue = to_rgb(colour)
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return tuple(part * min(1, (0.18 / max(light, 1e-9)) ** (1 / 2.2)) for part in (red, green, blue))


def draw_line(axes: Axes, x: pd.Series, table: pd.DataFrame, value: str, look: Look, **options) -> None:
    """A line through the values of a column, with a whisker for each interval (columns value_low and value_high)."""
    filled = {"markerfacecolor": "white"} if look.dash != "-" else {}
    style = {"color": look.colour, "marker": look.marker, "linestyle": look.dash, **filled, **options}
    axes.plot(x, table[value], zorder=3, **style)
    if f"{value}_low" in table:
        axes.vlines(x, table[f"{value}_low"], table[f"{value}_high"], color=look.colour, linewidth=1, alpha=0.75)


def reference(axes: Axes, **places: float) -> None:
    """A thin dotted line at x or y, such as where plain decoding is."""
    style = {"color": INK, "linewidth": 1, "linestyle": (0, (1, 2)), "zorder": 2}
    for axis, place in places.items():
        (axes.axvline if axis == "x" else axes.axhline)(place, **style)


def log_ticks(axis: Axis, places: Iterable[float], name: Callable[[float], str]) -> None:
    """Name some places of a logarithmic axis, those in view, and no others."""
    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(FixedLocator([place for place in places if low <= place <= high]))
    axis.set_major_formatter(FuncFormatter(lambda place, _: name(place)))
    axis.set_minor_locator(NullLocator())


DIAMOND = {"color": INK, "linestyle": "", "marker": "D", "markersize": 4.5, "markerfacecolor": "white"}
"""What would be expected."""

PAPER = Look(INK, "s", "--")
"""The published values, in every figure."""
