"""Time beside other libraries, and every way of decoding on a real model."""

import pandas as pd
from matplotlib.axes import Axes

from specdec_lib import tables
from specdec_lib.figures.picture import Picture
from specdec_lib.figures.style import BLUE, GREEN, INK, MUTED, ORANGE, RED, Look, ink_of, reference, styled
from specdec_lib.figures.words import session_name, short, times
from specdec_lib.language import say
from specdec_lib.measuring.ways import UNTRAINED
from specdec_lib.reporting import real_model_tables, speed_tables
from specdec_lib.reporting.bootstrap import interval
from specdec_lib.reporting.markdown import brackets
from specdec_lib.results import Missing, Results

LIBRARIES = {
    "ours": Look(BLUE, "o"),
    "transformers": Look(INK, "s"),
    "flashspec": Look(ORANGE, "^"),
    "original": Look(RED, "X"),
}

KIND = ["library", "drafter"]


@styled
def speed(results: Results) -> Picture:
    """Milliseconds a token of every library's ways, the prompt included: the best of each kind, fastest first."""
    table = speed_tables.speed(results)
    table = table[(table["draft"] != UNTRAINED) & table["token_milliseconds"].notna()]
    kinds = tables.some(table, "speed").assign(drafter=table["drafter"].fillna("plain"))
    best = kinds.loc[kinds.groupby(KIND, sort=False)["token_milliseconds"].idxmin()]
    best = best.sort_values("token_milliseconds", kind="stable").reset_index(drop=True)
    best = best.join(_intervals(results, best["way"]))
    figure = Picture(1.3 + 0.34 * len(best))
    (axes,) = figure.panels(1, 1)
    for line, row in enumerate(best.itertuples()):
        look = LIBRARIES.get(row.library, Look(MUTED, "v"))
        axes.hlines(line, row.low, row.high, color=look.colour, linewidth=1.6)
        axes.plot(row.token_milliseconds, line, color=look.colour, marker=look.marker, markersize=8)
        axes.annotate(
            f"{row.token_milliseconds:.1f}",
            (max(row.high, row.token_milliseconds), line),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=ink_of(look.colour),
        )
    _name_lines(axes, [_of(row.library, _way(row)) for row in best.itertuples()])
    axes.set(
        xlim=(0, None),
        xlabel=say("milliseconds a token, prompt included", "1トークンあたりのミリ秒（プロンプトを含む）"),
    )
    return figure.say_it(
        _fastest(best),
        say(
            "Milliseconds a token, the prompt's forward included, of the fastest way of each kind (plain, draft model, "
            "lookup, lookup before a draft model) of every library, fastest first; medians with 95% bootstrap "
            "intervals over articles.",
            "各ライブラリの方式の種類（通常、ドラフトモデル、プロンプト・ルックアップ、ルックアップ優先）"
            "ごとに最も速い設定の、1トークンあたりのミリ秒（プロンプトの計算を含む）"
            "を速い順に示します。中央値と記事を単位とする95％ブートストラップ区間です。",
        ),
    )


def _intervals(results: Results, ways: pd.Series) -> pd.DataFrame:
    """Of each way's milliseconds a token: the median over articles, its interval over articles."""
    frame = results.frame("speed")
    frame["milliseconds"] = 1000 * frame["seconds"] / frame["token_ids"].map(len)
    articles = frame.groupby(["cell", "prompt"])["milliseconds"].median()
    return pd.DataFrame([interval(articles[way])[1:] for way in ways], columns=["low", "high"])


def _library(library: str) -> str:
    return {"ours": say("ours", "本実装"), "original": say("the original", "元の実装")}.get(library, library)


def _way(row: tuple | pd.Series) -> str:
    """A way without its library: how it is called, with which draft, how far it looks ahead."""
    draft = "" if row.draft is None or pd.isna(row.draft) else short(row.draft)
    ahead = [] if row.n_lookahead is None or pd.isna(row.n_lookahead) else [f"k = {row.n_lookahead}"]
    if row.method == "lookup first":
        return _listed([say(f"lookup, then {draft}", f"ルックアップ優先＋{draft}"), *ahead])
    words = {
        "plain": say("plain", "通常"),
        "speculative": draft,
        "lookup": say("lookup", "プロンプト・ルックアップ"),
        "frozen": say("frozen", "固定文脈"),
    }
    drafts = [draft] if draft and row.method != "speculative" else []
    sessions = [session_name(row.session)] if row.session in ("uncached", "cached") else []
    return _listed([words.get(row.method, row.method), *drafts, *ahead, *sessions])


def _listed(words: list[str]) -> str:
    return say(", ", "、").join(words)


def _of(library: str, way: str) -> str:
    """A way under its library."""
    return say(f"{_library(library)}: {way}", f"{_library(library)}：{way}")


def _name_lines(axes: Axes, names: list[str]) -> None:
    """One name a line, from the top down."""
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)


def _fastest(best: pd.DataFrame) -> str:
    """The fastest way of all, over transformers' own generate, and plain decoding of the same library."""
    first = best.iloc[0]
    plain = best[(best["library"] == first["library"]) & (best["drafter"] == "plain")].drop(index=0, errors="ignore")
    name, taken = _of(first["library"], _way(first)), f"{first['token_milliseconds']:.1f}"
    over = beside = ""
    if not pd.isna(first["ratio"]):
        over = say(
            f", {times(first['ratio'])} as fast as transformers' generate",
            f"で、transformers の generate の{times(first['ratio'])}の速さ",
        )
    if len(plain):
        value = plain["token_milliseconds"].iloc[0]
        beside = say(f"; plain decoding takes {value:.1f} ms there", f"、通常なら{value:.1f}ミリ秒")
        if value < 1.05 * first["token_milliseconds"]:
            beside = say("; plain decoding is about as fast there", "、通常もほぼ同じ速さ")
    return say(
        f"The fastest way takes {taken} ms a token{over} ({name}){beside}.",
        f"最も速い方式は1トークン{taken}ミリ秒{over}です（{name}{beside}）。",
    )


