"""Notebook 4's exercises: a speed-up from runs in pairs, and what an interval lets one say."""

from collections.abc import Callable, Sequence
from numbers import Real
from statistics import fmean, median

from specdec_lib.exercises.judging import expect
from specdec_lib.language import say

FASTER, SLOWER, UNCLEAR = "faster", "slower", "can't tell"

STALL = [1.00, 1.10, 0.90, 1.20, 9.00], [0.80, 0.88, 0.72, 0.96, 8.80]
"""Seconds an article, plain and speculative: the machine stood still for eight seconds in both runs of the last."""

PAIRS = (STALL, ([1.0, 2.0, 4.0], [0.5, 4.0, 2.5]), ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0, 1.0]), ([3.0], [2.0]))


def paired_speedup(speedup: Callable[[Sequence[float], Sequence[float]], float]) -> str:
    """speedup: seconds an article of plain and of speculative runs -> the median of the articles' ratios."""
    for plain, speculative in PAIRS:
        right = median(_ratios(plain, speculative))
        got = speedup(list(plain), list(speculative))
        expect(
            isinstance(got, Real),
            f"paired_speedup({plain}, {speculative}) gave {got!r}: a number is asked for.",
            f"paired_speedup({plain}, {speculative}) の結果は {got!r} でした。数値を返してください。",
        )
        expect(abs(got - right) < 1e-6, *_what_it_is(got, right, plain, speculative))
    return say(
        "×1.25, and the stall left no mark. Each article is compared with itself, so long and short ones count "
        "alike; and the median lets no single article carry the result away. Running the pairs in turn is half of "
        "the method: had all plain runs come first, the stall would have hit one side alone. RESULTS.md does both.",
        "1.25倍です。計算機が止まった影響は残っていません。各記事をその記事自身と比べるので、長い記事も短い記事も同じ"
        "重みになり、中央値なので、1つの記事に結果が引きずられることもありません。ただし、これは2つの方法を交互に実行"
        "してこそです。通常のデコーディングを先にまとめて実行していたら、止まった時間は片方だけに入ったはずです。"
        "RESULTS.md の値も、交互に測り、比の中央値をとったものです。",
    )


def _ratios(plain: Sequence[float], speculative: Sequence[float]) -> list[float]:
    return [before / after for before, after in zip(plain, speculative, strict=True)]


def _what_it_is(got: float, right: float, plain: Sequence[float], speculative: Sequence[float]) -> tuple[str, str]:
    """What a wrong number is, in both languages: one of the usual other averages, or unknown."""
    ratios = _ratios(plain, speculative)
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    known = {
        sum(plain) / sum(speculative): (
            f"×{got:.2f} is the ratio of the sums, for which the longest article counts most. One by one the articles "
            f"give ×{told}. Take these ratios first, then the one in the middle.",
            f"{got:.2f}倍は合計どうしの比で、時間の長い記事ほど大きく効いてしまいます。記事ごとの比は {told} です。"
            "まず記事ごとに比を求め、その真ん中の値をとってください。",
        ),
        fmean(ratios): (
            f"×{got:.2f} is the mean of the ratios {told}. You compare each article with itself, which is half of it; "
            "but a mean follows its farthest value. Which average doesn't?",
            f"{got:.2f}倍は、記事ごとの比 {told} の平均です。記事ごとに比べているところまでは正解ですが、平均は外れた"
            "値に引きずられます。引きずられにくい代表値は何でしょうか。",
        ),
        median(plain) / median(speculative): (
            f"×{got:.2f} is the ratio of the medians: the article in the middle of the plain runs over the one in the "
            f"middle of the speculative runs, and for the seconds {plain} and {speculative} these are two different "
            f"articles. One by one the articles give ×{told}: the middle of these is asked for.",
            f"{got:.2f}倍は中央値どうしの比です。秒数が {plain} と {speculative} の場合、通常側の真ん中の記事と投機的"
            f"デコーディング側の真ん中の記事は、別の記事になってしまいます。記事ごとの比は {told} です。その真ん中の値"
            "を求めてください。",
        ),
        median(1 / ratio for ratio in ratios): (
            f"×{got:.2f} is upside down: a speed-up is the time before over the time after, plain over speculative, so "
            "that more than 1 is faster.",
            f"{got:.2f}倍では分子と分母が逆です。速度向上率は「通常の時間 ÷ 投機的デコーディングの時間」で、1より大きけ"
            "れば速いことを表します。",
        ),
    }
    for value, (english, japanese) in known.items():
        if abs(got - value) < 1e-6:
            return english, japanese
    return (
        f"For the seconds {plain} and {speculative} you give {got:.4f}. One by one the articles give ×{told}, and in "
        f"the middle of these (between the two in the middle, where their number is even) is ×{right:.4f}.",
        f"秒数が {plain} と {speculative} のとき、結果は {got:.4f} でした。記事ごとの比は {told} で、その真ん中の値"
        f"（個数が偶数なら、真ん中の2つの平均）は {right:.4f} です。",
    )


