"""Numbers and tables as markdown."""

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from specdec_lib.results import Missing, Results


def brackets(row, name: str, digits: int) -> str:
    """The interval of one value of a table's row: "[low, high]"."""
    low, high = (
        row[f"{name}_{end}"] if isinstance(row, pd.Series) else getattr(row, f"{name}_{end}") for end in ("low", "high")
    )
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def table(head: Sequence[str], rows: Iterable[Sequence]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    """A dash for what was not measured."""
    return re.sub(r"[×+]?\bnan\b%?", "–", str(value)).removesuffix(" [–, –]")


def not_shown(missing: Missing, results: Results) -> str:
    """What stands in the place of a table whose rows are missing; of paths the folder's name alone."""
    return f"Not shown: {missing}".replace(str(results.folder), results.folder.name)
