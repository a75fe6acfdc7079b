"""How often a drafted token is right: against n_lookahead and draft size."""

import pandas as pd

from specdec_lib import tables, theory
from specdec_lib.figures.picture import Picture
from specdec_lib.figures.sizes import label_shares, published_sizes, relative_size
from specdec_lib.figures.style import BLUE, PAPER, Look, draw_line, looks, styled
from specdec_lib.figures.words import lookahead, short
from specdec_lib.language import say
from specdec_lib.results import Missing, Results


@styled
def acceptance_by_lookahead(results: Results) -> Picture:
    """Acceptance against n_lookahead, this run beside the published table; intervals over articles."""
    ours = tables.some(tables.acceptance(results).dropna(subset="mean_acceptance"), "acceptance")
    published = tables.published_table1().rename(
        columns={"draft_params": "draft", "mean_acceptance_rate": "mean_acceptance"}
    )
    figure = Picture(4.3)
    titles = (say("this run", "この実行"), say("the paper", "論文"))
    for axes, title, table in zip(figure.panels(1, 2, sharey=True), titles, (ours, published), strict=True):
        drafts = looks(table["draft"])
        for place, (draft, rows) in enumerate(table.groupby("draft", sort=False)):
            rows = rows.sort_values("n_lookahead")
            beside = 0.05 * (place - (len(drafts) - 1) / 2) if table is ours else 0
            x = rows["n_lookahead"] + beside
            draw_line(axes, x, rows, "mean_acceptance", drafts[draft])
            figure.label_end(axes, x.iloc[-1], rows["mean_acceptance"].iloc[-1], short(draft), drafts[draft].colour)
        axes.set(title=title, xlabel=lookahead(), xticks=sorted(table["n_lookahead"].unique()))
    highest = max(ours.filter(like="mean_acceptance").max().max(), published["mean_acceptance"].max())
    axes.set_ylim(0, min(1.02, 1.1 * highest))
    figure.axes[0].set_ylabel(say("acceptance rate, mean over articles", "受理率（記事ごとの平均）"))
    return figure.say_it(
        _falling(ours, published),
        say(
            "Two panels, this run and the paper: acceptance rate against n_lookahead k, one line a draft model, with "
            "95% bootstrap intervals over articles in this run.",
            "この実行と論文の2つのパネルに、先読み数 k に対する受理率をドラフトモデルごとの線で示します。"
            "この実行には記事を単位とする95％ブートストラップ区間を付けています。",
        ),
    )


def _falling(ours: pd.DataFrame, published: pd.DataFrame) -> str:
    """Whether acceptance falls with n_lookahead: by at least half of what a frozen context takes."""
    first, last = ours["n_lookahead"].min(), ours["n_lookahead"].max()
    a, b = (ours[ours["n_lookahead"] == k]["mean_acceptance"].mean() for k in (first, last))
    p, q = (published[published["n_lookahead"] == k]["mean_acceptance"].mean() for k in (1, 7))
    if first == last:
        return say(
            f"At k = {first} a drafted token is accepted with a rate of {a:.2f} here, in the paper with {p:.2f} at "
            "k = 1.",
            f"k = {first} での平均受理率は、この実行では{a:.2f}、論文では（k = 1 で）{p:.2f}です。",
        )
    due = a - theory.acceptance(a, 2, context="frozen")
    if a - b > due / 2:
        return say(
            f"Acceptance falls with n_lookahead, here from {a:.2f} (k = {first}) to {b:.2f} (k = {last}) on average, "
            f"in the paper from {p:.2f} to {q:.2f}.",
            f"先読み数を増やすと受理率は下がります。平均して、この実行では{a:.2f}（k = {first}）から{b:.2f}（"
            f"k = {last}）へ、論文では{p:.2f}から{q:.2f}へ下がります。",
        )
    costs = (
        say("costs little acceptance", "あまり下がりません")
        if a - b > 0.01
        else say("does not cost acceptance", "下がりません")
    )
    return say(
        f"Looking further ahead {costs} here ({a:.2f} at k = {first}, {b:.2f} at k = {last} on "
        f"average); in the published table it falls from {p:.2f} to {q:.2f}.",
        f"この実行では、先読み数を増やしても受理率は{costs}（平均で k = {first} のとき{a:.2f}、"
        f"k = {last} のとき{b:.2f}）。"
        f"論文の表では{p:.2f}から{q:.2f}へ下がります。",
    )


