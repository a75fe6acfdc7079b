"""What an explorable is to a front end: a living part, a still picture, a page of its own or a line."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple

from specdec_lib.explore.panel import FONT, Panel
from specdec_lib.language import current
from specdec_lib.page import part, save_page


class View(NamedTuple):
    """An explorable in one language: what it is, how to read it at rest, what its script gets, its small multiples."""

    line: str
    key: str
    data: dict
    panels: list[Panel]


@dataclass(frozen=True)
class Explorable:
    """Shown by every front end as it can: a living part, a still picture or a line.

    view: what it is, in the language spoken.
    """

    name: str
    view: Callable[[], View]

    def html(self) -> str:
        """The living part, which asks no kernel and no network; it holds the small multiples."""
        view = self.view()
        pictures = "".join(panel.image() for panel in view.panels)
        still = (
            f"<p><strong>{escape(view.line)}</strong></p>"
            f'<div style="display:flex;flex-wrap:wrap;gap:12px">{pictures}</div>'
            f'<p style="white-space:pre-line">{escape(view.key)}</p>'
        )
        return part(f"explore-{self.name}", {"line": view.line, **view.data}, still, "explore-common")

    def svg(self) -> str:
        """The small multiples on one white card."""
        view = self.view()
        wide, high = view.panels[0].width, max(panel.height for panel in view.panels)
        columns = min(len(view.panels), max(1, 900 // wide))
        rows = -(-len(view.panels) // columns)
        key = view.key.splitlines()
        width, height = columns * wide, rows * high + 46 + 18 * len(key)
        told = [
            f'<text x="12" y="{rows * high + 52 + 18 * i}" font-size="12" fill="#222222">{escape(text)}</text>'
            for i, text in enumerate(key)
        ]
        placed = [panel.svg(i % columns * wide, 34 + i // columns * high) for i, panel in enumerate(view.panels)]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(view.line)}" lang="{current()}" '
            f'color="#222222" font-family="{FONT}">'
            f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>'
            f'<text x="12" y="24" font-size="15" font-weight="bold" fill="#222222">{escape(view.line)}</text>'
            f"{''.join(placed + told)}</svg>"
        )

    def save_html(self, path: str | Path) -> Path:
        """Write a page of its own, and the folder it belongs in."""
        return save_page(path, self.view().line, self.html())

    def _repr_mimebundle_(self, **formats) -> dict[str, str]:
        return {"text/html": self.html(), "image/svg+xml": self.svg(), "text/plain": self.view().line}
