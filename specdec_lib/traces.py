"""The rounds of a generation as terminal text and SVG: what was drafted and what became of it."""

import unicodedata
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path

from specdec_lib.decoders import Generation, Step
from specdec_lib.language import current, say
from specdec_lib.pieces import LOOKS, Piece, Reader, signs


class TextTrace:
    """A trace as it grows, for a terminal: `add` gives what a step appends. A run of plain rounds shares a line."""

    def __init__(self, tokenizer=None, colour: bool = True):
        self._reader, self._colour = Reader(tokenizer), colour
        self._round = 0
        self._in_plain_run = False

    def legend(self) -> str:
        looks = " ".join(self._draw(name, look.name) for name, look in LOOKS.items())
        return f"{looks}\n{signs()}\n"

    def add(self, step: Step) -> str:
        self._round += 1
        start = "" if self._in_plain_run and step.kind == "plain" else f"\n{self._round:>4}  "
        self._in_plain_run = step.kind == "plain"
        return start + "".join(self._draw(piece.look, piece.text) for piece in self._reader.pieces(step))

    def _draw(self, name: str, text: str) -> str:
        look = LOOKS[name]
        text = text.join(look.brackets)
        return f"\x1b[{look.ansi}m{text}\x1b[0m" if self._colour and look.ansi else text


def summary(generation: Generation) -> str:
    """The head line: what a picture says, and the seconds."""
    return f"{counts(generation)} · {generation.seconds:.2f} s"


def counts(generation: Generation) -> str:
    """Tokens, rounds, tokens a round, acceptance rate: the same whenever the same text is written."""
    tokens, rounds, rate = len(generation.token_ids), len(generation.steps), generation.acceptance_rate
    each = f"{tokens / max(rounds, 1):.2f}"
    return " · ".join(
        [
            say(_count(tokens, "token"), f"{tokens}トークン"),
            say(_count(rounds, "round"), f"{rounds}ラウンド"),
            say(f"{each} tokens a round", f"1ラウンドあたり{each}トークン"),
            say("nothing drafted", "提案なし")
            if rate is None
            else say(f"acceptance rate {rate:.1%}", f"受理率 {100 * rate:.1f}％"),
        ]
    )


def to_text(generation: Generation, colour: bool = True) -> str:
    """For a terminal, with ANSI colours or, with colour=False, with brackets alone."""
    trace = TextTrace(generation.tokenizer, colour)
    rounds = "".join(trace.add(step) for step in generation.steps)
    text = f"\n\n{generation.text}" if generation.text else ""
    return f"{summary(generation)}\n{trace.legend()}{rounds}{text}\n"


_WIDTH, _MARGIN, _INDENT, _SIZE, _LINE, _BOX = 860, 20, 38, 15, 31, 25  # px
_FONT = "'Noto Sans CJK JP','Noto Sans JP','Hiragino Sans','Yu Gothic',Meiryo,sans-serif"


def to_svg(generation: Generation) -> str:
    """For a README or a paper: a white card of fixed width, whatever the page behind it."""
    head = counts(generation)
    canvas = _Canvas(y=_MARGIN + _SIZE)
    canvas.words(head, _SIZE, bold=True)
    canvas.next_line(_LINE)
    for name, look in LOOKS.items():
        canvas.token(name, look.name, gap=8)
    canvas.next_line(_LINE)
    canvas.words(signs(), 12)
    canvas.next_line(8)
    for label, hint, _, pieces in rows(generation):  # without the time, so that the same text gives the same file
        canvas.next_line(_LINE)
        canvas.number(label, hint)
        for piece in pieces:
            canvas.token(piece.look, piece.text, piece.note)
    height = canvas.y + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" aria-label="{escape(head)}" lang="{current()}" font-family="{_FONT}" font-size="{_SIZE}">\n'
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>\n' + "\n".join(canvas.shapes) + "\n</svg>\n"
    )


