"""The speed-up formula: over k, over (α, c), and beside what was measured."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import log2

import numpy as np
import pandas as pd

from specdec_lib import tables, theory
from specdec_lib.explore.explorable import Explorable, View
from specdec_lib.explore.panel import TARGET, Panel
from specdec_lib.explore.values import acceptance_rates, short
from specdec_lib.language import say
from specdec_lib.reporting import round_tables
from specdec_lib.results import Results

MAX_K, DEAREST = 12, 0.8  # the largest n_lookahead and c that are shown
LEVELS = (1, 1.25, 1.5, 2, 3, 4, 6)


def speedup(results: Results) -> Explorable:
    """E(α, k) / (v(k) + k c) over k, and its best over (α, c), with our drafts and the paper's as points to go to.

    Of a draft of ours: α, the pooled acceptance at n_lookahead 1; c, of a drafted token in a round, the median over
    n_lookahead; its measured speed-ups without the prompt. v: of a session, the median over drafts, straight lines
    between the n_lookahead that were measured, level beyond them. Of the paper: α at n_lookahead 1, c of the draft
    decoding alone, and v = 1. `Missing` where Table 1 or the rounds were not measured.
    """
    alphas, costs = acceptance_rates(results), round_tables.rounds(results)
    timed = [tables.table1(results, name) for name in tables.TIMED if results.has(name)] or [tables.table1(results)]
    sessions = [each for table in timed if (each := _session(table, alphas, costs))["points"]]
    tables.some(pd.DataFrame(sessions), "rounds")
    paper = [
        _point(name, name, rows["mean_acceptance_rate"].iloc[0], rows["inference_speed_rate"].iloc[0], rows, "speed_up")
        for name, rows in tables.published_table1().groupby("draft_params", sort=False)
    ]
    return Explorable("speedup", partial(_view, sessions, paper))


def _session(table: pd.DataFrame, alphas: Mapping[str, float], costs: pd.DataFrame) -> dict:
    """A session's verification cost v[k], k from 0 to MAX_K, and its drafts as points."""
    name = table["session"].iloc[0]
    here = costs[(costs["session"] == name) & (costs["n_lookahead"] > 0)]
    v, c = here.groupby("n_lookahead")["v"].median(), here.groupby("draft")["c"].median()
    smooth = np.interp(range(MAX_K + 1), [0, *v.index], [1, *v])
    drafts = [draft for draft in table["draft"].unique() if draft in alphas and draft in c]
    points = [
        _point(draft, draft.rpartition("-")[2], alphas[draft], c[draft], rows, "decode_speed_up")
        for draft, rows in table.groupby("draft", sort=False)
        if draft in drafts
    ]
    return {"name": name, "v": [short(cost) for cost in smooth], "points": points}


def _point(name: str, mark: str, alpha: float, c: float, rows: pd.DataFrame, column: str) -> dict:
    """measured: [n_lookahead, speed-up] pairs; k: the n_lookahead of the largest."""
    measured = [[int(k), short(value)] for k, value in zip(rows["n_lookahead"], rows[column], strict=True)]
    best = max(measured, key=lambda pair: pair[1])[0]
    return {"name": name, "mark": mark, "alpha": short(alpha), "c": short(c), "measured": measured, "k": best}


def _view(sessions: list[dict], paper: list[dict]) -> View:
    line = say(
        "Speed-up = E(α, k) / (v(k) + k c): what a round adds over what it costs",
        "速度向上率 = E(α, k) / (v(k) + k c)：1ラウンドで増えるトークン数 ÷ かかる時間",
    )
    words = {
        "alpha": say("acceptance rate α", "受理率 α"),
        "c": say("c: draft time / target time", "推論速度比 c"),
        "k": say("tokens drafted a round, k", "先読み数 k"),
        "extra": say("verifying one token more costs", "検証の追加コスト（1トークン）"),
        "session": say("our drafts, measured in session", "この実行の測定（セッション）"),
        "measured": say("v(k) as measured in this session", "v(k) はこのセッションの実測値"),
        "as_measured": say("as measured", "実測値"),
        "map": say("Best speed-up over k, by α and c", "k を最良に選んだときの速度向上率（α と c ごと）"),
        "curve": say("Speed-up over k, at this α and c", "この α と c での、k ごとの速度向上率"),
        "alpha_axis": say("acceptance rate α", "受理率 α"),
        "c_axis": say("c, price of a draft token", "c（ドラフトモデルの1トークンのコスト）"),
        "k_axis": say("tokens drafted a round, k", "先読み数 k"),
        "speedup_axis": say("speed-up", "速度向上率"),
        "slower": say("slower than plain", "通常より遅い"),
        "plain": say("plain", "通常"),
        "frozen": say("frozen context: (1 + α) / (1 + k c)", "文脈を固定した場合：(1 + α) / (1 + k c)"),
        "said": say(
            "With k = {k} a round adds {tokens} tokens on average and takes as long as {cost} plain tokens: ×{times}.",
            "k = {k} では、1ラウンドに平均 {tokens} トークン増え、通常の {cost} トークン分の時間です：{times}倍。",
        ),
        "wins": say("The best k is {k}: ×{times}.", "最良の k は {k} で、{times}倍です。"),
        "loses": say(
            "No k pays: the best, k = {k}, gives ×{times}, slower than plain decoding.",
            "どの k でも速くなりません。最良の k = {k} でも{times}倍で、通常のデコーディングより遅くなります。",
        ),
        "found": say(
            "Diamonds in the curve: what was measured, without the prompt.",
            "曲線の図のひし形が実測値です（プロンプトの時間を除く）。",
        ),
        "published": say(
            "Its speed-ups (diamonds) follow the dashed line, not the solid one: the draft's context was frozen.",
            "速度向上率の実測値（ひし形）は実線ではなく破線に沿います。ドラフトモデルの文脈が固定されていたためです。",
        ),
        "key": say(
            "◆ this run · ○ the paper · ★ best k · ring: the sliders. Point at a mark, or Tab to one and use the arrow"
            " keys, to set the sliders to it; tap or click in the map to choose any α and c.",
            "◆ この実行 · ○ 論文 · ★ 最良の k · 輪はスライダーの位置。印に触れるか、Tab キーと矢印キーで選ぶと、"
            "スライダーがその値になります。図をタップかクリックすると好きな α と c を選べます。",
        ),
        "still": say("At a glance", "一覧"),
    }
    flat = [1.0] * (MAX_K + 1)
    data = {
        "words": words,
        "levels": LEVELS,
        "dearest": DEAREST,
        "start": {"alpha": 0.6, "c": 0.12, "k": 3, "extra": 0, "measured": False},
        "sessions": [
            {**s, "points": [{**p, "said": _told(p, s["name"], s["v"]), "here": True} for p in s["points"]]}
            for s in sessions
        ],
        "paper": [{**p, "said": _told(p, say("the paper", "論文"), flat), "here": False} for p in paper],
    }
    key = say(
        "Lines: acceptance rates α; a dot marks the best k of each; v = 1.\n"
        f"In the map: ○ the paper's drafts, ◆ ours ({sessions[0]['name']}).",
        "線は受理率 α ごと、点はそれぞれの最良の k（v = 1）。\n"
        f"最後の図の ○ は論文、◆ はこの実行（{sessions[0]['name']}）。",
    )
    panels = [_curves(c) for c in (0.02, 0.05, 0.1, 0.2, 0.4)]
    return View(line, key, data, [*panels, _map(paper, sessions[0]["points"], words)])


