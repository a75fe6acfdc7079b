"""Every figure, one function each, from results alone."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import matplotlib_fontja
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from specdec_lib import tables
from specdec_lib.measuring.ways import UNTRAINED
from specdec_lib.reporting import published, round_tables, speed_tables
from specdec_lib.results import Results

OURS, PAPER = "this run / この実行", "paper (RTX 3090) / 論文"


def use_style() -> None:
    """One look for all figures; Japanese labels need their font set after the theme."""
    sns.set_theme(style="whitegrid", palette="viridis", rc={"figure.dpi": 110, "savefig.bbox": "tight"})
    matplotlib_fontja.japanize()


def acceptance_by_lookahead(results: Results) -> Figure:
    """Acceptance against n_lookahead: flat here, falling to α / (1 + α) in the published table."""
    ours, published = tables.acceptance(results), tables.published_table1()
    figure, (left, right) = _side_by_side()
    _lines(left, ours, "draft", "mean_acceptance")
    _lines(right, published, "draft_params", "mean_acceptance_rate")
    left.set_ylabel("mean acceptance rate / 平均採択率")
    for axes in (left, right):
        axes.set_ylim(0, 1)
    return figure


def speedup_by_lookahead(results: Results) -> Figure:
    """Speed-up against n_lookahead, measured with 95 % intervals in each session, beside the published one."""
    measured = [name for name in ("table1_uncached", "table1", "table1_static") if results.has(name)]
    ours = [tables.table1(results, name) for name in measured]
    titles = [*(f"{OURS}, {table['session'].iloc[0]}" for table in ours), f"{PAPER}, uncached"]
    figure, axes = _side_by_side(titles)
    for ax, table in zip(axes, ours, strict=False):
        _lines(ax, table, "draft", "speed_up")
    _lines(axes[-1], tables.published_table1(), "draft_params", "speed_up")
    axes[0].set_ylabel("speed-up / 速度向上")
    for ax in axes:
        ax.axhline(1, color="black", linewidth=1, linestyle=":")
    return figure


def theory_against_measurement(results: Results) -> Figure:
    """Predicted against measured speed-up of every cell of Table 1, the prompt's forward left out, in each session."""
    measured = [
        tables.some(tables.table1(results, name).dropna(subset=["predicted", "decode_speed_up"]), name)
        for name in ("table1", "table1_static")
    ]
    figure, panels = _side_by_side([table["session"].iloc[0] for table in measured])
    for axes, table in zip(panels, measured, strict=True):
        sns.scatterplot(
            table,
            x="predicted",
            y="decode_speed_up",
            hue="draft",
            style="n_lookahead",
            palette="viridis",
            s=60,
            ax=axes,
        )
        _diagonal(axes, table["predicted"], table["decode_speed_up"])
        axes.set(xlabel="predicted: E(α, k) / (v + kc) / 予測", ylabel="measured / 実測")
        axes.legend(fontsize=7, loc="upper left")
    return figure


def rates_by_size(results: Results) -> Figure:
    """c of each draft, uncached (the paper's) and cached, beside the published ones."""
    ours = tables.rates(results)
    ours = ours[ours["model"] != ours["model"].iloc[0]]
    published = tables.published_table1().drop_duplicates("draft_params")
    figure, (left, right) = _side_by_side()
    sns.barplot(ours, x="model", y="c", hue="session", ax=left, palette="viridis")
    sns.barplot(published, x="draft_params", y="inference_speed_rate", ax=right, color="0.6")
    left.set_ylabel("c = draft / target time per token / 推論速度比")
    for axes in (left, right):
        axes.tick_params(axis="x", rotation=35)
        axes.set_xlabel("draft model / ドラフトモデル")
    return figure


