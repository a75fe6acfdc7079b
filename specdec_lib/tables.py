"""The paper's tables from measured rows, and the published ones to set beside them. Knows results, never a model."""

import numpy as np
import pandas as pd

from specdec_lib import theory
from specdec_lib.paths import DATA
from specdec_lib.reporting import round_tables
from specdec_lib.reporting.bootstrap import interval, pooled
from specdec_lib.results import Missing, Results

TIMED = {"table1_uncached": "uncached", "table1": "cached", "table1_static": "static"}
"""Experiments that time Table 1, and the session of each."""


def published_models() -> pd.DataFrame:
    """The paper's checkpoints: params, and their names on the hub, pretrained and fine_tuned_on_japanese_xlsum."""
    return pd.read_csv(DATA / "paper" / "models.csv")


def published_table1() -> pd.DataFrame:
    """Table 1 of the paper: draft_params, n_lookahead, mean_acceptance_rate, inference_speed_rate, speed_up."""
    return pd.read_csv(DATA / "paper" / "table1.csv")


def published_table2() -> pd.DataFrame:
    """Table 2 of the paper: speculative_decoding, kv_cache, better_transformer (0 or 1 each), speed_up."""
    return pd.read_csv(DATA / "paper" / "table2.csv")


def acceptance(results: Results, experiment: str = "acceptance") -> pd.DataFrame:
    """For each draft and n_lookahead: the mean of the articles' rates (the paper's), and the pooled rate of all tokens.

    Both with 95 % intervals over articles; tokens_per_round is what a round added on average.
    """
    frame = results.generations(experiment)
    frame = frame[frame["n_lookahead"].notna() & (frame["repeat"] == 0)]
    rows = []
    for (draft, lookup, k), cell in frame.groupby(["draft", "lookup", "n_lookahead"], sort=False, dropna=False):
        mean = interval(cell["acceptance"].dropna(), np.mean)
        rate = interval(cell[["accepted_tokens", "rejected_tokens"]].to_numpy(), pooled)
        rows.append(
            {
                "draft": draft,
                "lookup": lookup,
                "n_lookahead": int(k),
                "articles": len(cell),
                **named("mean_acceptance", mean),
                **named("pooled_acceptance", rate),
                "tokens_per_round": cell["tokens"].sum() / cell["rounds"].sum(),
            }
        )
    return by_size(some(pd.DataFrame(rows), experiment), results)


def acceptance_by_position(results: Results, experiment: str = "acceptance") -> pd.DataFrame:
    """For each draft and place in a round: the share accepted of the tokens whose predecessors all were, and how many.

    Counted at the largest n_lookahead that was run. In rounds that no end of the text cuts short the places multiply to
    what a round adds (`theory.expected_tokens_by_position`), whether or not tokens are accepted independently.
    """
    frame = results.generations(experiment)
    frame = frame[frame["n_lookahead"] == frame["n_lookahead"].max()]
    rounds = frame.assign(kinds=frame["kinds"].map(list))[["draft", "drafted", "accepted", "kinds"]]
    rounds = rounds.explode(["drafted", "accepted", "kinds"]).astype({"drafted": int, "accepted": int})
    rows = []
    for draft, cell in rounds.groupby("draft", sort=False):
        for place in range(1, cell["drafted"].max() + 1):
            accepted = (cell["accepted"] >= place).sum()
            rejected = ((cell["accepted"] == place - 1) & (cell["kinds"] == "r")).sum()
            if judged := accepted + rejected:
                rows.append({"draft": draft, "place": place, "acceptance": accepted / judged, "judged": judged})
    return pd.DataFrame(rows)


def rates(results: Results) -> pd.DataFrame:
    """Plain decoding of each model alone, by session: seconds a token, and c = its time / the target's.

    The prompt's own forward is left out; medians over articles of the ratio on the same article and repeat.
    """
    frame = results.generations("rates")
    frame["model"] = frame["target"]
    rows = []
    for (session, model), cell in frame.groupby(["session", "model"], sort=False):
        base = frame[(frame["session"] == session) & (frame["model"] == results.target)]
        ratio = paired(cell, base, "decode_seconds")
        rows.append(
            {
                "model": model,
                "session": session,
                "attention": cell["attention"].iloc[0],
                "milliseconds": 1000 * cell["decode_seconds"].median(),
                **named("c", interval(ratio)),
            }
        )
    return pd.DataFrame(rows)


def fast_path_gain(results: Results) -> tuple[float, float, float]:
    """Plain decoding's time in the cached session / in the static one, run in turn, with its 95 % interval."""
    frame = results.generations("rates")
    target = frame[frame["target"] == results.target]
    cached, static = (target[target["session"] == session] for session in ("cached", "static"))
    return interval(paired(cached, static, "decode_seconds"))


