"""The exercises of notebook 1: what a character costs, what bounds the gain, which draft can never pay."""

from collections.abc import Callable, Iterable, Mapping
from math import isclose

import pandas as pd

from specdec_lib.exercises.judging import expect
from specdec_lib.language import say
from specdec_lib.models import EMBEDDED, load_model

STOPWATCH = pd.DataFrame(
    {"milliseconds": [3200, 900, 1200, 1800, 4000], "tokens": [80, 120, 60, 40, 100]},
    index=["target", "A", "B", "C", "D"],
)
"""One article, summarised by a target and four drafts: how long each wrote, and how much. Invented."""

FAMILY = "👩\u200d👩\u200d👧"
NEWS = "首相は11日、東京都内で会見した。"

SPELLED = [
    (
        "会見した。",
        "Every piece of it is in the vocabulary, so nothing is spelled in bytes.",
        "どの部分も語彙にあるので、バイトで表されるトークンはありません。",
    ),
    (
        "🦊",
        "It is one character, but four bytes in UTF-8, and each byte is a token of its own.",
        "1文字ですが、UTF-8では4バイトです。その1バイトずつがトークンになります。",
    ),
    (
        "髙島屋",
        "髙 is another character than 高, and the vocabulary lacks it: three bytes, as most kanji have.",
        "「髙」（はしごだか）は「高」とは別の文字で、語彙にありません。多くの漢字と同じく、UTF-8では3バイトです。",
    ),
    (
        "か\u3099き",
        "What looks like が is か with a combining mark (U+3099) after it, and only the mark is unknown.",
        "「が」に見えますが、「か」の後に濁点の結合文字（U+3099）が続いています。語彙にないのは濁点だけです。",
    ),
    (
        "東京 大阪",
        "The vocabulary writes the space as ▁, so who looks for ' ' in it counts one too many. Ask the tokenizer how "
        "it cuts the text: tokenizer.tokenize(text).",
        "語彙では空白を「▁」と書くので、' ' のまま語彙を引くと1つ多く数えてしまいます。"
        "テキストがどう分割されるかは、tokenizer.tokenize(text) でトークナイザー自身に聞きましょう。",
    ),
    (
        FAMILY,
        "It looks like one character and is five: three faces and two invisible joiners (U+200D) between them.",
        "1文字に見えますが、実際は5文字です。3つの顔を、見えない接合文字（U+200D）2つがつないでいます。",
    ),
]
"""Texts whose bytes are counted, and what each teaches, in English and in Japanese."""

FREE, DEAR, USUAL, FAST = (5, 0, 3), (1, 2, 7), (10, 0.07, 7), (2.9, 0.15, 7)
"""a and b in milliseconds, and k. The last two: transformers' forward and the fast path, as in the exercise."""


def byte_tokens(answer: Callable[[str], int]) -> str:
    """Whether `answer` counts the tokens that are one byte of an unknown character."""
    tokenize = load_model(EMBEDDED[0]).tokenizer.tokenize
    for text, english, japanese in SPELLED:
        pieces = tokenize(text)
        right, got = _bytes(pieces), answer(text)
        cut = " ".join(pieces)
        expect(
            got == right,
            f"byte_tokens({text!r}) gives {got!r}; {right} is right. The tokens: {cut}\n{english}",
            f"byte_tokens({text!r}) の結果は {got!r} ですが、正しくは {right} です。トークン列：{cut}\n{japanese}",
        )
    family, news = len(tokenize(FAMILY)), len(tokenize(NEWS))
    return say(
        f"Right. {FAMILY}, one character to the eye, costs {family} tokens; the sentence 「{NEWS}」 costs {news}. "
        "For a model, the length of a text is its number of tokens, not of characters.",
        f"正解です。見た目は1文字の {FAMILY} が{family}トークンなのに、「{NEWS}」は1文で{news}トークンです。"
        "モデルにとっての長さは、文字数ではなくトークン数で決まります。",
    )