def combinations(results: Results) -> Figure:
    """Table 2: speculative decoding, KV-cache and SDPA (the paper: BetterTransformer), alone and together."""
    ours, published = tables.table2(results), tables.published_table2()
    switches = ["speculative_decoding", "kv_cache", "better_transformer"]
    both = pd.concat([ours.assign(source=OURS), published.assign(source=PAPER)], ignore_index=True)[
        [*switches, "speed_up", "source"]
    ]
    names = ["speculative", "cache", "SDPA"]
    both["how"] = [
        " + ".join(name for name, on in zip(names, row, strict=True) if on) or "plain"
        for row in both[switches].itertuples(index=False)
    ]
    figure, axes = plt.subplots(figsize=(8.6, 4))
    sns.barplot(both, y="how", x="speed_up", hue="source", ax=axes, palette=["#2a788e", "0.7"])
    axes.axvline(1, color="black", linewidth=1, linestyle=":")
    axes.set(xlabel="speed-up / 速度向上", ylabel="")
    axes.legend(title="")
    return figure


def quantization(results: Results) -> Figure:
    """Milliseconds a token at 32, 16, 8 and 4 bits: plain, and speculative with target, draft or both at these bits."""
    table = tables.speedups(results, "quantization")
    drafting = table["draft"].notna()
    table["fewest"] = table[["bits", "draft_bits"]].astype(float).min(axis=1).astype(int)
    table["how"] = "both at these bits / 両方"
    table.loc[drafting & (table["bits"] < table["draft_bits"]), "how"] = "target alone / ターゲットのみ"
    table.loc[drafting & (table["bits"] > table["draft_bits"]), "how"] = "draft alone / ドラフトのみ"
    table.loc[~drafting, "how"] = "plain / 通常"
    figure, axes = plt.subplots(figsize=(7.6, 3.8), layout="constrained")
    sns.barplot(
        table,
        x="fewest",
        y="token_milliseconds",
        hue="how",
        order=[32, 16, 8, 4],
        palette=["0.6", "#2a788e", "#e0a030", "#7a5195"],
        ax=axes,
    )
    axes.set(xlabel="bits / ビット数", ylabel="ms a token / 1トークンあたりのミリ秒")
    axes.legend(title="", fontsize=8)
    return figure


def accepted_counts(results: Results, n_lookahead: int = 7) -> Figure:
    """How many drafted tokens a full round keeps: the whole distribution behind the one rate."""
    frame = results.generations("acceptance").query("n_lookahead == @n_lookahead")
    rounds = frame[["draft", "drafted", "accepted", "kinds"]].assign(kinds=frame["kinds"].map(list))
    rounds = rounds.explode(["drafted", "accepted", "kinds"]).query("drafted == @n_lookahead and kinds != 'e'")
    counts = rounds.astype({"accepted": int})
    shares = counts.groupby("draft")["accepted"].value_counts(normalize=True).rename("share").reset_index()
    figure, axes = plt.subplots(figsize=(7.4, 3.6))
    sns.barplot(shares, x="accepted", y="share", hue="draft", palette="viridis", ax=axes)
    axes.set(
        xlabel=f"accepted of {n_lookahead} drafted / {n_lookahead}個のうち採択された数", ylabel="share of rounds / 割合"
    )
    return figure


def forward_cost(results: Results) -> Figure:
    """One forward over a cached prompt by number of tokens: what verification costs, and what a draft does."""
    sessions = ["cached", "static"]
    figure, panels = _side_by_side(sessions)
    for axes, session in zip(panels, sessions, strict=True):
        table = tables.forwards(results, session)
        sns.lineplot(table, x="width", y="milliseconds", hue="model", marker="o", palette="viridis", ax=axes)
        axes.set(xlabel="tokens in one forward / 1回のフォワードのトークン数", ylabel="ms", ylim=(0, None))
        axes.legend(fontsize=7)
    return figure


def published_laws(results: Results | None = None) -> Figure:
    """The published Table 1 against a frozen draft context: acceptance at k >= 3, and the speed-up of every row."""
    rows = published.laws()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
    later = rows[rows["n_lookahead"] > 1]
    _diagonal(left, later["frozen_acceptance"], later["mean_acceptance_rate"])
    sns.scatterplot(
        later, x="frozen_acceptance", y="mean_acceptance_rate", hue="draft_params", palette="viridis", s=80, ax=left
    )
    left.set(
        xlabel="α / (1 + α)",
        ylabel="published acceptance / 論文の採択率",
        title="k = 3, 5, 7 (three points in one place)",
    )
    _diagonal(right, rows["frozen_speed_up"], rows["speed_up"])
    grey = {"color": "0.7", "s": 30, "label": "growing context would give / 文脈が伸びる場合"}
    right.scatter(rows["growing_speed_up"], rows["speed_up"], **grey)
    right.scatter(rows["frozen_speed_up"], rows["speed_up"], color="#2a788e", s=30, label="(1 + α) / (1 + kc)")
    right.set(xlabel="predicted / 予測", ylabel="published speed-up / 論文の速度向上", title="all 32 rows / 全32行")
    left.legend(fontsize=7, title="draft")
    right.legend(fontsize=8, loc="upper left")
    return figure