def _told(point: dict, where: str, v: Sequence[float]) -> str:
    """A point in words: what was measured, and what the formula says is best there."""
    alpha, c = point["alpha"], point["c"]
    k = theory.best_lookahead(alpha, c, v=v.__getitem__, max_k=MAX_K)
    best = theory.speedup(alpha, k, c, v=v[k])
    measured = [(f"{value:.2f}", f"k = {k}") for k, value in point["measured"]]
    return say(
        f"{point['name']} ({where}), α = {alpha:.2f}, c = {c:.3f}: measured "
        f"{', '.join(f'×{value} ({at})' for value, at in measured)}; the formula's best is ×{best:.2f} (k = {k}).",
        f"{point['name']}（{where}）、α = {alpha:.2f}、c = {c:.3f}：実測は "
        f"{'、'.join(f'{value}倍（{at}）' for value, at in measured)}、式による最良は{best:.2f}倍（k = {k}）です。",
    )


def _curves(c: float) -> Panel:
    """Speed-up over k at one c, a line for each acceptance rate."""
    panel = Panel(f"c = {c}", (0, MAX_K), (log2(0.22), log2(7)))
    ticks = {log2(value): f"×{value:g}" for value in (0.25, 0.5, 1, 2, 4)}
    panel.axes({k: str(k) for k in range(0, MAX_K + 1, 2)}, ticks, say("tokens drafted, k", "先読み数 k"))
    panel.line([(0, 0), (MAX_K, 0)], dash="2 3")
    for alpha in (0.3, 0.5, 0.7, 0.9):
        curve = [(k, log2(theory.speedup(alpha, k, c))) for k in range(1, MAX_K + 1)]
        best = theory.best_lookahead(alpha, c, max_k=MAX_K)
        panel.line([(0, 0), *curve], TARGET, 2)
        panel.mark(*curve[best - 1], "dot", f"α = {alpha}: k = {best}, ×{theory.speedup(alpha, best, c):.2f}")
        panel.words(*curve[-1], f"α {alpha}", (7, 4))
    return panel


def _map(paper: list[dict], ours: list[dict], words: Mapping[str, str]) -> Panel:
    """Lines of equal best speed-up over (α, c), where v = 1."""
    panel = Panel(words["map"], (0, 1), (0, DEAREST))
    panel.axes({i / 5: f"{i / 5:g}" for i in range(6)}, {i / 5: f"{i / 5:g}" for i in range(5)}, words["alpha_axis"])
    panel.words(0, DEAREST, "c", (-18, 24))
    panel.words(0, DEAREST, words["slower"], (6, 14))
    for level in LEVELS:
        reach = [(i / 100, _dearest(i / 100, level)) for i in range(101)]
        edge = [(alpha, min(c, DEAREST)) for alpha, c in reach if c >= 0]
        panel.area([(edge[0][0], 0), *edge, (1, 0)], TARGET, 0.16)
        inside = [(alpha, c) for alpha, c in reach if 0 <= c < DEAREST]
        panel.line(inside, TARGET, 2.5 if level == 1 else 1)
        at_the_side = inside[-1][0] == 1
        panel.words(*inside[-1], f"×{level}", *(((4, 4), "start") if at_the_side else ((-22, 13), "end")))
    for point in paper:
        panel.mark(point["alpha"], point["c"], "ring", f"{point['name']} ({point['alpha']}, {point['c']})")
    for point in ours:
        panel.mark(point["alpha"], point["c"], "diamond", f"{point['name']} ({point['alpha']}, {point['c']})")
    return panel


def _dearest(alpha: float, level: float) -> float:
    """The largest c at which some k still reaches this speed-up, where v = 1."""
    return max((theory.expected_tokens(alpha, k) / level - 1) / k for k in range(1, MAX_K + 1))
