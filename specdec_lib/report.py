"""RESULTS.md: what the paper reports, what this run gives, and whether the shapes agree."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from specdec_lib import figures, language, paths, tables
from specdec_lib.paths import write as write_file
from specdec_lib.reporting import (
    certainty,
    explanation,
    limit_report,
    markdown,
    real_model,
    references,
    speed_report,
    verdicts,
)
from specdec_lib.reporting.markdown import brackets, not_shown
from specdec_lib.results import Missing, Results

SMALL = """, of the embedded models (target 6.5 M parameters, drafts 0.4 to 2.2 M) on fictional news: hardware, sizes
and text differ from the paper's, so compare shapes, not digits."""
MODELS = {
    "paper": ".",
    "gemma": """, of Gemma 3 270M and our drafts on fictional news.""",
    "replica": """, of stand-ins of the paper's sizes, trained for minutes, on fictional news: c and the cost of
verification are those of the sizes, acceptance and text are not the paper's.""",
}
"""Whose models a profile's numbers are of, where they aren't the embedded ones."""


def write(results: Results, out: Path) -> Path:
    """Write RESULTS.md and every figure into a folder; the same results give the same bytes.

    Figures: figures/NAME.png and .pdf in English, figures/ja/ in Japanese. One whose rows are missing is not there
    afterwards.
    """
    for lang in language.LANGUAGES:
        with language.spoken(lang):
            _draw(results, paths.figures(out, lang))
    path = out / "RESULTS.md"
    write_file(path, compose(results))
    return path


def _draw(results: Results, folder: Path) -> None:
    """Every figure in the current language."""
    for name, draw in figures.ALL.items():
        file = folder / f"{name}.png"
        try:
            figures.save(draw(_rows_of(name, results)), file)
        except Missing:
            for earlier in (file, file.with_suffix(".pdf")):  # shows other results
                earlier.unlink(missing_ok=True)


def _rows_of(figure: str, results: Results) -> Results:
    """The rows that a figure is drawn from: the real model has its own, as in the section about it."""
    return Results(real_model.KEPT) if figure == "real_model" and results.profile != "gemma" else results


def compose(results: Results) -> str:
    """The whole of RESULTS.md, in English whatever language is spoken."""
    every = OTHERS.get(results.profile, SECTIONS)
    with language.spoken("en"):
        sections = [section for title, compose_it in every.items() if (section := _section(title, compose_it, results))]
        return "\n\n".join([_head(results), *sections]) + "\n"


def _section(title: str, compose_it: Callable[[Results], str], results: Results) -> str:
    """A section under its title, or what it lacks."""
    try:
        text = compose_it(results)
    except Missing as missing:
        text = not_shown(missing, results)
    return f"{title}\n\n{text}" if text else ""


def _head(results: Results) -> str:
    profile, known = results.profile, results.environment
    told = ("machine", "cores", "threads", "device", "torch", "transformers")
    machine = {name: known.get(name, "unknown") for name in told}
    return f"""# Results

Of the reproduction of "A Study of Speculative Decoding in Japanese" (Hayashizaki, Nose, Ito, 2024).

Profile `{profile}` on {machine["machine"]}: {machine["cores"]} cores, {machine["threads"]} threads, device
{machine["device"]}, torch {machine["torch"]}, transformers {machine["transformers"]}. Worked out by `specdec report`
from measured rows alone; the digits change with the machine, the shapes should not.

*Expected* is the paper: GPT-NeoX 409M with drafts of 6M to 247M on the Japanese part of XL-Sum, on one RTX 3090.
*Obtained* is this run{MODELS.get(profile, SMALL)} Speed-up is the time per token of plain decoding divided by
that of the method, the prompt's own forward included, as in the paper: the median over articles of runs in turn.
Brackets hold 95 % bootstrap intervals over articles."""


