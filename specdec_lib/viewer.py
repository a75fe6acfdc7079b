"""A generation to step through: a living part of a page, and the same at rest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from specdec_lib.decoders import Generation, Step
from specdec_lib.language import say, spoken
from specdec_lib.page import part, save_page
from specdec_lib.pieces import LOOKS, Detokenizer, Piece, Reader, signs
from specdec_lib.traces import counts, rows, summary, to_svg, to_text


@dataclass(frozen=True)
class Trace:
    """A generation, round by round. plain: the same prompt by plain decoding, to set text and time beside.

    lang: "en" or "ja", by default the notebook's. A notebook shows it as HTML with a script, which needs neither
    kernel nor network; where scripts are stripped, all rounds stand there at rest; where HTML is, an SVG picture; in a
    terminal, text.
    """

    generation: Generation
    plain: Generation | None = None
    lang: str | None = None

    def html(self) -> str:
        with spoken(self.lang):
            return part("trace", self._data(), _still(self.generation))

    def save(self, path: str | Path) -> Path:
        """Write a web page, and the folder it belongs in."""
        with spoken(self.lang):
            title = say("Speculative decoding, round by round", "投機的デコーディングの各ラウンド")
            return save_page(path, title, self.html())

    def _repr_mimebundle_(self, **formats) -> dict[str, str]:
        with spoken(self.lang):
            text = to_text(self.generation, colour=False)
            return {"text/html": self.html(), "image/svg+xml": to_svg(self.generation), "text/plain": text}

    def _data(self) -> dict:
        return {
            "head": counts(self.generation),
            "looks": {
                name: {"name": look.name, "style": look.style, "edge": look.edge.split()[-1]}
                for name, look in LOOKS.items()
            },
            "rounds": list(_rounds(self.generation)),
            "start": _milliseconds(self.generation.prompt_seconds),
            "plain": None if self.plain is None else _plain(self.plain),
            "foot": list(self._foot()),
            "words": _words(),
        }

    def _foot(self) -> Iterator[list[str]]:
        """What came of it: name and value."""
        generation = self.generation
        tokens, rounds = len(generation.token_ids), len(generation.steps)
        yield [say("tokens a round", "1ラウンドあたりのトークン数"), f"{tokens / max(rounds, 1):.2f}"]
        yield [
            say("target forwards", "ターゲットモデルのフォワード回数"),
            say(f"{rounds} for {tokens} tokens", f"{tokens}トークンに{rounds}回"),
        ]
        yield [say("forwards saved", "節約した回数"), f"{tokens - rounds}"]
        if self.plain is None or not generation.steps:
            yield [say("time", "時間"), f"{generation.seconds:.2f} s"]
            return
        ratio = self.plain.seconds / generation.seconds
        yield [
            say("time", "時間"),
            say(
                f"{generation.seconds:.2f} s, plain decoding {self.plain.seconds:.2f} s (×{ratio:.2f})",
                f"{generation.seconds:.2f} s（通常のデコーディングは {self.plain.seconds:.2f} s、{ratio:.2f}倍）",
            ),
        ]
        same = self.plain.token_ids == generation.token_ids
        yield [
            say("text beside plain decoding's", "通常のデコーディングと比べた文章"),
            say("the same", "同じ")
            if same
            else say("another: sampled or rounded", "異なる（サンプリングや丸めのため）"),
        ]


def _rounds(generation: Generation) -> Iterator[dict]:
    reader, text = Reader(generation.tokenizer), _text_of(generation)
    for step in generation.steps:
        yield {
            "tokens": [_token(piece) for piece in reader.pieces(step)],
            "adds": text(step),
            "ms": _milliseconds(step.seconds),
        }


def _plain(generation: Generation) -> dict:
    text = _text_of(generation)
    steps = [{"adds": text(step), "ms": _milliseconds(step.seconds)} for step in generation.steps]
    return {"start": _milliseconds(generation.prompt_seconds), "steps": steps}


def _text_of(generation: Generation) -> Callable[[Step], str]:
    """What a step adds to the text, the steps taken in their order."""
    if generation.tokenizer is None:
        return lambda step: "".join(f"{token} " for token in step.tokens)
    text = Detokenizer(generation.tokenizer)

    def added(step: Step) -> str:
        return "".join(map(text.piece, step.tokens))

    return added


def _token(piece: Piece) -> dict:
    token = {"text": piece.text, "look": piece.look, "id": piece.token}
    if piece.draw:
        numbers = {"target": piece.draw.target, "draft": piece.draw.draft, "random": piece.draw.uniform}
        token |= {name: float(f"{value:.6g}") for name, value in (numbers | {"chance": piece.chance}).items()}
    return token


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 2)


def _still(generation: Generation) -> str:
    """All rounds at rest, by tags that say what colours say where styles are stripped, too."""
    looks = " ".join(_still_token(name, look.name) for name, look in LOOKS.items())
    lines = "".join(_still_row(*row) for row in rows(generation))
    text = ""
    if generation.text:
        style = "margin-top:0.9em;padding:0.1em 0 0.1em 0.8em;border-left:3px solid #8a8a8a;white-space:pre-wrap"
        text = f'<div dir="auto" lang="ja" style="{style}">{escape(generation.text)}</div>'
    return (
        f'<div style="font-weight:bold">{summary(generation)}</div>'
        f'<div style="font-size:0.85em;line-height:2">{looks}</div>'
        f'<div style="font-size:0.8em;margin-bottom:0.6em">{signs()}</div>'
        f'<div style="line-height:1.9">{lines}</div>{text}'
    )


def _still_row(label: str, hint: str, milliseconds: float, pieces: list[Piece]) -> str:
    tokens = "".join(_still_token(piece.look, piece.text, piece.note) for piece in pieces)
    number = "flex:0 0 2.2em;text-align:right;margin-right:0.8em;font-size:0.8em;font-variant-numeric:tabular-nums"
    return (
        '<div style="display:flex;align-items:baseline">'
        f'<span title="{escape(hint)}, {milliseconds:.1f} ms" style="{number}">{label}</span> '
        f'<span lang="ja">{tokens}</span></div>'
    )


def _still_token(name: str, text: str, note: str = "") -> str:
    look = LOOKS[name]
    title = f' title="{escape(note)}"' if note else ""
    return f'<{look.tag}{title} style="{look.style}unicode-bidi:isolate;">{escape(text)}</{look.tag}>'


def _words() -> dict[str, str]:
    """What the script says; {braces} are filled in there."""
    return {
        "title": say("The rounds of a generation", "生成の各ラウンド"),
        "round": say("Round {n} of {of}", "ラウンド {n} / {of}"),
        "first": say("first", "最初へ"),
        "back": say("back", "戻る"),
        "next": say("next", "次へ"),
        "last": say("last", "最後へ"),
        "play": say("play", "再生"),
        "pause": say("pause", "一時停止"),
        "keys": say(
            "drag the slider; arrow keys step, Home and End jump",
            "スライダーで移動。矢印キーで1つずつ、Home・Endで端へ",
        ),
        "target": say("target", "ターゲット"),
        "draft": say("draft", "ドラフト"),
        "accepted": say("{random} < {chance}: accepted", "{random} < {chance}：受理"),
        "rejected": say("{random} ≥ {chance}: rejected", "{random} ≥ {chance}：棄却"),
        "discarded": say("behind a rejection: not judged", "棄却より後ろなので判定しない"),
        "ended": say("behind the end of the text: not judged", "文章の終わりより後ろなので判定しない"),
        "replacement": say("drawn from the residual in its place", "代わりに残差分布から抽出"),
        "replacement untraced": say("the target's, in its place", "代わりにターゲットの語"),
        "accepted greedily": say("the target's favourite, too: accepted", "ターゲットの最有力候補と一致：受理"),
        "rejected greedily": say("not the target's favourite: rejected", "ターゲットの最有力候補と不一致：棄却"),
        "replacement greedily": say("the target's favourite, in its place", "代わりにターゲットの最有力候補"),
        "bonus": say("all accepted: one more for nothing", "すべて受理：もう1つ追加"),
        "plain": say("nothing was drafted", "提案なし"),
        "rule": say("random number against min(1, target / draft)", "乱数と min(1, target / draft) の比較"),
        "untraced": say("trace=True shows probabilities and random numbers.", "trace=True で確率と乱数を表示します。"),
        "token": say("token {id}", "トークン {id}"),
        "text": say("The text so far", "ここまでの文章"),
        "beside": say("Plain decoding at the same moment", "同じ時点での通常のデコーディング"),
        "all": say("All rounds", "全ラウンド"),
        "told": say("{accepted} accepted, {rejected} rejected, {ms} ms", "受理 {accepted}、棄却 {rejected}、{ms} ms"),
    }