def speedups(results: Results, experiment: str) -> pd.DataFrame:
    """Every cell of a timed experiment against one plain baseline: median ratios with 95 % intervals over articles.

    speed_up counts the prompt's forward, as the paper does; decode_speed_up leaves it out. For table2 the baseline is
    plain decoding without cache and with eager attention, for every other experiment the same session without a draft.
    same_text: the share of texts that equal the baseline's, token for token.
    """
    frame = results.generations(experiment)
    settings = ["session", "attention", "bits"]
    plain = frame[frame["draft"].isna() & ~frame["lookup"]]
    if experiment == "table2":
        plain = plain[(plain["session"] == "uncached") & (plain["attention"] == "eager")]
    rows = []
    for _, cell in frame.groupby("cell", sort=False):
        how = cell.iloc[0]
        base = plain if experiment != "quantization" else plain[plain["bits"] == how["bits"]]
        texts = cell.merge(base, on=["prompt", "repeat"], suffixes=("", "_base"))
        rows.append(
            {
                "draft": how["draft"],
                "lookup": how["lookup"],
                "n_lookahead": how["n_lookahead"],
                **{name: how[name] for name in settings},
                "draft_bits": how["draft_bits"] if how["draft"] else None,
                "megabytes": cell["weights"].median() / 1e6,
                "articles": cell["prompt"].nunique(),
                "token_milliseconds": 1000 * cell.groupby("prompt")["token_seconds"].median().median(),
                **named("speed_up", interval(paired(base, cell, "token_seconds"))),
                **named("decode_speed_up", interval(paired(base, cell, "decode_seconds"))),
                "acceptance": cell["acceptance"].mean(),
                "same_text": (texts["token_ids"] == texts["token_ids_base"]).mean(),
                **{name: cell[name].mean() for name in ("rouge1", "rouge2", "rougeL")},
            }
        )
    return pd.DataFrame(rows)


def table1(results: Results, experiment: str = "table1") -> pd.DataFrame:
    """Table 1: acceptance (all articles), c and speed-up of each draft and n_lookahead, and what theory predicts.

    experiment: "table1", "table1_uncached" for the same in the paper's own session, "table1_static" for the fast path.
    c: of each model decoding alone, as in the paper. predicted: speedup(α, k, c, v) with α the pooled acceptance at
    n_lookahead 1 of all articles, and c and v(k) of forwards in a round's order (`round_tables.rounds`); to be held
    against decode_speed_up, as neither knows of the prompt's forward.
    """
    timed = speedups(results, experiment)
    session = timed["session"].iloc[0]
    counted = acceptance(results)
    cost = _of(rates(results), session).set_index("model")["c"]
    alpha = counted.query("n_lookahead == 1").set_index("draft")["pooled_acceptance"]
    timed = timed[timed["draft"].notna()].drop(columns="acceptance")
    timed = timed.rename(columns={"articles": "timed_articles"}).astype({"n_lookahead": int})
    table = counted.merge(timed, on=["draft", "lookup", "n_lookahead"])
    table["c"] = table["draft"].map(cost)
    costs = _of(round_tables.rounds(results), session)[["draft", "n_lookahead", "c", "v"]]
    costs = table[["draft", "n_lookahead"]].merge(costs, how="left", on=["draft", "n_lookahead"])
    table["predicted"] = [
        theory.speedup(alpha[row.draft], row.n_lookahead, row.c, v=row.v) if row.draft in alpha else np.nan
        for row in costs.itertuples()
    ]
    return some(table, experiment)


def reached(results: Results, experiment: str) -> pd.DataFrame:
    """Every draft and n_lookahead of a timed Table 1, beside what its own texts and forwards predict.

    tokens_per_round: E, of these very texts. predicted: E / (v + k c) with v and c of `round_tables.rounds`. reached:
    the measured decode_speed_up / predicted; 1 where a round costs as much over its forwards as a plain token does.
    """
    frame = results.generations(experiment)
    frame = frame[frame["draft"].notna()].astype({"n_lookahead": int})
    cells = frame.groupby(["draft", "n_lookahead"], sort=False)[["tokens", "rounds"]].sum()
    table = (cells["tokens"] / cells["rounds"]).rename("tokens_per_round").reset_index()
    measured = speedups(results, experiment).dropna(subset="draft")
    table = table.merge(measured[["draft", "n_lookahead", "session", "decode_speed_up"]], on=["draft", "n_lookahead"])
    table = table.merge(round_tables.rounds(results)[["session", "draft", "n_lookahead", "c", "v"]])
    table["predicted"] = table["tokens_per_round"] / (table["v"] + table["n_lookahead"] * table["c"])
    table["reached"] = table["decode_speed_up"] / table["predicted"]
    return table


def table1_lookup(results: Results) -> pd.DataFrame:
    """Table 1 for drafters that look the text up, alone or before a draft model: as `table1`, in the static session.

    drafter: its name; tokens_per_round counts rounds in which nothing was found, too.
    """
    timed = speedups(results, "table1_lookup").dropna(subset="n_lookahead").drop(columns=["acceptance", "articles"])
    table = acceptance(results, "lookup").merge(timed, on=["draft", "lookup", "n_lookahead"])
    names = ["lookup" if pd.isna(draft) else f"lookup, else {draft}" for draft in table["draft"]]
    table.insert(0, "drafter", names)
    return table


