"""Speed-up against n_lookahead for each draft, and what theory says of it."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from specdec_lib import tables, theory
from specdec_lib.figures.picture import Picture, draft_panels, key
from specdec_lib.figures.style import BLUE, INK, RED, Look, draw_line, looks, reference, session_look, styled
from specdec_lib.figures.words import lookahead, percent, session_name, short, times
from specdec_lib.language import say
from specdec_lib.results import Missing, Results

FROZEN = Look(RED, "s", "--")

RING = {"marker": "o", "markersize": 11, "fillstyle": "none", "linestyle": ""}

PAPERS = {"color": INK, "marker": "x", "linestyle": "", "markersize": 6, "markeredgewidth": 1.6}


@styled
def speedup_by_lookahead(results: Results) -> Picture:
    """Speed-up against n_lookahead, a panel a draft: each session, frozen context, both laws, the paper's points.

    Measured values count the prompt's forward and have intervals over articles. Laws: `theory.speedup` with the
    measured α at k = 1 and c without a cache, v = 1. The paper's points are of its draft of the same size, else of the
    one whose c is nearest.
    """
    measured = _measured(results)
    frozen = _frozen(results)
    predicted = _predictions(results)
    drafts = list(dict.fromkeys(measured["draft"]))
    twins = _twins(drafts, predicted)
    figure, panels = draft_panels(drafts, 2.025)
    for axes, draft in zip(panels, drafts, strict=False):
        _draw_laws(axes, predicted.get(draft), measured["n_lookahead"].max())
        for place, (session, table) in enumerate(measured[measured["draft"] == draft].groupby("session", sort=False)):
            draw_line(axes, table["n_lookahead"] + 0.09 * (place - 1), table, "speed_up", session_look(session))
        table = frozen[frozen["draft"] == draft]
        draw_line(axes, table["n_lookahead"] + 0.18, table, "speed_up", FROZEN)
        twin = _published(twins.get(draft))
        axes.plot(twin["n_lookahead"], twin["speed_up"], zorder=4, **PAPERS)
        reference(axes, y=1)
        if draft in predicted:
            axes.set_title(f"{short(draft)}, c = {predicted[draft][1]:.2f}")
        if draft in twins:
            axes.text(0.03, 0.05, say(f"paper: {twins[draft]}", f"論文：{twins[draft]}"), transform=axes.transAxes)
    panels[0].set_xticks(sorted(set(measured["n_lookahead"]) | set(frozen["n_lookahead"])))
    panels[0].set_ylim(0, None)
    key(panels[-1], _key(measured, frozen, predicted, twins))
    figure.name_axes(lookahead(), say("speed-up", "速度向上率"))
    return figure.say_it(
        _best(measured),
        say(
            "One panel a draft: speed-up over plain decoding against n_lookahead k, measured in each session and "
            "with a frozen context, with 95% bootstrap intervals over articles; dotted, what the two laws predict "
            "without a cache; crosses, the published values of the paper's draft of the same size or the nearest c. "
            "1 is plain decoding.",
            "ドラフトモデルごとのパネルに、先読み数 k に対する速度向上率を示します。各セッションと固定文脈での実測値（"
            "記事を単位とする95％ブートストラップ区間）、点線はキャッシュなしでの2つの法則の予測、×印は同じ大きさ、"
            "または c が最も近い論文のドラフトモデルの値です。1が通常のデコーディングです。",
        ),
    )


def _measured(results: Results) -> pd.DataFrame:
    """The cells of Table 1 in each session that was measured."""
    found = [tables.speedups(results, name) for name in tables.TIMED if results.has(name)]
    return tables.some(_drafted(pd.concat(found), results) if found else pd.DataFrame(), "Table 1")


def _frozen(results: Results) -> pd.DataFrame:
    """Those with a frozen context; none where they were not measured."""
    if results.has("table1_frozen"):
        return _drafted(tables.speedups(results, "table1_frozen"), results)
    return pd.DataFrame(columns=["draft", "n_lookahead", "speed_up", "speed_up_low", "speed_up_high"], dtype=float)


def _drafted(table: pd.DataFrame, results: Results) -> pd.DataFrame:
    table = table.dropna(subset=["draft", "n_lookahead", "speed_up"]).astype({"n_lookahead": int})
    return tables.by_size(table, results)


def _predictions(results: Results) -> dict[str, tuple[float, float]]:
    """α at n_lookahead 1 and c without a cache of each draft that has both."""
    try:
        first = tables.acceptance(results).query("n_lookahead == 1").dropna(subset="pooled_acceptance")
        costs = tables.rates(results).query("session == 'uncached'").dropna(subset="c")
    except Missing:
        return {}
    alpha, c = (
        dict(zip(t[m], t[v], strict=True)) for t, m, v in ((first, "draft", "pooled_acceptance"), (costs, "model", "c"))
    )
    return {draft: (alpha[draft], c[draft]) for draft in alpha if draft in c}


def _twins(drafts: list[str], predicted: dict[str, tuple[float, float]]) -> dict[str, str]:
    """The paper's draft that each of ours is set beside: of the same size, else of the nearest c."""
    costs = tables.published_table1().query("n_lookahead == 1").set_index("draft_params")["inference_speed_rate"]
    same = {draft: short(draft) for draft in drafts if short(draft) in costs}
    nearest = {draft: (costs - c).abs().idxmin() for draft, (_, c) in predicted.items()}
    return nearest | same


