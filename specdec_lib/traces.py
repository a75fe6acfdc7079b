"""The rounds of a generation as coloured HTML, terminal text and SVG: what was drafted and what became of it."""

import copy
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

from specdec_lib.decoders import Draw, Generation, Step


@dataclass(frozen=True)
class Look:
    """How one fate of a token is drawn. Dark ink on a light fill reads on any page; shape repeats what colour says."""

    japanese: str
    english: str
    brackets: tuple[str, str]
    ansi: str
    tag: str = "span"
    fill: str = ""
    ink: str = ""
    edge: str = "1px solid #8a8a8a"
    extra: str = ""


LOOKS = {
    "accepted": Look(
        "採択", "accepted", ("[", "]"), "38;5;16;48;5;151", "span", "#b9e6c4", "#0b3d1e", "2px solid #1d7a3c"
    ),
    "rejected": Look(
        "棄却", "rejected", ("~", "~"), "9;38;5;52;48;5;217", "del", "#ffc4c4", "#7a0a0a", "1px solid #c23030",
        "text-decoration:line-through;",
    ),
    "replacement": Look(
        "置き換え", "replacement", ("+", "+"), "1;38;5;16;48;5;222", "ins", "#ffe08a", "#4a3300", "2px solid #a87400",
        "text-decoration:none;font-weight:bold;",
    ),
    "bonus": Look(
        "おまけ", "bonus", ("*", "*"), "1;38;5;17;48;5;153", "b", "#bfdbff", "#0a2f66", "2px solid #1f5fbf",
        "font-weight:bold;",
    ),
    "discarded": Look(
        "破棄", "discarded", ("(", ")"), "38;5;238;48;5;252", "i", "#e0e0e0", "#4a4a4a", "1px dashed #6e6e6e"
    ),
    "plain": Look("通常", "plain", ("|", ""), ""),
}  # fmt: skip

_BROKEN = "\N{REPLACEMENT CHARACTER}"  # what decoders write for bytes that are no character
END, PART, BREAK, SPACE = "■", "·", "↵", "␣"
SIGNS = {
    END: ("終わり", "end of text"),
    PART: ("文字の一部", "part of a character"),
    BREAK: ("改行", "line break"),
    SPACE: ("空白", "space"),
}


@dataclass(frozen=True)
class Piece:
    """One token as a picture shows it. look: a key of LOOKS."""

    token: int
    text: str
    look: str
    draw: Draw | None = None

    @property
    def note(self) -> str:
        """What a tooltip says: the fate, the token's number and, where traced, the rule with its numbers."""
        look = LOOKS[self.look]
        note = f"{look.english} {look.japanese}, token {self.token}"
        if self.draw is None:
            return note
        target, draft = self.draw.target, self.draw.draft
        note += f": target {target:.3g}, draft {draft:.3g}"
        if self.look == "discarded":
            return note + ", not judged"
        chance = 1.0 if target >= draft else target / draft
        relation = "<" if self.draw.uniform < chance else "≥"
        return note + f", random number {self.draw.uniform:.3g} {relation} min(1, target / draft) = {chance:.3g}"


