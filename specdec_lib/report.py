"""RESULTS.md: what the paper reports, what this run gives, and whether the shapes agree."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from specdec_lib import figures, tables
from specdec_lib.paths import DATA
from specdec_lib.results import Results

REFERENCES = DATA / "results"
"""Results we measured on named machines: shown beside a reader's own, never taken for them."""

SMALL = """, of the embedded models (target 7.9 M parameters, drafts 0.4 to 1.8 M) on fictional news: hardware, sizes
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
    sections = [_head(results), shapes, _table1(results), _table2(results), _quantization(results)]
    sections += [_quality(results), _rates(results), _references(results), _environment(results)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(results: Results) -> str:
    profile, machine = results.rows[-1]["profile"], results.latest
    return f"""# Results

Profile `{profile}` on {machine["machine"]}: {machine["cores"]} cores, {machine["threads"]} threads, device
{machine["device"]}, torch {machine["torch"]}, transformers {machine["transformers"]}. Worked out from the rows in
`runs/{profile}/` by `specdec report`; the digits change with the machine, the shapes should not.

*Expected* is the paper: GPT-NeoX 409M with drafts of 6M to 247M on the Japanese part of XL-Sum, on one RTX 3090.
*Obtained* is this run{SMALL if profile != "paper" else "."} Speed-up is the time per token of plain decoding divided by
that of the method, the prompt's own forward included, as in the paper: the median over articles of runs in turn.
Brackets hold 95 % bootstrap intervals over articles."""


def verdicts(results: Results) -> str:
    """A markdown table: each claim the published tables support, in the paper and here, and whether both show it."""
    rows = [[*row, "agrees" if agrees else "differs"] for *row, agrees in _verdicts(results)]
    return _markdown(["claim", "paper", "this run", "verdict"], rows)


def _verdicts(results: Results) -> list[tuple[str, str, str, bool]]:
    """(claim, what the paper shows, what this run shows, whether both show it)."""
    published, ours = tables.published_table1(), tables.table1(results)
    first, ours_first = published.query("n_lookahead == 1"), ours.query("n_lookahead == 1")
    rise = ours_first["mean_acceptance"].is_monotonic_increasing
    best, ours_best = published.loc[published["speed_up"].idxmax()], ours.loc[ours["speed_up"].idxmax()]
    drop = first["mean_acceptance_rate"].mean() - published.query("n_lookahead == 3")["mean_acceptance_rate"].mean()
    ours_drop = ours_first["mean_acceptance"].mean() - ours.query("n_lookahead == 3")["mean_acceptance"].mean()
    slow = published.query("draft_params == '247M' and n_lookahead == 7")["speed_up"].iloc[0]
    ours_slow = ours[(ours["draft"] == ours["draft"].iloc[-1]) & (ours["n_lookahead"] == 7)]["speed_up"].iloc[0]
    both = tables.table2(results).set_index(["speculative_decoding", "kv_cache", "better_transformer"])["speed_up"]
    return [
        (
            "acceptance at k = 1 rises with draft size",
            f"{first['mean_acceptance_rate'].min():.2f} to {first['mean_acceptance_rate'].max():.2f}",
            f"{ours_first['mean_acceptance'].iloc[0]:.2f} to {ours_first['mean_acceptance'].iloc[-1]:.2f}",
            bool(rise),
        ),
        (
            "some draft makes decoding faster",
            f"best ×{best['speed_up']:.2f} ({best['draft_params']}, k = {best['n_lookahead']})",
            f"best ×{ours_best['speed_up']:.2f} ({ours_best['draft']}, k = {ours_best['n_lookahead']})",
            bool(ours_best["speed_up_low"] > 1),
        ),
        (
            "a large draft with a long look-ahead makes it slower",
            f"×{slow:.2f} (247M, k = 7)",
            f"×{ours_slow:.2f} ({ours['draft'].iloc[-1]}, k = 7)",
            bool(ours_slow < 1),
        ),
        (
            "acceptance falls sharply from k = 1 to k = 3",
            f"by {drop:.2f} on average",
            f"by {ours_drop:.2f} on average",
            bool(ours_drop > drop / 2),
        ),
        ("the KV-cache alone is faster", "×1.39", f"×{both[0, 1, 0]:.2f}", bool(both[0, 1, 0] > 1)),
        ("SDPA (BetterTransformer) alone is faster", "×1.12", f"×{both[0, 0, 1]:.2f}", bool(both[0, 0, 1] > 1)),
        (
            "cache and speculative decoding add up",
            "×1.77 together, ×1.39 and ×1.41 alone",
            f"×{both[1, 1, 0]:.2f} together, ×{both[0, 1, 0]:.2f} and ×{both[1, 0, 0]:.2f} alone",
            bool(both[1, 1, 0] > max(both[0, 1, 0], both[1, 0, 0])),
        ),
        (
            "BetterTransformer adds nothing to cache + speculative",
            "×1.60 with, ×1.77 without",
            f"×{both[1, 1, 1]:.2f} with, ×{both[1, 1, 0]:.2f} without",
            bool(both[1, 1, 1] <= both[1, 1, 0]),
        ),
    ]


def _table1(results: Results) -> str:
    ours, published = tables.table1(results), tables.published_table1()
    session = ours["session"].iloc[0]
    uncached = tables.rates(results).query("session == 'uncached'").set_index("model")["c"]
    rows = [
        [
            row.draft,
            row.n_lookahead,
            f"{row.mean_acceptance:.3f} {_brackets(row, 'mean_acceptance', 3)}",
            f"{row.pooled_acceptance:.3f} {_brackets(row, 'pooled_acceptance', 3)}",
            f"{row.tokens_per_round:.2f}",
            f"{row.c:.3f}",
            f"×{row.speed_up:.2f} {_brackets(row, 'speed_up', 2)}",
            f"×{row.decode_speed_up:.2f}",
            f"×{row.predicted:.2f}",
            f"{row.same_text:.0%}",
        ]
        for row in ours.itertuples()
    ]
    head = [
        "draft",
        "k",
        "mean acceptance",
        "pooled",
        "tokens a round",
        "c",
        "speed-up",
        "without prompt",
        "theory",
        "same text",
    ]
    return f"""## Table 1: draft size and n_lookahead

