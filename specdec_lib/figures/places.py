"""What becomes of the drafted tokens of a round: by place, and how many are kept."""

import numpy as np
import pandas as pd

from specdec_lib import tables
from specdec_lib.figures.picture import Picture, draft_panels, key
from specdec_lib.figures.style import DIAMOND, INK, draw_line, looks, styled
from specdec_lib.figures.words import in_percent, percent, short
from specdec_lib.language import say
from specdec_lib.reporting.bootstrap import interval, pooled
from specdec_lib.results import Results

JUDGED = 50
"""Places that fewer tokens reached are left out."""


@styled
def acceptance_by_place(results: Results) -> Picture:
    """Is a token drafted later in a round harder to guess? Acceptance of each place, its predecessors all accepted.

    At the largest n_lookahead; intervals over articles. Places that fewer than 50 tokens reached are left out.
    """
    table = tables.some(tables.acceptance_by_position(results).query("judged >= @JUDGED"), "acceptance")
    rounds = _rounds(results)
    ends = [_place_interval(rounds[rounds["draft"] == row.draft], row.place) for row in table.itertuples()]
    table[["acceptance_low", "acceptance_high"]] = ends
    drafts = looks(table["draft"])
    figure = Picture(4.2)
    (axes,) = figure.panels(1, 1)
    for number, (draft, rows) in enumerate(table.groupby("draft", sort=False)):
        x = rows["place"] + 0.05 * (number - (len(drafts) - 1) / 2)
        draw_line(axes, x, rows, "acceptance", drafts[draft])
        figure.label_end(axes, x.iloc[-1], rows["acceptance"].iloc[-1], short(draft), drafts[draft].colour)
    axes.set(ylim=(0, 1.02), xticks=range(1, table["place"].max() + 1))
    axes.set_xlabel(say("place in the round", "ラウンド内の位置"))
    axes.set_ylabel(say("accepted, of the tokens judged there", "判定されたトークンの受理率"))
    return figure.say_it(
        _later(table),
        say(
            "Acceptance of the first, second, … drafted token of a round, of those whose predecessors were all "
            f"accepted, one line a draft; 95% bootstrap intervals over articles; at least {JUDGED} tokens a point. A "
            "flat line is what theory assumes.",
            "ラウンド内の1番目、2番目…のトークンについて、"
            "それより前がすべて受理された場合の受理率をドラフトモデルごとの線で示します。"
            f"区間は記事を単位とする95％ブートストラップ区間で、各点は{JUDGED}トークン以上です。"
            "水平な線が理論の仮定です。",
        ),
    )


def _later(table: pd.DataFrame) -> str:
    """Whether later places are easier, by the intervals of each draft's first and last place shown."""
    ends = [(rows.iloc[0], rows.iloc[-1]) for _, rows in table.groupby("draft", sort=False)]
    easier = sum(last["acceptance_low"] > first["acceptance_high"] for first, last in ends)
    harder = sum(last["acceptance_high"] < first["acceptance_low"] for first, last in ends)
    drafts = len(ends)
    if harder and easier:
        return say(
            f"Whether a later token is harder to guess depends on the draft: clearly easier for {easier} of {drafts}, "
            f"clearly harder for {harder}.",
            "後ろのトークンが受理されにくいかどうかは、ドラフトモデルによります。"
            f"{drafts}個中{easier}個では明らかに受理されやすく、{harder}個では受理されにくくなります。",
        )
    if harder:
        return say(
            f"A token drafted later in a round is harder to guess, even after right ones: clearly so for {harder} of "
            f"{drafts} drafts.",
            "それまでがすべて受理されていても、ラウンドの後ろのトークンほど受理されにくくなります"
            f"（{drafts}個中{harder}個のドラフトモデルで明確）。",
        )
    if easier:
        return say(
            f"A token drafted later is no harder to guess: after accepted ones it is even clearly easier for {easier} "
            f"of {drafts} drafts.",
            "後ろのトークンほど受理されにくいわけではありません。それまでがすべて受理された場合、"
            f"{drafts}個中{easier}個のドラフトモデルでは明らかに受理されやすくなります。",
        )
    return say(
        "A token drafted later in a round is about as easy to guess as the first, as theory assumes.",
        "理論の仮定どおり、ラウンドの後ろのトークンも最初のトークンと同じくらい受理されます。",
    )


def _rounds(results: Results) -> pd.DataFrame:
    """The rounds of the largest n_lookahead, a line each."""
    frame = results.generations("acceptance")
    frame = frame[frame["n_lookahead"] == frame["n_lookahead"].max()]
    rounds = frame.assign(kinds=frame["kinds"].map(list))[["draft", "prompt", "drafted", "accepted", "kinds"]]
    rounds = rounds.explode(["drafted", "accepted", "kinds"]).dropna(subset=["draft", "drafted"])
    return rounds.astype({"drafted": int, "accepted": int})


