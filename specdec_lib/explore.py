"""Explorables: the speed-up formula, the acceptance of a token and the time of a round, to be played with.

Each is a living part of a page (`specdec_lib.page`), and small multiples that say the same at rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from itertools import accumulate, pairwise
from math import log2
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from specdec_lib import tables, theory
from specdec_lib.language import checked, say
from specdec_lib.page import page, part
from specdec_lib.reporting import round_tables
from specdec_lib.results import Results

Tell = Callable[[str, str], str]  # English, Japanese -> the one to show
_FONT = "system-ui,'Noto Sans CJK JP','Noto Sans JP','Hiragino Sans','Yu Gothic',Meiryo,sans-serif"
_PAGES = Path(__file__).parent / "pages"

TARGET, DRAFT, REPLACED, REJECTED, REST = "#2a788e", "#e0a030", "#b39ddb", "#d0573a", "#9a9a9a"
MAX_K, DEAREST = 12, 0.8  # the largest n_lookahead and c that are shown
LEVELS = (1, 1.25, 1.5, 2, 3, 4, 6)
TIMED = ("table1_uncached", "table1", "table1_static")


class View(NamedTuple):
    """An explorable in one language: what it is, how to read it at rest, what its script gets, its small multiples."""

    line: str
    key: str
    data: dict
    panels: list["Panel"]


@dataclass(frozen=True)
class Explorable:
    """Shown by every front end as it can: a living part, a still picture or a line."""

    name: str
    look: Callable[[Tell], View]

    def view(self, lang: str | None = None) -> View:
        return self.look(partial(say, language=checked(lang)))

    def html(self, lang: str | None = None) -> str:
        """The living part, which asks no kernel and no network; it holds the small multiples."""
        view = self.view(lang)
        pictures = "".join(f'<div style="flex:0 1 {panel.width}px">{panel.svg()}</div>' for panel in view.panels)
        still = (
            f"<p><strong>{escape(view.line)}</strong></p>"
            f'<div style="display:flex;flex-wrap:wrap;gap:12px">{pictures}</div>'
            f'<p style="white-space:pre-line">{escape(view.key)}</p>'
        )
        style, script = ((_PAGES / f"explore-common.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
        living = part(f"explore-{self.name}", {"line": view.line, **view.data}, still, lang)
        return f"<style>{style}</style><script>{script}</script>{living}"

    def svg(self, lang: str | None = None) -> str:
        """The small multiples on one white card."""
        view = self.view(lang)
        panel = view.panels[0]
        columns = min(len(view.panels), max(1, 900 // panel.width))
        rows = -(-len(view.panels) // columns)
        key = view.key.splitlines()
        width, height = columns * panel.width, rows * panel.height + 46 + 18 * len(key)
        told = [
            f'<text x="12" y="{rows * panel.height + 52 + 18 * i}" font-size="12" fill="#222222">{escape(text)}</text>'
            for i, text in enumerate(key)
        ]
        placed = [
            each.svg(i % columns * panel.width, 34 + i // columns * panel.height) for i, each in enumerate(view.panels)
        ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(view.line)}" lang="{checked(lang)}" '
            f'color="#222222" font-family="{_FONT}">'
            f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>'
            f'<text x="12" y="24" font-size="15" font-weight="bold" fill="#222222">{escape(view.line)}</text>'
            f"{''.join(placed + told)}</svg>"
        )

    def save_html(self, path: str | Path, lang: str | None = None) -> Path:
        """Write a page of its own, and the folder it belongs in."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(self.view(lang).line, self.html(lang), lang), encoding="utf-8")
        return path

    def _repr_mimebundle_(self, **formats) -> dict[str, str]:
        return {"text/html": self.html(), "image/svg+xml": self.svg(), "text/plain": self.view().line}