def _published(size: str | None) -> pd.DataFrame:
    table = tables.published_table1()
    return table[table["draft_params"] == size]


def _draw_laws(axes: Axes, known: tuple[float, float] | None, longest: int) -> None:
    if known is None:
        return
    ks = range(1, min(longest, 16) + 1)
    for context, law in _LAWS.items():
        axes.plot(ks, [theory.speedup(known[0], k, known[1], context=context) for k in ks], **law)


_LAWS = {
    "growing": {"color": BLUE, "linestyle": (0, (1, 1.5)), "linewidth": 1.3},
    "frozen": {"color": RED, "linestyle": (0, (1, 1.5)), "linewidth": 1.3},
}


def _key(measured: pd.DataFrame, frozen: pd.DataFrame, predicted: dict, twins: dict) -> Iterator[tuple[str, dict]]:
    for session in dict.fromkeys(measured["session"]):
        yield session_name(session), session_look(session).line
    if len(frozen):
        yield say("frozen, no cache", "固定文脈、キャッシュなし"), FROZEN.line
    if predicted:
        yield say("law, growing", "法則（伸びる文脈）"), _LAWS["growing"]
        yield say("law, frozen", "法則（固定文脈）"), _LAWS["frozen"]
    if twins:
        yield say("the paper", "論文"), PAPERS


def _best(measured: pd.DataFrame) -> str:
    """Whether any draft is faster than plain decoding, and what looking further ahead does where it is fastest."""
    best = measured.loc[measured["speed_up"] == measured["speed_up"].max()].iloc[0]
    k, name, session = best["n_lookahead"], short(best["draft"]), session_name(best["session"])
    where = say(f"{name}, k = {k}, {session}", f"{name}、k = {k}、{session}")
    if best["speed_up"] <= 1:
        return say(
            f"No draft makes decoding faster than plain: the best is {times(best['speed_up'])} ({where}).",
            f"どのドラフトモデルでも通常より速くなりません。最大で{times(best['speed_up'])}です（{where}）。",
        )
    if best["speed_up_low"] <= 1:
        return say(
            f"No draft is clearly faster than plain: at best {times(best['speed_up'])}, with an interval that holds 1 "
            f"({where}).",
            f"通常より明確に速いドラフトモデルはありません。最大で{times(best['speed_up'])}ですが、"
            f"区間は1を含みます（{where}）。",
        )
    best_words = say(
        f"Drafting makes decoding at best {times(best['speed_up'])} as fast ({where})",
        f"投機的デコーディングは最大で通常の{times(best['speed_up'])}の速さになります（{where}）",
    )
    there = measured[measured["session"] == best["session"]]
    first, last = there["n_lookahead"].min(), there["n_lookahead"].max()
    ends = [there[there["n_lookahead"] == end].set_index("draft")["speed_up"] for end in (first, last)]
    ends = [speeds[~speeds.index.duplicated()] for speeds in ends]
    both = pd.concat(ends, axis=1, keys=["first", "last"]).dropna()
    slower = int((both["last"] < both["first"]).sum())
    if first == last or both.empty:
        return best_words + say(".", "。")
    those = say(f"{slower} of {len(both)} drafts", f"{len(both)}個のうち{slower}個のドラフトモデルで")
    if slower == len(both):
        those = say("every draft", "どのドラフトモデルでも")
    return best_words + say(
        f"; from k = {first} to k = {last} the median falls for {those} there.",
        f"。k = {first} から k = {last} にすると、{those}中央値が下がります。",
    )


