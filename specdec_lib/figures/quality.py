"""Whether speculative text is as good as plain."""

import pandas as pd

from specdec_lib import tables
from specdec_lib.figures.picture import Picture
from specdec_lib.figures.style import BLUE, FAINT, INK, styled
from specdec_lib.figures.words import percent, session_name
from specdec_lib.language import say
from specdec_lib.reporting.bootstrap import interval
from specdec_lib.results import Results

MASK_OF_2023 = "bettertransformer-2023"
"""The attention that is not the target's over a cache (`attention.py`)."""


@styled
def rouge_parity(results: Results) -> Picture:
    """ROUGE of plain beside speculative text, in each session, precision and attention that was measured.

    Plain: with an interval over articles; speculative: the mean over articles of each article's mean over drafts and
    n_lookahead.
    """
    table = tables.some(_parity(results), "ROUGE")
    settings = list(dict.fromkeys(table["setting"]))
    figure = Picture(1.6 + 0.36 * len(settings))
    panels = figure.panels(1, len(METRICS), sharey=True)
    for axes, (metric, title) in zip(panels, METRICS.items(), strict=True):
        for line, row in enumerate(table[table["metric"] == metric].itertuples()):
            axes.hlines(line, row.plain_low, row.plain_high, color=FAINT, linewidth=5)
            axes.plot(row.plain, line, label=say("plain", "通常"), **PLAIN)
            axes.plot(row.speculative, line, label=say("speculative", "投機的"), **SPECULATIVE)
        axes.set_title(title)
        axes.set_xlim(0, None)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
    panels[0].set(yticks=range(len(settings)), yticklabels=settings, ylim=(len(settings) - 0.4, -0.6))
    handles, names = panels[0].get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside lower right", ncols=2)
    return figure.say_it(
        _same(table),
        say(
            "ROUGE-1, ROUGE-2 and ROUGE-L of plain text (square, with a 95% bootstrap interval over articles) and of "
            "speculative text (dot), one line a setting: session, bits, attention.",
            "通常の出力（四角、記事を単位とする95％ブートストラップ区間付き）と投機的デコーディングの出力（点）"
            "のROUGE-1、ROUGE-2、ROUGE-Lを、設定（セッション、ビット数、アテンション）ごとに並べて示します。",
        ),
    )


METRICS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}

PLAIN = {
    "color": INK,
    "marker": "s",
    "markersize": 9,
    "markerfacecolor": "white",
    "linestyle": "",
    "zorder": 3,
    "clip_on": False,
}

SPECULATIVE = {"color": BLUE, "marker": "o", "markersize": 5, "linestyle": "", "zorder": 4, "clip_on": False}

COMPARED = ("table1_uncached", "table1", "table1_static", "quantization", "bettertransformer")


def _parity(results: Results) -> pd.DataFrame:
    """A line for each setting and metric: both scores, and the share of texts that are the same token for token."""
    rows = []
    for experiment in filter(results.has, COMPARED):
        frame = results.generations(experiment)
        if experiment == "bettertransformer":
            frame = frame[frame["attention"] == MASK_OF_2023]
        for (session, attention, bits), cells in frame.groupby(["session", "attention", "bits"], sort=False):
            plain, drafted = cells[cells["draft"].isna() & ~cells["lookup"]], cells[cells["draft"].notna()]
            shared = set(plain["prompt"]) & set(drafted["prompt"])
            if not shared or (experiment == "quantization" and bits == 32):
                continue
            plain, drafted = (cells[cells["prompt"].isin(shared)] for cells in (plain, drafted))
            texts = drafted.merge(plain.drop_duplicates("prompt"), on="prompt", suffixes=("", "_plain"))
            for metric in METRICS:
                score = interval(plain.groupby("prompt")[metric].mean(), lambda scores, axis: scores.mean(axis=axis))
                rows.append(
                    {
                        "setting": _setting(session, attention, bits),
                        "bits": bits,
                        "metric": metric,
                        **tables.named("plain", score),
                        "speculative": drafted.groupby("prompt")[metric].mean().mean(),
                        "same": (texts["token_ids"] == texts["token_ids_plain"]).sum(),
                        "texts": len(texts),
                        "right": attention != MASK_OF_2023,
                    }
                )
    table = pd.DataFrame(rows)
    return table.drop_duplicates(["setting", "metric"]) if rows else table


def _setting(session: str, attention: str, bits: int) -> str:
    words = say(f"{session_name(session)}, {bits} bits", f"{session_name(session)}、{bits}ビット")
    return words if attention != MASK_OF_2023 else say("2023 mask, cached", "2023年のマスク、キャッシュあり")


def _same(table: pd.DataFrame) -> str:
    """Whether speculative texts are plain decoding's: in 32 bits, at fewer bits, and with the mask of 2023."""
    first = table[table["metric"] == "rouge1"]
    full, fewer = (first[first["right"] & rows] for rows in (first["bits"] == 32, first["bits"] < 32))
    wrong = first[~first["right"] & (first["speculative"] < first["plain_low"])]
    words = []
    if len(full):
        same, texts = full["same"].sum(), full["texts"].sum()
        share = say("all", "すべて") if same == texts else percent(same / texts)
        words.append(
            say(
                f"in 32 bits {share} of {texts:,} speculative texts are plain decoding's",
                f"32ビットでは{texts:,}件の出力の{share}が通常と一致します",
            )
        )
    if len(fewer):
        same, texts = fewer["same"].sum(), fewer["texts"].sum()
        scores = table[table["right"] & (table["bits"] < 32)]
        apart = (scores["speculative"] - scores["plain"]).abs().max()
        words.append(
            say(
                f"below 32 bits {percent(same / texts)} of {texts:,} (ROUGE within {apart:.3f})",
                f"32ビット未満では{texts:,}件の{percent(same / texts)}が一致し、ROUGEの差は{apart:.3f}以内です",
            )
            if len(full)
            else say(
                f"{percent(same / texts)} of {texts:,} speculative texts are plain decoding's, and ROUGE stays within "
                f"{apart:.3f}",
                f"{texts:,}件の出力の{percent(same / texts)}が通常と一致し、ROUGEの差は{apart:.3f}以内です",
            )
        )
    if len(wrong):
        words.append(say("the mask of 2023 loses the text", "2023年のマスクでは出力が壊れます"))
    if not words:
        return say("ROUGE of plain and of speculative text.", "通常と投機的デコーディングの出力のROUGEです。")
    sentence = say("; ", "。").join(words)
    return say(f"{sentence[0].upper()}{sentence[1:]}.", f"{sentence}。")