def speedup(results: Results) -> Explorable:
    """E(α, k) / (v(k) + k c) over k, and its best over (α, c), with our drafts and the paper's as points to go to.

    Of a draft of ours: α, the pooled acceptance at n_lookahead 1; c, of a drafted token in a round, the median over
    n_lookahead; its measured speed-ups without the prompt. v: of a session, the median over drafts, straight lines
    between the n_lookahead that were measured, level beyond them. Of the paper: α at n_lookahead 1, c of the draft
    decoding alone, and v = 1. `Missing` where Table 1 or the rounds were not measured.
    """
    alphas, costs = _alphas(results), round_tables.rounds(results)
    timed = [tables.table1(results, name) for name in TIMED if results.has(name)] or [tables.table1(results)]
    sessions = [each for table in timed if (each := _session(table, alphas, costs))["points"]]
    tables.some(pd.DataFrame(sessions), "rounds")
    paper = [
        _point(name, name, rows["mean_acceptance_rate"].iloc[0], rows["inference_speed_rate"].iloc[0], rows, "speed_up")
        for name, rows in tables.published_table1().groupby("draft_params", sort=False)
    ]
    return Explorable("speedup", partial(_speedup_view, sessions, paper))


def token(target: Sequence[float], draft: Sequence[float], words: Sequence[str]) -> Explorable:
    """How one drafted token is accepted or replaced: overlap, residual, rounds played by chance.

    target, draft: a probability (or any weight of at least 0) for each of the words, two or more. ValueError where they
    don't fit together.
    """
    if not len(target) == len(draft) == len(words) >= 2:
        raise ValueError(
            "token takes two words or more, and for each a weight of the target and one of the draft: "
            f"there are {len(words)} words, {len(target)} and {len(draft)} weights."
        )
    given = _distribution(target, "target"), _distribution(draft, "draft")
    return Explorable("token", partial(_token_view, [_visible(word) for word in words], *given))


def round(results: Results) -> Explorable:
    """The timeline of a round beside plain decoding, for each session, draft and n_lookahead that was timed.

    Medians of the parts of a round and of a plain token in the same session and turn; tokens a round: E(α, k) with α
    the pooled acceptance at n_lookahead 1. `Missing` where rounds or acceptance were not measured.
    """
    alphas = _alphas(results)
    parts = results.frame("rounds").groupby(["session", "draft", "n_lookahead"], sort=False)
    parts = 1000 * parts[["draft_seconds", "verify_seconds", "round_seconds"]].median()
    sessions = []
    for name, of_session in parts.groupby("session", sort=False):
        drafts = []
        for draft, rows in of_session.groupby("draft", sort=False):
            if draft in alphas and (timed := _rounds(rows.droplevel(["session", "draft"]), alphas[draft])):
                drafts.append({"name": draft, "alpha": alphas[draft], "rounds": timed})
        if drafts:
            span = 1.02 * max(_end(each) for draft in drafts for each in draft["rounds"])
            sessions.append({"name": name, "span": _short(span), "drafts": drafts})
    tables.some(pd.DataFrame(sessions), "rounds")
    return Explorable("round", partial(_round_view, sessions))


# --- what was measured ---


def _alphas(results: Results) -> dict[str, float]:
    """The pooled acceptance of each draft at n_lookahead 1."""
    first = tables.acceptance(results).query("n_lookahead == 1 and not lookup")
    return {draft: _short(rate) for draft, rate in first.set_index("draft")["pooled_acceptance"].items()}


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
    return {"name": name, "v": [_short(cost) for cost in smooth], "points": points}


def _point(name: str, mark: str, alpha: float, c: float, rows: pd.DataFrame, column: str) -> dict:
    """measured: [n_lookahead, speed-up] pairs; k: the n_lookahead of the largest."""
    measured = [[int(k), _short(value)] for k, value in zip(rows["n_lookahead"], rows[column], strict=True)]
    best = max(measured, key=lambda pair: pair[1])[0]
    return {"name": name, "mark": mark, "alpha": _short(alpha), "c": _short(c), "measured": measured, "k": best}


def _rounds(parts: pd.DataFrame, alpha: float) -> list[dict]:
    """Milliseconds of a plain token and of a round's parts, and tokens a round, for each n_lookahead."""
    if 0 not in parts.index:
        return []
    plain = parts.loc[0, "round_seconds"]
    return [
        {
            "k": int(k),
            "plain": _short(plain),
            "draft": _short(row["draft_seconds"]),
            "verify": _short(row["verify_seconds"]),
            "round": _short(row["round_seconds"]),
            "tokens": _short(theory.expected_tokens(alpha, k)),
        }
        for k, row in parts.iterrows()
        if k > 0
    ]


def _end(part: Mapping[str, float]) -> float:
    """When the last of it is over: a round, its forwards, or as many tokens by plain decoding."""
    return max(part["round"], part["draft"] + part["verify"], part["tokens"] * part["plain"])