@styled
def theory_against_measurement(results: Results) -> Picture:
    """Predicted against measured speed-up of every cell of Table 1, the prompt's forward left out, in each session."""
    found = {}
    for name in ("table1", "table1_static"):
        table = tables.table1(results, name).dropna(subset=["predicted", "decode_speed_up"])
        found[tables.some(table, name)["session"].iloc[0]] = table
    every = pd.concat(found.values())
    drafts = looks(every["draft"])
    figure = Picture(4.4)
    for axes, (session, table) in zip(
        figure.panels(1, len(found), sharex=True, sharey=True), found.items(), strict=True
    ):
        ends = [limit(every[["predicted", "decode_speed_up"]].agg(limit)) for limit in (min, max)]
        axes.plot(ends, ends, color=INK, linewidth=1, linestyle=(0, (1, 2)))
        for draft, rows in table.groupby("draft", sort=False):
            rows = rows.sort_values("n_lookahead")
            draw_line(axes, rows["predicted"], rows, "decode_speed_up", drafts[draft], linewidth=0.6)
            axes.plot(rows["predicted"].iloc[0], rows["decode_speed_up"].iloc[0], color=drafts[draft].colour, **RING)
        axes.set(title=session_name(session), xlabel=say("predicted: E(α, k) / (v + kc)", "予測：E(α, k) / (v + kc)"))
    figure.axes[0].set_ylabel(say("measured, without the prompt", "実測（プロンプトを除く）"))
    handles = [Line2D([], [], **look.line) for look in drafts.values()] + [Line2D([], [], color=INK, **RING)]
    smallest = f"k = {every['n_lookahead'].min()}"
    figure.legend(handles, [*map(short, drafts), smallest], loc="outside lower left", ncols=5)
    return figure.say_it(
        _reached(every),
        say(
            "Measured speed-up without the prompt against what Leviathan et al.'s formula predicts from acceptance and "
            "costs, one panel a session, one line a draft over n_lookahead, its smallest ringed; 95% bootstrap "
            "intervals over articles. On the dotted line both are equal.",
            "プロンプトを除いた実測の速度向上率を、受理率とコストから Leviathan らの式で求めた予測に対して示します。"
            "パネルはセッション、線はドラフトモデルごとに先読み数を結んだもので、丸囲みが最小の先読み数です。"
            "区間は記事を単位とする95％ブートストラップ区間、点線上では両者が等しくなります。",
        ),
    )


def _reached(table: pd.DataFrame) -> str:
    """How far measured and predicted lie apart, and on which side."""
    ratio = table["decode_speed_up"] / table["predicted"]
    middle, error, below = ratio.median(), (ratio - 1).abs().median(), int((ratio < 1).sum())
    if 0.95 <= middle <= 1.05:
        return say(
            f"Acceptance and costs predict the speed-up: half of all {len(table)} cells lie within {percent(error)} "
            f"of the formula; {below} lie below it.",
            f"速度向上率は受理率とコストから予測できます。{len(table)}通りの半分は、"
            f"式との差が{percent(error)}以内です（式を下回るのは{below}通り）。",
        )
    if middle < 1:
        return say(
            f"Measured speed-ups stay below what acceptance and costs predict, in the median by {percent(1 - middle)}.",
            f"実測の速度向上率は、受理率とコストからの予測を下回ります（中央値で{percent(1 - middle)}）。",
        )
    return say(
        f"Measured speed-ups exceed what acceptance and costs predict, in the median by {percent(middle - 1)}.",
        f"実測の速度向上率は、受理率とコストからの予測を上回ります（中央値で{percent(middle - 1)}）。",
    )
