"""What fails is noted and leaves the rest alone, and a later run without the cause fills the gap."""

import json
from dataclasses import replace

import pytest
from conftest import perturbed, tiny_module
from fragile import fragile, set_fault
from miniature import but_for_time, profile_over, save_articles, save_models

from specdec_lib import Study, report
from specdec_lib.measuring import rounds, speed
from specdec_lib.measuring.tasks import KEY, Failure, Task
from specdec_lib.reporting import references
from specdec_lib.results import Results

FEW = ["quality", "acceptance", "table1"]


@pytest.fixture
def profile(tmp_path):
    """Over a target and two drafts that can be made to fail, and three articles."""
    target = tiny_module("neox", context=128, hidden_size=64)
    drafts = [perturbed(target, amount) for amount in (0.3, 0.1)]
    modules = dict(zip(("target", "draft-1", "draft-2"), map(fragile, (target, *drafts)), strict=True))
    names = save_models(tmp_path, **modules)
    drafts = (names["draft-1"], names["draft-2"])
    return profile_over(names["target"], drafts, save_articles(tmp_path, 3), 3)


def measured(profile, folder, experiments=FEW):
    """A study in a folder, after a run of these experiments."""
    study = Study(profile, "cpu", folder=folder)
    for name in experiments or study.experiments:
        study.run(name)
    return study