def _distribution(weights: Sequence[float], whose: str) -> list[float]:
    total = sum(weights)
    if not 0 < total < float("inf") or min(weights) < 0:
        raise ValueError(f"The weights of the {whose} must be at least 0 and not all 0, not {list(weights)}.")
    return [_short(weight / total) for weight in weights]


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _visible(word: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in word)


# --- the speed-up ---


def _speedup_view(sessions: list[dict], paper: list[dict], tell: Tell) -> View:
    line = tell(
        "Speed-up = E(α, k) / (v(k) + k c): what a round adds over what it costs",
        "速度向上 = E(α, k) / (v(k) + k c)：1ラウンドで増えるトークン数 ÷ かかる時間",
    )
    words = {
        "alpha": tell("acceptance rate α", "受理率 α"),
        "c": tell("c: draft time / target time", "推論速度比 c"),
        "k": tell("tokens drafted a round, k", "先読み数 k"),
        "extra": tell("verifying one token more costs", "検証の追加費用（1トークン）"),
        "session": tell("our drafts, measured in session", "この実行の測定（セッション）"),
        "measured": tell("v(k) as measured in this session", "v(k) はこのセッションの実測値"),
        "as_measured": tell("as measured", "実測値"),
        "map": tell("Best speed-up over k, by α and c", "k を最良に選んだときの速度向上（α と c ごと）"),
        "curve": tell("Speed-up over k, at this α and c", "この α と c での、k ごとの速度向上"),
        "alpha_axis": tell("acceptance rate α", "受理率 α"),
        "c_axis": tell("c, price of a draft token", "c（ドラフト1トークンの費用）"),
        "k_axis": tell("tokens drafted a round, k", "先読み数 k"),
        "speedup_axis": tell("speed-up", "速度向上"),
        "slower": tell("slower than plain", "通常より遅い"),
        "plain": tell("plain", "通常"),
        "frozen": tell("frozen context: (1 + α) / (1 + k c)", "文脈を固定した場合：(1 + α) / (1 + k c)"),
        "said": tell(
            "With k = {k} a round adds {tokens} tokens on average and takes as long as {cost} plain tokens: {times}.",
            "k = {k} では、1ラウンドに平均 {tokens} トークン増え、通常の {cost} トークン分の時間です：{times}。",
        ),
        "wins": tell("The best k is {k}: {times}.", "最良の k は {k} で、{times} です。"),
        "loses": tell(
            "No k pays: the best, k = {k}, gives {times}, slower than plain decoding.",
            "どの k でも速くなりません。最良の k = {k} でも {times} で、通常のデコーディングより遅くなります。",
        ),
        "found": tell(
            "Diamonds in the curve: what was measured, without the prompt.",
            "曲線の図のひし形が実測値です（プロンプトの時間を除く）。",
        ),
        "published": tell(
            "Its speed-ups (diamonds) follow the dashed line, not the solid one: the draft's context was frozen.",
            "速度向上の実測値（ひし形）は実線ではなく破線に沿います。ドラフトモデルの文脈が固定されていたためです。",
        ),
        "key": tell(
            "◆ this run · ○ the paper · ★ best k · ring: the sliders. Point at a mark, or Tab to one and use the arrow"
            " keys, to set the sliders to it; click in the map to choose any α and c.",
            "◆ この実行 · ○ 論文 · ★ 最良の k · 輪はスライダーの位置。印に触れるか、Tab キーと矢印キーで選ぶと、"
            "スライダーがその値になります。図をクリックすると好きな α と c を選べます。",
        ),
        "still": tell("At a glance", "一覧"),
    }
    flat = [1.0] * (MAX_K + 1)
    data = {
        "words": words,
        "levels": LEVELS,
        "dearest": DEAREST,
        "start": {"alpha": 0.6, "c": 0.12, "k": 3, "extra": 0, "measured": False},
        "sessions": [
            {**s, "points": [{**p, "said": _told(p, s["name"], s["v"], tell), "here": True} for p in s["points"]]}
            for s in sessions
        ],
        "paper": [{**p, "said": _told(p, tell("the paper", "論文"), flat, tell), "here": False} for p in paper],
    }
    key = tell(
        "Lines: acceptance rates α; a dot marks the best k of each; v = 1.\n"
        f"In the map: ○ the paper's drafts, ◆ ours ({sessions[0]['name']}).",
        "線は受理率 α ごと、点はそれぞれの最良の k（v = 1）。\n"
        f"最後の図の ○ は論文、◆ はこの実行（{sessions[0]['name']}）。",
    )
    panels = [_curves(c, tell) for c in (0.02, 0.05, 0.1, 0.2, 0.4)]
    return View(line, key, data, [*panels, _map(paper, sessions[0]["points"], words)])


