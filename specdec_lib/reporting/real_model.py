"""A real model's rows: where they are, their tables, and RESULTS.md's section on them."""

from collections.abc import Callable

from specdec_lib import tables
from specdec_lib.paths import DATA, RUNS
from specdec_lib.reporting import markdown
from specdec_lib.reporting.markdown import brackets, not_shown
from specdec_lib.reporting.real_model_tables import TAIL, limit, predicted, setting, verification, ways
from specdec_lib.results import Missing, Results

KEPT = DATA / "results" / "epyc-2-cores-gemma"
"""What we measured."""


def measured() -> Results:
    """What `bash reproduce.sh --profile gemma` measured here, or else what we measured (`setting` says where)."""
    here = Results(RUNS / "gemma")
    return here if here.has("speed") else Results(KEPT)


def section(results: Results) -> str:
    """Markdown: what was measured where, what a forward verification, every way, and whether the texts are the same."""
    how, scores = setting(results), tables.quality(results)
    return f"""\
{how["target"]} ({how["dtype"]}, {how["attention"]}) with drafts over 8,192 of its 262,144 tokens, trained on our
own text (`data/gemma-drafts/`), on {how["machine"]}, {how["cores"]} cores, torch {how["torch"]},
transformers {how["transformers"]}; rows in `{results.folder.name}/`. Temperature 0, {how["articles"]} articles, each
{how["repeats"]} times, at most {how["max_new_tokens"]} new tokens, every way in turn, the prompt's forward
included. It is a base model that was never taught to summarise: it copies, goes on, or repeats itself ({how["looping"]}
of {how["articles"]} texts *loop*: their last {TAIL} tokens stand in them before). ROUGE-1/2/L against the references
says so too: {scores["rouge1"]:.3f} / {scores["rouge2"]:.3f} / {scores["rougeL"]:.3f}.

**Every way**, over plain decoding of the same session. *Writing*, *looping*: the articles whose text doesn't or does
loop. *Slowest*: the article it helps least. *Same text*: as plain decoding's in {how["dtype"]}, token for token.

{_ways(results)}

**What a forward costs.** The target's goes through all weights once, however many tokens it computes, so that verifying
more of them costs little:

{_or_missing(_verification, results)}

**What was predicted.** E / (v + kc) with E of these texts and c and v of forwards in a round's order, beside the
measured speed-up without the prompt, drafts alone in the same session.

{_or_missing(_predicted, results)}

**Are the texts the same?** A forward over several tokens adds up in another order than one over a single token.
*Explained*: the two tokens where speculative and plain text part are nearer than twice the noise measured there.

{_or_missing(_ties, results)}"""


def _or_missing(part: Callable[[Results], str], results: Results) -> str:
    try:
        return part(results)
    except Missing as missing:
        return not_shown(missing, results)


def _ways(results: Results) -> str:
    rows = [
        [
            row.way,
            f"{row.milliseconds:.1f}",
            f"×{row.speed_up:.2f} {brackets(row, 'speed_up', 2)}",
            *(f"×{ratio:.2f}" for ratio in (row.writing, row.looping, row.slowest)),
            f"{row.same_text:.0%}",
        ]
        for row in ways(results).itertuples()
    ]
    return markdown.table(["way", "ms a token", "over plain", "writing", "looping", "slowest", "same text"], rows)


def _verification(results: Results) -> str:
    table = verification(results).set_index("session")
    rows = [[session, *(f"{time:.1f}" for time in times)] for session, times in table.iterrows()]
    widths = [f"{name.removeprefix('milliseconds_')} tokens, ms" for name in table]
    return markdown.table(["session", *widths], rows)


def _predicted(results: Results) -> str:
    rows = [
        [
            row.draft,
            row.n_lookahead,
            f"{row.pooled_acceptance:.3f}",
            f"{row.tokens_per_round:.2f}",
            f"{row.c:.3f}",
            f"{row.v:.2f}",
            f"×{row.predicted:.2f}",
            f"×{row.decode_speed_up:.2f}",
            f"×{row.speed_up:.2f} {brackets(row, 'speed_up', 2)}",
        ]
        for row in predicted(results).itertuples()
    ]
    head = ["draft", "k", "acceptance", "tokens a round", "c", "v", "predicted", "measured", "with the prompt"]
    plain = limit(results)
    return (
        f"{markdown.table(head, rows)}\n\nA plain token takes {plain['milliseconds']:.1f} ms; reading its bytes at the "
        f"{plain['gigabytes_per_second']:.1f} GB/s of a plain sum over memory would take {plain['share']:.0%} of that."
    )


def _ties(results: Results) -> str:
    rows = [
        [row.bits, row.dtype, row.articles, row.differ, f"{row.explained} of {row.differ}" if row.differ else "–"]
        for row in tables.ties(results).itertuples()
    ]
    return markdown.table(["bits", "type", "articles", "another text", "explained"], rows)
