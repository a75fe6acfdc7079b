"""Tokens as a picture shows them: what each is as text, and what became of it."""

import copy
from dataclasses import dataclass

from specdec_lib.decoders import Draw, Step
from specdec_lib.language import say


@dataclass(frozen=True)
class Look:
    """How one fate of a token is drawn. Dark ink on a light fill reads on any page; shape repeats what colour says."""

    english: str
    japanese: str
    brackets: tuple[str, str]
    ansi: str
    tag: str = "span"
    fill: str = ""
    ink: str = ""
    edge: str = "1px solid #8a8a8a"
    extra: str = ""

    @property
    def name(self) -> str:
        return say(self.english, self.japanese)

    @property
    def style(self) -> str:
        """As CSS, inline."""
        colours = f"background:{self.fill};color:{self.ink};" if self.fill else ""
        return (
            f"{colours}border-bottom:{self.edge};border-radius:3px;padding:0.1em 0.28em;margin-right:3px;"
            f"font-style:normal;font-weight:normal;white-space:pre-wrap;{self.extra}"
        )


LOOKS = {
    "accepted": Look(
        "accepted", "受理", ("[", "]"), "38;5;16;48;5;151", "span", "#b9e6c4", "#0b3d1e", "2px solid #1d7a3c"
    ),
    "rejected": Look(
        "rejected", "棄却", ("~", "~"), "9;38;5;52;48;5;217", "del", "#ffc4c4", "#7a0a0a", "1px solid #c23030",
        "text-decoration:line-through;",
    ),
    "replacement": Look(
        "resampled", "再サンプリング", ("+", "+"), "1;38;5;17;48;5;153", "ins", "#bfdbff", "#0a2f66",
        "2px solid #1f5fbf", "text-decoration:none;font-weight:bold;",
    ),
    "bonus": Look(
        "bonus", "ボーナス", ("*", "*"), "1;38;5;16;48;5;222", "b", "#ffe08a", "#4a3300", "3px double #a87400",
        "font-weight:bold;",
    ),
    "discarded": Look(
        "discarded", "破棄", ("(", ")"), "38;5;238;48;5;252", "i", "#e0e0e0", "#4a4a4a", "1px dashed #6e6e6e"
    ),
    "plain": Look("plain", "通常", ("|", ""), ""),
}  # fmt: skip

_BROKEN = "\N{REPLACEMENT CHARACTER}"  # what decoders write for bytes that are no character
END, PART, BREAK, SPACE = "■", "·", "↵", "␣"
SIGNS = {
    END: ("end of text", "終わり"),
    PART: ("part of a character", "文字の一部"),
    BREAK: ("line break", "改行"),
    SPACE: ("space", "空白"),
}


def signs() -> str:
    """What each sign stands for."""
    return "\N{IDEOGRAPHIC SPACE}".join(f"{sign} {say(*words)}" for sign, words in SIGNS.items())


@dataclass(frozen=True)
class Piece:
    """One token as a picture shows it. look: a key of LOOKS."""

    token: int
    text: str
    look: str
    draw: Draw | None = None

    @property
    def chance(self) -> float | None:
        """min(1, target / draft), where it was traced."""
        if self.draw is None:
            return None
        return 1.0 if self.draw.target >= self.draw.draft else self.draw.target / self.draw.draft

    @property
    def note(self) -> str:
        """What a tooltip says: the fate, the token's number and, where traced, the rule with its numbers."""
        fate = LOOKS[self.look].name
        note = say(f"{fate}, token {self.token}", f"{fate}、トークン {self.token}")
        if self.draw is None:
            return note
        target, draft, random = (f"{value:.3g}" for value in (self.draw.target, self.draw.draft, self.draw.uniform))
        note += say(f": target {target}, draft {draft}", f"：ターゲットモデル {target}、ドラフトモデル {draft}")
        if self.look == "discarded":
            return note + say(", not judged", "（判定なし）")
        rule = f"{random} {'<' if self.draw.uniform < self.chance else '≥'} min(1, target / draft) = {self.chance:.3g}"
        return note + say(f", random number {rule}", f"、乱数 {rule}")


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
        shown = self._signs.get(token) or visible(text.piece(token).lstrip(_BROKEN)) or PART
        return Piece(token, shown, look, draw)


def visible(text: str) -> str:
    """Text that shows on one line: a sign for line breaks and blanks, an escape for what would not print."""
    if text and not text.strip(" \N{IDEOGRAPHIC SPACE}"):
        return SPACE * len(text)
    return "".join(
        BREAK if char == "\n" else char if char.isprintable() or char == "\N{IDEOGRAPHIC SPACE}" else _escaped(char)
        for char in text
    )


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