def _place_interval(rounds: pd.DataFrame, place: int) -> tuple[float, float]:
    accepted = rounds["accepted"] >= place
    rejected = (rounds["accepted"] == place - 1) & (rounds["kinds"] == "r")
    return interval(_counts(rounds, accepted, rejected), pooled)[1:]


def _counts(rounds: pd.DataFrame, *kinds: pd.Series) -> np.ndarray:
    """How many rounds of each article are of each kind."""
    return pd.concat(kinds, axis=1).groupby(rounds["prompt"]).sum().to_numpy()


@styled
def accepted_counts(results: Results) -> Picture:
    """How many drafted tokens a full round keeps: the whole distribution behind the one rate.

    At the largest n_lookahead, over rounds that the text's end does not cut short; diamonds: if each token were
    accepted with the same probability, whatever came before. Intervals over articles.
    """
    k = results.frame("acceptance")["n_lookahead"].max()
    rounds = _rounds(results)
    rounds = tables.some(rounds[(rounds["drafted"] == k) & (rounds["kinds"] != "e")], "acceptance")
    table = pd.concat([_distribution(cell, int(k)).assign(draft=name) for name, cell in rounds.groupby("draft")])
    table = tables.by_size(table.assign(n_lookahead=table["accepted"]), results)
    drafts = looks(table["draft"])
    figure, panels = draft_panels(drafts, 1.65)
    for axes, (draft, shares) in zip(panels, table.groupby("draft", sort=False), strict=False):
        colour = drafts[draft].colour
        axes.bar(shares["accepted"], shares["share"], 0.75, color=colour, alpha=0.75)
        axes.vlines(shares["accepted"], shares["share_low"], shares["share_high"], color=INK, linewidth=1)
        axes.plot(shares["accepted"], shares["independent"], **DIAMOND)
        axes.yaxis.set_major_formatter(lambda share, _: in_percent(f"{100 * share:.0f}"))
    panels[0].set_xticks(range(int(k) + 1) if k < 12 else [0, int(k)])
    key(
        panels[-1],
        [
            (say("measured", "実測"), {"color": drafts[draft].colour, "linewidth": 9, "alpha": 0.75, "marker": ""}),
            (say("95% interval", "95％区間"), {"color": INK, "linestyle": "", "marker": "|", "markersize": 11}),
            (say("independent", "独立な場合"), DIAMOND),
        ],
    )
    kept = say(f"drafted tokens kept, of {k:.0f}", f"{k:.0f}個のうち受理されたトークン数")
    figure.name_axes(kept, say("share of rounds", "ラウンドの割合"))
    return figure.say_it(
        _kept(table, rounds, int(k)),
        say(
            f"One panel a draft: how many of {k:.0f} drafted tokens a round keeps, as shares of rounds with 95% "
            "bootstrap intervals over articles; diamonds show what equal and independent chances would give.",
            f"ドラフトモデルごとのパネルに、{k:.0f}個のうち受理されたトークン数の分布をラウンドの割合で示します（"
            "記事を単位とする95％ブートストラップ区間）。ひし形は、"
            "どのトークンも同じ確率で独立に受理される場合の値です。",
        ),
    )


def _distribution(rounds: pd.DataFrame, k: int) -> pd.DataFrame:
    """The share of one draft's rounds that keep 0, 1, … k tokens; independent: at the rate of these very rounds."""
    kept, rejected = rounds["accepted"].sum(), (rounds["accepted"] < k).sum()
    alpha = kept / (kept + rejected)
    lines = []
    for accepted in range(k + 1):
        hit = rounds["accepted"] == accepted
        share = tables.named("share", interval(_counts(rounds, hit, ~hit), pooled))
        independent = alpha**accepted * (1 - alpha if accepted < k else 1)
        lines.append({"accepted": accepted, **share, "independent": independent, "rounds": len(rounds)})
    return pd.DataFrame(lines)


def _kept(table: pd.DataFrame, rounds: pd.DataFrame, k: int) -> str:
    """What most rounds keep, and whether whole rounds are more frequent than independent tokens would make them."""
    few, every = (rounds["accepted"] <= 1).mean(), (rounds["accepted"] == k).mean()
    last = table[table["accepted"] == k]
    due = np.average(last["independent"], weights=last["rounds"])
    if k == 1:
        return say(
            f"{percent(every)} of rounds keep their one drafted token.",
            f"ラウンドの{percent(every)}で、提案した1トークンが受理されます。",
        )
    numbers = say(
        f"{percent(few)} of rounds keep at most one of {k} drafted tokens; {percent(every)} keep all",
        f"ラウンドの{percent(few)}は{k}個のうち1個以下しか受理されません。全部受理されるのは{percent(every)}",
    )
    if every > due:
        return say(
            f"{numbers}, more than if tokens were accepted independently ({percent(due)}).",
            f"{numbers}で、トークンが独立に受理される場合（{percent(due)}）より多くなっています。",
        )
    return say(
        f"{numbers}, no more than if tokens were accepted independently ({percent(due)}).",
        f"{numbers}で、トークンが独立に受理される場合（{percent(due)}）を超えません。",
    )