@styled
def real_model(results: Results) -> Picture:
    """Every way of decoding on a real model, over plain decoding of the same session; the best of each kind filled.

    Intervals over articles. Missing for the rows of any other profile.
    """
    if results.profile != "gemma":
        raise Missing("These are no rows of a real model: `bash reproduce.sh --profile gemma` measures them.")
    table = _with_kinds(results)
    figure = Picture(1.4 + 0.235 * (len(table) + table["kind"].nunique()))
    (axes,) = figure.panels(1, 1)
    names, headings, line = [], {}, 0
    for kind, ways in table.groupby("kind", sort=False):
        look = KINDS[kind]
        names.append((line, _kind_name(*kind.split("/"))))
        headings[line] = ink_of(look.colour)
        line += 1
        for row in ways.sort_values("speed_up", ascending=False, kind="stable").itertuples():
            best = row.speed_up == ways["speed_up"].max()
            axes.hlines(line, row.speed_up_low, row.speed_up_high, color=look.colour, linewidth=1.6 if best else 0.9)
            face = look.colour if best else "white"
            axes.plot(row.speed_up, line, color=look.colour, marker=look.marker, markersize=7, markerfacecolor=face)
            if best:
                axes.annotate(
                    times(row.speed_up),
                    (row.speed_up_high, line),
                    xytext=(6, 0),
                    textcoords="offset points",
                    va="center",
                    color=ink_of(look.colour),
                )
            names.append((line, _settings(row)))
            line += 1
    axes.set(yticks=[place for place, _ in names], yticklabels=[name for _, name in names], ylim=(line - 0.3, -0.7))
    axes.tick_params(axis="y", length=0)
    for (place, _), name in zip(names, axes.get_yticklabels(), strict=True):
        name.set_color(headings.get(place, INK))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    reference(axes, x=1)
    axes.set(xlim=(0, None), xlabel=say("speed-up over plain decoding", "通常のデコーディングに対する速度向上率"))
    return figure.say_it(
        _best_way(table, results),
        say(
            "Speed-up of every way of decoding over plain decoding of the same session, the prompt's forward included, "
            "grouped by kind and sorted; medians with 95% bootstrap intervals over articles; the best of each kind is "
            "filled. The dotted line at 1 is plain decoding.",
            "各方式の、同じセッションの通常のデコーディングに対する速度向上率（プロンプトの計算を含む）を、"
            "種類ごとに並べて示します。中央値と記事を単位とする95％ブートストラップ区間で、"
            "塗りつぶしが種類ごとの最良、1の点線が通常のデコーディングです。",
        ),
    )


KINDS = {
    "ours/lookup first": Look(BLUE, "D"),
    "ours/lookup": Look(GREEN, "^"),
    "ours/model": Look(RED, "o"),
    "transformers/lookup": Look(INK, "s"),
}
"""The kinds of ways that are shown, from top to bottom."""


def _kind_name(library: str, drafter: str) -> str:
    drafter = {
        "lookup first": say("lookup, then a draft model", "ルックアップ優先＋ドラフトモデル"),
        "lookup": say("prompt lookup", "プロンプト・ルックアップ"),
        "model": say("draft model", "ドラフトモデル"),
    }[drafter]
    return _of(library, drafter)


def _settings(row: tuple) -> str:
    draft = [] if pd.isna(row.draft) else [short(row.draft)]
    return _listed([*draft, f"k = {row.n_lookahead}"])


def _with_kinds(results: Results) -> pd.DataFrame:
    """`real_model_tables.ways` of the kinds shown, with how each way drafts."""
    settings = results.frame("speed").drop_duplicates("cell").rename(columns={"cell": "way"})
    table = real_model_tables.ways(results).merge(
        settings[["way", *KIND, "method", "draft", "n_lookahead", "session"]], on="way"
    )
    table = table.assign(kind=table["library"] + "/" + table["drafter"].fillna("plain"))
    table = table[table["kind"].isin(KINDS)].dropna(subset="speed_up")
    order = table["kind"].map(list(KINDS).index)
    return tables.some(table.iloc[order.argsort(kind="stable")], "speed")


def _best_way(table: pd.DataFrame, results: Results) -> str:
    """The best way of all, and the best draft model alone."""
    best = table.loc[table["speed_up"].idxmax()]
    drafted = table[table["kind"] == "ours/model"]
    if best["speed_up_low"] <= 1:
        return say(
            f"No way is clearly faster than plain decoding on {results.target}: at best {times(best['speed_up'])}.",
            f"{results.target}では、通常のデコーディングより明確に速い方式はありません（最もよくて"
            f"{times(best['speed_up'])}）。",
        )
    way, ratio = _of(best["library"], _way(best)), f"{times(best['speed_up'])} {brackets(best, 'speed_up', 2)}"
    words = say(
        f"On {results.target} the fastest way is {ratio} as fast as plain decoding ({way})",
        f"{results.target}で最も速い方式の速度は、通常の{ratio}です（{way}）",
    )
    if best["kind"] == "ours/model" or drafted.empty:
        return words + say(".", "。")
    return words + say(
        f"; a draft model alone reaches {times(drafted['speed_up'].max())}.",
        f"。ドラフトモデルだけでは{times(drafted['speed_up'].max())}です。",
    )
