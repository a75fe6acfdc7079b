"""RESULTS.md: what the paper reports, what this run gives, and whether the shapes agree."""

from pathlib import Path

import pandas as pd

from specdec_lib import certainty, explanation, figures, limit_report, markdown, speed_report, tables, theory
from specdec_lib.markdown import brackets
from specdec_lib.paths import DATA
from specdec_lib.results import Results

REFERENCES = DATA / "results"
"""Results we measured on named machines: shown beside a reader's own, never taken for them."""

AGREES, DIFFERS, UNDECIDED = "agrees", "differs", "undecided"
SMALL = """, of the embedded models (target 6.5 M parameters, drafts 0.4 to 2.2 M) on fictional news: hardware, sizes
and text differ from the paper's, so compare shapes, not digits."""


def write(results: Results, out: Path) -> Path:
    """Write RESULTS.md and every figure into a folder; the same results give the same bytes."""
    figures.use_style()
    for name, draw in figures.ALL.items():
        figures.save(draw(results), out / "figures" / f"{name}.png")
    path = out / "RESULTS.md"
    path.write_text(compose(results), encoding="utf-8")
    return path


def compose(results: Results) -> str:
    """The whole of RESULTS.md."""
    shapes = f"## Do the shapes agree?\n\n{verdicts(results)}"
    sections = [_head(results), shapes, explanation.section(results), _table1(results), _table2(results)]
    sections += [_quantization(results), certainty.section(results), _quality(results), _rates(results)]
    sections += [limit_report.section(results)] if results.has("rounds") else []
    sections += [speed_report.section(results)] if results.has("speed") else []
    sections += [_references(results), _environment(results)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(results: Results) -> str:
    profile, machine = results.profile, results.environment
    return f"""# Results

Of the reproduction of "A Study of Speculative Decoding in Japanese" (Hayashizaki, Nose, Ito, 2024).

Profile `{profile}` on {machine["machine"]}: {machine["cores"]} cores, {machine["threads"]} threads, device
{machine["device"]}, torch {machine["torch"]}, transformers {machine["transformers"]}. Worked out by `specdec report`
from measured rows alone; the digits change with the machine, the shapes should not.

*Expected* is the paper: GPT-NeoX 409M with drafts of 6M to 247M on the Japanese part of XL-Sum, on one RTX 3090.
*Obtained* is this run{SMALL if profile != "paper" else "."} Speed-up is the time per token of plain decoding divided by
that of the method, the prompt's own forward included, as in the paper: the median over articles of runs in turn.
Brackets hold 95 % bootstrap intervals over articles."""


def verdicts(results: Results) -> str:
    """A markdown table: each claim the published tables support, in the paper and here, and whether both show it.

    A speed-up counts as faster or slower when its interval lies on one side of 1, else the verdict is "undecided".
    """
    rows = [*_acceptance_verdicts(results), *_table1_verdicts(results), *_table2_verdicts(results)]
    return markdown.table(["claim", "paper", "this run", "verdict"], rows)


def _acceptance_verdicts(results: Results) -> list[list[str]]:
    published, ours = tables.published_table1(), tables.table1(results)
    frozen = tables.acceptance(results, "frozen")
    first, third = (published.query("n_lookahead == @k")["mean_acceptance_rate"] for k in (1, 3))
    our_first, our_third = (ours.query("n_lookahead == @k")["mean_acceptance"].mean() for k in (1, 3))
    our_frozen = frozen.query("n_lookahead == 3")["mean_acceptance"].mean()
    rising = ours.query("n_lookahead == 1")["mean_acceptance"]
    due = our_first - theory.acceptance(our_first, 3, context="frozen")  # what a frozen context takes from our α
    return [
        [
            "acceptance at k = 1 rises with draft size",
            f"{first.min():.2f} to {first.max():.2f}",
            f"{rising.iloc[0]:.2f} to {rising.iloc[-1]:.2f}",
            AGREES if rising.is_monotonic_increasing else DIFFERS,
        ],
        *(
            [
                f"acceptance falls sharply from k = 1 to k = 3: {context} context",
                f"from {first.mean():.2f} to {third.mean():.2f} on average",
                f"from {our_first:.2f} to {value:.2f} on average",
                AGREES if our_first - value > due / 2 else DIFFERS,
            ]
            for context, value in (("growing", our_third), ("frozen", our_frozen))
        ),
    ]


def _table1_verdicts(results: Results) -> list[list[str]]:
    published, ours = tables.published_table1(), _paper_session(results)
    best, our_best = (table.loc[table["speed_up"].idxmax()] for table in (published, ours))
    slow, our_slow = published.iloc[-1], ours.iloc[-1]  # the largest draft at the longest look-ahead
    return [
        [
            "some draft makes decoding faster",
            f"best ×{best['speed_up']:.2f} ({best['draft_params']}, k = {best['n_lookahead']})",
            f"best ×{our_best['speed_up']:.2f} ({our_best['draft']}, k = {our_best['n_lookahead']})",
            _verdict(our_best, faster=True),
        ],
        [
            "the largest draft with the longest look-ahead makes it slower",
            f"×{slow['speed_up']:.2f} ({slow['draft_params']}, k = {slow['n_lookahead']})",
            f"×{our_slow['speed_up']:.2f} ({our_slow['draft']}, k = {our_slow['n_lookahead']})",
            _verdict(our_slow, faster=False),
        ],
    ]


def _paper_session(results: Results) -> pd.DataFrame:
    """Table 1 as the paper measured it, or else in the session we did."""
    return tables.table1(results, "table1_uncached" if results.has("table1_uncached") else "table1")


def _table2_verdicts(results: Results) -> list[list[str]]:
    switches = ["speculative_decoding", "kv_cache", "better_transformer"]
    published = tables.published_table2().set_index(switches)["speed_up"]
    ours = tables.table2(results).set_index(switches)
    alone = [
        [
            f"{name} alone is faster",
            f"×{published[on]:.2f}",
            f"×{ours.loc[on, 'speed_up']:.2f}",
            _verdict(ours.loc[on], faster=True),
        ]
        for name, on in (
            ("speculative decoding", (1, 0, 0)),
            ("the KV-cache", (0, 1, 0)),
            ("SDPA (BetterTransformer)", (0, 0, 1)),
        )
    ]
    pairs = [
        ("speculative decoding adds to the cache", (1, 1, 0), (0, 1, 0)),
        ("with both, BetterTransformer makes it slower (mask of 2023; here a right one)", (1, 1, 0), (1, 1, 1)),
    ]
    together = [
        [
            claim,
            f"×{published[more]:.2f} over ×{published[less]:.2f}",
            f"×{ours.loc[more, 'speed_up']:.2f} over ×{ours.loc[less, 'speed_up']:.2f}",
            _ordered(ours.loc[more], ours.loc[less]),
        ]
        for claim, more, less in pairs
    ]
    return [*alone, *together]


def _verdict(row: pd.Series, *, faster: bool) -> str:
    """Whether the interval of a speed-up lies on the paper's side of 1."""
    if row["speed_up_low"] <= 1 <= row["speed_up_high"]:
        return UNDECIDED
    return AGREES if (row["speed_up"] > 1) == faster else DIFFERS


def _ordered(more: pd.Series, less: pd.Series) -> str:
    """Whether one speed-up is the larger, as in the paper: decided where the intervals don't overlap."""
    if more["speed_up_low"] > less["speed_up_high"]:
        return AGREES
    return DIFFERS if more["speed_up_high"] < less["speed_up_low"] else UNDECIDED


def _table1(results: Results) -> str:
    ours = tables.table1(results)
    sections = [
        f"""## Table 1: draft size and n_lookahead

Acceptance over {ours["articles"].iloc[0]} articles; speed-up over {ours["timed_articles"].iloc[0]} of them, in the
{ours["session"].iloc[0]} session. *Theory* is E(α, k) / (v + kc): E = 1 + α + … + α^k tokens a round, with the measured
α at k = 1; v and c are a verification and a drafted token over a plain one, of forwards in a round's order (the column
*c* is of each model decoding alone, as in the paper). It knows nothing of the prompt, so hold it against *without
prompt*. *Same text*: the share of outputs that equal plain decoding's, token for token.

{_grid(ours)}"""
    ]
    if results.has("table1_uncached"):
        again = tables.table1(results, "table1_uncached")
        sections.append(
            f"""### In the paper's own session

Without a cache and with eager attention, as the published table was measured; {again["timed_articles"].iloc[0]}
articles, shorter texts. Verification is nearly free here, since every forward reads the whole text anyway.

{_grid(again)}"""
        )
    fast = tables.table1(results, "table1_static")
    gain, low, high = tables.fast_path_gain(results)
    sections.append(
        f"""### On the fast path

The static session computes the same logits, up to rounding, over a preallocated cache, with weights packed once for
oneDNN and without transformers' bookkeeping (the gains are not told apart here): plain decoding is ×{gain:.2f}
[{low:.2f}, {high:.2f}] as fast with it as with transformers' cache, the prompt left out, and the speed-ups here are
over that faster baseline.

{_grid(fast)}"""
    )
    sections.append(
        f"""### Every published row, and ours

Each published row (uncached) stands beside our draft whose c is nearest, in the same session where we measured it; in
another nothing is judged.
Verdict: whether this run is on the paper's side of 1, *undecided* where its interval holds 1. Acceptance is not judged
row by row: the published values at k ≥ 3 follow another law than ours.

{_published_rows(results)}"""
    )
    return "\n\n".join(sections)


def _grid(table: pd.DataFrame) -> str:
    rows = [
        [
            row.draft,
            row.n_lookahead,
            f"{row.mean_acceptance:.3f} {brackets(row, 'mean_acceptance', 3)}",
            f"{row.pooled_acceptance:.3f} {brackets(row, 'pooled_acceptance', 3)}",
            f"{row.tokens_per_round:.2f}",
            f"{row.c:.3f}",
            f"×{row.speed_up:.2f} {brackets(row, 'speed_up', 2)}",
            f"×{row.decode_speed_up:.2f}",
            f"×{row.predicted:.2f}",
            f"{row.same_text:.0%}",
        ]
        for row in table.itertuples()
    ]
    head = ["draft", "k", "mean acceptance", "pooled", "tokens a round", "c", "speed-up", "without prompt"]
    return markdown.table([*head, "theory", "same text"], rows)


def _published_rows(results: Results) -> str:
    published, grid = tables.published_table1(), tables.table1(results)
    if results.has("table1_uncached"):
        again = tables.table1(results, "table1_uncached")
        grid = pd.concat([again, grid[~grid["n_lookahead"].isin(again["n_lookahead"])]])
    rows = []
    for row in published[published["n_lookahead"].isin(grid["n_lookahead"])].itertuples():
        twins = grid[grid["n_lookahead"] == row.n_lookahead]
        twin = twins.iloc[(twins["c"] - row.inference_speed_rate).abs().argmin()]
        rows.append(
            [
                row.draft_params,
                row.n_lookahead,
                f"{row.mean_acceptance_rate:.3f}",
                f"{row.inference_speed_rate:.3f}",
                f"×{row.speed_up:.2f}",
                f"{twin['draft']}, {twin['session']}",
                f"{twin['mean_acceptance']:.3f}",
                f"{twin['c']:.3f}",
                f"×{twin['speed_up']:.2f} {brackets(twin, 'speed_up', 2)}",
                _verdict(twin, faster=row.speed_up > 1) if twin["session"] == "uncached" else "other session",
            ]
        )
    head = ["paper", "k", "acceptance", "c", "speed-up", "ours", "acceptance", "c", "speed-up", "verdict"]
    return markdown.table(head, rows)


def _table2(results: Results) -> str:
    ours, published = tables.table2(results), tables.published_table2()
    switches = ["speculative_decoding", "kv_cache", "better_transformer"]
    both = ours.merge(published, on=switches, suffixes=("", "_paper"))
    rows = [
        [
            *("yes" if getattr(row, switch) else "no" for switch in switches),
            f"×{row.speed_up_paper:.2f}" if row.speed_up_paper == row.speed_up_paper else "1",
            f"×{row.speed_up:.2f} {brackets(row, 'speed_up', 2)}",
            f"{row.same_text:.0%}",
        ]
        for row in both.sort_values(switches).itertuples()
    ]
    draft = ours["draft"].dropna().iloc[0]
    return f"""## Table 2: speculative decoding × KV-cache × BetterTransformer

Draft {draft}, n_lookahead 1. Here BetterTransformer is PyTorch's scaled dot-product attention (SDPA) with a correct
mask; the baseline is plain decoding with neither cache nor SDPA.

{markdown.table(["speculative", "KV-cache", "SDPA", "paper", "this run", "same text"], rows)}"""


def _quantization(results: Results) -> str:
    rows = [
        [
            row.bits,
            "plain" if pd.isna(row.draft) else "speculative",
            f"{row.token_milliseconds:.2f}",
            f"×{row.speed_up:.2f} {brackets(row, 'speed_up', 2)}",
            f"{row.same_text:.0%}",
            f"{row.rougeL:.3f}",
        ]
        for row in tables.speedups(results, "quantization").itertuples()
    ]
    head = ["bits", "decoding", "ms a token", "against plain at these bits", "same text as plain", "ROUGE-L"]
    return f"""## Quantization

Target and draft alike at 32, 16, 8 and 4 bits (bitsandbytes; NF4), cached. The paper's code could do this, its tables
don't show it. Below 32 bits verifying several tokens at once rounds differently from one at a time, so a text can part
from plain decoding's where two tokens are nearly tied.

{markdown.table(head, rows)}"""


def _quality(results: Results) -> str:
    scores = tables.quality(results)
    timed = tables.speedups(results, "table1")
    share = timed.loc[timed["draft"].notna(), "same_text"].mean()
    return f"""## Quality

ROUGE-1/2/L (F, MeCab words) of the target's summaries against the reference: {scores["rouge1"]:.3f} /
{scores["rouge2"]:.3f} / {scores["rougeL"]:.3f}. Of Table 1's speculative outputs {share:.1%} equal plain decoding's
token for token, and equal texts have equal scores."""


def _rates(results: Results) -> str:
    rows = [
        [row.model, row.session, row.attention, f"{row.milliseconds:.2f}", f"{row.c:.3f} {brackets(row, 'c', 3)}"]
        for row in tables.rates(results).itertuples()
    ]
    head = ["model", "session", "attention", "ms a token", "c"]
    return f"""## Inference speed rate c

Each model decoding alone. Cached: the prompt's forward left out; uncached: every token reads the whole text again.

{markdown.table(head, rows)}"""


def _references(results: Results) -> str:
    """Best speed-ups of the machines whose results are committed, for a reader to set their own against."""
    rows = []
    for folder in sorted(REFERENCES.iterdir()) if REFERENCES.is_dir() else []:
        reference = Results(folder)
        table = tables.speedups(reference, "table1").dropna(subset="draft")
        best, machine = table.loc[table["speed_up"].idxmax()], reference.environment
        rows.append(
            [
                folder.name,
                machine["machine"],
                machine["device"],
                best["draft"],
                f"{best['n_lookahead']:.0f}",
                f"×{best['speed_up']:.2f} {brackets(best, 'speed_up', 2)}",
            ]
        )
    if not rows:
        return ""
    head = ["results", "machine", "device", "best draft", "k", "speed-up"]
    return "## Reference machines\n\nMeasured by us and kept in `data/results/`.\n\n" + markdown.table(head, rows)


def _environment(results: Results) -> str:
    rows = [[key, value] for key, value in results.environment.items()]
    return "## Environment\n\n" + markdown.table(["", ""], rows)
