"""RESULTS.md's sections of what we measured on named machines: beside a reader's own rows, never taken for them."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from specdec_lib import tables
from specdec_lib.paths import DATA
from specdec_lib.reporting import markdown, real_model
from specdec_lib.reporting.markdown import brackets
from specdec_lib.results import Results

FOLDER = DATA / "results"


def machines(_: Results) -> str:
    """Best speed-ups of the embedded models, for a reader to set their own against."""
    rows = []
    for folder, reference in _measured("table1"):
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
    return "Measured by us and kept in `data/results/`.\n\n" + markdown.table(head, rows)


def papers_sizes(_: Results) -> str:
    """Costs and speed-ups of stand-ins that have the paper's sizes."""
    replicas = [(folder, reference) for folder, reference in _measured("forwards") if reference.profile == "replica"]
    return "\n\n".join(_replica(*replica) for replica in replicas)


def a_real_model(_: Results) -> str:
    """Gemma with its drafts, where it was measured whole."""
    measured = [(folder, reference) for folder, reference in _measured("speed") if reference.profile == "gemma"]
    return "\n\n".join(real_model.section(reference) for _, reference in measured)


def _measured(experiment: str) -> Iterator[tuple[Path, Results]]:
    for folder in sorted(FOLDER.iterdir()) if FOLDER.is_dir() else []:
        reference = Results(folder)
        if reference.has(experiment):
            yield folder, reference


def _replica(folder: Path, reference: Results) -> str:
    machine = reference.environment
    timed = tables.speedups(reference, "table1_static")
    plain, drafted = timed[timed["draft"].isna()].iloc[0], timed.dropna(subset="draft")
    costs = {session: _costs(reference, session) for session in ("cached", "static")}
    cached, static = (costs[session].loc[reference.target, "milliseconds"] for session in costs)
    smallest = {session: table["c"].min() for session, table in costs.items()}
    widths = tables.verification_cost(reference, "static")
    verification = ", ".join(f"×{cost:.2f} at k = {k}" for k, cost in widths.items() if k)
    most = reference.frame("table1_static")["max_new_tokens"].max()
    return f"""\
GPT-NeoX of the paper's nine parameter counts (`--profile replica`), trained on our news for a minute or two in all, on
one {machine["device"]} with torch {machine["torch"]} and transformers {machine["transformers"]}, in 32 bits; rows in
`data/results/{folder.name}/`. **What a forward costs is that of the sizes; what is accepted is not the paper's**: such
a target has learned little more than to repeat itself, which is easy to guess.

*Milliseconds*: one token after a prompt, by transformers' forward over its own cache and by our recorded one (a CUDA
graph): {cached:.2f} and {static:.2f} for the target, ×{cached / static:.1f}. The former waits for its operations to be
launched one by one, so that its c says little of a draft's size: {smallest["cached"]:.2f} for the smallest, recorded
{smallest["static"]:.2f}. A recorded verification costs {verification} of a token's forward.

{_cost_table(costs)}

Table 1's grid in the static session: {plain["articles"]} articles, texts of at most {most} tokens, plain decoding in
{plain["token_milliseconds"]:.2f} ms a token. Of the speculative texts {drafted["same_text"].mean():.0%} are plain
decoding's, token for token. *Theory*: E / (v + kc) with E of these texts, and c and v of the forwards above.

{_speed_table(reference, drafted, costs["static"], widths)}"""


def _costs(reference: Results, session: str) -> pd.DataFrame:
    """Of each model in a session: parameters, milliseconds of a token's forward, and c."""
    table = tables.forwards(reference, session).query("width == 1").set_index("model")
    return table.assign(c=table["milliseconds"] / table.loc[reference.target, "milliseconds"])


def _cost_table(costs: dict[str, pd.DataFrame]) -> str:
    published = tables.published_table1().query("n_lookahead == 1").set_index("draft_params")["inference_speed_rate"]
    both = costs["cached"].merge(costs["static"], left_index=True, right_index=True, suffixes=("", "_static"))
    rows = []
    for model, row in both.iterrows():
        of_paper = published.get(model.removeprefix("replica-"))
        rows.append(
            [
                model,
                f"{row['parameters'] / 1e6:.1f} M",
                f"{row['milliseconds']:.2f}",
                f"{row['c']:.3f}",
                f"{row['milliseconds_static']:.2f}",
                f"{row['c_static']:.3f}",
                "–" if of_paper is None else f"{of_paper:.3f}",
            ]
        )
    head = ["model", "parameters", "ms, transformers", "c", "ms, recorded", "c", "c in the paper (uncached)"]
    return markdown.table(head, rows)


def _speed_table(reference: Results, drafted: pd.DataFrame, costs: pd.DataFrame, widths: dict[int, float]) -> str:
    texts = reference.generations("table1_static").dropna(subset="draft")
    sums = texts.groupby(["draft", "n_lookahead"])[["tokens", "rounds"]].sum()
    rows = []
    for row in drafted.itertuples():
        k, per_round = int(row.n_lookahead), sums["tokens"][row.draft, row.n_lookahead]
        per_round /= sums["rounds"][row.draft, row.n_lookahead]
        rows.append(
            [
                row.draft,
                k,
                f"{per_round:.2f}",
                f"×{row.speed_up:.2f} {brackets(row, 'speed_up', 2)}",
                f"×{row.decode_speed_up:.2f}",
                f"×{per_round / (widths[k] + k * costs.loc[row.draft, 'c']):.2f}",
            ]
        )
    return markdown.table(["draft", "k", "tokens a round", "speed-up", "without prompt", "theory"], rows)