def _told(point: dict, where: str, v: Sequence[float], tell: Tell) -> str:
    """A point in words: what was measured, and what the formula says is best there."""
    alpha, c = point["alpha"], point["c"]
    k = theory.best_lookahead(alpha, c, v=v.__getitem__, max_k=MAX_K)
    best = theory.speedup(alpha, k, c, v=v[k])
    measured = [(f"×{value:.2f}", f"k = {k}") for k, value in point["measured"]]
    return tell(
        f"{point['name']} ({where}), α = {alpha:.2f}, c = {c:.3f}: measured "
        f"{', '.join(f'{value} ({at})' for value, at in measured)}; the formula's best is ×{best:.2f} (k = {k}).",
        f"{point['name']}（{where}）、α = {alpha:.2f}、c = {c:.3f}：実測は "
        f"{'、'.join(f'{value}（{at}）' for value, at in measured)}、式による最良は ×{best:.2f}（k = {k}）です。",
    )


def _curves(c: float, tell: Tell) -> "Panel":
    """Speed-up over k at one c, a line for each acceptance rate."""
    panel = Panel(tell(f"c = {c}", f"c = {c}"), (0, MAX_K), (log2(0.22), log2(7)))
    ticks = {log2(value): f"×{value:g}" for value in (0.25, 0.5, 1, 2, 4)}
    panel.axes({k: str(k) for k in range(0, MAX_K + 1, 2)}, ticks, tell("tokens drafted, k", "先読み数 k"))
    panel.line([(0, 0), (MAX_K, 0)], dash="2 3")
    for alpha in (0.3, 0.5, 0.7, 0.9):
        curve = [(k, log2(theory.speedup(alpha, k, c))) for k in range(1, MAX_K + 1)]
        best = theory.best_lookahead(alpha, c, max_k=MAX_K)
        panel.line([(0, 0), *curve], TARGET, 2)
        panel.mark(*curve[best - 1], "dot", f"α = {alpha}: k = {best}, ×{theory.speedup(alpha, best, c):.2f}")
        panel.words(*curve[-1], f"α {alpha}", (7, 4))
    return panel


def _map(paper: list[dict], ours: list[dict], words: Mapping[str, str]) -> "Panel":
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


# --- a token ---


def _token_view(words: list[str], target: list[float], draft: list[float], tell: Tell) -> View:
    line = tell(
        "One drafted token: accepted with probability min(1, target / draft), else replaced from the residual",
        "ドラフトした1トークン：確率 min(1, ターゲット / ドラフト) で受理し、棄却したら残差分布から引き直す",
    )
    presets = [
        {"name": tell(name, japanese.format(*named)).format(*named), "target": ours, "draft": theirs}
        for name, japanese, ours, theirs, *named in _presets(words, target, draft)
    ]
    data = {
        "names": words,
        "presets": presets,
        "words": {
            "presets": tell("examples", "例"),
            "word": tell("word", "語"),
            "target": tell("target", "ターゲット"),
            "draft": tell("draft", "ドラフト"),
            "target_of": tell("target’s probability of {word}", "{word} のターゲット確率"),
            "draft_of": tell("draft’s probability of {word}", "{word} のドラフト確率"),
            "chance": tell("accepted with", "受理確率"),
            "residual": tell("residual", "残差分布"),
            "overlap": tell(
                "Acceptance α = overlap = {alpha}; rejected {rest}", "受理率 α = 重なり = {alpha}、棄却 {rest}"
            ),
            "rule": tell("The two distributions, laid over each other", "2つの分布を重ねる"),
            "drawn": tell("What comes out when rounds are played", "ラウンドを実行したときに出る語"),
            "probability": tell("probability", "確率"),
            "share": tell("share of outcomes", "出た割合"),
            "key": tell(
                "Solid line: target = ✓ + ＋. Dashed line: draft = ✓ + ✗.\n"
                "✓ accepted · ✗ rejected · ＋ drawn from the residual instead. As much is rejected as is missing.",
                "実線：ターゲット = ✓ + ＋。破線：ドラフト = ✓ + ✗。\n"
                "✓ 受理 · ✗ 棄却 · ＋ 代わりに残差分布から引いた分。棄却された量と足りない量は等しくなります。",
            ),
            "one": tell("Draw one", "1回引く"),
            "thousand": tell("Draw 1000", "1000回引く"),
            "again": tell("Start again", "最初から"),
            "start": tell(
                "Draw, and see what one round does; draw 1000, and the outcomes follow the target, whatever the draft.",
                "1回引くと1ラウンドの様子がわかります。1000回引くと、どんなドラフトでも結果はターゲットに従います。",
            ),
            "accepted": tell(
                "The draft says “{word}”. Random number {random}, below {chance}: accepted ✓.",
                "ドラフトは「{word}」。乱数 {random} は {chance} より小さいので受理 ✓。",
            ),
            "rejected": tell(
                "The draft says “{word}”. Random number {random}, not below {chance}: rejected ✗. The residual gives"
                " “{other}” ＋.",
                "ドラフトは「{word}」。乱数 {random} は {chance} 以上なので棄却 ✗。"
                "残差分布から「{other}」を引きました ＋。",
            ),
            "many": tell(
                "{draws} draws. Share accepted: {share} (α = {alpha}). No word is further than {far} from the target.",
                "{draws} 回中、受理の割合は {share}（α = {alpha}）。ターゲットとの差はどの語でも {far} 以下です。",
            ),
            "still": tell("At a glance", "一覧"),
        },
    }
    shown = [preset for preset in presets if preset is not presets[1]]
    return View(line, data["words"]["key"], data, [_overlay(words, preset) for preset in shown])