def frozen_context(results: Results) -> Figure:
    """Pooled acceptance of our drafts by n_lookahead: growing context, frozen context, and the frozen law."""
    table = published.frozen_acceptance(results)
    first = tables.acceptance(results).query("n_lookahead == 1").set_index("draft")
    drafts = list(first.index)
    figure, axes = plt.subplots(
        1, len(drafts), figsize=(2.5 * len(drafts), 3.4), sharey=True, layout="constrained", squeeze=False
    )
    for ax, draft in zip(axes[0], drafts, strict=True):
        rows, alpha = table[table["draft"] == draft], first.loc[draft, "pooled_acceptance"]
        for context, colour in (("growing", "#2a788e"), ("frozen", "#c8553d")):
            ax.plot([1, *rows["n_lookahead"]], [alpha, *rows[context]], marker="o", color=colour, label=context)
            ax.fill_between(
                rows["n_lookahead"], rows[f"{context}_low"], rows[f"{context}_high"], color=colour, alpha=0.15
            )
        ax.axhline(alpha / (1 + alpha), color="black", linewidth=1, linestyle=":", label="α / (1 + α)")
        ax.set(title=draft, xlabel="n_lookahead (k)", ylim=(0, 1), xticks=[1, *rows["n_lookahead"]])
        ax.title.set_fontsize(10)
    axes[0][0].set_ylabel("pooled acceptance / 採択率")
    axes[0][0].legend(fontsize=8)
    return figure


def acceptance_by_place(results: Results) -> Figure:
    """Is a token drafted later in a round harder to guess? Acceptance of each place, its predecessors all accepted.

    Places that fewer than 50 tokens reached are left out.
    """
    table = tables.acceptance_by_position(results).query("judged >= 50")
    table = tables.some(table, "acceptance")
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    sns.lineplot(table, x="place", y="acceptance", hue="draft", marker="o", palette="viridis", ax=axes)
    axes.set(xlabel="place in the round / ラウンド内の位置", ylabel="accepted, of those judged / 採択率", ylim=(0, 1))
    axes.legend(fontsize=8)
    return figure


def round_parts(results: Results) -> Figure:
    """Where the time of a round of three drafted tokens goes, in each session, and what a plain token takes there."""
    rounds = tables.some(round_tables.rounds(results).query("n_lookahead == 3"), "rounds")
    parts = results.frame("rounds").query("n_lookahead in [0, 3]").groupby(["session", "draft", "n_lookahead"])
    parts = parts[["draft_seconds", "verify_seconds", "round_seconds"]].median().mul(1000)
    sessions = list(rounds["session"].unique())
    figure, panels = _side_by_side(sessions, share=False)
    for axes, session in zip(panels, sessions, strict=True):
        drafts = list(rounds.query("session == @session")["draft"])
        rows = parts.loc[session].xs(3, level="n_lookahead").loc[drafts]
        rest = (rows["round_seconds"] - rows["draft_seconds"] - rows["verify_seconds"]).clip(lower=0)
        left = pd.Series(0.0, drafts)
        for label, part, colour in (
            ("draft / ドラフト", rows["draft_seconds"], "#e0a030"),
            ("verify / 検証", rows["verify_seconds"], "#2a788e"),
            ("rest / その他", rest, "0.6"),
        ):
            axes.barh(drafts, part, left=left, color=colour, label=label)
            left += part
        plain = parts.query("session == @session and n_lookahead == 0")["round_seconds"].median()
        axes.axvline(plain, color="black", linewidth=1, linestyle=":", label="a plain token / 通常の1トークン")
        axes.set(xlabel="ms a round, k = 3 / 1ラウンドの時間")
        axes.invert_yaxis()
    for axes in panels[1:]:
        axes.set_yticklabels([])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def speed(results: Results) -> Figure:
    """Milliseconds a token of every library's ways, the prompt included: the best of each kind, fastest last."""
    table = speed_tables.speed(results)
    table = table[table["draft"] != UNTRAINED]
    kinds = table.assign(drafter=table["drafter"].fillna("plain"))
    best = kinds.loc[kinds.groupby(["library", "drafter"], sort=False)["token_milliseconds"].idxmin()]
    best = best.sort_values("token_milliseconds", ascending=False)
    palette = {"transformers": "0.6", "flashspec": "#e0a030", "original": "#b0b8d8", "ours": "#2a788e"}
    figure, axes = plt.subplots(figsize=(7.5, 0.38 * len(best) + 1), layout="constrained")
    axes.barh(best["way"], best["token_milliseconds"], color=best["library"].map(palette))
    for place, value in enumerate(best["token_milliseconds"]):
        axes.text(value, place, f" {value:.1f}", va="center", fontsize=8)
    axes.set(xlabel="ms a token, prompt included / 1トークンの時間（プロンプトを含む）")
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(axis="y", visible=False)
    return figure


