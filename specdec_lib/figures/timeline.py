"""The time of a round."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from specdec_lib import tables
from specdec_lib.figures.picture import Picture
from specdec_lib.figures.style import BLUE, DIAMOND, FAINT, INK, ORANGE, styled
from specdec_lib.figures.words import session_name, short, span
from specdec_lib.language import say
from specdec_lib.reporting.bootstrap import interval
from specdec_lib.results import Results

LOOKAHEAD = 3
"""Of the round whose time is shown."""


@styled
def round_parts(results: Results) -> Picture:
    """The timeline of a round of three drafted tokens, in each session, beside as many plain tokens as it can add.

    Draft after draft, the verification, the rest; medians of each, with an interval over repeats for the whole. A
    diamond stands where plain decoding would have the tokens that the round adds on average.
    """
    table = _timeline(results)
    sessions = list(dict.fromkeys(table["session"]))
    lines = [1 + (table["session"] == session).sum() for session in sessions]
    figure = Picture(1.55 + 0.24 * sum(lines) + 0.5 * len(lines))
    panels = figure.panels(len(sessions), 1, height_ratios=[count + 0.5 for count in lines])
    for axes, session in zip(panels, sessions, strict=True):
        _timelines(axes, table[table["session"] == session])
        axes.set_title(session_name(session))
    panels[-1].set_xlabel(say("milliseconds", "ミリ秒"))
    handles = [Patch(facecolor=colour, edgecolor="white", hatch=hatch) for _, colour, hatch in _parts()]
    names = [name for name, *_ in _parts()]
    figure.legend(
        [*handles, Line2D([], [], **DIAMOND)],
        [*names, say("plain decoding, for as many tokens", "通常で同じトークン数")],
        loc="outside lower left",
        ncols=5,
        columnspacing=1.2,
        handlelength=1.6,
    )
    return figure.say_it(
        _pays(table),
        say(
            f"One panel a session, a time axis in milliseconds: {LOOKAHEAD + 1} plain tokens, and for each draft a "
            f"round of {LOOKAHEAD} drafted tokens, their verification and the rest; whiskers are 95% bootstrap "
            "intervals over repeats. Diamonds: when plain decoding would have as many tokens as the round adds.",
            f"セッションごとのパネルに、ミリ秒の時間軸で、通常の{LOOKAHEAD + 1}トークンと、"
            f"各ドラフトモデルのラウンド（{LOOKAHEAD}トークンのドラフト、検証、その他）を示します。"
            "ひげは繰り返しを単位とする95％ブートストラップ区間、"
            "ひし形はラウンドが加えるのと同じ数のトークンを通常のデコーディングが生成し終える時点です。",
        ),
    )


def _parts() -> list[tuple[str, str, str]]:
    """Name, colour and hatch of each part."""
    return [
        (say("plain token", "通常の1トークン"), "#8d939a", ""),
        (say("draft", "ドラフト"), ORANGE, ""),
        (say("verify", "検証"), BLUE, "///"),
        (say("rest", "その他"), FAINT, "..."),
    ]


def _timeline(results: Results) -> pd.DataFrame:
    """Medians in milliseconds of each session's and draft's round; plain: of a plain token there; adds: tokens."""
    frame = results.frame("rounds")
    plain = frame[frame["n_lookahead"] == 0].groupby("session")["round_seconds"].median()
    frame = tables.some(frame[frame["n_lookahead"] == LOOKAHEAD], "rounds")
    rows = []
    for (session, draft), turns in frame.groupby(["session", "draft"], sort=False):
        draft_time, verify = (1000 * turns[f"{part}_seconds"].median() for part in ("draft", "verify"))
        whole = tables.named("whole", interval(1000 * turns["round_seconds"]))
        times = {"drafting": draft_time, "verify": verify, "rest": max(whole["whole"] - draft_time - verify, 0)}
        rows.append({"session": session, "draft": draft, **whole, **times, "plain": 1000 * plain.get(session, 0)})
    table = tables.some(pd.DataFrame(rows).query("plain > 0"), "rounds")
    return table.assign(adds=table["draft"].map(_added(results)).astype(float))


def _added(results: Results) -> dict[str, float]:
    """Tokens that a round of each draft adds on average, where they were counted."""
    if not results.has("acceptance"):
        return {}
    counted = tables.acceptance(results)
    counted = counted[counted["n_lookahead"] == LOOKAHEAD]
    return dict(zip(counted["draft"], counted["tokens_per_round"], strict=True))


def _timelines(axes: Axes, table: pd.DataFrame) -> None:
    (_, grey, _), *parts = _parts()
    plain = table["plain"].iloc[0]
    for token in range(LOOKAHEAD + 1):
        axes.barh(0, plain, 0.66, left=token * plain, color=grey, edgecolor="white", linewidth=1)
    for line, row in enumerate(table.itertuples(), 1):
        pieces = [row.drafting / LOOKAHEAD] * LOOKAHEAD + [row.verify, row.rest]
        kinds = [parts[0]] * LOOKAHEAD + parts[1:]
        start = 0.0
        for piece, (_, colour, hatch) in zip(pieces, kinds, strict=True):
            axes.barh(line, piece, 0.66, left=start, color=colour, hatch=hatch, edgecolor="white", linewidth=0.8)
            start += piece
        axes.hlines(line, row.whole_low, row.whole_high, color=INK, linewidth=1.2)
        axes.plot(row.adds * plain, line, zorder=4, **DIAMOND)
    names = [say("plain", "通常"), *map(short, table["draft"])]
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(0, None))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)


def _pays(table: pd.DataFrame) -> str:
    """How long rounds take in plain tokens, and where they add more."""
    lasts = span(table["whole"] / table["plain"], ".1f")
    counted = table.dropna(subset="adds")
    if counted.empty:
        return say(
            f"A round of {LOOKAHEAD} drafted tokens takes as long as {lasts} plain tokens.",
            f"{LOOKAHEAD}トークンを先読みするラウンドの時間は、通常の{lasts}トークン分です。",
        )
    pays = int((counted["adds"] * counted["plain"] > counted["whole_high"]).sum())
    adds = span(counted["adds"], ".1f")
    return say(
        f"A round of {LOOKAHEAD} drafted tokens takes the time of {lasts} plain tokens and adds {adds}: it clearly "
        f"pays in {pays} of {len(counted)} cases (the diamond lies beyond bar and whisker).",
        f"{LOOKAHEAD}トークンを先読みするラウンドは、通常の{lasts}トークンにあたる時間で{adds}トークン進みます。"
        f"明らかに速くなるのは{len(counted)}通り中{pays}通りです（ひし形が棒とひげより右）。",
    )
