"""What a draft and a verification cost: c against size, and forwards."""

import pandas as pd

from specdec_lib import tables
from specdec_lib.figures.picture import Picture
from specdec_lib.figures.sizes import label_shares, published_sizes, relative_size
from specdec_lib.figures.style import INK, MUTED, PAPER, Look, draw_line, log_ticks, looks, session_look, styled
from specdec_lib.figures.words import in_percent, percent, session_name, short, span
from specdec_lib.language import say
from specdec_lib.reporting.bootstrap import interval
from specdec_lib.results import Missing, Results


@styled
def rates_by_size(results: Results) -> Picture:
    """c of each draft against its size over the target's, in each session, beside the published ones."""
    table = _rates(results)
    published = published_sizes().rename(columns={"inference_speed_rate": "c"})
    figure = Picture(4.6)
    (axes,) = figure.panels(1, 1)
    axes.set(xscale="log", yscale="log")
    series = [(session_name(name), rows, session_look(name)) for name, rows in table.groupby("session", sort=False)]
    for name, rows, look in [*series, (say("the paper, no cache", "論文（キャッシュなし）"), published, PAPER)]:
        draw_line(axes, rows["size"], rows, "c", look, label=name)
    ends = [limit(*(rows["size"].agg(limit) for rows in (table, published))) for limit in (min, max)]
    dots = {"color": MUTED, "linewidth": 1, "linestyle": (0, (1, 2))}
    axes.plot(ends, ends, label=say("time in proportion to size", "時間が大きさに比例する場合"), **dots)
    axes.legend(loc="lower right")
    axes.set(xlabel=relative_size())
    axes.set_ylabel(say("c = draft's time a token / target's", "c = 1トークンの時間の比"))
    for axis in (axes.xaxis, axes.yaxis):
        label_shares(axis)
    return figure.say_it(
        _cheap(table),
        say(
            "Inference speed rate c of each draft, decoding alone, against its parameters over the target's, both axes "
            "logarithmic: one line a session with 95% bootstrap intervals over articles, and the published values. The "
            "dotted line is time in proportion to size.",
            "各ドラフトモデルの推論速度比 c を、ターゲットモデルとのパラメータ数の比に対して示します（両対数軸）。"
            "セッションごとの線（記事を単位とする95％ブートストラップ区間）と論文の値で、"
            "点線は時間が大きさに比例する場合です。",
        ),
    )


def _rates(results: Results) -> pd.DataFrame:
    """`tables.rates` of the drafts, by size; size: bytes of the weights over the target's, all at the same bits."""
    weights = results.frame("rates").groupby("target")["weights"].median()
    target = weights.get(results.target, 0)
    if not target > 0:
        raise Missing("There are not enough results of rates for this figure: measure the rest first.")
    table = tables.rates(results)
    table = table.assign(size=table["model"].map(weights / target)).query("model != @results.target")
    table = table.dropna(subset=["c", "size"]).query("size > 0").sort_values("size", kind="stable")
    return tables.some(table, "rates")


def _cheap(table: pd.DataFrame) -> str:
    """Whether the smallest draft costs more than its size."""
    smallest = table[table["model"] == table["model"].iloc[0]]
    size, cost = smallest["size"].iloc[0], smallest["c"]
    share = in_percent(span(100 * cost, ".1f"))
    if (cost > 1.1 * size).all():
        return say(
            f"The smallest draft takes more time than its size: with {percent(size)} of the target's parameters, "
            f"{share} of its time a token.",
            f"最小のドラフトモデルの時間は、大きさの割には短くなりません。パラメータ数は{percent(size)}でも、"
            f"1トークンの時間は{share}です。",
        )
    if (cost < size).all():
        return say(
            f"The smallest draft takes less time than its size: with {percent(size)} of the target's parameters, "
            f"{share} of its time a token.",
            f"最小のドラフトモデルの時間は、大きさの割に短くなります。パラメータ数が{percent(size)}で、"
            f"1トークンの時間は{share}です。",
        )
    return say(
        f"What the smallest draft costs depends on the session: with {percent(size)} of the target's parameters, "
        f"{share} of its time a token.",
        f"最小のドラフトモデルのコストはセッションによって変わります。パラメータ数は{percent(size)}、"
        f"1トークンの時間は{share}です。",
    )