def _table1(results: Results) -> str:
    ours = tables.table1(results)
    return f"""\
Acceptance over {ours["articles"].iloc[0]} articles; speed-up over {ours["timed_articles"].iloc[0]} of them, in the
{ours["session"].iloc[0]} session. *Theory* is E(α, k) / (v + kc): E = 1 + α + … + α^k tokens a round, with the measured
α at k = 1; v and c are a verification and a drafted token over a plain one, of forwards in a round's order (the column
*c* is of each model decoding alone, as in the paper). It knows nothing of the prompt, so hold it against *without
prompt*. *Same text*: the share of outputs that equal plain decoding's, token for token.

{_grid(ours)}"""


def _table1_uncached(results: Results) -> str:
    again = tables.table1(results, "table1_uncached")
    return f"""\
Without a cache and with eager attention, as the published table was measured; {again["timed_articles"].iloc[0]}
articles, shorter texts. Verification is nearly free here, since every forward reads the whole text anyway.

{_grid(again)}"""


def _table1_static(results: Results) -> str:
    fast = tables.table1(results, "table1_static")
    gain, low, high = tables.fast_path_gain(results)
    return f"""\
The static session computes the same logits, up to rounding, over a preallocated cache, with weights packed once for
oneDNN and without transformers' bookkeeping (the gains are not told apart here): plain decoding is ×{gain:.2f}
[{low:.2f}, {high:.2f}] as fast with it as with transformers' cache, the prompt left out, and the speed-ups here are
over that faster baseline.

{_grid(fast)}"""


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
    return f"""\
Each published row (uncached) stands beside our draft whose c is nearest, in the same session where we measured it; in
another nothing is judged.
Verdict: whether this run is on the paper's side of 1, *undecided* where its interval holds 1. Acceptance is not judged
row by row: the published values at k ≥ 3 follow another law than ours.

{_twins(results)}"""


def _twins(results: Results) -> str:
    published, grid = tables.published_table1(), tables.table1(results)
    if results.has("table1_uncached"):
        again = tables.table1(results, "table1_uncached")
        grid = pd.concat([again, grid[~grid["n_lookahead"].isin(again["n_lookahead"])]])
    rows = []
    for row in published[published["n_lookahead"].isin(grid["n_lookahead"])].itertuples():
        twins = grid[grid["n_lookahead"] == row.n_lookahead]
        distance = (twins["c"] - row.inference_speed_rate).abs()
        twin = twins.iloc[distance.fillna(np.inf).argmin()]
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
                verdicts.sign(twin, faster=row.speed_up > 1) if twin["session"] == "uncached" else "other session",
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
    draft = next(iter(ours["draft"].dropna()), "none")
    return f"""\
Draft {draft}, n_lookahead 1. Here BetterTransformer is PyTorch's scaled dot-product attention (SDPA) with a correct
mask; the baseline is plain decoding with neither cache nor SDPA.

{markdown.table(["speculative", "KV-cache", "SDPA", "paper", "this run", "same text"], rows)}"""


def _quantization(results: Results) -> str:
    table = tables.speedups(results, "quantization")
    rows = [
        [
            row.bits,
            "–" if pd.isna(row.draft) else f"{row.draft_bits:.0f}",
            f"{row.megabytes:.1f}",
            f"{row.token_milliseconds:.2f}",
            f"×{row.speed_up:.2f} {brackets(row, 'speed_up', 2)}",
            f"{row.acceptance:.3f}",
            f"{row.same_text:.0%}",
            f"{row.rouge1:.3f} / {row.rouge2:.3f} / {row.rougeL:.3f}",
        ]
        for row in table.itertuples()
    ]
    head = ["target bits", "draft bits", "MB", "ms a token", "against plain at these target bits", "acceptance"]
    return f"""\
Target and draft at 32, 16, 8 and 4 bits (bitsandbytes; NF4), alike and each alone, cached, n_lookahead 1, texts of at
most {results.frame("quantization")["max_new_tokens"].max()} tokens. The paper's code could do this, its tables don't
show it. *MB*: the weights of target and draft together. *Same text*: as plain decoding with the target at the same
bits. Below 32 bits verifying several tokens at once rounds differently from one at a time, so a text can part from
plain decoding's where two tokens are nearly tied; a draft of fewer bits changes no text, only how often it is right.

{markdown.table([*head, "same text", "ROUGE-1 / 2 / L"], rows)}"""


