"""Estimates and their intervals in one column of a table."""

import pandas as pd

from specdec_lib.reporting.markdown import brackets


def joined(table: pd.DataFrame, name: str, digits: int = 2) -> pd.DataFrame:
    """The table with the columns NAME, NAME_low and NAME_high as one, "1.00 [0.96, 1.04]"; "–" where it is NaN."""
    told = [
        "–" if pd.isna(value := getattr(row, name)) else f"{value:.{digits}f} {brackets(row, name, digits)}"
        for row in table.itertuples()
    ]
    return table.assign(**{name: told}).drop(columns=[f"{name}_low", f"{name}_high"])