ALL = {
    "acceptance": acceptance_by_lookahead,
    "speedup": speedup_by_lookahead,
    "theory": theory_against_measurement,
    "rates": rates_by_size,
    "combinations": combinations,
    "quantization": quantization,
    "accepted_counts": accepted_counts,
    "acceptance_by_place": acceptance_by_place,
    "published_laws": published_laws,
    "frozen_context": frozen_context,
    "forward_cost": forward_cost,
    "round_parts": round_parts,
    "speed": speed,
}


def save(figure: Figure, path: Path) -> None:
    """Write a PNG that is the same for the same results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)


def _diagonal(axes: Axes, x: pd.Series, y: pd.Series) -> None:
    """Where prediction and value are equal."""
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    axes.plot(ends, ends, color="black", linewidth=1, linestyle=":")


def _side_by_side(titles: Sequence[str] = (OURS, PAPER), share: bool = True) -> tuple[Figure, list[Axes]]:
    width = 5 * len(titles)
    figure, axes = plt.subplots(1, len(titles), figsize=(width, 4), sharey=share, layout="constrained", squeeze=False)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=11)
    return figure, list(axes[0])


def _lines(axes: Axes, table: pd.DataFrame, draft: str, value: str) -> None:
    """One line a draft over n_lookahead, with its interval where the table has one."""
    colours = sns.color_palette("viridis", table[draft].nunique())
    for colour, (name, rows) in zip(colours, table.groupby(draft, sort=False), strict=True):
        axes.plot(rows["n_lookahead"], rows[value], marker="o", color=colour, label=name)
        if f"{value}_low" in rows:
            axes.fill_between(
                rows["n_lookahead"], rows[f"{value}_low"], rows[f"{value}_high"], color=colour, alpha=0.15
            )
    axes.set_xlabel("n_lookahead (k)")
    axes.set_xticks(sorted(table["n_lookahead"].unique()))
    axes.legend(fontsize=7)


def show(figure: Figure) -> Figure:
    """For the last line of a notebook cell: closed, so that the figure is shown once."""
    plt.close(figure)
    return figure


def overlap(target: Sequence[float], draft: Sequence[float], tokens: Sequence[str]) -> Figure:
    """Two distributions over a small vocabulary; where they overlap, a drafted token is accepted."""
    both = pd.DataFrame({"target / ターゲットモデル": target, "draft / ドラフトモデル": draft}, index=list(tokens))
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    both.plot.bar(ax=axes, color=["#2a788e", "#e0a030"], width=0.6, alpha=0.55, rot=0)
    shared = both.min(axis=1)
    axes.bar(range(len(both)), shared, 0.6, fill=False, hatch="///", edgecolor="0.25", label="overlap / 重なり")
    axes.set(ylabel="probability / 確率", title=f"overlap = acceptance rate α / 重なり = 採択率: {shared.sum():.2f}")
    axes.legend(title="")
    return figure