def failures(study):
    lines = (study.results.folder / "failures.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def assert_gap(study, gap, reason):
    """Of all that was planned, nothing but the gap's tasks is missing; each of its cells is noted once, and named."""
    planned = {task.key: task for name in FEW for task in study.tasks[name]}
    assert {key for key in planned if key not in study.results.done} == {task.key for task in gap}
    assert len(study.results.rows) == len(planned) - len(gap)
    cells = {(task.experiment, task.cell) for task in gap}
    noted = [(entry["experiment"], entry["cell"]) for entry in failures(study)]
    assert sorted(noted) == sorted(cells)
    assert {entry["reason"] for entry in failures(study)} == {reason}
    progress = Results(study.results.folder).progress().set_index("experiment")
    missing = report.SECTIONS["## What is missing"](study.results)
    for name in FEW:
        lost = [task for task in gap if task.experiment == name]
        there, due = len(study.tasks[name]) - len(lost), len(study.tasks[name])
        assert progress.loc[name, "planned"] == due
        assert progress.loc[name, "done"] == there
        assert progress.loc[name, "failed"] == {task.cell: reason for task in lost}
        assert f"| {name} | {there} | {due} |" in missing
        for task in lost:
            assert f"- {name}, {task.cell}: {reason}" in missing


def assert_filled(profile, folder, gap):
    """A run without the cause measures the gap and nothing else."""
    before = (folder / "rows.jsonl").read_bytes()
    study = measured(profile, folder)
    after = (folder / "rows.jsonl").read_bytes()
    assert after.startswith(before)
    new = [json.loads(line) for line in after[len(before) :].splitlines()]
    assert [(row["experiment"], row["cell"], row["prompt"]) for row in new] == [
        (task.experiment, task.cell, task.prompt) for task in gap
    ]
    progress = study.results.progress().set_index("experiment").loc[FEW]
    assert progress["done"].tolist() == progress["planned"].tolist()
    assert not any(progress["failed"])


def test_a_draft_that_cannot_be_loaded_leaves_a_gap_that_the_next_run_fills(profile, tmp_path, monkeypatch):
    """Over all experiments, up to the report."""
    monkeypatch.setattr(rounds, "REPEATS", 1)
    monkeypatch.setattr(rounds, "BUFFER", 2**20)
    monkeypatch.setattr(speed, "NEW_TOKENS", 4)
    monkeypatch.setattr(references, "FOLDER", tmp_path / "none")
    (tmp_path / "none").mkdir()
    profile = profile.limited(articles=2)
    damaged = tmp_path / "draft-1" / "tokenizer_config.json"
    sound = damaged.read_text()
    damaged.write_text(sound[:20])
    study = measured(profile, tmp_path / "results", None)
    planned = [task for tasks in study.tasks.values() for task in tasks]
    gap = {task.key for task in planned if "draft-1" in task.cell}
    assert {task.key for task in planned} - study.results.done == gap
    assert len(study.results.rows) == len(planned) - len(gap)
    cells = {key[:2] for key in gap}
    assert sorted((entry["experiment"], entry["cell"]) for entry in failures(study)) == sorted(cells)
    text = report.compose(study.results)
    for experiment, cell in cells:
        assert f"- {experiment}, {cell}: The tokenizer of {profile.drafts[0]} can't be used" in text
    damaged.write_text(sound)
    before = (tmp_path / "results" / "rows.jsonl").read_bytes()
    whole = measured(profile, tmp_path / "results", None)
    assert (tmp_path / "results" / "rows.jsonl").read_bytes().startswith(before)
    assert sorted(task.key for task in planned) == sorted(whole.results.done)
    assert len(whole.results.rows) == len(planned)
    assert report.SECTIONS["## What is missing"](Results(tmp_path / "results")) == ""


def middle_tokens(study, *articles):
    """A token for each article that the target's text has in its middle, and no other's."""
    texts = study.results.frame("quality").set_index("prompt")["token_ids"]
    others = {token for prompt in study.prompts for token in prompt}
    others |= {token for article, text in texts.items() if article not in articles for token in text}
    return [next(token for token in texts[article][3:-2] if token not in others) for article in articles]


def test_a_cell_that_raises_in_the_middle_of_an_article_costs_that_article_alone(profile, tmp_path):
    folder, profile = tmp_path / "results", replace(profile, lookaheads=(1,))  # which reads no guess of its own
    set_fault(profile.drafts[1], raises_at=middle_tokens(measured(profile, folder, ["quality"]), "a1"))
    study = measured(profile, folder)
    gap = [task for name in FEW for task in study.tasks[name] if "draft-2" in task.cell and task.prompt == "a1"]
    assert_gap(study, gap, "RuntimeError: device-side assert triggered")
    assert_gap(measured(profile, folder), gap, "RuntimeError: device-side assert triggered")
    set_fault(profile.drafts[1])
    assert_filled(profile, folder, gap)


def test_a_reason_stays_named_until_the_last_row_of_its_cell_is_there(profile, tmp_path):
    folder, profile = tmp_path / "results", replace(profile, lookaheads=(1,))
    first, second = middle_tokens(measured(profile, folder, ["quality"]), "a1", "a2")
    for tokens in ([first, second], [second]):
        set_fault(profile.drafts[1], raises_at=tokens)
        study = measured(profile, folder)
        progress = study.results.progress().set_index("experiment").loc[["acceptance", "table1"]]
        for name, row in progress.iterrows():
            cells = {task.cell for task in study.tasks[name] if "draft-2" in task.cell}
            assert row["failed"] == dict.fromkeys(cells, "RuntimeError: device-side assert triggered")


def test_each_run_of_one_session_names_what_fails_in_it(tmp_path):
    results = Results(tmp_path, "e")
    first, second = (Task("table1", "plain", article, 0, 8, "", ()) for article in ("a0", "a1"))
    with results.writing({"id": "e"}, {"table1": 2}):
        results.fail(Failure(first, "lost"), "e")
        results.fail(Failure(second, "lost"), "e")
    with results.writing({"id": "e"}, {"table1": 2}):
        results.append({"environment": "e", "profile": "miniature", **dict(zip(KEY, first.key, strict=True))})
        results.fail(Failure(second, "lost"), "e")
    assert results.progress()["failed"].tolist() == [{"plain": "lost"}]


def test_what_runs_out_of_memory_is_tried_again_after_everything_was_let_go_of(profile, tmp_path):
    """Two of the three models fit in memory: every third that is asked for needs the others gone."""
    profile = profile.limited(articles=1)
    reference = but_for_time(measured(profile, tmp_path / "reference").results.rows)
    for model in (profile.target, *profile.drafts):
        set_fault(model, room=2)
    study = measured(profile, tmp_path / "results")
    assert not (tmp_path / "results" / "failures.jsonl").exists()
    assert but_for_time(study.results.rows) == reference


def test_what_never_fits_in_memory_is_noted_and_the_rest_is_measured(profile, tmp_path):
    set_fault(profile.drafts[0], room=0)
    study = measured(profile, tmp_path / "results")
    gap = [task for name in FEW for task in study.tasks[name] if "draft-1" in task.cell]
    assert_gap(study, gap, "OutOfMemoryError: Tried to allocate 2.00 GiB.")
    set_fault(profile.drafts[0])
    assert_filled(profile, tmp_path / "results", gap)


def test_a_target_that_never_fits_in_memory_is_noted(profile, tmp_path):
    set_fault(profile.target, room=0)
    study = measured(profile, tmp_path / "results", ["quality"])
    assert not study.results.rows
    assert [entry["reason"] for entry in failures(study)] == ["OutOfMemoryError: Tried to allocate 2.00 GiB."]


def test_texts_of_another_length_are_not_taken_for_the_targets_own(profile, tmp_path):
    """A folder may hold rows from before the profile's numbers were changed."""
    longer = replace(profile, max_new_tokens=20)
    measured(profile, tmp_path / "results", ["quality"])
    mixed = measured(longer, tmp_path / "results", ["acceptance"]).results.rows[3:]
    assert but_for_time(mixed) == but_for_time(measured(longer, tmp_path / "longer", ["acceptance"]).results.rows)
