"""What the experiment "speed" measured: each way of decoding beside transformers `generate`. Knows results alone."""

from collections.abc import Iterator

import pandas as pd

from specdec_lib import tables
from specdec_lib.language import say
from specdec_lib.measuring.ways import UNTRAINED
from specdec_lib.reporting.bootstrap import interval
from specdec_lib.results import Results

SETTINGS = ["library", "method", "drafter", "draft", "n_lookahead", "session"]


def speed(results: Results) -> pd.DataFrame:
    """A line for each way, in the order of their turns.

    token_milliseconds: the whole call over its new tokens, median over articles of the median over repeats. ratio:
    time a token of transformers `generate` / of this way in the same turn, with its 95 % interval over articles.
    same_text: the share of texts that equal those of `generate`, token for token.
    """
    frame = _frame(results)
    base = _where(frame, library="transformers", method="generate")
    rows = []
    for name, way in frame.groupby("cell", sort=False):
        texts = way.merge(base, on=["prompt", "repeat"], suffixes=("", "_base"))
        rows.append(
            {
                "way": name,
                **way.iloc[0][SETTINGS],
                "articles": way["prompt"].nunique(),
                "token_milliseconds": 1000 * way.groupby("prompt")["token_seconds"].median().median(),
                **tables.named("ratio", interval(tables.paired(base, way, "token_seconds"))),
                "same_text": (texts["token_ids"] == texts["token_ids_base"]).mean(),
            }
        )
    return pd.DataFrame(rows)


def headline(results: Results) -> pd.DataFrame:
    """How much faster ours is than what it would replace: claim, ours, other, and the ratio of times a token.

    Plain decoding over `generate` (compiled too, where it was measured); each draft and n_lookahead over assisted
    generation with the same; "auto" over the best fixed k, or over plain decoding for the untrained draft; the best of
    ours over flashspec's best, with lookup and without. Best: the lowest token_milliseconds, on these same rows. Ratios
    are medians over articles with 95 % intervals; other / ours.
    """
    frame, table = _frame(results), speed(results)
    rows = []
    for claim, ours, other in _claims(table):
        pair = (frame[frame["cell"] == way] for way in (other, ours))
        ratio = interval(tables.paired(*pair, "token_seconds"))
        rows.append({"claim": claim, "ours": ours, "other": other, **tables.named("ratio", ratio)})
    return pd.DataFrame(rows)


def _claims(table: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """What is claimed of which two ways."""
    plain = tables.some(_where(table, library="ours", method="plain", session="auto"), "speed")["way"].iloc[0]
    for method in ("generate", "compiled"):
        for other in _where(table, library="transformers", method=method)["way"]:
            yield say(f"plain over {method}", f"通常のデコーディング / {method}"), plain, other
    assisted = _where(table, library="transformers", method="assisted")
    assisting = say("speculative over assisted generation", "投機的デコーディング / assisted generation")
    same_forward = say(", both by transformers' forward", "（ともに transformers のフォワード）")
    for session, claim in (("auto", ""), ("cached", same_forward)):
        drafted = _where(table, library="ours", method="speculative", session=session)
        for pair in drafted.merge(assisted, on=["draft", "n_lookahead"], suffixes=("", "_other")).itertuples():
            yield f"{assisting}{claim}", pair.way, pair.way_other
    drafted = _where(table, library="ours", method="speculative", session="auto")
    for _, ways in drafted.groupby("draft", sort=False):
        auto = _where(ways, n_lookahead="auto")
        fixed = ways.drop(auto.index)
        if len(auto):
            best = say('"auto" over the best fixed k', "auto / 固定した k の最良")
            untrained = say('"auto" over plain, with an untrained draft', "auto / 通常（未学習のドラフトで）")
            yield best if len(fixed) else untrained, auto["way"].iloc[0], _best(fixed) if len(fixed) else plain
    trained = table[table["draft"] != UNTRAINED]
    ours, others = _where(trained, library="ours"), _where(trained, library="flashspec")
    if len(ours) and len(others):
        yield say("best over flashspec's best", "最良どうし / flashspec"), _best(ours), _best(others)
    ours, others = (_where(ways, drafter="model") for ways in (ours, others))
    if len(ours) and len(others):
        yield say("best of the draft models alone", "ドラフトモデルだけの最良どうし"), _best(ours), _best(others)


def _frame(results: Results) -> pd.DataFrame:
    frame = results.frame("speed")
    frame["token_seconds"] = frame["seconds"] / frame["token_ids"].map(len)
    return frame


def _where(table: pd.DataFrame, **values: str) -> pd.DataFrame:
    return table[(table[list(values)] == pd.Series(values)).all(axis=1)]


def _best(ways: pd.DataFrame) -> str:
    return ways.loc[ways["token_milliseconds"].idxmin(), "way"]
