"""A whole study in miniature: measured, resumed, reported."""

import json
import shutil

import pytest
from miniature import TINY

from specdec_lib import ModelDrafter, SpeculativeDecoder, Study, language, parameters, report, tables
from specdec_lib.measuring import rounds, speed
from specdec_lib.measuring.plan import Pace, PlainSeconds
from specdec_lib.profiles import PAPER
from specdec_lib.reporting import published, round_tables, verdicts
from specdec_lib.results import Results


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with pytest.MonkeyPatch.context() as few:
        few.setattr(rounds, "REPEATS", 1)
        few.setattr(speed, "NEW_TOKENS", 4)
        study = Study(TINY, "cpu", folder=tmp_path_factory.mktemp("tiny"))
        for name in study.experiments:
            study.run(name)
    return study


def test_every_cell_article_and_repeat_is_measured_once(study):
    planned = [task.key for tasks in study.tasks.values() for task in tasks]
    assert sorted(study.results.done) == sorted(planned)
    assert len(study.results.rows) == len(planned)
    progress = study.results.progress()
    assert progress["done"].tolist() == progress["planned"].tolist()
    assert not any(progress["failed"])


def test_a_second_run_measures_nothing(study, monkeypatch):
    monkeypatch.setattr(rounds, "REPEATS", 1)
    monkeypatch.setattr(speed, "NEW_TOKENS", 4)
    again = Study(TINY, "cpu", folder=study.results.folder)
    before = len(again.results.rows)
    assert "nothing to run" in again.plan()
    again.run("table1")
    assert len(again.results.rows) == before