@styled
def acceptance_by_size(results: Results) -> Picture:
    """Acceptance at n_lookahead 1 against the draft's size over the target's: this run and the paper."""
    size, first = _sizes(results), tables.acceptance(results).query("n_lookahead == 1")
    ours = first.assign(size=first["draft"].map(size)).dropna(subset=["mean_acceptance", "size"])
    ours = tables.some(ours[ours["size"] > 0], "acceptance at n_lookahead 1").sort_values("size")
    published = published_sizes().rename(columns={"mean_acceptance_rate": "mean_acceptance"})
    figure = Picture(4.2)
    (axes,) = figure.panels(1, 1)
    axes.set_xscale("log")
    series = ((say("this run", "この実行"), ours, Look(BLUE, "o")), (say("the paper", "論文"), published, PAPER))
    for name, table, look in series:
        draw_line(axes, table["size"], table, "mean_acceptance", look)
        first, last = table.iloc[0], table.iloc[-1]
        end = say(f"{name} ({short(last['draft'])})", f"{name}（{short(last['draft'])}）")
        figure.label_end(axes, last["size"], last["mean_acceptance"], end, look.colour)
        if len(table) > 1:
            figure.label_end(axes, first["size"], first["mean_acceptance"], short(first["draft"]), look.colour, side=-1)
    highest = max(table["mean_acceptance"].max() for _, table, _ in series)
    axes.set(ylim=(0, min(1.05, 1.2 * highest)), xlabel=relative_size())
    axes.set_ylabel(say("acceptance rate at k = 1, mean over articles", "k = 1 での受理率（記事ごとの平均）"))
    axes.set_xlim(left=0.65 * axes.get_xlim()[0])
    label_shares(axes.xaxis)
    return figure.say_it(
        _rising(ours["mean_acceptance"], published["mean_acceptance"]),
        say(
            "Acceptance rate at n_lookahead 1 against the draft's parameters over the target's, on a logarithmic axis: "
            "this run with 95% bootstrap intervals over articles, and the paper's drafts of 6M to 247M.",
            "先読み数1での受理率を、ドラフトモデルとターゲットモデルのパラメータ数の比（対数軸）に対して示します。"
            "この実行には記事を単位とする95％ブートストラップ区間を付け、"
            "論文の6M〜247Mのドラフトモデルを並べています。",
        ),
    )


def _rising(ours: pd.Series, published: pd.Series) -> str:
    """Whether a larger draft is right more often."""
    a, b, p, q = ours.iloc[0], ours.iloc[-1], published.iloc[0], published.iloc[-1]
    numbers = say(
        f"from {a:.2f} to {b:.2f} here, from {p:.2f} to {q:.2f} in the paper",
        f"この実行では{a:.2f}から{b:.2f}、論文では{p:.2f}から{q:.2f}",
    )
    if len(ours) == 1:
        return say(
            f"The draft's tokens are accepted with a rate of {a:.2f}; the paper's drafts reach {p:.2f} to {q:.2f}.",
            f"このドラフトモデルの受理率は{a:.2f}です。論文のドラフトモデルでは{p:.2f}〜{q:.2f}です。",
        )
    if ours.is_monotonic_increasing:
        return say(
            f"The larger the draft, the more of its tokens are accepted: {numbers}.",
            f"ドラフトモデルが大きいほど受理率は高くなります（{numbers}）。",
        )
    if b > a:
        return say(
            f"The largest draft is right more often than the smallest, but not every step up helps: {numbers}.",
            "最大のドラフトモデルは最小のものより受理率が高いものの、大きくするたびに上がるわけではありません"
            f"（{numbers}）。",
        )
    return say(
        f"A larger draft is not right more often here, where it is in the paper (smallest to largest: {numbers}).",
        f"論文と違い、この実行ではドラフトモデルを大きくしても受理率は上がりません（最小から最大へ、{numbers}）。",
    )


def _sizes(results: Results) -> pd.Series:
    """Each draft's parameters over the target's, by the bytes of their weights."""
    frame, alone = results.frame("acceptance"), results.frame("quality")["weights"].median()
    bits = frame[["bits", "draft_bits"]].astype(float)
    frame = frame[(bits > 0).all(axis=1) & (bits <= 64).all(axis=1)].astype({"bits": float, "draft_bits": float})
    if not alone > 0:
        raise Missing("The weights of the target were not noted: measure `quality` again.")
    ratio = (frame["weights"] - alone) / frame["draft_bits"] / (alone / frame["bits"])
    return ratio.groupby(frame["draft"]).median()
