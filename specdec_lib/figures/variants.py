"""What Table 2 and the quantization vary."""

import pandas as pd

from specdec_lib import tables
from specdec_lib.figures.picture import Picture
from specdec_lib.figures.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    Look,
    draw_line,
    log_ticks,
    reference,
    styled,
)
from specdec_lib.figures.words import times
from specdec_lib.language import say
from specdec_lib.reporting.bootstrap import interval
from specdec_lib.results import Results

SWITCHES = ["speculative_decoding", "kv_cache", "better_transformer"]


@styled
def combinations(results: Results) -> Picture:
    """Table 2: speculative decoding, KV-cache and SDPA (the paper: BetterTransformer), alone and together."""
    ours = tables.some(tables.table2(results).dropna(subset="speed_up"), "Table 2").drop_duplicates(SWITCHES)
    published = tables.published_table2().fillna({"speed_up": 1.0})
    ours, published = (table.set_index(SWITCHES).sort_index() for table in (ours, published))
    figure = Picture(4.3)
    (axes,) = figure.panels(1, 1)
    axes.set_xscale("log")
    lines = {switches: line for line, switches in enumerate(published.index)}
    here = Look(BLUE, "o")
    for switches, row in ours.iterrows():
        line = lines[switches]
        axes.hlines(line, row["speed_up_low"], row["speed_up_high"], color=here.colour, linewidth=1.6)
        axes.plot(
            row["speed_up"],
            line,
            color=here.colour,
            marker=here.marker,
            markersize=8,
            label=say("this run", "この実行"),
        )
    style = {"color": PAPER.colour, "marker": PAPER.marker, "markersize": 7, "markerfacecolor": "white"}
    for switches, row in published.iterrows():
        axes.plot(row["speed_up"], lines[switches], linestyle="", **style, label=say("the paper", "論文"))
    axes.annotate(
        say("not the target's text", "ターゲットの文章ではない"),
        (published.loc[(1, 1, 1), "speed_up"], lines[1, 1, 1]),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        color=MUTED,
    )
    reference(axes, x=1)
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    axes.legend(once.values(), once.keys(), loc="upper right", bbox_to_anchor=(1, 1.02))
    axes.set(yticks=list(lines.values()), yticklabels=[_combination(switches) for switches in lines], ylim=(7.6, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(say("speed-up over the first line", "1行目に対する速度向上率"))
    log_ticks(axes.xaxis, (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 20, 50, 100), lambda place: f"{place:g}")
    return figure.say_it(
        _adds(ours, published),
        say(
            "The eight combinations of speculative decoding, KV-cache and SDPA (BetterTransformer in the paper), "
            "speed-up on a logarithmic axis: this run with 95% bootstrap intervals over articles, and the published "
            "values, of which the last is of a run whose text is not the target's.",
            "投機的デコーディング、KVキャッシュ、SDPA（論文ではBetterTransformer）の8つの組み合わせの速度向上率（"
            "対数軸）です。この実行には記事を単位とする95％ブートストラップ区間を付け、論文の値を並べています。"
            "論文の最後の値は、出力がターゲットモデルのものではない実行の値です。",
        ),
    )


def _combination(switches: tuple[int, int, int]) -> str:
    names = (say("speculative", "投機的"), say("cache", "キャッシュ"), "SDPA")
    return " + ".join(name for name, on in zip(names, switches, strict=True) if on) or say("plain", "通常")


def _adds(ours: pd.DataFrame, published: pd.DataFrame) -> str:
    """Whether speculative decoding adds to the cache, by the intervals."""
    with_both, cache = (1, 1, 0), (0, 1, 0)
    if with_both not in ours.index or cache not in ours.index:
        return say(
            "Speculative decoding, KV-cache and SDPA, alone and together.",
            "投機的デコーディング、KVキャッシュ、SDPAの単独と組み合わせの速度向上率です。",
        )
    both, alone = ours.loc[with_both], ours.loc[cache]
    numbers = say(
        f"{times(both['speed_up'])} over {times(alone['speed_up'])}; in the paper "
        f"{times(published.loc[with_both, 'speed_up'])} over {times(published.loc[cache, 'speed_up'])}",
        f"{times(alone['speed_up'])}から{times(both['speed_up'])}。"
        f"論文では{times(published.loc[cache, 'speed_up'])}から{times(published.loc[with_both, 'speed_up'])}",
    )
    if both["speed_up_low"] > alone["speed_up_high"]:
        return say(
            f"Speculative decoding adds to what the KV-cache gains ({numbers}).",
            f"投機的デコーディングは、KVキャッシュの効果をさらに高めます（{numbers}）。",
        )
    if both["speed_up_high"] < alone["speed_up_low"]:
        return say(
            f"Beside a KV-cache speculative decoding costs more than it gains here ({numbers}).",
            f"この実行では、KVキャッシュに投機的デコーディングを加えると遅くなります（{numbers}）。",
        )
    return say(
        f"Whether speculative decoding adds to the KV-cache is undecided here ({numbers}).",
        f"KVキャッシュに投機的デコーディングを加えるとさらに速くなるかは、この実行では判定できません（{numbers}）。",
    )


@styled
def quantization(results: Results) -> Picture:
    """Milliseconds a token at 32, 16, 8 and 4 bits: plain, and speculative with target, draft or both at these bits."""
    table = _quantized(results)
    bits = sorted(set(table["fewest"]), reverse=True)
    figure = Picture(4.2)
    (axes,) = figure.panels(1, 1)
    for place, (how, (name, look)) in enumerate(_hows().items()):
        rows = table[table["how"] == how]
        if rows.empty:
            continue
        x = rows["fewest"].map(bits.index) + 0.07 * (place - 1.5)
        draw_line(axes, x, rows, "milliseconds", look)
        figure.label_end(axes, x.iloc[-1], rows["milliseconds"].iloc[-1], name, look.colour)
    axes.set(xticks=range(len(bits)), xticklabels=bits, ylim=(0, None), xlabel=say("bits", "ビット数"))
    axes.set_ylabel(say("milliseconds a token", "1トークンあたりのミリ秒"))
    return figure.say_it(
        _precision(table[table["how"] == "plain"]),
        say(
            "Milliseconds a token against the bits of the weights: plain decoding, and speculative decoding with "
            "target and draft, the target alone or the draft alone at these bits, the other at the most; medians with "
            "95% bootstrap intervals over articles.",
            "重みのビット数に対する1トークンあたりのミリ秒です。通常のデコーディングと、ターゲットとドラフトの両方、"
            "ターゲットのみ、ドラフトのみをそのビット数にした投機的デコーディング（他方は最大のビット数）"
            "を示します。中央値と記事を単位とする95％ブートストラップ区間です。",
        ),
    )


def _hows() -> dict[str, tuple[str, Look]]:
    return {
        "plain": (say("plain", "通常"), Look(INK, "s")),
        "both": (say("both", "両方"), Look(BLUE, "o")),
        "target": (say("target alone", "ターゲットのみ"), Look(PURPLE, "^", "--")),
        "draft": (say("draft alone", "ドラフトのみ"), Look(ORANGE, "D", "--")),
    }


def _quantized(results: Results) -> pd.DataFrame:
    """Each cell: fewest, the bits that are varied; how, whose they are; milliseconds a token with their interval."""
    frame = results.generations("quantization").dropna(subset="token_seconds")
    frame["draft_bits"] = frame["draft_bits"].where(frame["draft"].notna(), frame["bits"]).astype(float)
    rows = []
    for (drafting, bits, draft_bits), cell in frame.groupby([frame["draft"].notna(), "bits", "draft_bits"]):
        how = "plain" if not drafting else "both" if bits == draft_bits else "target" if bits < draft_bits else "draft"
        articles = 1000 * cell.groupby("prompt")["token_seconds"].median()
        rows.append(
            {"fewest": int(min(bits, draft_bits)), "how": how, **tables.named("milliseconds", interval(articles))}
        )
    table = tables.some(pd.DataFrame(rows), "quantization")
    shared = table[(table["how"] == "both") & (table["fewest"] == table["fewest"].max())]
    table = pd.concat([table, *(shared.assign(how=alone) for alone in ("target", "draft"))])
    return table.sort_values("fewest", ascending=False, kind="stable")


def _precision(plain: pd.DataFrame) -> str:
    """Whether plain decoding is faster or slower at fewer bits, by the intervals."""
    if plain.empty:
        return say("Time a token by the bits of the weights.", "重みのビット数ごとの、1トークンの時間です。")
    most, fewer = plain.iloc[0], plain.iloc[1:]
    faster = fewer["milliseconds_high"] < most["milliseconds_low"]
    slower = fewer["milliseconds_low"] > most["milliseconds_high"]
    values = " / ".join(f"{value:.1f}" for value in plain["milliseconds"])
    bits = " / ".join(f"{value}" for value in plain["fewest"])
    numbers = say(f"{values} ms a token at {bits} bits", f"{bits}ビットで1トークン{values}ミリ秒")
    changes = []
    for rows, english, japanese in ((fewer[faster], "faster", "速く"), (fewer[slower], "slower", "遅く")):
        if len(rows):
            those = "/".join(str(value) for value in rows["fewest"])
            changes.append(say(f"{english} at {those} bits", f"{those}ビットで明らかに{japanese}"))
    if not changes:
        return say(
            f"Fewer bits save memory, but no clear time here: {numbers}, plain.",
            f"ビット数を減らしても、通常のデコーディングの時間は明らかには変わりません（{numbers}）。",
        )
    than = most["fewest"]
    return say(
        f"Plain decoding is clearly {' and '.join(changes)} than at {than} ({numbers}).",
        f"通常のデコーディングは、{than}ビットより{'、'.join(changes)}なります（{numbers}）。",
    )