class Detokenizer:
    """The text of tokens one by one. Joined with `rest`, the pieces are the decoded text, without special tokens."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._context: list[int] = []  # the tokens behind the last piece: some decoders look at the token before
        self._waiting: list[int] = []  # tokens that are no text yet

    def piece(self, token: int) -> str:
        """The text that this token completes; empty for a special token and for bytes that are no character yet."""
        if token in self._special:
            return ""
        self._waiting = [*self._waiting, token]
        text = self.rest()
        if text.endswith(_BROKEN):
            return ""
        self._context, self._waiting = self._waiting, []
        return text

    def rest(self) -> str:
        """What the waiting tokens decode to as they are."""
        before = self._tokenizer.decode(self._context)
        return self._tokenizer.decode([*self._context, *self._waiting])[len(before) :]


class Reader:
    """Turns steps, in their order, into pieces. Without a tokenizer a token is shown by its number."""

    def __init__(self, tokenizer=None):
        self._text = Detokenizer(tokenizer) if tokenizer else None
        self._signs = {token: tokenizer.decode([token]) for token in tokenizer.all_special_ids} if tokenizer else {}
        if tokenizer and tokenizer.eos_token_id is not None:
            self._signs[tokenizer.eos_token_id] = END

    def pieces(self, step: Step) -> list[Piece]:
        """The round's tokens: accepted ones, the rejected one and its replacement, then discarded ones."""
        draws = step.draws or [None] * len(step.drafted)
        drafted = list(zip(step.drafted, draws, strict=True))
        pieces = [self._piece(self._text, token, "accepted", draw) for token, draw in drafted[: step.accepted]]
        astray = copy.copy(self._text)  # reads on along the draft, where the text itself did not go
        lost = [
            self._piece(astray, token, "rejected" if i < step.rejected else "discarded", draw)
            for i, (token, draw) in enumerate(drafted[step.accepted :])
        ]
        added = []
        if step.next_token is not None:
            look = "replacement" if step.kind == "resampled" else step.kind
            added = [self._piece(self._text, step.next_token, look)]
        return [*pieces, *lost[: step.rejected], *added, *lost[step.rejected :]]

    def _piece(self, text: Detokenizer | None, token: int, look: str, draw: Draw | None = None) -> Piece:
        if text is None:
            return Piece(token, str(token), look, draw)
        # Bytes that turned out to be no character have had their sign already.
        shown = self._signs.get(token) or _visible(text.piece(token).lstrip(_BROKEN)) or PART
        return Piece(token, shown, look, draw)


class TextTrace:
    """A trace as it grows, for a terminal: `add` gives what a step appends. A run of plain rounds shares a line."""

    def __init__(self, tokenizer=None, colour: bool = True):
        self._reader, self._colour = Reader(tokenizer), colour
        self._round = 0
        self._in_plain_run = False

    def legend(self) -> str:
        looks = " ".join(self._draw(name, f"{look.japanese} {look.english}") for name, look in LOOKS.items())
        return f"{looks}\n{_signs()}\n"

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
    return f"{_counts(generation)} · {generation.seconds:.2f} s"


def _counts(generation: Generation) -> str:
    """Tokens, rounds, tokens a round, acceptance rate: the same whenever the same text is written."""
    tokens, rounds, rate = len(generation.token_ids), len(generation.steps), generation.acceptance_rate
    return " · ".join(
        [
            _count(tokens, "token"),
            _count(rounds, "round"),
            f"{tokens / max(rounds, 1):.2f} tokens a round",
            "nothing drafted" if rate is None else f"acceptance rate {rate:.1%}",
        ]
    )


def to_text(generation: Generation, colour: bool = True) -> str:
    """For a terminal, with ANSI colours or, with colour=False, with brackets alone."""
    trace = TextTrace(generation.tokenizer, colour)
    rounds = "".join(trace.add(step) for step in generation.steps)
    text = f"\n\n{generation.text}" if generation.text else ""
    return f"{summary(generation)}\n{trace.legend()}{rounds}{text}\n"


def to_html(generation: Generation) -> str:
    """For a notebook: inline styles alone, no script; where even those are stripped, <del> and <ins> remain."""
    looks = " ".join(_html_token(name, f"{look.japanese} {look.english}") for name, look in LOOKS.items())
    rows = "".join(_html_row(label, hint, pieces) for label, hint, pieces in _rows(generation))
    text = ""
    if generation.text:
        style = "margin-top:0.9em;padding:0.1em 0 0.1em 0.8em;border-left:3px solid #8a8a8a;white-space:pre-wrap"
        text = f'<div lang="ja" style="{style}">{escape(generation.text)}</div>'
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:15px;line-height:1.9;max-width:62em">'
        f'<div style="font-weight:bold">{summary(generation)}</div>'
        f'<div style="font-size:0.85em">{looks}</div>'
        f'<div style="font-size:0.8em;margin-bottom:0.6em">{_signs()}</div>'
        f"{rows}{text}</div>"
    )


