"""RESULTS.md's section "Speed beside other libraries", and the same on a terminal."""

import pandas as pd

from specdec_lib.reporting import markdown, speed_tables
from specdec_lib.reporting.markdown import brackets
from specdec_lib.results import Results

HEAD = ["library", "method", "draft", "k", "session", "ms a token", "over generate", "same text"]
CLAIMS = ["claim", "ours", "other", "ratio"]


def section(results: Results) -> str:
    """Markdown: what was compared and how, every way, the ratios that count, and what they don't say."""
    rows = results.frame("speed")
    first = rows.iloc[0]
    versions = rows[rows["version"].notna()].groupby("library", sort=False)["version"].first()
    libraries = " and ".join(f"{library} {version}" for library, version in versions.items())
    articles, repeats, tokens = rows["prompt"].nunique(), rows["repeat"].nunique(), first["max_new_tokens"]
    weights = f"{first['dtype']}, {first['attention']}"
    absent = "" if "flashspec" in versions else " flashspec was not installed for this run."
    return f"""Ours beside {libraries}, at temperature 0. One process, the same weights in
memory ({weights}), every way in turn on each article ({articles} articles, each {repeats} times), {tokens} new tokens
at most, after one unmeasured text each. Times are of the whole call, the prompt included.{absent}

*Assisted* drafts exactly k tokens a round, as ours does (constant schedule, confidence threshold 0); *assisted default*
is as transformers comes (it would tune its threshold with scikit-learn, which this project doesn't install). The *auto*
and *composite-g4* of flashspec look the continuation up in the text and draft where they find none, as our *lookup
first* does; its *bandit* has one arm and drafts k tokens. *Original* is the structure of the study's loop in our code:
frozen context, transformers' forward. *Untrained* is a draft of random weights, which no n_lookahead makes pay; k =
*auto* chooses it for every round, by a calibration of this machine and by what was accepted. *Over generate*: time a
token of transformers' plain `generate` / of this way. *Same text*: equal to that of `generate`, token for token.

{markdown.table(HEAD, _ways(results))}

Ratios of times a token, other / ours:

{markdown.table(CLAIMS, _headline(results))}

What a sceptic should know: transformers' `generate` runs as it comes, over a dynamic cache and not compiled (its
compiled form is compared on CUDA only); ours computes over a preallocated cache with weights packed once. Most of every
ratio is that faster forward: *plain* in the cached session is transformers' own forward in our loop. *Best* is the
lowest *ms a token* among trained ways on the rows that compare them, and "auto" may choose not to draft, which a fixed
k can't. *Over generate* is a median of ratios within an article, so it doesn't follow from two of the times. An
untrained draft can't win: what it seems to win by is what these timings can't resolve. The smaller a model, the more of
a token's time is spent outside arithmetic: these ratios promise nothing for larger ones."""


def plain(results: Results) -> str:
    """The same two tables for a terminal."""
    return f"{_aligned(HEAD, _ways(results))}\n\n{_aligned(CLAIMS, _headline(results))}"


def _ways(results: Results) -> list[list[str]]:
    return [
        [
            row.library,
            row.method,
            *map(_setting, (row.draft, row.n_lookahead, row.session)),
            f"{row.token_milliseconds:.2f}",
            f"×{row.ratio:.2f} {brackets(row, 'ratio', 2)}",
            f"{row.same_text:.0%}",
        ]
        for row in speed_tables.speed(results).itertuples()
    ]


def _setting(value: str | float | None) -> str:
    """Empty where there is none; a number of tokens without the point that None beside it brings."""
    return "" if pd.isna(value) else value if isinstance(value, str) else f"{value:.0f}"


def _headline(results: Results) -> list[list[str]]:
    return [
        [row.claim, row.ours, row.other, f"×{row.ratio:.2f} {brackets(row, 'ratio', 2)}"]
        for row in speed_tables.headline(results).itertuples()
    ]


def _aligned(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *rows])
    return "\n".join(line.rstrip() for line in lines)