Acceptance over {ours["articles"].iloc[0]} articles, speed-up in the {session} session. *Theory* is E(α, k) / (v + kc)
with the measured α (k = 1), c and v(k); it knows nothing of the prompt, so hold it against *without prompt*.
*Same text*: the share of outputs that equal plain decoding's, token for token.

{_markdown(head, rows)}

### Every published row, and ours

Each published row stands beside our draft whose uncached c is nearest. Verdict: whether both are faster than plain
decoding, or both slower.

{_published_rows(published, ours, uncached)}"""


def _published_rows(published: pd.DataFrame, ours: pd.DataFrame, uncached: pd.Series) -> str:
    rows = []
    measured = published[published["n_lookahead"].isin(ours["n_lookahead"])]
    for row in measured.itertuples():
        draft = (uncached[ours["draft"].unique()] - row.inference_speed_rate).abs().idxmin()
        twin = ours[(ours["draft"] == draft) & (ours["n_lookahead"] == row.n_lookahead)].iloc[0]
        agrees = (row.speed_up > 1) == (twin["speed_up"] > 1)
        rows.append(
            [
                row.draft_params,
                row.n_lookahead,
                f"{row.mean_acceptance_rate:.3f}",
                f"{row.inference_speed_rate:.3f}",
                f"×{row.speed_up:.2f}",
                draft,
                f"{twin['mean_acceptance']:.3f}",
                f"{uncached[draft]:.3f}",
                f"×{twin['speed_up']:.2f}",
                "agrees" if agrees else "differs",
            ]
        )
    head = ["paper", "k", "acceptance", "c", "speed-up", "ours", "acceptance", "c", "speed-up", "verdict"]
    return _markdown(head, rows)


def _table2(results: Results) -> str:
    ours, published = tables.table2(results), tables.published_table2()
    switches = ["speculative_decoding", "kv_cache", "better_transformer"]
    both = ours.merge(published, on=switches, suffixes=("", "_paper"))
    rows = [
        [
            *("yes" if getattr(row, switch) else "no" for switch in switches),
            f"×{row.speed_up_paper:.2f}" if row.speed_up_paper == row.speed_up_paper else "1",
            f"×{row.speed_up:.2f} {_brackets(row, 'speed_up', 2)}",
            f"{row.same_text:.0%}",
        ]
        for row in both.sort_values(switches).itertuples()
    ]
    draft = ours["draft"].dropna().iloc[0]
    return f"""## Table 2: speculative decoding × KV-cache × BetterTransformer