def _presets(words: list[str], target: list[float], draft: list[float]) -> list[tuple]:
    """Name in English and Japanese, target, draft, and what the name speaks of."""
    rising = sorted(range(len(words)), key=target.__getitem__)
    opposite = [0.0] * len(words)
    for word, other in zip(rising, reversed(rising), strict=True):
        opposite[word] = target[other]
    favourite = rising[-1]
    others = [i != favourite for i in range(len(words))]
    left = [p * other for p, other in zip(draft, others, strict=True)]
    never = _distribution(left if any(left) else others, "draft")
    flat = _distribution([1] * len(words), "draft")
    sharp = [0.85 if i == favourite else 0.15 / (len(words) - 1) for i in range(len(words))]
    return [
        ("as given", "最初の分布", target, draft),
        ("the same", "同じ分布", target, target),
        ("opposite", "逆の分布", target, opposite),
        ("a draft that never says “{}”", "「{}」を言わないドラフト", target, never, words[favourite]),
        ("sharp target, flat draft", "鋭いターゲット、平らなドラフト", sharp, flat),
    ]


def _overlay(words: list[str], preset: dict) -> "Panel":
    """Both distributions over each other: accepted, rejected, missing."""
    pairs = list(zip(preset["target"], preset["draft"], strict=True))
    top = 1 if max(map(max, pairs)) > 0.6 else 0.6
    overlap = sum(map(min, pairs))
    panel = Panel(f"{preset['name']}: α = {overlap:.2f}", (0, len(words)), (0, top), (400, 230))
    names = {i + 0.5: word if len(word) <= 6 else f"{word[:5]}…" for i, word in enumerate(words)}
    panel.axes(names, {i / 5: f"{i / 5:g}" for i in range(int(top * 5) + 1)})
    for i, (target, draft) in enumerate(pairs):
        common = min(target, draft)
        panel.box((i + 0.25, 0), (i + 0.75, common), TARGET, "✓", "#ffffff")
        panel.box((i + 0.25, common), (i + 0.75, target), REPLACED, "＋", "#222222")
        panel.box((i + 0.25, common), (i + 0.75, draft), "none", "✗", REJECTED, REJECTED)
        panel.line([(i + 0.15, draft), (i + 0.85, draft)], "#c07f16", 2.5, "5 3")
        panel.line([(i + 0.15, target), (i + 0.85, target)], width=2.5)
    return panel


# --- a round ---


