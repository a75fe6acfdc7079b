"""Notebook 3's exercises: the published law, how far to look ahead, how good a draft, which mask, which rate."""

from collections.abc import Callable, Iterable
from numbers import Integral

import numpy as np
import pandas as pd

from specdec_lib import tables, theory
from specdec_lib.exercises.judging import expect
from specdec_lib.language import say

DIGITS = 0.003
"""How near a law must come to acceptance rates that are published to three digits."""

MOST = 16
GAIN = 1.5


def published_law(law: Callable[[float], float]) -> str:
    """law: acceptance at n_lookahead 1 -> acceptance at n_lookahead 3, 5 and 7 in the published table."""
    table = tables.published_table1().pivot(index="draft_params", columns="n_lookahead", values="mean_acceptance_rate")
    guessed = table[1].map(law)
    miss = (table[3] - guessed).abs()
    near, worst = int((miss <= DIGITS).sum()), miss.idxmax()
    first, later, ours = table.loc[worst, 1], table.loc[worst, 3], guessed[worst]
    expect(
        near == len(miss),
        f"Within {DIGITS} for {near} of {len(miss)} drafts. The {worst} draft is the farthest off: {first:.3f} at k = "
        f"1, {later:.3f} at k = 3, and your law says {ours:.3f}. Suppose the second drafted token is never accepted: "
        "how can a round end, and how many tokens does each end accept and reject?",
        f"{len(miss)}つのドラフトモデルのうち、差が {DIGITS} 以内なのは{near}個です。最も外れているのは {worst} "
        f"で、k = 1 の受理率は {first:.3f}、k = 3 では {later:.3f} ですが、この式の値は {ours:.3f} です。2個目のトーク"
        "ンが決して受理されないとすると、ラウンドの終わり方には何通りあり、それぞれ何個が受理され、何個が棄却されるでしょうか。",
    )
    expect(
        abs(law(1.0) - 0.5) <= DIGITS,
        "It fits all eight drafts, but a mechanism answers for every α. At α = 1 the first token of a round is "
        f"always accepted and the second never: a rate of 1/2. Your law says {law(1.0):.3f}.",
        "8つのドラフトモデルすべてに合っていますが、仕組みを表す式なら、どの α でも成り立つはずです。α = 1 では、ラウン"
        "ドの1個目は必ず受理され、2個目は決して受理されないので、受理率は 1/2 です。"
        f"この式の値は {law(1.0):.3f} です。",
    )
    return say(
        f"All eight drafts, the largest miss {miss.max():.4f}, and nothing fitted. Read what it says: a round accepts "
        "α tokens and rejects exactly one. Only the first drafted token was ever a new guess.",
        f"8つのドラフトモデルすべてに合い、差は最大でも {miss.max():.4f} です。調整した係数は1つもありません。この式"
        "は、1ラウンドで平均 α 個が受理され、ちょうど1個が棄却されることを表しています。新しい予想だったのは、最初の"
        "1個だけだったのです。",
    )