def test_a_killed_run_goes_on_where_it_stopped(study, tmp_path):
    rows = (study.results.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    table1 = [line for line in rows if '"experiment": "table1"' in line]
    (tmp_path / "environments.json").write_text((study.results.folder / "environments.json").read_text())
    (tmp_path / "rows.jsonl").write_text("".join(table1[:5]) + table1[5][:40], encoding="utf-8")
    resumed = Study(TINY, "cpu", folder=tmp_path)
    resumed.run("table1")
    assert len(resumed.results.rows) == len(table1)
    keys = [(row["cell"], row["prompt"]) for row in resumed.results.rows]
    assert keys == [(row["cell"], row["prompt"]) for row in study.results.rows if row["experiment"] == "table1"]


def test_replayed_acceptance_is_that_of_real_decoding(study):
    columns = ["token_ids", "drafted", "accepted", "kinds"]
    replayed = study.results.frame("acceptance")
    decoded = study.results.frame("table1")
    both = replayed.merge(decoded, on=["prompt", "draft", "n_lookahead"], suffixes=("", "_decoded"))
    assert len(both) == TINY.timed_articles * len(TINY.drafts) * len(TINY.lookaheads)
    for column in columns:
        assert (both[column] == both[f"{column}_decoded"]).all(), column


def test_replayed_lookup_is_that_of_real_decoding(study):
    replayed = study.results.frame("lookup")
    decoded = study.results.frame("table1_lookup").dropna(subset="n_lookahead")
    for frame in (replayed, decoded):
        frame["draft"] = frame["draft"].fillna("none")
    both = replayed.merge(decoded, on=["prompt", "draft", "n_lookahead"], suffixes=("", "_decoded"))
    assert len(both) == TINY.timed_articles * 3 * len(TINY.lookaheads)
    for column in ("token_ids", "drafted", "accepted", "kinds"):
        assert (both[column] == both[f"{column}_decoded"]).all(), column
    assert set(tables.table1_lookup(study.results)["drafter"]) == {
        "lookup",
        "lookup, else mini-draft-1",
        "lookup, else mini-draft-4",
    }


def test_rounds_are_compared_with_their_own_forwards(study):
    table = round_tables.rounds(study.results)
    assert len(table) == len(TINY.drafts) * (3 + 4 + 4)  # uncached at k = 1, 3, the others at 1, 3, 7, and plain rounds
    plain = table.query("n_lookahead == 0")
    assert (plain["v"] == 1).all()
    assert plain["c"].isna().all()
    assert table.query("n_lookahead > 0")["c"].gt(0).all()
    assert table["share"].isna().equals(table["session"] == "uncached")
    reached = tables.reached(study.results, "table1_static")
    predicted = reached["tokens_per_round"] / (reached["v"] + reached["n_lookahead"] * reached["c"])
    assert reached["predicted"].tolist() == pytest.approx(predicted.tolist())
    assert len(reached) == len(TINY.drafts) * len(TINY.lookaheads)


def test_a_second_run_times_no_round_again(study, monkeypatch):
    monkeypatch.setattr(rounds, "REPEATS", 1)
    before = len(study.results.rows)
    Study(TINY, "cpu", folder=study.results.folder).run("rounds")
    assert len(Study(TINY, "cpu", folder=study.results.folder).results.rows) == before


def test_replayed_frozen_acceptance_is_that_of_real_decoding(study):
    target, draft = study.model("mini-target"), study.model("mini-draft-1")
    decoder = SpeculativeDecoder(target, ModelDrafter(draft, context="frozen"), 3)
    replayed = study.results.frame("frozen").query("draft == 'mini-draft-1' and n_lookahead == 3")
    for prompt, (_, row) in zip(study.prompts, replayed.iterrows(), strict=True):
        out = decoder.generate(prompt, TINY.max_new_tokens)
        assert [step.accepted for step in out.steps] == row["accepted"]
        assert out.token_ids == row["token_ids"]


def test_frozen_context_accepts_the_first_token_as_growing_does_and_repeats_it(study):
    frozen = study.results.frame("frozen")
    growing = study.results.frame("acceptance").query("n_lookahead > 1")
    assert len(frozen) == len(growing)
    table = published.frozen_acceptance(study.results)
    assert (table["frozen_tokens_per_round"] <= table["growing_tokens_per_round"]).all()
    assert table["beta"].between(0, 1).all()
    assert table["difference"].tolist() == pytest.approx((table["frozen"] - table["law"]).tolist())
    assert (table["difference_low"] <= table["difference"]).all()
    assert (table["law_with_beta"] >= table["law"]).all()


def test_every_text_in_32_bits_is_the_targets_own(study):
    assert (tables.speedups(study.results, "table1")["same_text"] == 1).all()
    for experiment in ("table1_static", "table1_frozen", "table2"):
        assert (tables.speedups(study.results, experiment)["same_text"] == 1).all()


def test_places_of_a_round_multiply_to_its_tokens(study):
    """Without the cut at the end of a text, where rounds draft fewer tokens than n_lookahead."""
    places = tables.acceptance_by_position(study.results)
    assert places["acceptance"].between(0, 1).all()
    assert (places.groupby("draft")["judged"].diff().dropna() <= 0).all()
    first = places.query("place == 1").set_index("draft")
    for draft, rows in study.results.generations("acceptance").query("n_lookahead == 7").groupby("draft"):
        assert first.loc[draft, "judged"] == sum(drafted > 0 for rounds in rows["drafted"] for drafted in rounds)


def test_the_report_is_the_same_from_the_same_rows(study, tmp_path):
    first = report.write(study.results, tmp_path / "a")
    second = report.write(Results(study.results.folder), tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    figures = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a" / "figures").rglob("*.*"))
    assert figures == sorted(path.relative_to(tmp_path / "b") for path in (tmp_path / "b" / "figures").rglob("*.*"))
    for name in figures:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_report_sets_every_published_row_beside_ours(study):
    text = report.compose(study.results)
    with language.spoken("ja"):
        assert report.compose(study.results) == text
    assert len(tables.published_table1()) == 32
    for row in tables.published_table1().query("n_lookahead in [1, 3, 7]").itertuples():
        assert f"| {row.draft_params} | {row.n_lookahead} | {row.mean_acceptance_rate:.3f} |" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"profile": "huge"}, "profile must be one of mini, quick, paper, replica, gemma"),
        ({"device": "tpu"}, "device must be"),
        ({"seed": -1}, "seed must be"),
        ({"seed": "0"}, "seed must be"),
    ],
)
def test_unknown_parameters_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Study(**arguments)


def test_a_misspelt_notebook_parameter_is_refused():
    known = {"profile": "mini", "device": "auto", "seed": 0}
    assert parameters({**known, "In": [], "_": 1, "tables": tables}) == known
    with pytest.raises(ValueError, match="Unknown parameter 'profil'"):
        parameters({**known, "profil": "paper"})