def best_gain(answer: Callable[[float, float, int], float]) -> str:
    """Whether `answer` gives the gain of a draft that costs nothing and is always right."""
    for a, b, k in (FREE, DEAR, USUAL, FAST):
        got, right, n = answer(a, b, k), _gain(a, b, k), k + 1
        call = f"best_gain({a}, {b}, {k})"
        expect(
            got is not None,
            f"{call} gives nothing: does the function end with return?",
            f"{call} が何も返していません。最後に return がありますか。",
        )
        english, japanese = _lesson(got, a, b, k)
        plain, verified = f"{n} × ({a} + {b}) = {n * (a + b):.2f} ms", f"{a} + {b} × {n} = {a + b * n:.2f} ms"
        expect(
            isclose(got, right, rel_tol=0.005),
            f"{call} gives {got:.2f}; {right:.2f} is right. Plain decoding takes {plain} for {n} tokens, the round "
            f"{verified}.\n{english}",
            f"{call} の結果は {got:.2f} ですが、正しくは {right:.2f} です。{n}トークンを得るのに、"
            f"通常のデコーディングは {plain}、1ラウンドは {verified} かかります。\n{japanese}",
        )
    usual, fast = _gain(*USUAL), _gain(*FAST)
    usual_limit, fast_limit = (1 + a / b for a, b, _ in (USUAL, FAST))
    return say(
        f"Right. Seven guesses make transformers' forward ×{usual:.1f} as fast and the fast path ×{fast:.1f}. However "
        f"many guesses there are, the gain stays below 1 + a/b: ×{usual_limit:.0f} and ×{fast_limit:.0f}. The fast "
        "path has already cut a, what is paid once a forward, so less is left to share. Only the ratio counts: a "
        "machine that is ten times as slow in both gains just as much.",
        f"正解です。7トークンの先読みで、transformers のフォワードは{usual:.1f}倍、高速版は{fast:.1f}倍速くなります。"
        f"先読みをいくら増やしても、速度向上率は 1 + a/b（{usual_limit:.0f}倍と{fast_limit:.0f}倍）には届きません。"
        "高速版ではフォワード1回ごとのコスト a がすでに小さく、まとめて読んでも節約できる分が少ないのです。"
        "効くのは比だけで、a も b も10倍遅い計算機でも、速度向上率は変わりません。",
    )


def never_pays(answer: tuple[Mapping[str, float], Iterable[str]]) -> str:
    """Whether `answer` holds each draft's c by STOPWATCH, and the names of the drafts that can never pay."""
    c, never = answer
    never = list(never)
    per_token = STOPWATCH["milliseconds"] / STOPWATCH["tokens"]
    rates = (per_token / per_token["target"]).drop("target")
    for draft, right in rates.items():
        _expect_rate(draft, c[draft], right)
    for draft, rate in rates.items():
        cost = f"1 + 7 × {rate:.3f} = {1 + 7 * rate:.2f}"
        english = f"A round with seven right guesses costs as much as {cost} tokens of the target, and yields 8."
        japanese = (
            f"7つの予想がすべて当たるラウンドのコストはターゲットモデルの {cost} トークン分で、8トークンが得られます。"
        )
        expect(
            rate < 1 or draft in never,
            f"{draft} can never pay, and you don't name it (c = {rate:.3f}). {english} Is that faster?",
            f"{draft}（c = {rate:.3f}）は元が取れませんが、答えにありません。{japanese}これで速くなるでしょうか。",
        )
        expect(
            rate >= 1 or draft not in never,
            f"{draft} may pay, and you say it never does (c = {rate:.3f}). {english}",
            f"{draft}（c = {rate:.3f}）を元が取れないとしていますが、取れることもあります。{japanese}",
        )
    expect(
        "target" not in never,
        "The target is among yours. Its c is 1 by definition, but it is no draft.",
        "答えにターゲットモデルが入っています。定義から c = 1 になりますが、ドラフトモデルではありません。",
    )
    limits = [f"{1 / rates[draft]:.1f}" for draft in ("A", "B")]
    return say(
        "Right. With every guess right, (k + 1) / (1 + k c) comes ever closer to 1/c as k grows, and never reaches it: "
        f"×{limits[0]} with A, ×{limits[1]} with B. Who wants ×3 need not ask how well B guesses. And C was done "
        "before the target, but with half the tokens: c compares tokens, not texts.",
        "正解です。予想がすべて当たるとき、(k + 1) / (1 + k c) は k を増やすほど 1/c に近づきますが、届きません。"
        f"上限は A で{limits[0]}倍、B で{limits[1]}倍です。3倍速くしたいなら、B の受理率は調べるまでもありません。"
        "なお、C はターゲットモデルより早く終わりましたが、書いたトークンは半分です。"
        "c で比べるのは要約全体ではなく、1トークンあたりの時間です。",
    )


