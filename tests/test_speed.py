"""Speed beside other libraries: measured once, resumed, and worked out right."""

import json
from dataclasses import asdict

import pytest

from specdec_lib import Study, profiles
from specdec_lib.cli import main
from specdec_lib.measuring import speed
from specdec_lib.measuring.peers import has_flashspec
from specdec_lib.measuring.ways import Way, ways
from specdec_lib.profiles import QUICK
from specdec_lib.reporting import speed_report, speed_tables
from specdec_lib.results import Results

ONE = QUICK.limited(articles=1, repeats=1)
TOKENS = 5

GENERATE = Way("transformers", "generate")
ASSISTED = Way("transformers", "assisted", "model", "small", 3)
BANDIT = Way("flashspec", "bandit", "model", "small", 2)
COMPOSITE = Way("flashspec", "auto", "lookup first", "small")
UNCACHED = Way("ours", "plain", session="uncached")
PLAIN = Way("ours", "plain", session="auto")
SPECULATIVE = Way("ours", "speculative", "model", "small", 3, "auto")
OTHER_K = Way("ours", "speculative", "model", "small", 1, "auto")
LOOKUP = Way("ours", "lookup", "lookup", None, 3, "auto")


@pytest.fixture(scope="module")
def few_tokens():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "NEW_TOKENS", TOKENS)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory, few_tokens):
    study = Study(ONE, "cpu", folder=tmp_path_factory.mktemp("runs") / "quick")
    study.run("speed")
    return study


@pytest.fixture
def results(tmp_path):
    """Three articles, twice each: a token takes the milliseconds of `ways`, and two and three times as many."""
    ways = {
        GENERATE: 8,
        ASSISTED: 12,
        BANDIT: 5,
        COMPOSITE: 3,
        UNCACHED: 40,
        PLAIN: 4,
        SPECULATIVE: 6,
        OTHER_K: 10,
        LOOKUP: 2,
    }
    made = Results(tmp_path, "e1")
    made.register({"id": "e1"}, {})
    for factor, prompt in enumerate("abc", 1):
        for repeat in range(2):
            for way, milliseconds in ways.items():
                other = way == LOOKUP and prompt == "c"
                made.append(row(way, prompt, repeat, factor * milliseconds, [1, 2, 3 + other]))
    return made


def row(way, prompt, repeat, milliseconds, token_ids):
    return {
        "environment": "e1",
        "profile": "mini",
        "experiment": "speed",
        "cell": way.name,
        **asdict(way),
        "version": "1.0" if way.library in ("transformers", "flashspec") else None,
        "attention": "sdpa",
        "dtype": "float32",
        "prompt": prompt,
        "repeat": repeat,
        "max_new_tokens": 3,
        "token_ids": token_ids,
        "seconds": len(token_ids) * milliseconds / 1000,
    }


def available(profile):
    return [way for way in ways(profile, "cpu") if way.library != "flashspec" or has_flashspec()]


def test_every_way_is_measured_and_all_texts_are_equal(study):
    assert [row["cell"] for row in study.results.rows] == [way.name for way in available(ONE)]
    assert len({tuple(row["token_ids"]) for row in study.results.rows}) == 1
    assert all(row["seconds"] > 0 and len(row["token_ids"]) == TOKENS for row in study.results.rows)


def test_names_are_distinct_and_cuda_adds_compiled_generate():
    for profile in profiles.PROFILES.values():
        here, there = (ways(profile, device) for device in ("cpu", "cuda:0"))
        assert len({way.name for way in there}) == len(there)
        assert set(there) - set(here) == {Way("transformers", "compiled")}


def test_a_killed_run_goes_on_where_it_stopped(study, tmp_path):
    lines = study.results.rows_file.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "environments.json").write_text(study.results.environments_file.read_text())
    (tmp_path / "rows.jsonl").write_text("".join(lines[:-2]) + lines[-2][:30], encoding="utf-8")
    for _ in range(2):
        resumed = Study(ONE, "cpu", folder=tmp_path)
        resumed.run("speed")
        assert [row["cell"] for row in resumed.results.rows] == [json.loads(line)["cell"] for line in lines]