def table2(results: Results) -> pd.DataFrame:
    """Table 2: the eight combinations, with the paper's column names, against plain decoding without either."""
    table = speedups(results, "table2")
    table.insert(0, "speculative_decoding", table["draft"].notna().astype(int))
    table.insert(1, "kv_cache", (table["session"] == "cached").astype(int))
    table.insert(2, "better_transformer", (table["attention"] == "sdpa").astype(int))
    return table


def forwards(results: Results, session: str = "cached") -> pd.DataFrame:
    """Milliseconds of one forward over a cached prompt, by model and number of tokens: medians."""
    frame = results.frame("forwards").query("session == @session")
    table = frame.groupby(["model", "parameters", "width"], sort=False)["seconds"].median().mul(1000)
    return table.rename("milliseconds").reset_index()


def verification_cost(results: Results, session: str = "cached") -> dict[int, float]:
    """v(k): the target's time for k + 1 tokens / for one, at every k that was measured."""
    table = forwards(results, session)
    target = table[table["model"] == results.target].set_index("width")["milliseconds"]
    return {width - 1: float(time / target.get(1, np.nan)) for width, time in target.items()}


def frequencies(results: Results) -> pd.DataFrame:
    """A line for each case, in the order measured.

    corrected: the p value by Holm's method, which holds however the tests depend on one another (they share seeds).
    """
    frame = results.frame("frequencies").rename(columns={"max_new_tokens": "tokens"})
    frame["corrected"] = holm(frame["p_value"])
    settings = ["draft", "n_lookahead", "context", "temperature", "top_k", "top_p", "tokens"]
    found = ["draws", "outcomes", "acceptance", "statistic", "degrees", "p_value", "corrected", "largest_deviation"]
    return frame[settings + found]


def holm(p_values: pd.Series) -> pd.Series:
    """p values of several tests, corrected for their number (Holm 1979)."""
    rising = p_values.sort_values()
    return (rising * np.arange(len(rising), 0, -1)).cummax().clip(upper=1).sort_index()


def ties(results: Results) -> pd.DataFrame:
    """A line for each precision.

    differ: texts that differ; explained: those whose gap is within twice the noise at that place. largest_gap: of the
    texts that differ, and largest_ratio of gap to noise; NaN where none does. usual_gap, usual_noise: medians over
    articles. All gaps and noises in units of the logits.
    """
    frame = results.frame("ties").astype({"gap": float, "noise": float, "differs_at": float})
    frame["ratio"] = frame["gap"] / frame["noise"]
    rows = []
    for (bits, dtype), texts in frame.groupby(["bits", "dtype"], sort=False):
        rows.append(
            {
                "bits": bits,
                "dtype": dtype,
                "articles": len(texts),
                "differ": int(texts["differs_at"].notna().sum()),
                "explained": int((texts["gap"] <= 2 * texts["noise"]).sum()),
                "largest_gap": texts["gap"].max(),
                "largest_ratio": texts["ratio"].max(),
                "usual_gap": texts["usual_gap"].median(),
                "usual_noise": texts["usual_noise"].median(),
            }
        )
    return pd.DataFrame(rows)


def quality(results: Results) -> pd.Series:
    """ROUGE-1/2/L of the target's own text, means over all articles."""
    return results.frame("quality")[["rouge1", "rouge2", "rougeL"]].mean()


def by_size(table: pd.DataFrame, results: Results) -> pd.DataFrame:
    """The rows by draft, in the order of the study, which is that of their sizes, and by n_lookahead."""
    place = {name: number for number, name in enumerate(results.environment.get("sources", ()))}
    places = table["draft"].map(place).fillna(-1)
    return table.iloc[np.lexsort((table["n_lookahead"], places))].reset_index(drop=True) if place else table


def some(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """The table, unless it is empty: then `Missing`."""
    if table.empty:
        raise Missing(f"There are not enough results of {what} for this table: measure the rest first.")
    return table


def _of(table: pd.DataFrame, session: str) -> pd.DataFrame:
    return table[table["session"] == session]


def paired(numerator: pd.DataFrame, denominator: pd.DataFrame, column: str) -> pd.Series:
    """The ratio of a column for each article: median over the repeats that ran in turn."""
    pairs = numerator.merge(denominator, on=["prompt", "repeat"], suffixes=("_n", "_d"))
    return (pairs[f"{column}_n"] / pairs[f"{column}_d"]).groupby(pairs["prompt"]).median()


def named(name: str, estimate: tuple[float, float, float]) -> dict[str, float]:
    value, low, high = estimate
    return {name: value, f"{name}_low": low, f"{name}_high": high}
