"""What the fuzz found, one input each: a sentence that says what is wrong."""

import json
import shutil
from dataclasses import replace

import pytest
from test_cli import save_model, sentence
from test_results import ROW

from specdec_lib import Study, load_model, xlsum
from specdec_lib.cli import main
from specdec_lib.measuring.rows import check_rows
from specdec_lib.profiles import QUICK
from specdec_lib.results import Results


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"), seed=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output-dir", "a\x00b"], "no folder can have this name"),
        (["--output-dir", "x" * 300], "no folder can have this name"),
        (["-p", "x" * 300], "Unknown model"),
        (["--device", "cpu:"], "device must be auto, cpu or cuda"),
        (["--pickled", "other"], "'other' is neither target nor draft"),
        (["--temperature", "1", "--seed", "9" * 30], "seed must be a whole number of at most 64 bits"),
        (["--max-text-length", "2", "--max-new-tokens", "999"], "shorten the prompt"),
    ],
)
def test_a_text_that_can_not_be_continued(arguments, words, model, capsys):
    capsys.readouterr()
    assert main(["generate", "-i", "あいう", "-p", model, "-q", model, "--device", "cpu", *arguments]) == 2
    assert words in sentence(capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--top-p", "-1"], "top_p must be"), (["--repeats", "9" * 30], "repeats must be from 1 to 1,000")],
)
def test_articles_that_can_not_be_decoded(arguments, words, model, tmp_path, capsys):
    article = {"id": "a", "title": "あ", "summary": "い", "text": "う"}
    (tmp_path / "a.jsonl").write_text(json.dumps(article))
    options = ["--source", str(tmp_path / "a.jsonl"), "-p", model, "-q", model, "--device", "cpu"]
    capsys.readouterr()
    assert main(["benchmark", *options, "--max-new-tokens", "4", *arguments]) == 2
    assert words in sentence(capsys)


def test_more_repeats_than_can_be_listed():
    with pytest.raises(ValueError, match="repeats must be at most 1,000"):
        Study("quick", "cpu", repeats=10**9)


def test_a_report_of_no_results(tmp_path, capsys):
    assert main(["report", "--results", str(tmp_path / "none")]) == 2
    assert "There are no results in" in sentence(capsys)


def test_a_study_of_one_draft_plans_no_row_twice(tmp_path):
    tasks = Study(QUICK.limited(1), "cpu", folder=tmp_path).tasks["lookup"]
    one = Study(replace(QUICK.limited(1), drafts=(QUICK.draft,)), "cpu", folder=tmp_path).tasks["lookup"]
    assert len({task.key for task in one}) == len(one) < len(tasks)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"id": "a", "title": "\\ud800", "summary": "b", "text": "c"}', "half of a surrogate pair"),
        ("[" * 9999, "line 1 is not JSON"),
    ],
)
def test_articles_that_are_none(content, words, tmp_path):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(ValueError, match=words):
        xlsum.load(tmp_path / "a.jsonl")


@pytest.mark.parametrize("arguments", [{"source": 5}, {"source": None}, {"split": None}])
def test_arguments_of_articles_that_are_no_text(arguments):
    with pytest.raises(ValueError, match="source and split must be text"):
        xlsum.load(**arguments)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("failures.jsonl", '{"environment": "e1"}\n', "Line 1 of .* tells no failure"),
        ("environments.json", '{"e1": {"planned": {"quality": "many"}}}', "environment 'e1' in .* can't be read"),
        ("environments.json", '{"e1": {"sources": []}}', "environment 'e1' in .* can't be read"),
        ("environments.json", '{"e1": {"machine": "\\ud800"}}', "is not a JSON object of environments"),
        ("rows.jsonl", json.dumps({**ROW, "cell": "\ud800"}) + "\n", "Line 1 of .* is not a JSON object"),
        ("rows.jsonl", None, "can't be read"),
        ("failures.jsonl", None, "can't be read"),
        ("environments.json", None, "can't be read"),
    ],
)
def test_results_that_can_not_be_read(name, content, words, tmp_path):
    """None: a folder stands in the file's place."""
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n")
    (tmp_path / "environments.json").write_text('{"e1": {"id": "e1"}}')
    assert len(Results(tmp_path).rows) == 1
    if content is None:
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=words):
        Results(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"n_lookahead": None},
        {"draft": None},
        {"prompt_seconds": 2.0},
        {"prompt_seconds": None},
        {"seconds": 5e-324},
    ],
)
def test_a_row_that_contradicts_itself(change, tmp_path):
    counts = {"token_ids": [1], "drafted": [1], "accepted": [0], "kinds": "r", "n_lookahead": 1, "weights": 1}
    how = {"session": "cached", "attention": "sdpa", "bits": 32, "draft_bits": 32, "lookup": False}
    scores = {"rouge1": 0, "rouge2": 0, "rougeL": 0}
    row = {**ROW, "target": "t", "draft": "d", **counts, **how, **scores, "seconds": 1.0, "prompt_seconds": 0.5}
    check_rows("table1", [row], tmp_path)
    with pytest.raises(ValueError, match=r"A row of table1 in .* can't be read"):
        check_rows("table1", [{**row, **change}], tmp_path)


@pytest.mark.parametrize("change", [{"model_max_length": [1]}, {"unk_token": ""}])
def test_a_tokenizer_that_fails_when_it_is_used(change, model, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "model" / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=r"The tokenizer of .* can't be used"):
        load_model(str(tmp_path / "model"), device="cpu")


@pytest.mark.parametrize("size", [[16], -16, 1.5, None])
def test_a_tensor_whose_shape_is_none(model, size, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    content = file.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    next(tensor for name, tensor in header.items() if name != "__metadata__")["shape"][0] = size
    changed = json.dumps(header).encode()
    file.write_bytes(len(changed).to_bytes(8, "little") + changed + content[end:])
    with pytest.raises(ValueError, match=r"The weights of .* can't be used"):
        load_model(str(tmp_path / "model"), device="cpu")