def test_without_flashspec_its_ways_are_left_out_with_a_notice(study, tmp_path, monkeypatch, capsys):
    rest = [row for row in study.results.rows if row["library"] != "flashspec"]
    without = Study(ONE, "cpu", folder=tmp_path)
    without.results.register(without.environment, {})
    for left in rest:
        without.results.append(left)
    monkeypatch.setattr(speed, "has_flashspec", lambda: False)
    without.run("speed")
    assert len(without.results.rows) == len(rest)
    assert capsys.readouterr().err.count("pip install .[bench]") == 1
    assert "flashspec was not installed" in speed_report.section(without.results)
    assert not speed_tables.headline(without.results)["claim"].str.contains("flashspec").any()


def test_each_way_stands_beside_generate(results):
    table = speed_tables.speed(results).set_index("way")
    assert table.index.tolist()[:2] == [GENERATE.name, ASSISTED.name]
    assert table.loc[ASSISTED.name, "token_milliseconds"] == pytest.approx(24)
    for way, ratio in ((GENERATE, 1), (ASSISTED, 8 / 12), (PLAIN, 2), (LOOKUP, 4)):
        found = table.loc[way.name, ["ratio", "ratio_low", "ratio_high"]].tolist()
        assert found == pytest.approx([ratio] * 3)
    assert table["same_text"].drop(LOOKUP.name).eq(1).all()
    assert table.loc[LOOKUP.name, "same_text"] == pytest.approx(2 / 3)


def test_an_outlier_in_one_repeat_changes_no_median(results):
    results.append(row(PLAIN, "b", 2, 900, [1, 2, 3]))
    results.append(row(GENERATE, "b", 2, 16, [1, 2, 3]))
    table = speed_tables.speed(results).set_index("way")
    assert table.loc[PLAIN.name, "token_milliseconds"] == pytest.approx(8)
    assert table.loc[PLAIN.name, "ratio"] == pytest.approx(2)


def test_the_headline_pairs_like_with_like_and_best_with_best(results):
    table = speed_tables.headline(results)
    assert table[["claim", "ours", "other"]].values.tolist() == [
        ["plain over generate", PLAIN.name, GENERATE.name],
        ["speculative over assisted generation", SPECULATIVE.name, ASSISTED.name],
        ["best over flashspec's best", LOOKUP.name, COMPOSITE.name],
        ["best of the draft models alone", SPECULATIVE.name, BANDIT.name],
    ]
    assert table["ratio"].tolist() == pytest.approx([2, 2, 3 / 2, 5 / 6])


def test_the_section_shows_every_way_and_its_settings(results):
    text = speed_report.section(results)
    assert "transformers 1.0 and flashspec 1.0" in text
    assert "| ours | speculative | small | 3 | auto | 12.00 | ×1.33 [1.33, 1.33] | 100% |" in text
    assert text.count("\n| ours |") == 5


def test_the_command_shows_what_is_measured_already(study, monkeypatch, capsys):
    monkeypatch.setattr("specdec_lib.measuring.study.RUNS", study.results.folder.parent)
    monkeypatch.setitem(profiles.PROFILES, "quick", ONE)
    before = study.results.rows_file.read_bytes()
    assert main(["benchmark", "--speed", "--profile", "quick", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert study.results.rows_file.read_bytes() == before
    lines = [line for line in out.splitlines() if line.startswith(("transformers", "flashspec", "o"))]
    assert len(lines) == len(available(ONE))
    assert "plain over generate" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--speed", "--n-lookahead", "3"], "leave out --n-lookahead"),
        (["--speed", "--no-kv-cache"], "leave out --kv-cache"),
        (["--speed", "--articles", "2"], "leave out --articles"),
        (["--speed", "--profile", "huge"], "profile must be one of mini, quick, paper"),
        (["--speed", "--device", "tpu"], "device must be auto, cpu or cuda"),
        (["--profile", "quick"], "add --speed"),
    ],
)
def test_bad_options_are_one_sentence(options, words, capsys):
    assert main(["benchmark", *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
