"""A small chart, drawn as SVG."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

TARGET, DRAFT = "#2a788e", "#e0a030"
FONT = "system-ui,'Noto Sans CJK JP','Noto Sans JP','Hiragino Sans','Yu Gothic',Meiryo,sans-serif"


class Panel:
    """A small chart as SVG; shapes are given in the units of its axes, shifts in px."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        size: tuple[int, int] = (290, 230),
        margins: tuple[int, int] = (44, 48),
    ):
        """x, y: what lies at the left and the right, at the bottom and the top. size, margins (left, right): in px."""
        self.title, (self.width, self.height) = title, size
        self._x, self._y = x, y
        self._left, self._right, self._top, self._bottom = margins[0], self.width - margins[1], 30, self.height - 38
        self._shapes: list[str] = []
        self._text(12, 16, title, more=' font-weight="bold"')

    def axes(self, x: Mapping[float, str], y: Mapping[float, str], name: str = "") -> None:
        """Ticks with their labels; name: of the axis at the bottom."""
        for value, label in y.items():
            _, height = self._at(0, value)
            self._shapes.append(
                f'<path d="M{self._left} {height:.1f}H{self._right}" stroke="currentColor" stroke-opacity="0.2"/>'
            )
            self._text(self._left - 5, height + 4, label, "end")
        self._shapes.append(f'<path d="M{self._left} {self._bottom}H{self._right}" stroke="currentColor"/>')
        for value, label in x.items():
            self._text(self._at(value, 0)[0], self._bottom + 15, label, "middle")
        self._text((self._left + self._right) / 2, self.height - 6, name, "middle")

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = "currentColor", width: float = 1, dash: str = "none"
    ) -> None:
        self._shapes.append(
            f'<polyline points="{self._path(points)}" fill="none" stroke="{colour}" stroke-width="{width}" '
            f'stroke-dasharray="{dash}"/>'
        )

    def area(self, points: Sequence[tuple[float, float]], colour: str, opacity: float) -> None:
        self._shapes.append(f'<polygon points="{self._path(points)}" fill="{colour}" fill-opacity="{opacity}"/>')

    def box(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        fill: str,
        sign: str,
        ink: str,
        stroke: str = "none",
    ) -> None:
        """A rectangle between two corners, with its sign where there is room; nothing where end lies before start."""
        (x0, x1), (y0, y1) = map(sorted, zip(self._at(*start), self._at(*end), strict=True))
        if end[0] <= start[0] or end[1] <= start[1]:
            return
        dash = ' stroke-dasharray="3 2"' if fill == "none" else ""
        self._shapes.append(
            f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" fill="{fill}" '
            f'stroke="{stroke}"{dash}/>'
        )
        if x1 - x0 > 11 and y1 - y0 > 13:
            self._text((x0 + x1) / 2, (y0 + y1) / 2 + 4, sign, "middle", ink)

    def mark(self, x: float, y: float, kind: str, title: str) -> None:
        """A dot, a ring or a diamond, with a title that shows when it is pointed at."""
        px, py = self._at(x, y)
        shape = {
            "dot": f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{TARGET}" stroke="#ffffff">',
            "ring": f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="#ffffff" stroke="#222222" stroke-width="1.5">',
            "diamond": f'<path d="M{px:.1f} {py - 6:.1f}l6 6l-6 6l-6 -6z" fill="{DRAFT}" stroke="#222222">',
        }[kind]
        self._shapes.append(f"{shape}<title>{escape(title)}</title></{shape[1:].split(' ')[0]}>")

    def words(self, x: float, y: float, text: str, shift: tuple[int, int] = (0, 0), anchor: str = "start") -> None:
        px, py = self._at(x, y)
        self._text(px + shift[0], py + shift[1], text, anchor)

    def svg(self, x: int = 0, y: int = 0) -> str:
        """An SVG element of its own, at a place in another."""
        return (
            f'<svg x="{x}" y="{y}" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" style="max-width:100%;height:auto">{"".join(self._shapes)}</svg>'
        )

    def image(self) -> str:
        """HTML: a picture on white with the title as alt text, whole also where SVG elements are stripped."""
        alone = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" color="#222222" '
            f'font-family="{FONT}"><rect width="100%" height="100%" fill="#ffffff"/>{self.svg()}</svg>'
        )
        source = f"data:image/svg+xml;base64,{b64encode(alone.encode()).decode()}"
        return (
            f'<img alt="{escape(self.title)}" width="{self.width}" style="max-width:100%;height:auto" src="{source}">'
        )

    def _at(self, x: float, y: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = self._x, self._y
        across, up = (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)
        return self._left + across * (self._right - self._left), self._bottom - up * (self._bottom - self._top)

    def _path(self, points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (self._at(*point) for point in points))

    def _text(
        self, x: float, y: float, text: str, anchor: str = "start", ink: str = "currentColor", more: str = ""
    ) -> None:
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" text-anchor="{anchor}" fill="{ink}"{more}>'
            f"{escape(text)}</text>"
        )