Draft {draft}, n_lookahead 1. Here BetterTransformer is PyTorch's scaled dot-product attention (SDPA) with a correct
mask; the baseline is plain decoding with neither cache nor SDPA.

{_markdown(["speculative", "KV-cache", "SDPA", "paper", "this run", "same text"], rows)}"""


def _quantization(results: Results) -> str:
    rows = [
        [
            row.bits,
            "plain" if pd.isna(row.draft) else "speculative",
            f"{row.token_milliseconds:.2f}",
            f"×{row.speed_up:.2f} {_brackets(row, 'speed_up', 2)}",
            f"{row.same_text:.0%}",
            f"{row.rougeL:.3f}",
        ]
        for row in tables.speedups(results, "quantization").itertuples()
    ]
    head = ["bits", "decoding", "ms a token", "against plain at these bits", "same text as plain", "ROUGE-L"]
    return f"""## Quantization

Target and draft alike at 32, 16, 8 and 4 bits (bitsandbytes; NF4), cached. The paper's code could do this, its tables
don't show it. Below 32 bits verifying several tokens at once rounds differently from one at a time, so a text can part
from plain decoding's where two tokens are nearly tied; in fp32 it does not.

{_markdown(head, rows)}"""


def _quality(results: Results) -> str:
    scores = tables.quality(results)
    timed = tables.speedups(results, "table1")
    share = timed.loc[timed["draft"].notna(), "same_text"].mean()
    return f"""## Quality

ROUGE-1/2/L (F, MeCab words) of the target's summaries against the reference: {scores["rouge1"]:.3f} /
{scores["rouge2"]:.3f} / {scores["rougeL"]:.3f}. With speculative decoding they are the same, because the texts are:
{share:.0%} of Table 1's outputs equal plain decoding's token for token."""


def _rates(results: Results) -> str:
    rows = [
        [row.model, row.session, row.attention, f"{row.milliseconds:.2f}", f"{row.c:.3f} {_brackets(row, 'c', 3)}"]
        for row in tables.rates(results).itertuples()
    ]
    return "## Inference speed rate c\n\nEach model decoding alone, the prompt's forward left out.\n\n" + _markdown(
        ["model", "session", "attention", "ms a token", "c"], rows
    )


def _references(results: Results) -> str:
    """Best speed-ups of the machines whose results are committed, for a reader to set their own against."""
    rows = []
    for folder in sorted(REFERENCES.iterdir()) if REFERENCES.is_dir() else []:
        reference = Results(folder)
        table = tables.table1(reference)
        best, machine = table.loc[table["speed_up"].idxmax()], reference.latest
        rows.append(
            [
                folder.name,
                machine["machine"],
                machine["device"],
                best["draft"],
                best["n_lookahead"],
                f"×{best['speed_up']:.2f} {_brackets(best, 'speed_up', 2)}",
            ]
        )
    if not rows:
        return ""
    head = ["results", "machine", "device", "best draft", "k", "speed-up"]
    return "## Reference machines\n\nMeasured by us and kept in `data/results/`.\n\n" + _markdown(head, rows)


def _environment(results: Results) -> str:
    rows = [[key, value] for key, value in results.latest.items()]
    return "## Environment\n\n" + _markdown(["", ""], rows)


def _brackets(row, name: str, digits: int) -> str:
    low, high = (
        row[f"{name}_{end}"] if isinstance(row, pd.Series) else getattr(row, f"{name}_{end}") for end in ("low", "high")
    )
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def _markdown(head: Sequence[str], rows: Iterable[Sequence]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
