"""RESULTS.md's section "Certainty": that the output's law is the target's, and where rounding decides."""

import pandas as pd

from specdec_lib import tables
from specdec_lib.reporting import markdown
from specdec_lib.results import Results


def section(results: Results) -> str:
    """Markdown: what is proved, and what was sampled and compared on the real models."""
    sampled = [
        [
            row.draft,
            row.n_lookahead,
            row.context,
            f"{row.temperature:g}",
            *("" if pd.isna(value) else f"{value:g}" for value in (row.top_k, row.top_p)),
            row.tokens,
            row.outcomes,
            f"{row.statistic:.1f} / {row.degrees}",
            f"{row.p_value:.3f}",
            f"{row.corrected:.3f}",
            f"{row.largest_deviation:.4f}",
        ]
        for row in tables.frequencies(results).itertuples()
    ]
    tied = [
        [
            row.bits,
            row.dtype,
            row.articles,
            row.differ,
            row.explained,
            *("" if pd.isna(value) else f"{value:.3f}" for value in (row.largest_gap, row.largest_ratio)),
            f"{row.usual_gap:.3f}",
            f"{row.usual_noise:.1g}",
        ]
        for row in tables.ties(results).itertuples()
    ]
    draws = results.frame("frequencies")["draws"].min()
    head = ["draft", "k", "context", "temperature", "top-k", "top-p", "first tokens", "outcomes", "χ² / df", "p"]
    head += ["corrected", "largest deviation"]
    tied_head = ["bits", "dtype", "texts", "differ", "explained", "largest gap", "gap / noise"]
    tied_head += ["usual gap", "usual noise"]
    return f"""\
**Exact.** The tests walk every branch of the decoder on small tables and add up the probability of every output. In
more than 700 combinations of table, n_lookahead (1 to 4), sampling, drafter and session (cached and uncached; static,
which computes GPT-NeoX only, on a tiny model) it is the target's to 1e-10. 26 deliberately wrong variants of the
decoder must fail the same checks, and do (`bash reproduce.sh test` lists them).

**On the real models.** The first tokens of {draws:,} sampled texts a case against the target's exact probabilities
(Pearson's χ², outcomes expected fewer than five times pooled, p corrected for the number of cases after Holm; seeds 0
and up). A small corrected p would be evidence against the decoder.

{markdown.table(head, sampled)}

**Where rounding decides.** Below 32 bits, verifying several tokens at once rounds differently from one at a time, and
greedy texts can part. The noise is an estimate: the largest difference, at the place where a text parts, between the
logits of one-token and several-token forwards over the plain text. A text counts as explained when the gap between the
logits of its two tokens is at most twice that.

{markdown.table(tied_head, tied)}"""
