"""The published tables explained: the laws of a draft whose context is frozen, in the paper's rows and in ours."""

import numpy as np
import pandas as pd

from specdec_lib import tables, theory
from specdec_lib.reporting.bootstrap import interval, pooled
from specdec_lib.results import Results


def laws() -> pd.DataFrame:
    """Every row of the published Table 1 beside what a frozen and a growing context predict from α and c alone.

    α is the row of the same draft at n_lookahead 1. error: published / frozen law - 1, of the speed-up.
    """
    table = tables.published_table1()
    alpha = table.query("n_lookahead == 1").set_index("draft_params")["mean_acceptance_rate"]
    table["alpha"] = table["draft_params"].map(alpha)
    for context in ("frozen", "growing"):
        table[f"{context}_acceptance"] = [
            theory.acceptance(row.alpha, row.n_lookahead, context=context) for row in table.itertuples()
        ]
        table[f"{context}_speed_up"] = [
            theory.speedup(row.alpha, row.n_lookahead, row.inference_speed_rate, context=context)
            for row in table.itertuples()
        ]
    table["error"] = table["speed_up"] / table["frozen_speed_up"] - 1
    return table


def growing_prediction() -> pd.DataFrame:
    """What a growing context predicts for the paper's own models: each draft's best n_lookahead and speed-up.

    Beside the best that the paper reports for the draft. A prediction from the published α and c with v = 1, not a
    measurement.
    """
    rows = []
    for params, table in tables.published_table1().groupby("draft_params", sort=False):
        alpha, c = table["mean_acceptance_rate"].iloc[0], table["inference_speed_rate"].iloc[0]
        published = table.loc[table["speed_up"].idxmax()]
        k = theory.best_lookahead(alpha, c)
        rows.append(
            {
                "draft_params": params,
                "alpha": alpha,
                "c": c,
                "published_n_lookahead": published["n_lookahead"],
                "published_speed_up": published["speed_up"],
                "predicted_n_lookahead": k,
                "predicted_speed_up": theory.speedup(alpha, k, c),
                "ceiling": theory.ceiling(alpha),
            }
        )
    return pd.DataFrame(rows)


def frozen_acceptance(results: Results) -> pd.DataFrame:
    """Pooled acceptance of our own drafts, frozen against growing context, and the laws it should follow.

    law: α / (1 + α) with α the growing acceptance at n_lookahead 1. difference: frozen - law, with a 95 % interval over
    articles that takes both from the same ones. beta: see `repeated_guesses`; law_with_beta takes it into account.
    """
    growing, frozen = (
        tables.acceptance(results, experiment)[["draft", "n_lookahead", *measured]].rename(columns=measured)
        for experiment, measured in (("acceptance", _names("growing")), ("frozen", _names("frozen")))
    )
    table = growing.merge(frozen, on=["draft", "n_lookahead"])
    alpha = growing.query("n_lookahead == 1").set_index("draft")["growing"]
    repeated = repeated_guesses(results).set_index("draft")["beta"]
    table["alpha"], table["beta"] = table["draft"].map(alpha), table["draft"].map(repeated)
    table = tables.some(table.dropna(subset=["alpha", "beta"]), "the frozen context")
    for name, beta in (("law", 0.0 * table["beta"]), ("law_with_beta", table["beta"])):
        table[name] = [
            theory.acceptance(a, k, context="frozen", beta=b)
            for a, k, b in zip(table["alpha"], table["n_lookahead"], beta, strict=True)
        ]
    gaps = [_law_gap(results, row.draft, row.n_lookahead) for row in table.itertuples()]
    table[["difference", "difference_low", "difference_high"]] = gaps
    return table


def _law_gap(results: Results, draft: str, n_lookahead: int) -> tuple[float, float, float]:
    """Frozen acceptance minus α / (1 + α), and its interval: articles are drawn together for both."""
    frozen, first = _counts(results, "frozen", draft, n_lookahead), _counts(results, "acceptance", draft, 1)
    both = frozen.merge(first, on="prompt", suffixes=("", "_first")).drop(columns="prompt").to_numpy()

    def gap(values: np.ndarray, axis: int) -> np.ndarray:
        alpha = pooled(values[..., 2:], axis)
        return pooled(values[..., :2], axis) - alpha / (1 + alpha)

    return interval(both, gap)


