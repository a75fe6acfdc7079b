"""The published tables against the laws of a draft whose context is frozen, and the same of our own drafts."""

import pandas as pd
from matplotlib.axes import Axes

from specdec_lib.figures.picture import Picture, draft_panels, key
from specdec_lib.figures.style import BLUE, INK, MUTED, RED, Look, draw_line, looks, styled
from specdec_lib.figures.words import lookahead, percent
from specdec_lib.language import say
from specdec_lib.reporting import published
from specdec_lib.results import Results

LAW = {"color": INK, "linewidth": 1, "linestyle": (0, (1, 2))}

GROWING, FROZEN = Look(BLUE, "o"), Look(RED, "s", "--")


@styled
def published_laws(results: Results | None = None) -> Picture:
    """The published Table 1 against a frozen draft context: acceptance at k >= 3, and the speed-up of every row."""
    rows = published.laws()
    later = rows[rows["n_lookahead"] > 1]
    figure = Picture(4.5)
    left, right = figure.panels(1, 2)
    _diagonal(left, later["frozen_acceptance"], later["mean_acceptance_rate"])
    for draft, look in looks(later["draft_params"]).items():
        points = later[later["draft_params"] == draft]
        law, seen = points["frozen_acceptance"], points["mean_acceptance_rate"]
        left.plot(law, seen, color=look.colour, marker=look.marker, linestyle="", markersize=7)
        figure.label_end(left, law.iloc[0], seen.iloc[0], draft, look.colour)
    left.set(
        title=say("acceptance, k = 3, 5, 7", "受理率（k = 3、5、7）"),
        xlabel=say("law: α / (1 + α)", "法則：α / (1 + α)"),
    )
    left.set_ylabel(say("published", "論文の値"))
    _diagonal(right, rows["frozen_speed_up"], rows["speed_up"])
    right.plot(
        rows["growing_speed_up"], rows["speed_up"], linestyle="", color=MUTED, marker="^", markerfacecolor="white"
    )
    right.plot(rows["frozen_speed_up"], rows["speed_up"], linestyle="", color=RED, marker="s", markersize=5)
    right.text(
        0.04,
        0.96,
        say("frozen: (1 + α) / (1 + kc)", "固定文脈：(1 + α) / (1 + kc)"),
        color=RED,
        va="top",
        transform=right.transAxes,
    )
    right.text(0.97, 0.05, say("growing context", "伸びる文脈"), color=MUTED, ha="right", transform=right.transAxes)
    right.set(title=say("speed-up, all rows", "速度向上率（全行）"), xlabel=say("law", "法則"))
    acceptance = (later["mean_acceptance_rate"] - later["frozen_acceptance"]).abs().max()
    speed = rows["error"].abs().max()
    return figure.say_it(
        say(
            f"The published table follows the laws of a draft that does not read what it drafts: acceptance within "
            f"{acceptance:.3f}, all {len(rows)} speed-ups within {percent(speed)}.",
            "論文の表は、自分が提案したトークンを読まないドラフトモデルの法則に従います。受理率の差は"
            f"{acceptance:.3f}以内、{len(rows)}個の速度向上率の差は{percent(speed)}以内です。",
        ),
        say(
            "Left: published acceptance at k = 3, 5 and 7 (three points in one place) against α / (1 + α), by draft. "
            "Right: every published speed-up against (1 + α) / (1 + kc), and, in grey, against what a growing context "
            "would give. On the dotted lines both are equal; nothing is fitted.",
            "左は、k = 3、5、7 での論文の受理率（3点が重なります）を α / (1 + α) に対してドラフトモデルごとに示します。"
            "右は、論文のすべての速度向上率を (1 + α) / (1 + kc) に対して、灰色で伸びる文脈の予測に対して示します。"
            "点線上では両者が等しく、当てはめはしていません。",
        ),
    )


def _diagonal(axes: Axes, x: pd.Series, y: pd.Series) -> None:
    """Where law and value are equal."""
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    axes.plot(ends, ends, **LAW)


@styled
def frozen_context(results: Results) -> Picture:
    """Pooled acceptance of our drafts by n_lookahead: growing context, frozen context, and the frozen law."""
    table = published.frozen_acceptance(results)
    drafts = list(dict.fromkeys(table["draft"]))
    figure, panels = draft_panels(drafts, 1.75)
    for axes, draft in zip(panels, drafts, strict=False):
        cells = table[table["draft"] == draft]
        alpha = cells["alpha"].iloc[0]
        for context, look in (("growing", GROWING), ("frozen", FROZEN)):
            first = pd.DataFrame(
                {"n_lookahead": [1], context: [alpha], f"{context}_low": alpha, f"{context}_high": alpha}
            )
            line = pd.concat([first, cells[["n_lookahead", *first.columns[1:]]]])
            draw_line(axes, line["n_lookahead"], line, context, look)
        axes.axhline(cells["law"].iloc[0], **LAW)
    panels[0].set(ylim=(0, 1.15 * table[["growing_high", "alpha"]].max().max()))
    panels[0].set_xticks(sorted({1, *table["n_lookahead"]}))
    names = (say("growing context", "伸びる文脈"), say("frozen context", "固定文脈"))
    key(
        panels[-1],
        [*zip(names, (GROWING.line, FROZEN.line), strict=True), (say("law: α / (1 + α)", "法則：α / (1 + α)"), LAW)],
    )
    figure.name_axes(lookahead(), say("acceptance rate, pooled", "受理率（全トークン）"))
    return figure.say_it(
        _follows(table),
        say(
            "One panel a draft: pooled acceptance rate against n_lookahead with a growing and with a frozen context, "
            "95% bootstrap intervals over articles; dotted, α / (1 + α) from the acceptance α at k = 1.",
            "ドラフトモデルごとのパネルに、伸びる文脈と固定文脈での受理率（全トークン）を先読み数に対して示します（"
            "記事を単位とする95％ブートストラップ区間）。点線は、k = 1 での受理率 α から求めた α / (1 + α) です。",
        ),
    )


def _follows(table: pd.DataFrame) -> str:
    """How far the frozen acceptance lies from its law, and what a growing context keeps."""
    apart = (table["frozen"] - table["law"]).abs().max()
    longest = table[table["n_lookahead"] == table["n_lookahead"].max()]
    alpha, frozen, growing = (longest[name].mean() for name in ("alpha", "frozen", "growing"))
    if alpha - frozen > 2 * (alpha - growing) and apart < 0.03:
        return say(
            f"Freezing the draft's context makes our acceptance fall as published: from {alpha:.2f} to {frozen:.2f}, "
            f"pooled, within {apart:.3f} of the law (growing context: {growing:.2f}).",
            f"ドラフトモデルの文脈を固定すると、受理率は論文と同じように{alpha:.2f}から{frozen:.2f}（全トークン）"
            f"へ下がります（法則との差は{apart:.3f}以内、伸びる文脈では{growing:.2f}）。",
        )
    return say(
        f"Beyond k = 1 our acceptance goes from {alpha:.2f} to {frozen:.2f} with a frozen and to {growing:.2f} with a "
        f"growing context; it misses the law by up to {apart:.3f}.",
        f"k = 1 より先の受理率は平均{alpha:.2f}から、固定文脈では{frozen:.2f}、伸びる文脈では{growing:.2f}になります（"
        f"法則との差は最大{apart:.3f}）。",
    )
