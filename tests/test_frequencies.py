"""Sampled texts have the target's law, and a decoder that is wrong does not pass for right."""

from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
import torch
from conftest import perturbed, tiny_module

from specdec_lib import Study, drafters, sampling, tables, workspace
from specdec_lib.measuring import frequencies
from specdec_lib.measuring.frequencies import Case, Remembered, compare, exact_law, measure
from specdec_lib.models import as_language_model
from specdec_lib.profiles import QUICK
from specdec_lib.results import Results
from specdec_lib.sampling import Sampling
from specdec_lib.sessions import UncachedSession

PROMPT = [3, 5, 7, 1, 2]
DRAWS = 2_000
CASES = [
    Case("near", 1, "growing", Sampling(1.0), 2),
    Case("near", 2, "growing", Sampling(1.0), 2),
    Case("near", 2, "growing", Sampling(0.7, top_k=5, top_p=0.9), 3),
    Case("near", 4, "growing", Sampling(1.3, top_k=3), 3),
    Case("near", 3, "frozen", Sampling(1.0, top_p=0.9), 2),
]


@pytest.fixture(scope="module")
def pair():
    module = tiny_module("neox", vocab=8, scale=3.0, end=6)
    return as_language_model(module), as_language_model(perturbed(module, 1.0))


def measured(pair, case):
    target, draft = (Remembered(model, PROMPT) for model in pair)
    law = exact_law(Remembered(pair[0], PROMPT, UncachedSession), case.sampling, case.tokens)
    return measure(case, target, draft, law, DRAWS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_first_tokens_follow_the_targets_law(pair, case):
    found = measured(pair, case)
    assert found["draws"] == DRAWS
    assert found["impossible"] == 0
    assert found["degrees"] > 5
    assert 0.1 < found["acceptance"] < 0.9
    assert found["p_value"] > 0.01 / len(CASES)
    assert found["largest_deviation"] < 0.04


def resampled_from_the_target(target, draft, drafted, chance):
    accepted = chance.accept(sampling.acceptance_probabilities(target[:-1], draft, drafted))
    count = accepted.cumprod(0).sum()
    return count, chance.draw(target[count])


def always_accepted(target, draft, drafted, chance):
    return torch.tensor(len(drafted)), chance.draw(target[-1])


@pytest.mark.parametrize("wrong", [resampled_from_the_target, always_accepted])
def test_a_wrong_rule_is_caught_by_as_many_draws(pair, monkeypatch, wrong):
    monkeypatch.setattr(workspace, "verify", wrong)
    assert measured(pair, CASES[1])["p_value"] < 1e-6


def test_a_draft_that_misstates_its_distribution_is_caught(pair, monkeypatch):
    propose = drafters.ModelDrafter.propose

    def misstated(self, k):
        tokens, distributions = propose(self, k)
        return tokens, torch.full_like(distributions, 1 / distributions.shape[-1])

    monkeypatch.setattr(drafters.ModelDrafter, "propose", misstated)
    assert measured(pair, CASES[1])["p_value"] < 1e-6


def test_the_law_by_hand(pair):
    target = Remembered(pair[0], PROMPT)
    law = exact_law(target, Sampling(0.8), 2)
    assert sum(law.values()) == pytest.approx(1)
    first = (target.row(())[0].double() / 0.8).softmax(-1)
    assert law[(6,)] == pytest.approx(first[6].item())  # the end token
    second = (target.row((4,))[0].double() / 0.8).softmax(-1)
    assert law[(4, 2)] == pytest.approx((first[4] * second[2]).item())
    assert len(law) == 1 + 7 * 8


@pytest.mark.parametrize("how", [Sampling(1.0, 3), Sampling(0.6, top_p=0.7), Sampling(1.4, 5, 0.8)], ids=str)
def test_the_law_and_the_decoder_mean_the_same_by_top_k_and_top_p(pair, how):
    target = Remembered(pair[0], PROMPT)
    probabilities = how.distribution(target.row(()))[0]
    law = exact_law(target, how, 1)
    assert len(law) == (probabilities > 0).sum()
    for (token,), probability in law.items():
        assert probability == pytest.approx(probabilities[token].item(), abs=1e-5)


def test_chi_square_by_hand():
    found = compare(Counter({(0,): 60, (1,): 40}), {(0,): 0.5, (1,): 0.5})
    assert (found["statistic"], found["degrees"]) == (4.0, 1)
    assert found["p_value"] == pytest.approx(0.0455, abs=1e-4)
    assert found["largest_deviation"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("law", "degrees"),
    [
        ({(0,): 0.9, (1,): 0.06, (2,): 0.04}, 1),  # 4 of 100 expected: joins the smallest
        ({(0,): 0.9, (1,): 0.04, (2,): 0.03, (3,): 0.03}, 1),  # 10 together: a cell of their own
        ({(0,): 1.0}, 0),
    ],
)
def test_rare_outcomes_are_pooled(law, degrees):
    found = compare(Counter({(0,): 90, (1,): 10} if degrees else {(0,): 100}), law)
    assert found["statistic"] == pytest.approx(0)
    assert (found["degrees"], found["p_value"]) == (degrees, 1)


def test_one_impossible_outcome_is_enough():
    found = compare(Counter({(0,): 99, (1,): 100, (2,): 1}), {(0,): 0.5, (1,): 0.5})
    assert (found["impossible"], found["p_value"]) == (1, 0)


def test_holm_by_hand():
    assert tables.holm(pd.Series([0.04, 0.01, 0.03, 0.9])).tolist() == pytest.approx([0.09, 0.04, 0.09, 0.9])


def test_a_study_measures_each_case_once(tmp_path, monkeypatch):
    cases = [Case(name, 2, "growing", Sampling(1.0, top_k=2), 2) for name in ("mini-draft-1", "mini-draft-4")]
    monkeypatch.setattr(frequencies, "cases_of", lambda _: cases)
    study = Study(replace(QUICK, draws=20), "cpu", folder=tmp_path)
    for _ in range(2):
        study.run("frequencies")
    table = tables.frequencies(Results(tmp_path))
    assert table["draft"].tolist() == ["mini-draft-1", "mini-draft-4"]
    assert (table["draws"] == 20).all()
    assert (table["corrected"] >= table["p_value"]).all()
