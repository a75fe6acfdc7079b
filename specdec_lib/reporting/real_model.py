"""RESULTS.md's section on a real model: every way of decoding beside plain decoding, article by article."""

from collections.abc import Callable

import pandas as pd

from specdec_lib import tables
from specdec_lib.measuring.ways import Way
from specdec_lib.reporting import markdown
from specdec_lib.reporting.bootstrap import interval
from specdec_lib.reporting.markdown import brackets, not_shown
from specdec_lib.results import Missing, Results

TAIL = 12
"""A text loops where its last 12 tokens stand in it before."""


def section(results: Results) -> str:
    """Markdown: what was measured where, what a forward costs, every way, and whether the texts are the same."""
    machine, frame = results.environment, _speed(results)
    first, articles = frame.iloc[0], frame["prompt"].nunique()
    looping = frame.groupby("prompt")["loops"].first().sum()
    scores = tables.quality(results)
    return f"""\
{results.target} ({first["dtype"]}, {first["attention"]}) with drafts over 8,192 of its 262,144 tokens, trained on our
own text (`data/gemma-drafts/`), on {machine["machine"]}, {machine["cores"]} cores, torch {machine["torch"]},
transformers {machine["transformers"]}; rows in `{results.folder.name}/`. Temperature 0, {articles} articles, each
{frame["repeat"].nunique()} times, at most {first["max_new_tokens"]} new tokens, every way in turn, the prompt's forward
included. It is a base model that was never taught to summarise: it copies, goes on, or repeats itself ({looping} of
{articles} texts *loop*: their last {TAIL} tokens stand in them before). ROUGE-1/2/L against the references says so too:
{scores["rouge1"]:.3f} / {scores["rouge2"]:.3f} / {scores["rougeL"]:.3f}.

**Every way**, over plain decoding of the same session. *Writing*, *looping*: the articles whose text doesn't or does
loop. *Slowest*: the article it helps least. *Same text*: as plain decoding's in {first["dtype"]}, token for token.

{_ways(frame)}

**What a forward costs.** Reading the weights is what takes the time of a token, so that verifying more tokens costs
little; *c* is of a draft's forward over one of the target's.

{_or_missing(_costs, results)}

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


def _speed(results: Results) -> pd.DataFrame:
    frame = results.frame("speed")
    frame["token_seconds"] = frame["seconds"] / frame["token_ids"].map(len)
    base = _plain(frame)
    loops = base.groupby("prompt")["token_ids"].first().map(_loops)
    return frame.assign(loops=frame["prompt"].map(loops))


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["cell"] == Way("ours", "plain", session="auto").name]


def _loops(token_ids: list[int]) -> bool:
    tail = token_ids[-TAIL:]
    return any(token_ids[start : start + TAIL] == tail for start in range(len(token_ids) - TAIL))


def _costs(results: Results) -> str:
    rows = []
    for session in dict.fromkeys(results.frame("forwards")["session"]):
        table = tables.forwards(results, session)
        if table["model"].nunique() < 2:
            raise Missing("the drafts' forwards are not measured yet: `specdec measure` measures them.")
        one = table[table["model"] == results.target].set_index("width")["milliseconds"][1]
        for model, forwards in table.groupby("model", sort=False):
            times = forwards.set_index("width")["milliseconds"]
            cells = [f"{times[width]:.2f}" for width in sorted(times.index)]
            rows.append([model, session, *cells, f"{times[1] / one:.3f}"])
    widths = sorted(results.frame("forwards")["width"].unique())
    return markdown.table(["model", "session", *(f"{width} tokens, ms" for width in widths), "c"], rows)


def _ways(frame: pd.DataFrame) -> str:
    base, rows = _plain(frame), []
    for name, way in frame.groupby("cell", sort=False):
        ratios = tables.paired(base, way, "token_seconds")
        texts = way.merge(base, on=["prompt", "repeat"], suffixes=("", "_base"))
        loops = way.groupby("prompt")["loops"].first()
        value, low, high = interval(ratios)
        rows.append(
            [
                name,
                f"{1000 * way.groupby('prompt')['token_seconds'].median().median():.1f}",
                f"×{value:.2f} [{low:.2f}, {high:.2f}]",
                *(f"×{ratios[loops == kind].median():.2f}" if (loops == kind).any() else "–" for kind in (False, True)),
                f"×{ratios.min():.2f}",
                f"{(texts['token_ids'] == texts['token_ids_base']).mean():.0%}",
            ]
        )
    return markdown.table(["way", "ms a token", "over plain", "writing", "looping", "slowest", "same text"], rows)


def _predicted(results: Results) -> str:
    counted = tables.acceptance(results).set_index(["draft", "n_lookahead"])
    reached = tables.reached(results, "table1_static")
    measured = tables.speedups(results, "table1_static").dropna(subset="draft")
    table = reached.merge(measured[["draft", "n_lookahead", "speed_up", "speed_up_low", "speed_up_high"]])
    rows = [
        [
            row.draft,
            row.n_lookahead,
            f"{counted.loc[(row.draft, row.n_lookahead), 'pooled_acceptance']:.3f}",
            f"{row.tokens_per_round:.2f}",
            f"{row.c:.3f}",
            f"{row.v:.2f}",
            f"×{row.predicted:.2f}",
            f"×{row.decode_speed_up:.2f}",
            f"×{row.speed_up:.2f} {brackets(row, 'speed_up', 2)}",
        ]
        for row in table.itertuples()
    ]
    head = ["draft", "k", "acceptance", "tokens a round", "c", "v", "predicted", "measured", "with the prompt"]
    return f"{markdown.table(head, rows)}\n\n{_limit(results)}"


def _limit(results: Results) -> str:
    """How near plain decoding comes to the time in which its bytes could be read."""
    frame = results.frame("rounds")
    one = frame[(frame["n_lookahead"] == 0) & (frame["session"] == "auto")]
    share = (one["verify_bytes"] / one["bandwidth"] / one["round_seconds"]).median()
    return (
        f"A plain token takes {1000 * one['round_seconds'].median():.1f} ms; reading its bytes at the "
        f"{one['bandwidth'].median() / 1e9:.1f} GB/s of a plain sum over memory would take {share:.0%} of that."
    )


def _ties(results: Results) -> str:
    rows = [
        [row.bits, row.dtype, row.articles, row.differ, f"{row.explained} of {row.differ}" if row.differ else "–"]
        for row in tables.ties(results).itertuples()
    ]
    return markdown.table(["bits", "type", "articles", "another text", "explained"], rows)
