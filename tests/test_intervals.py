import pandas as pd

from specdec_lib.reporting.intervals import joined


def test_an_estimate_and_its_interval_become_one_column():
    table = pd.DataFrame({"c": [0.5, None], "c_low": [0.4, None], "c_high": [0.625, None], "draft": ["a", "b"]})
    assert joined(table, "c").to_dict("list") == {"c": ["0.50 [0.40, 0.62]", "–"], "draft": ["a", "b"]}
    assert joined(table, "c", digits=3)["c"][0] == "0.500 [0.400, 0.625]"