def _html_row(label: str, hint: str, pieces: list[Piece]) -> str:
    tokens = "".join(_html_token(piece.look, piece.text, piece.note) for piece in pieces)
    number = "flex:0 0 2.2em;text-align:right;margin-right:0.8em;font-size:0.8em;font-variant-numeric:tabular-nums"
    return (
        '<div style="display:flex;align-items:baseline">'
        f'<span title="{hint}" style="{number}">{label}</span> <span lang="ja">{tokens}</span></div>'
    )


def _html_token(name: str, text: str, note: str = "") -> str:
    look = LOOKS[name]
    colours = f"background:{look.fill};color:{look.ink};" if look.fill else ""
    style = (
        f"{colours}border-bottom:{look.edge};border-radius:3px;padding:0.1em 0.28em;margin-right:3px;"
        f"font-style:normal;font-weight:normal;white-space:pre-wrap;{look.extra}"
    )
    title = f' title="{escape(note)}"' if note else ""
    return f'<{look.tag}{title} style="{style}">{escape(text)}</{look.tag}>'


_WIDTH, _MARGIN, _INDENT, _SIZE, _LINE, _BOX = 860, 20, 38, 15, 31, 25  # px
_FONT = "'Noto Sans CJK JP','Noto Sans JP','Hiragino Sans','Yu Gothic',Meiryo,sans-serif"


def to_svg(generation: Generation) -> str:
    """For a README or a paper: a white card of fixed width, whatever the page behind it."""
    head = _counts(generation)
    canvas = _Canvas(y=_MARGIN + _SIZE)
    canvas.words(head, _SIZE, bold=True)
    canvas.next_line(_LINE)
    for name, look in LOOKS.items():
        canvas.token(name, f"{look.japanese} {look.english}", gap=8)
    canvas.next_line(_LINE)
    canvas.words(_signs(), 12)
    canvas.next_line(8)
    for label, hint, pieces in _rows(generation):
        canvas.next_line(_LINE)
        canvas.number(label, hint.rpartition(", ")[0])  # without the time, so that the same text gives the same file
        for piece in pieces:
            canvas.token(piece.look, piece.text, piece.note)
    height = canvas.y + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" aria-label="{escape(head)}" lang="ja" font-family="{_FONT}" font-size="{_SIZE}">\n'
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


def _rows(generation: Generation) -> Iterator[tuple[str, str, list[Piece]]]:
    """Label, hint and pieces of each row: a round, or a run of plain rounds."""
    reader = Reader(generation.tokenizer)
    numbered = enumerate(generation.steps, 1)
    for _, group in groupby(numbered, key=lambda item: 0 if item[1].kind == "plain" else item[0]):
        row = list(group)
        first, last = row[0][0], row[-1][0]
        label = str(first) if first == last else f"{first}–{last}"
        judged = sum(step.accepted + step.rejected for _, step in row)
        fate = f"{row[0][1].accepted} of {judged} judged tokens accepted" if judged else "nothing drafted"
        milliseconds = 1000 * sum(step.seconds for _, step in row)
        hint = f"round {label}: {fate}, {milliseconds:.1f} ms"
        yield label, hint, [piece for _, step in row for piece in reader.pieces(step)]


def _signs() -> str:
    return "\N{IDEOGRAPHIC SPACE}".join(f"{sign} {japanese} {english}" for sign, (japanese, english) in SIGNS.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _visible(text: str) -> str:
    """Text that shows on one line: a sign for line breaks and blanks, an escape for what would not print."""
    if text and not text.strip(" \N{IDEOGRAPHIC SPACE}"):
        return SPACE * len(text)
    return "".join(
        BREAK if char == "\n" else char if char.isprintable() or char == "\N{IDEOGRAPHIC SPACE}" else _escaped(char)
        for char in text
    )


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