@styled
def forward_cost(results: Results) -> Picture:
    """One forward over a cached prompt by number of tokens: what verification costs, and what a draft does."""
    table = _forwards(results)
    models = dict.fromkeys(table["model"])
    models |= looks(name for name in models if name != results.target)
    models[results.target] = Look(INK, "s")
    sessions = list(dict.fromkeys(table["session"]))
    figure = Picture(4.6)
    for axes, session in zip(figure.panels(1, len(sessions), sharey=True), sessions, strict=True):
        axes.set_yscale("log")
        for model, rows in table[table["session"] == session].groupby("model", sort=False):
            rows = rows.sort_values("width")
            draw_line(axes, rows["width"], rows, "milliseconds", models[model])
            end = rows.iloc[-1]
            figure.label_end(axes, end["width"], end["milliseconds"], short(model), models[model].colour)
        axes.set_title(session_name(session))
        axes.set(xlabel=say("tokens in one forward", "1回のフォワードのトークン数"), xticks=sorted(set(table["width"])))
    low, high = table["milliseconds"].agg(["min", "max"])
    axes.set_ylim(low / 1.5, high * 1.5)
    places = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 3, 5, 7)]
    log_ticks(figure.axes[0].yaxis, places, lambda value: f"{value:g}")
    figure.axes[0].set_ylabel(say("milliseconds", "ミリ秒"))
    return figure.say_it(
        _verification(table[table["model"] == results.target]),
        say(
            "Milliseconds of one forward over a cached prompt, on a logarithmic axis, against the number of tokens in "
            "it: one panel a session, one line a model; medians with 95% bootstrap intervals over repeats.",
            "キャッシュ済みのプロンプトに続く1回のフォワードの時間（対数軸）を、そのトークン数に対して示します。"
            "パネルはセッション、線はモデルごとで、中央値と繰り返しを単位とする95％ブートストラップ区間です。",
        ),
    )


def _forwards(results: Results) -> pd.DataFrame:
    """Milliseconds of each session, model and width: medians, with intervals over repeats."""
    frame, rows = results.frame("forwards"), []
    for (session, model, width), turns in frame.groupby(["session", "model", "width"], sort=False):
        milliseconds = tables.named("milliseconds", interval(1000 * turns["seconds"]))
        rows.append({"session": session, "model": model, "width": width, **milliseconds})
    return pd.DataFrame(rows)


def _verification(target: pd.DataFrame) -> str:
    """What the target takes for its widest forward, over one token's."""
    times = target.pivot_table(index="session", columns="width", values="milliseconds")
    widest = max(times, default=1)
    costs = (times[widest] / times[1]).dropna() if 1 in times and widest > 1 else []
    if not len(costs):
        return say("What one forward takes, by model.", "モデルごとの、1回のフォワードの時間です。")
    cost = span(costs)
    english = f"for {widest} tokens at once the target takes ×{cost} the time of one."
    japanese = f"ターゲットモデルが{widest}トークンを一度に処理する時間は、1トークンの{cost}倍です。"
    if max(costs) <= 1.25:
        return say(
            f"Alone, more tokens cost a forward little: {english}",
            f"単独で測れば、トークンが増えても時間はほとんど増えません。{japanese}",
        )
    if max(costs) < widest / 2:
        return say(
            f"More tokens cost a forward something, but not in proportion: {english}",
            f"トークンを増やすと時間は増えますが、比例はしません。{japanese}",
        )
    return say(f"Verifying saves little: {english}", f"検証ではあまり時間を節約できません。{japanese}")