def best_k(choose: Callable[[float, float], int]) -> str:
    """choose: acceptance α and cost c -> the n_lookahead from 1 to 16 with the largest speed-up, v = 1."""
    lost = {}
    cases = [(alpha, c) for alpha in (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95) for c in (0.02, 0.05, 0.1, 0.2, 0.4)]
    for alpha, c in cases:
        k = choose(alpha, c)
        expect(
            isinstance(k, Integral) and 1 <= k <= MOST,
            f"best_k({alpha}, {c}) gave {k!r}: a whole number from 1 to {MOST} is asked for.",
            f"best_k({alpha}, {c}) の結果は {k!r} でした。1から{MOST}までの整数を返してください。",
        )
        best = theory.best_lookahead(alpha, c, max_k=MOST)
        lost[alpha, c] = theory.speedup(alpha, best, c) / theory.speedup(alpha, k, c) - 1, k, best
    alpha, c = max(lost, key=lost.get)
    _, k, best = lost[alpha, c]
    wrong = sum(loss > 1e-9 for loss, _, _ in lost.values())
    yours, better = theory.speedup(alpha, k, c), theory.speedup(alpha, best, c)
    expect(
        not wrong,
        f"Not the best in {wrong} of {len(cases)} cases. Most is lost at α = {alpha}, c = {c}: k = {k} gives "
        f"×{yours:.2f}, and another k gives ×{better:.2f}. Work out E(α, k) / (1 + kc) for each k from 1 to {MOST}, "
        "and take the k of the largest.",
        f"{len(cases)}通りのうち{wrong}通りで、最良の k ではありません。損失が最も大きいのは α = {alpha}、c = {c} のと"
        f"きで、k = {k} では {yours:.2f}倍ですが、{better:.2f}倍になる k があります。1から{MOST}までの各 k について "
        "E(α, k) / (1 + kc) を計算し、それが最大になる k を選んでください。",
    )
    return say(
        f"The best in all {len(cases)} cases. A rule hides in it: token k + 1 adds α^(k+1) and costs c, so look "
        "further ahead while α^(k+1) > c × the speed-up that k gives. And where α < c no k pays at all: then the "
        'best is not to draft, which n_lookahead="auto" may choose.',
        f"{len(cases)}通りすべてで最良です。ここには規則があります。k + 1 個目のトークンは進むトークン数を α^(k+1) 増"
        "やし、コストを c 増やすので、α^(k+1) が「k での速度向上率 × c」より大きいあいだは、さらに先を読む価値がありま"
        'す。α < c なら、どの k でも得になりません。その場合はドラフトしないのが最善で、n_lookahead="auto" はそれも選'
        "びます。",
    )


def needed_alpha(needed: Callable[[float], float | None]) -> str:
    """needed: cost c -> the smallest acceptance for a speed-up of 1.5 at k = 3, v = 1; None where there is none."""
    for c in (0.0, 0.05, 0.1, 0.2, 0.4, 0.5):
        alpha, right = needed(c), _needed(c)
        most = 4 / (1 + 3 * c)
        expect(
            alpha is not None,
            f"c = {c}: you say that no draft is good enough, but one that is always right gives 4 / (1 + 3c) = "
            f"×{most:.2f}.",
            f"c = {c}：どんなドラフトモデルでも足りないという答えですが、予想が必ず当たるドラフトモデルなら "
            f"4 / (1 + 3c) = {most:.2f}倍になります。",
        )
        expect(
            0 <= alpha <= 1,
            f"c = {c}: {alpha:.3f} is no acceptance rate, which is from 0 to 1.",
            f"c = {c}：{alpha:.3f} は受理率ではありません。受理率は0から1までの値です。",
        )
        tokens, cost = theory.expected_tokens(alpha, 3), 1 + 3 * c
        reached = tokens / cost
        expect(
            abs(alpha - right) <= 0.01,
            f"c = {c}: at α = {alpha:.3f} a round adds {tokens:.2f} tokens and costs {cost:.2f} plain tokens' time: "
            f"×{reached:.2f}, {'not' if alpha < right else 'more than'} ×{GAIN}. The second drafted token counts only "
            "where the first was accepted, and the third only where both were: E = 1 + α + α² + α³.",
            f"c = {c}：α = {alpha:.3f} では、1ラウンドで {tokens:.2f} トークン進み、通常の {cost:.2f} トークン分の時間"
            f"がかかるので {reached:.2f}倍で、{GAIN}倍"
            f"{'に届きません' if alpha < right else 'を超えます。もっと小さい α で足ります'}。2個目が数に入るのは1個目"
            "が受理されたときだけ、3個目は両方が受理されたときだけなので、E = 1 + α + α² + α³ です。",
        )
    for c in (0.6, 1.0):
        alpha, cost = needed(c), 1 + 3 * c
        expect(
            alpha is None,
            f"c = {c}: a round costs {cost:.1f} plain tokens' time and adds 4 tokens at most, when every guess is "
            f"right: ×{4 / cost:.2f}. No draft is good enough; return None, not {alpha!r}.",
            f"c = {c}：1ラウンドには通常の {cost:.1f} トークン分の時間がかかり、すべて当たっても4トークンしか進まない"
            f"ので、最大でも {4 / cost:.2f}倍です。どんなドラフトモデルでも足りません。{alpha!r} ではなく None を返して"
            "ください。",
        )
    cheap, dear = _needed(0.05), _needed(0.4)
    return say(
        f"Right for every c. At c = 0.05 an acceptance of {cheap:.2f} is enough, at c = 0.4 it takes {dear:.2f}, and "
        "above c = 5/9 no draft can do it. A smaller draft that guesses worse is often the better one.",
        f"どの c でも正解です。c = 0.05 なら受理率は {cheap:.2f} で足りますが、c = 0.4 では {dear:.2f} が必要になり、"
        "c が 5/9 を超えると、どんなドラフトモデルでも達成できません。予想の精度が低くても、小さいドラフトモデルのほう"
        "が有利なことが多いのはこのためです。",
    )