def _counts(results: Results, experiment: str, draft: str, n_lookahead: int) -> pd.DataFrame:
    """Accepted and rejected tokens of each article in one cell."""
    frame = results.generations(experiment)
    cell = frame[(frame["draft"] == draft) & (frame["n_lookahead"] == n_lookahead)]
    return cell[["prompt", "accepted_tokens", "rejected_tokens"]]


def _names(context: str) -> dict[str, str]:
    """What columns of `tables.acceptance` are called where two contexts stand side by side."""
    pooled_acceptance = {f"pooled_acceptance{end}": f"{context}{end}" for end in ("", "_low", "_high")}
    return {**pooled_acceptance, "tokens_per_round": f"{context}_tokens_per_round"}


def repeated_guesses(results: Results) -> pd.DataFrame:
    """β of each draft: the share accepted of a frozen round's second tokens whose first was; intervals over articles.

    The second token is the first one's guess again. Counted at the largest n_lookahead, as shorter rounds retrace the
    same text; 0 where no first token was accepted.
    """
    frame = results.generations("frozen")
    frame = frame[frame["n_lookahead"] == frame["n_lookahead"].max()]
    rows = []
    for draft, cell in frame.groupby("draft", sort=False):
        rounds = cell[["prompt", "accepted", "kinds"]].assign(kinds=cell["kinds"].map(list))
        rounds = rounds.explode(["accepted", "kinds"])
        rounds["right"] = rounds["accepted"] >= 2
        rounds["wrong"] = (rounds["accepted"] == 1) & (rounds["kinds"] == "r")
        counts = rounds.groupby("prompt")[["right", "wrong"]].sum().to_numpy()
        beta, low, high = np.nan_to_num(interval(counts, pooled))
        rows.append({"draft": draft, "beta": beta, "beta_low": low, "beta_high": high})
    return pd.DataFrame(rows)


def frozen_speedups(results: Results) -> pd.DataFrame:
    """Our drafts timed with a frozen context in the paper's own session, beside (1 + α) / (1 + k c).

    α is the pooled acceptance at n_lookahead 1, c that of the same session.
    """
    table = tables.speedups(results, "table1_frozen")
    table = table[table["draft"].notna()].astype({"n_lookahead": int})
    alpha = tables.acceptance(results).query("n_lookahead == 1").set_index("draft")["pooled_acceptance"]
    cost = tables.rates(results).query("session == 'uncached'").set_index("model")["c"]
    table["alpha"], table["c"] = table["draft"].map(alpha), table["draft"].map(cost)
    table = tables.some(table.dropna(subset=["alpha", "c"]), "the frozen context")
    for context in ("frozen", "growing"):
        table[f"{context}_law"] = [
            theory.speedup(row.alpha, row.n_lookahead, row.c, context=context) for row in table.itertuples()
        ]
    return table.reset_index(drop=True)


def changed_texts(results: Results) -> pd.DataFrame:
    """Greedy text with a cache under each attention, plain and speculative: the share that is not the target's own.

    The target's own text is plain decoding's with SDPA and a correct mask. Intervals over articles.
    """
    frame = results.generations("bettertransformer")
    frame["decoding"] = frame["draft"].isna().map({True: "plain", False: "speculative"})
    own = frame.query("attention == 'sdpa' and decoding == 'plain'").groupby("prompt")["token_ids"].first()
    frame["changed"] = frame["token_ids"] != frame["prompt"].map(own)
    rows = []
    for (attention, decoding), cell in frame.groupby(["attention", "decoding"], sort=False):
        share, low, high = interval(cell["changed"], np.mean)
        rows.append(
            {
                "attention": attention,
                "decoding": decoding,
                "articles": len(cell),
                "changed": share,
                "changed_low": low,
                "changed_high": high,
                "acceptance": cell["acceptance"].mean(),
                "rouge1": cell["rouge1"].mean(),
            }
        )
    return pd.DataFrame(rows)