def test_an_unknown_experiment_is_refused(study):
    with pytest.raises(ValueError, match="experiment must be one of"):
        study.run("table9")


def test_costs_can_be_read_before_anything_else_is_measured(study, tmp_path):
    alone = Study(TINY, "cpu", folder=tmp_path)
    alone.run("rates")
    table = tables.rates(alone.results)
    assert table.loc[table["model"] == TINY.target, "c"].tolist() == [1, 1, 1]


def test_the_plan_says_what_sets_earlier_rows_apart(study):
    assert "with other" not in study.plan()
    count = len(study.results.rows)
    other = Study(TINY, "cpu", seed=1, folder=study.results.folder)
    assert f"{count} rows were measured with other seed: they stay, and nothing is added to them" in other.plan()


def test_the_plan_speaks_japanese_too(study):
    with language.spoken("ja"):
        assert study.plan().splitlines()[-1] == "  すべて測定済みです"
        plan = Study(TINY, "cpu", seed=1, folder=study.results.folder).plan()
    lines = plan.splitlines()
    assert lines[0].startswith("tiny（cpu、シード 1）、測定結果の保存先：")
    assert f"  table1：{len({task.cell for task in study.tasks['table1']})}条件 × " in plan
    assert f"{len(study.results.rows)}行は条件（seed）が違う測定のものです" in plan
    assert lines[-1].startswith("  所要時間：約")


def test_an_estimate_counts_each_prompt_once_and_each_token(study):
    plain = {"cached": PlainSeconds(prompt=4.0, token=0.5), "uncached": PlainSeconds(prompt=0.0, token=8.0)}
    tasks = {task.work[0].session: task for task in study.tasks["table2"]}
    new = tasks["cached"].max_new_tokens
    assert Pace(plain, []).seconds([tasks["cached"]]) == 4 + new * 0.5
    assert Pace(plain, []).seconds([tasks["uncached"]]) == new * 8
    assert Pace(plain, []).seconds(study.tasks["speed"][:1]) > 4, "also where another library decodes"
    assert Pace(plain, []).seconds(study.tasks["forwards"][:1]) < 0.5
    measured = [{"experiment": "table2", "seconds": seconds} for seconds in (1.0, 3.0)]
    assert Pace(plain, measured).seconds([tasks["cached"]] * 2) == 4


def test_drafts_stand_by_size_whatever_was_measured_first(study, tmp_path):
    shutil.copy(study.results.environments_file, tmp_path)
    rows = sorted(study.results.rows, key=lambda row: row.get("draft") != "mini-draft-4")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert Results(tmp_path).rows[0]["draft"] == "mini-draft-4"
    for experiment in ("acceptance", "frozen", "lookup"):
        ours, theirs = (tables.acceptance(results, experiment) for results in (study.results, Results(tmp_path)))
        assert ours[["draft", "n_lookahead"]].equals(theirs[["draft", "n_lookahead"]])
    first, second = (tables.table1(results)[["draft", "n_lookahead"]] for results in (study.results, Results(tmp_path)))
    assert first.equals(second)


def test_a_missing_largest_draft_is_not_replaced_by_another(study, tmp_path):
    shutil.copy(study.results.environments_file, tmp_path)
    rows = [row for row in study.results.rows if row.get("draft") != "mini-draft-4"]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert "the largest draft with the longest look-ahead" in verdicts.section(study.results)
    with language.spoken("ja"):
        assert "ドラフトモデルが大きいほど高い" in verdicts.section(study.results)
    assert "the largest draft with the longest look-ahead" not in verdicts.section(Results(tmp_path))


def test_pickled_models_are_named_as_here_or_as_on_the_hub():
    for name in ("13M-xlsum-sft", "u-hyszk/japanese-gpt-neox-13M-xlsum-sft"):
        assert PAPER.trusting(name).pickled == ("13M-xlsum-sft",)
    with pytest.raises(ValueError, match="'6M' is no model of the profile paper: choose among 409M"):
        PAPER.trusting("13M-xlsum-sft 6M")