def _round_view(sessions: list[dict], tell: Tell) -> View:
    line = tell(
        "The time of a round: draft, verify, and whether plain decoding would have been there first",
        "1ラウンドの時間：ドラフト、検証、そして通常のデコーディングとの競走",
    )
    places = [each["k"] for each in sessions[0]["drafts"][0]["rounds"]]
    data = {
        "sessions": sessions,
        "start": {"session": 0, "draft": 0, "place": places.index(3) if 3 in places else 0},
        "words": {
            "session": tell("session", "セッション"),
            "draft": tell("draft model", "ドラフトモデル"),
            "k": tell("tokens drafted a round", "先読み数"),
            "plain": tell("plain decoding, token by token", "通常のデコーディング（1トークンずつ）"),
            "round": tell("one round, k = {k}", "1ラウンド（k = {k}）"),
            "done": tell("{tokens} tokens after {ms} ms", "{ms} ms で {tokens} トークン"),
            "axis": tell("milliseconds", "ミリ秒"),
            "ahead": tell("▲ Speculative decoding is ahead: {times}", "▲ 投機的デコーディングのほうが速い：{times}"),
            "behind": tell("▼ Plain decoding is ahead: {times}", "▼ 通常のデコーディングのほうが速い：{times}"),
            "said": tell(
                "At an acceptance of {alpha}, a round of k = {k} takes {whole} ms and adds {tokens} tokens on average:"
                " {each} ms a token. Plain decoding takes {plain} ms a token.",
                "受理率 {alpha} では、k = {k} の1ラウンドは {whole} ms かかり、平均 {tokens} トークン増えます。"
                "1トークンあたり {each} ms です。通常のデコーディングでは {plain} ms です。",
            ),
            "apart": tell(
                " (The forwards were timed apart from the round; here their medians add up to more than it.)",
                "（フォワードの時間はラウンド全体とは別に測ったので、ここでは中央値の和がラウンドより長くなっています。）",
            ),
            "key": tell(
                "d draft · v verify · r the rest of the round. Dashed line: plain decoding has written as many tokens.",
                "d ドラフト · v 検証 · r その他。破線：通常のデコーディングが同じ数のトークンを書き終える時点。",
            ),
            "still": tell("All drafts at a glance", "全ドラフトの一覧"),
        },
    }
    key = tell(
        "d draft · v verify · r the rest of the round.\n"
        "Dashed line: plain decoding has written as many tokens. ▲ The round is ahead of it, ▼ behind it.",
        "d ドラフト · v 検証 · r その他 \n"
        "破線：通常のデコーディングが同じ数のトークンを書き終える時点。▲ ラウンドのほうが速い、▼ 遅い。",
    )
    return View(line, key, data, [_timeline(session, tell) for session in sessions])


def _timeline(session: dict, tell: Tell) -> "Panel":
    """A row for each draft: its round at k = 3, or at the smallest k that was timed."""
    drafts = session["drafts"]
    chosen = [next((r for r in draft["rounds"] if r["k"] == 3), draft["rounds"][0]) for draft in drafts]
    end = max(map(_end, chosen))
    size = (290, 74 + 32 * len(drafts))
    panel = Panel(f"{session['name']}, k = {chosen[0]['k']}", (0, 1.02 * end), (len(drafts), 0), size, (84, 62))
    step = next((s for s in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if end / s <= 5), end / 4)
    ticks = {i * step: f"{i * step:g}" for i in range(int(end / step) + 1)}
    panel.axes(ticks, {}, tell("milliseconds", "ミリ秒"))
    for i, (draft, at) in enumerate(zip(drafts, chosen, strict=True)):
        starts = [*accumulate([at["draft"] / at["k"]] * at["k"], initial=0.0)]
        for start, stop in pairwise(starts):
            panel.box((start, i + 0.2), (stop, i + 0.8), DRAFT, "d", "#222222", "#ffffff")
        verified = at["draft"] + at["verify"]
        panel.box((at["draft"], i + 0.2), (verified, i + 0.8), TARGET, "v", "#ffffff", "#ffffff")
        panel.box((verified, i + 0.2), (at["round"], i + 0.8), REST, "r", "#222222", "#ffffff")
        gain = at["tokens"] * at["plain"] / at["round"]
        panel.line([(at["tokens"] * at["plain"], i + edge) for edge in (0.02, 0.98)], width=2, dash="4 3")
        panel.words(0, i + 0.5, draft["name"], (-6, 4), "end")
        panel.words(1.02 * end, i + 0.5, f"{'▲' if gain > 1 else '▼'} ×{gain:.2f}", (2, 4))
    return panel


# --- a small chart ---


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
        self.width, self.height = size
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
