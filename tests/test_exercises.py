"""Every exercise starts from something that runs and isn't right yet, and its solution is right, in both languages."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch

import specdec_lib as sd
from specdec_lib import language
from specdec_lib.translation import LANGUAGE, key, translations

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SOLUTION = re.compile(r"<summary>(?:Solution|解答)[^<]*</summary>.*?```python\n(.*?)```", re.DOTALL)


def exercises():
    """Of each exercise: the cell's lines before the check, the check, and the prose before it in both languages."""
    for file in NOTEBOOKS:
        cells = nbformat.read(file, as_version=4).cells
        japanese = translations(file.parent / LANGUAGE / f"{file.stem}.md")
        for before, cell in pairwise(cells):
            if "exercise" in cell.metadata.get("tags", []):
                start, _, check = cell.source.rstrip().rpartition("\n")
                name = re.match(r'sd\.check\("([^"]+)"', check)[1]
                yield pytest.param(start, check, before.source, japanese.get(key(before.source), ""), id=name)


EXERCISES = list(exercises())
each = pytest.mark.parametrize(("start", "check", "prose", "japanese"), EXERCISES)


@pytest.fixture(autouse=True)
def speak_english_again():
    with language.spoken("en"):
        yield


def verdict(code, check):
    names = {"sd": sd, "torch": torch, "pd": pd}
    exec(code, names)
    return eval(check, names)


def test_there_are_at_least_twelve_and_each_check_is_one_of_theirs():
    assert len(EXERCISES) >= 12
    with pytest.raises(ValueError, match="There is no exercise 'none': choose among") as error:
        sd.check("none", None)
    told = str(error.value).split("choose among ")[1].rstrip(".").split(", ")
    assert sorted(told) == sorted(param.id for param in EXERCISES)


@each
def test_it_starts_from_something_that_runs_and_a_message_that_teaches(start, check, prose, japanese):
    messages = {}
    for lang in language.LANGUAGES:
        language.use(lang)
        result = verdict(start, check)
        assert not result.passed
        assert "stopped with" not in str(result)
        assert "エラーで止まりました" not in str(result)
        messages[lang] = result.message
    assert len(messages["en"]) > 60
    assert re.search("[ぁ-ん]", messages["ja"])
    assert not re.search("[ぁ-ん]", messages["en"])


@each
def test_its_solution_is_right(start, check, prose, japanese):
    [solution] = SOLUTION.findall(prose)
    result = verdict(solution, check)
    assert result.passed, result.message


@each
def test_it_says_what_it_is_for_and_folds_hint_and_solution(start, check, prose, japanese):
    assert re.search(r"^### Exercise \d\.\d", prose, re.MULTILINE)
    assert re.search(r"\*Objective: .+ · \d+ minutes · difficulty [123] of 3\*", prose)
    assert re.findall("<summary>([A-Z][a-z]+)", prose)[-1] == "Solution"
    assert "Hint" in prose
    assert SOLUTION.findall(japanese) == SOLUTION.findall(prose)


@each
def test_code_that_fails_is_told_and_not_raised(start, check, prose, japanese):
    name = re.match(r'sd\.check\("([^"]+)"', check)[1]

    def fails(*_, **__):
        raise KeyError("mine")

    for answer in (fails, None, "text", [], float("nan"), lambda *_, **__: None):
        result = sd.check(name, answer)
        assert not result.passed
        assert len(result.message) > 20


def test_a_division_of_nothing_by_nothing_is_called_that():
    def divides(target, draft):
        missing = (target - draft).clamp(min=0)
        return missing / missing.sum()

    result = sd.check("residual", divides)
    assert not result.passed
    assert "0 is divided by 0" in result.message


def test_a_function_drafter_tells_its_function_the_whole_text_and_how_to_draw():
    target, seen = sd.load_model("mini-target"), []

    def propose(text, k, chance, vocabulary):
        seen.append(text)
        row = torch.full((vocabulary,), 1 / vocabulary)
        return torch.cat([chance.draw(row) for _ in range(k)]), row.expand(k, -1)

    drafter = sd.exercises.FunctionDrafter(propose, target.vocab_size)
    prompt = target.encode("明日は")
    out = sd.SpeculativeDecoder(target, drafter, n_lookahead=2).generate(prompt, 12, temperature=1.0)
    whole = [*prompt, *out.token_ids]
    assert len(seen) > 3
    assert [whole[: len(text)] for text in seen] == seen
    assert len(seen[-1]) > len(prompt)