def _quality(results: Results) -> str:
    scores = tables.quality(results)
    timed = tables.speedups(results, "table1")
    share = timed.loc[timed["draft"].notna(), "same_text"].mean()
    return f"""ROUGE-1/2/L (F, MeCab words) of the target's summaries against the reference: {scores["rouge1"]:.3f} /
{scores["rouge2"]:.3f} / {scores["rougeL"]:.3f}. Of Table 1's speculative outputs {share:.1%} equal plain decoding's
token for token, and equal texts have equal scores."""


def _rates(results: Results) -> str:
    rows = [
        [row.model, row.session, row.attention, f"{row.milliseconds:.2f}", f"{row.c:.3f} {brackets(row, 'c', 3)}"]
        for row in tables.rates(results).itertuples()
    ]
    head = ["model", "session", "attention", "ms a token", "c"]
    return f"""\
Each model decoding alone. Cached: the prompt's forward left out; uncached: every token reads the whole text again.

{markdown.table(head, rows)}"""


def _environment(results: Results) -> str:
    rows = []
    for name, value in results.environment.items():
        if name == "facts":  # as they were met, run after run
            rows += [
                [fact, ", ".join(_values(fact, value))] for fact in dict.fromkeys(fact for met in value for fact in met)
            ]
        elif name == "sources":
            rows += [[f"version of {source}", version] for source, version in value.items()]
        elif name != "planned":
            rows.append([name, value])
    return markdown.table(["", ""], rows)


def _values(fact: str, met: list[dict]) -> list[str]:
    """The different values that a fact had, in the order of the runs."""
    return list(dict.fromkeys(str(facts[fact]) for facts in met if fact in facts))


def _progress(results: Results) -> str:
    """What is missing, and why; nothing where everything is there."""
    progress = results.progress().query("planned > 0")
    if (progress["done"] == progress["planned"]).all():
        return ""
    rows = [
        [row.experiment, row.done, row.planned, f"{row.done / row.planned:.0%}" if row.planned else "–"]
        for row in progress.itertuples()
    ]
    reasons = [
        f"- {row.experiment}, {cell}: {reason}" for row in progress.itertuples() for cell, reason in row.failed.items()
    ]
    failed = "\n\nWhat failed, and why; the same command tries it again:\n\n" + "\n".join(reasons) if reasons else ""
    return f"""**Not everything is measured**: the tables below hold what is there.

{markdown.table(["experiment", "rows", "planned", ""], rows)}{failed}"""


SECTIONS = {
    "## What is missing": _progress,
    "## Do the shapes agree?": verdicts.section,
    "## What the published tables show": explanation.section,
    "## Table 1: draft size and n_lookahead": _table1,
    "### In the paper's own session": _table1_uncached,
    "### On the fast path": _table1_static,
    "### Every published row, and ours": _published_rows,
    "## Table 2: speculative decoding × KV-cache × BetterTransformer": _table2,
    "## Quantization": _quantization,
    "## Certainty": certainty.section,
    "## Quality": _quality,
    "## Inference speed rate c": _rates,
    "## How near the machine's limit?": limit_report.section,
    "## Speed beside other libraries": speed_report.section,
    "## At the paper's sizes": references.papers_sizes,
    "## The same on a real model": references.a_real_model,
    "## Reference machines": references.machines,
    "## Environment": _environment,
}
"""The sections of RESULTS.md in their order."""

OTHERS = {
    "gemma": {
        "## What is missing": _progress,
        "## Every way on a real model": real_model.section,
        "## Environment": _environment,
    }
}
"""The sections of a profile that isn't the study's."""