def save_svg(generation: Generation, path: Path) -> None:
    """Write `to_svg` to a file, and the folder it belongs in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_svg(generation), encoding="utf-8")


class _Canvas:
    """Lays words and token boxes out from left to right; y is the baseline."""

    def __init__(self, y: int):
        self.x, self.y = float(_MARGIN), y
        self.shapes: list[str] = []

    def next_line(self, height: int) -> None:
        self.x, self.y = float(_MARGIN), self.y + height

    def words(self, text: str, size: int, bold: bool = False) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self.shapes.append(
            f'<text x="{_MARGIN}" y="{self.y}" font-size="{size}"{weight} fill="#222222">{escape(text)}</text>'
        )

    def number(self, label: str, hint: str) -> None:
        self.x = float(_MARGIN + _INDENT)
        self.shapes.append(
            f'<text x="{self.x - 10:g}" y="{self.y}" font-size="12" text-anchor="end" fill="#555555">'
            f"<title>{hint}</title>{label}</text>"
        )

    def token(self, name: str, text: str, note: str = "", gap: int = 4) -> None:
        look = LOOKS[name]
        width = round(_text_width(text) + 10, 1)
        if self.x + width > _WIDTH - _MARGIN and self.x > _MARGIN + _INDENT:
            self.next_line(_LINE)
            self.x += _INDENT
        x, top, bottom, middle = self.x, self.y - 18, self.y - 18 + _BOX, self.x + width / 2
        thickness, kind, colour = look.edge.split()
        stroke = f'stroke="{colour}" stroke-width="{thickness.removesuffix("px")}"'
        dashes = ' stroke-dasharray="3 2"' if kind == "dashed" else ""
        weight = ' font-weight="bold"' if "bold" in look.extra else ""
        shape = [
            "<g>",
            f"<title>{escape(note)}</title>" if note else "",
            f'<rect x="{x:g}" y="{top}" width="{width:g}" height="{_BOX}" rx="3" fill="{look.fill or "none"}"/>',
            f'<path d="M{x:g} {bottom}h{width:g}" {stroke}{dashes}/>',
            f'<text x="{middle:g}" y="{self.y}" text-anchor="middle"{weight} fill="{look.ink or "#222222"}">'
            f"{escape(text)}</text>",
            f'<path d="M{x + 3:g} {self.y - 5}h{width - 6:g}" stroke="{look.ink}" stroke-width="1.5"/>'
            if "line-through" in look.extra
            else "",
            "</g>",
        ]
        self.shapes.append("".join(shape))
        self.x = round(x + width + gap, 1)


def _text_width(text: str) -> float:
    """About how wide a text is, in px: full-width characters are square, others near 0.6 of that."""
    return sum(
        _SIZE * (1.0 if unicodedata.east_asian_width(char) in "WFA" else 0.7 if char.isupper() else 0.58)
        for char in text
    )


def rows(generation: Generation) -> Iterator[tuple[str, str, float, list[Piece]]]:
    """Label, hint, milliseconds and pieces of each row: a round, or a run of plain rounds."""
    reader = Reader(generation.tokenizer)
    numbered = enumerate(generation.steps, 1)
    for _, group in groupby(numbered, key=lambda item: 0 if item[1].kind == "plain" else item[0]):
        row = list(group)
        first, last = row[0][0], row[-1][0]
        label = str(first) if first == last else f"{first}–{last}"
        judged, accepted = sum(step.accepted + step.rejected for _, step in row), row[0][1].accepted
        fate = say(f"{accepted} of {judged} judged tokens accepted", f"判定した{judged}個のうち{accepted}個を受理")
        fate = fate if judged else say("nothing drafted", "提案なし")
        milliseconds = 1000 * sum(step.seconds for _, step in row)
        pieces = [piece for _, step in row for piece in reader.pieces(step)]
        yield label, say(f"round {label}: {fate}", f"ラウンド{label}：{fate}"), milliseconds, pieces


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