INTERVALS = (
    (1.12, 1.24, FASTER, "the whole interval lies above 1", "区間全体が1より上にあります"),
    (0.71, 0.88, SLOWER, "the whole interval lies below 1", "区間全体が1より下にあります"),
    (
        0.97,
        1.31,
        UNCLEAR,
        "its middle is above 1, but the interval holds 1: rows like these also come from a method that is 3 % slower",
        "真ん中は1より上ですが、区間に1が含まれています。3％遅い方法でも、このような測定結果は出ます",
    ),
    (
        0.78,
        1.04,
        UNCLEAR,
        "its middle is below 1, but the interval holds 1: rows like these also come from a method that is 4 % faster",
        "真ん中は1より下ですが、区間に1が含まれています。4％速い方法でも、このような測定結果は出ます",
    ),
    (
        1.002,
        1.006,
        FASTER,
        "the interval lies above 1. The gain is tiny, but the question is whether it is there, not whether it is "
        "worth it",
        "区間全体が1より上にあります。差はごく小さいのですが、ここで問うているのは差があるかどうかで、役に立つかどう"
        "かではありません",
    ),
    (
        1.0,
        1.2,
        UNCLEAR,
        "an interval holds its ends, so 1, no difference at all, is still possible",
        "区間は両端を含むので、1、つまり差がない可能性が残ります",
    ),
    (
        0.9,
        1.0,
        UNCLEAR,
        "an interval holds its ends, so 1, no difference at all, is still possible",
        "区間は両端を含むので、1、つまり差がない可能性が残ります",
    ),
    (
        float("nan"),
        float("nan"),
        UNCLEAR,
        "nothing was measured, and NaN is neither above nor below 1. Ask for what makes a claim true, not for what "
        "makes it false: every comparison with NaN is False",
        "何も測定されていないので、NaN は1より上でも下でもありません。NaN との比較は常に False になるので、「主張が成"
        "り立たない条件」ではなく「成り立つ条件」を調べてください",
    ),
)
"""low, high, what may be said, and why."""


def verdict(say_it: Callable[[float, float], str]) -> str:
    """say_it: the ends of a speed-up's interval -> "faster", "slower" or "can't tell"."""
    for low, high, right, why, reason in INTERVALS:
        got = say_it(low, high)
        expect(
            got in (FASTER, SLOWER, UNCLEAR),
            f'verdict({low}, {high}) gave {got!r}: one of "{FASTER}", "{SLOWER}" and "{UNCLEAR}" is asked for.',
            f'verdict({low}, {high}) の結果は {got!r} でした。"{FASTER}"、"{SLOWER}"、"{UNCLEAR}" のどれかを返してくだ'
            "さい。",
        )
        expect(
            got == right,
            f'verdict({low}, {high}) gave "{got}", and "{right}" is all that may be said: {why}.',
            f'verdict({low}, {high}) の結果は "{got}" でしたが、言えるのは "{right}" だけです。{reason}。',
        )
    return say(
        f'Right for all {len(INTERVALS)} intervals. "{UNCLEAR}" is not "no difference": 0.97 to 1.31 has room for a '
        "third more speed. It asks for more articles, and four times as many halve an interval, roughly. The table "
        'above calls such a claim "undecided".',
        f"{len(INTERVALS)}個の区間すべてで正解です。「わからない」は「差がない」とは違います。0.97〜1.31なら、3割速い"
        "可能性も残っています。決めるには記事を増やします。記事数を4倍にすると、区間の幅はおよそ半分になります。上の"
        "表では、このような主張を「判定できない」（undecided）としています。",
    )


CHECKS = {"paired_speedup": paired_speedup, "verdict": verdict}