def _needed(c: float) -> float:
    """By halving, as the speed-up grows with α; for c that a perfect draft pays for."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if theory.speedup(middle, 3, c) >= GAIN else (middle, high)
    return high


def causal_mask(build: Callable[[int, int], object]) -> str:
    """build: n cached and m new tokens -> bool (m, n + m), True where a new token may look at a token of the text."""
    for n, m in ((0, 4), (6, 3), (2, 4), (6, 1)):
        mask = np.asarray(build(n, m))
        expect(
            mask.dtype == bool and mask.shape == (m, n + m),
            f"mask({n}, {m}) must be of bool and shape ({m}, {n + m}): a row for each new token, a column for each "
            f"token of the text. Yours is of {mask.dtype} and shape {mask.shape}.",
            f"mask({n}, {m}) は、要素が bool で形が ({m}, {n + m}) になるようにしてください。行が新しいトークン、列が"
            f"文章全体のトークンに対応します。いまの要素は {mask.dtype}、形は {mask.shape} です。",
        )
        cause = _top_left() if np.array_equal(mask, np.tri(m, n + m, dtype=bool)) else ""
        for row, seen in enumerate(mask):
            _expect_right_row(n, m, row, np.flatnonzero(seen).tolist(), cause)
    return say(
        "Right: row i looks at the n cached tokens, at the new ones before it and at itself. Without a cache (n = 0) "
        "this is the top-left mask, and for a single token the library of 2023 asked for no mask at all. So only "
        "speculative decoding with a cache met the wrong one, and no test of plain decoding could notice.",
        "正解です。i 行目は、キャッシュにある n 個、自分より前の新しいトークン、自分自身を参照します。キャッシュがな"
        "ければ（n = 0）左上に揃えたマスクと同じになり、新しいトークンが1個だけのとき、2023年のライブラリはマスクを指"
        "定しませんでした。誤ったマスクが使われたのはキャッシュを使う投機的デコーディングだけなので、通常のデコーディ"
        "ングをいくら確かめても気づけなかったのです。",
    )


def _expect_right_row(n: int, m: int, row: int, seen: list[int], cause: str) -> None:
    own = n + row
    where = f"mask({n}, {m}), row {row} (token {own} of the text, counted from 0)"
    japanese = f"mask({n}, {m}) の行{row}（文章の中で0から数えて{own}番目のトークン）"
    ahead = [place for place in seen if place > own]
    expect(
        not ahead,
        f"{where} looks ahead, at {_numbers(ahead)}: it would see what it is to predict.",
        f"{japanese}が、自分より後ろのトークン（{_numbers(ahead)}）を参照しています。これから予測するものが見えてしま"
        "います。",
    )
    lacking = [place for place in range(own + 1) if place not in seen]
    expect(
        not lacking,
        f"{where} must look at the {n} cached tokens, at the new ones before it and at itself. Seen: "
        f"{_numbers(seen)}. Lacking: {_numbers(lacking)}.{cause}",
        f"{japanese}は、キャッシュにある{n}個、自分より前の新しいトークン、自分自身を参照する必要があります。参照して"
        f"いるもの：{_numbers(seen)}。足りないもの：{_numbers(lacking)}。{cause}",
    )


def _top_left() -> str:
    return say(
        " This is PyTorch's is_causal, aligned to the top left. In 2023 BetterTransformer asked for just that: the "
        "tokens being verified saw the beginning of the prompt in place of the text before them, and what was "
        "written was no longer the target's text. Align it to the bottom right.",
        "これは左上に揃えた PyTorch の is_causal です。2023年の BetterTransformer が指定していたのがこのマスクで、検"
        "証中のトークンには直前までの文章ではなくプロンプトの先頭だけが見えていたため、出力はターゲットモデルの文章で"
        "はなくなりました。右下に揃えてください。",
    )


def _numbers(places: list[int]) -> str:
    return ", ".join(map(str, places)) or say("none", "なし")


def two_rates(answer: tuple[Callable[[pd.Series, pd.Series], tuple[float, float]], str]) -> str:
    """answer: accepted and rejected tokens of articles -> (mean of rates, pooled rate); and which obeys the laws."""
    rates, lawful = answer
    for accepted, rejected in (((90, 1), (10, 9)), ((3, 0, 8), (1, 0, 4))):
        shares = [a / (a + r) for a, r in zip(accepted, rejected, strict=True) if a + r]
        mean, judged = sum(shares) / len(shares), sum(accepted) + sum(rejected)
        pooled = sum(accepted) / judged
        your_mean, your_pooled = rates(pd.Series(accepted), pd.Series(rejected))
        counts = say(f"accepted {accepted}, rejected {rejected}", f"受理 {accepted}、棄却 {rejected}")
        listed = _listed(shares)
        expect(
            abs(your_mean - mean) < 1e-6,
            f"{counts}: the articles' rates are {listed}, and their mean is {mean:.3f}; you have {your_mean:.3f}. An "
            "article of which no token was judged has no rate and is left out.",
            f"{counts}：記事ごとの受理率は {listed} で、その平均は {mean:.3f} ですが、結果は {your_mean:.3f} でした。"
            "判定されたトークンのない記事には受理率がないので、平均から除きます。",
        )
        expect(
            abs(your_pooled - pooled) < 1e-6,
            f"{counts}: of all {judged} judged tokens {sum(accepted)} were accepted, {pooled:.3f}; you have "
            f"{your_pooled:.3f}. Pooled, every token counts alike, so that an article of many tokens counts for more.",
            f"{counts}：全体で判定された{judged}個のうち{sum(accepted)}個が受理されたので {pooled:.3f} ですが、結果は "
            f"{your_pooled:.3f} でした。全体の受理率ではトークンを等しく数えるので、トークンの多い記事ほど大きく効きま"
            "す。",
        )
    expect(
        lawful == "pooled",
        "Both rates are right, but which one obeys the laws? At k = 1 every round judges one token and adds one more "
        "than it accepts. Accepted (90, 1) and rejected (10, 9) are then 110 rounds that add 201 tokens, 1.827 a "
        f"round. That is 1 + 0.827; 1 + 0.500 it is not. You say {lawful!r}.",
        "2つの受理率の計算は正しいのですが、法則に従うのはどちらでしょうか。k = 1 では、どのラウンドも1個のトークンを"
        "判定し、受理された数より1個多く進みます。受理 (90, 1)、棄却 (10, 9) なら、110ラウンドで201トークン、1ラウン"
        "ドあたり 1.827 トークン進みます。これは 1 + 0.827 であって、1 + 0.500 ではありません。選ばれた答えは "
        f"{lawful!r} でした。",
    )
    return say(
        "Right: the laws count rounds, so every judged token weighs the same. The paper reports means; that they "
        "follow α / (1 + α) to 0.003 all the same suggests that its articles have rates near one another, for then "
        "the two are nearly equal. Our tables have both.",
        "正解です。法則が数えるのはラウンドなので、判定されたトークンはどれも同じ重みになります。論文の値は記事ごとの"
        "平均ですが、それでも 0.003 以内で α / (1 + α) に従うことは、記事ごとの受理率が互いに近いことを示唆します。そ"
        "の場合、2つの値はほぼ等しくなるからです。このノートブックの表には両方を載せています。",
    )


def _listed(rates: Iterable[float]) -> str:
    return say(", ", "、").join(f"{rate:.3f}" for rate in rates)


CHECKS = {
    "published_law": published_law,
    "best_k": best_k,
    "needed_alpha": needed_alpha,
    "causal_mask": causal_mask,
    "two_rates": two_rates,
}
