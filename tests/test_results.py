"""Rows on disk: nothing measured is lost or mixed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from specdec_lib.measuring.sources import versions_of
from specdec_lib.measuring.stamp import environment
from specdec_lib.profiles import QUICK
from specdec_lib.reporting.bootstrap import interval, pooled
from specdec_lib.results import Results

ROW = {
    "environment": "e1",
    "experiment": "table1",
    "cell": "plain",
    "prompt": "a",
    "repeat": 0,
    "max_new_tokens": 8,
    "profile": "mini",
}


@pytest.fixture
def folder(tmp_path):
    results = Results(tmp_path)
    results.register({"id": "e1"}, {})
    results.append({**ROW, "seconds": 1.0})
    results.append({**ROW, "prompt": "b", "seconds": 2.0})
    return tmp_path


def test_rows_are_there_again_after_a_restart(folder):
    again = Results(folder, "e1")
    assert [row["seconds"] for row in again.rows] == [1.0, 2.0]
    assert again.done == {("table1", "plain", "a", 0, 8), ("table1", "plain", "b", 0, 8)}


def test_a_line_cut_by_a_crash_is_dropped_with_a_notice_and_the_next_row_is_whole(folder, capsys):
    with (folder / "rows.jsonl").open("a") as file:
        file.write('{"environment": "e1", "exper')
    results = Results(folder)
    assert "cut short" in capsys.readouterr().err
    results.append({**ROW, "prompt": "c", "seconds": 3.0})
    assert [row["prompt"] for row in Results(folder).rows] == ["a", "b", "c"]


def test_a_broken_line_elsewhere_is_named(folder):
    file = folder / "rows.jsonl"
    file.write_text("nonsense\n" + file.read_text())
    with pytest.raises(ValueError, match=r"Line 1 of .*rows\.jsonl"):
        Results(folder)


def test_rows_of_another_environment_are_never_used(folder):
    results = Results(folder)
    results.register({"id": "e2"}, {})
    results.append({**ROW, "environment": "e2", "seconds": 9.0})
    assert results.done == {("table1", "plain", "a", 0, 8)}
    assert results.environment["id"] == "e2"
    assert len(Results(folder, "e1").done) == 2


def test_no_results_say_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"reproduce\.sh"):
        _ = Results(tmp_path / "none").environment


def test_an_environment_is_the_same_until_something_in_it_changes():
    assert environment("cpu", 2) == environment("cpu", 2)
    assert environment("cpu", 2)["id"] != environment("cpu", 1)["id"]
    assert environment("cpu", 2, seed=1)["id"] != environment("cpu", 2)["id"]
    json.dumps(environment("cpu", 2))


def test_other_weights_are_another_environment(tmp_path):
    weights = tmp_path / "model.safetensors"
    profile = replace(QUICK, target=str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    versions = []
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        versions.append(versions_of(profile))
    ids = {environment("cpu", 2, sources=sources)["id"] for sources in versions}
    assert len(ids) == 2
    assert versions[0]["mini-draft-1"] == versions[1]["mini-draft-1"]


def test_intervals_hold_the_value_and_repeat_to_the_digit():
    values = np.random.default_rng(1).normal(1.5, 0.2, size=40)
    value, low, high = interval(values)
    assert low < value < high
    assert value == np.median(values)
    assert interval(values) == (value, low, high)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    draws = np.random.default_rng(2).normal(0, 1, size=(200, 30))
    hits = sum(low <= 0 <= high for _, low, high in (interval(row, np.mean, draws=400) for row in draws))
    assert 175 <= hits <= 200


def test_a_pooled_rate_weighs_tokens_not_articles():
    value, low, high = interval(np.array([[9, 1], [0, 10]]), pooled)
    assert value == pytest.approx(9 / 20)
    assert low <= value <= high