def _bytes(pieces: Iterable[str]) -> int:
    return sum(piece.startswith("<0x") for piece in pieces)


def _gain(a: float, b: float, k: int) -> float:
    return (k + 1) * (a + b) / (a + b * (k + 1))


def _lesson(got: float, a: float, b: float, k: int) -> tuple[str, str]:
    """What a usual mistake overlooks, told by the number it gives; in English and in Japanese."""
    one, verified = a + b, a + b * (k + 1)
    mistakes = [
        (
            k + 1,
            "That takes v = 1, as if checking cost nothing extra: true only where b = 0.",
            "検証の追加コストを無視した v = 1 のときの値です。これは b = 0 のときにしか成り立ちません。",
        ),
        (
            (k + 1) * one / (a + b * k),
            "Your round reads the guesses alone. It reads the token before them, too: k + 1 in all.",
            "予想したトークンしか読んでいません。直前のトークンも読むので、合わせて k + 1 トークンです。",
        ),
        (
            k * one / verified,
            "Your round yields the guesses alone. The target adds a token of its own: k + 1 in all.",
            "当たった予想しか数えていません。ターゲットモデルの1トークンも加わるので、合わせて k + 1 トークンです。",
        ),
        (
            1 / _gain(a, b, k),
            "That is the share of time that is left. The gain is its inverse.",
            "これは残る時間の割合です。速度向上率はその逆数です。",
        ),
        (
            verified / one,
            "That is v(k), the price of the round. It yields k + 1 tokens.",
            "これは1ラウンドのコスト v(k) です。これで k + 1 トークンが得られます。",
        ),
    ]
    told = [(english, japanese) for value, english, japanese in mistakes if isclose(got, value, rel_tol=1e-3)]
    return told[0] if told else ("Divide the first time by the second.", "前者の時間を後者で割ってみましょう。")


def _expect_rate(draft: str, got: float, right: float) -> None:
    """Raise Miss unless a draft's c is right."""
    milliseconds, tokens = STOPWATCH.loc[draft]
    target_milliseconds, target_tokens = STOPWATCH.loc["target"]
    english = "Divide each time by the number of tokens first, then the draft's by the target's."
    japanese = "それぞれの時間をまずトークン数で割り、それからドラフトモデルの値をターゲットモデルの値で割ります。"
    if isclose(got, milliseconds / target_milliseconds):
        english = f"You compare whole texts, but {draft} wrote {tokens} tokens and the target {target_tokens}."
        japanese = (
            f"要約全体の時間を比べていますが、書いたのは {draft} が{tokens}トークン、"
            f"ターゲットモデルが{target_tokens}トークンです。"
        )
    elif isclose(got, 1 / right):
        english = "You have divided the target's time by the draft's: c is the other way round."
        japanese = "ターゲットモデルの時間をドラフトモデルの時間で割っています。c はその逆です。"
    took, target_took = milliseconds / tokens, target_milliseconds / target_tokens
    expect(
        isclose(got, right, rel_tol=0.005),
        f"You have c = {got:.3f} for {draft}; {right:.3f} is right. A token takes {milliseconds} ms / {tokens} = "
        f"{took:g} ms, and {target_took:g} ms with the target.\n{english}",
        f"{draft} の c が {got:.3f} になっていますが、正しくは {right:.3f} です。1トークンあたりの時間は "
        f"{milliseconds} ms ÷ {tokens} = {took:g} ms、ターゲットモデルは {target_took:g} ms です。\n{japanese}",
    )


CHECKS = {"byte_tokens": byte_tokens, "best_gain": best_gain, "never_pays": never_pays}
