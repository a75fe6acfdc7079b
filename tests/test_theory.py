"""Predictions: hand-computed values, and the laws that the published tables follow."""

from random import Random

import pytest

from specdec_lib import tables, theory


def test_expected_tokens_add_up_the_chance_of_each_place():
    assert theory.expected_tokens(0.5, 3) == pytest.approx(1 + 0.5 + 0.25 + 0.125)
    assert theory.expected_tokens(0.0, 4) == 1
    assert theory.expected_tokens(1.0, 4) == 5
    assert theory.expected_tokens(0.6, 7, context="frozen") == pytest.approx(1.6)


def test_speedup_charges_drafts_and_verification():
    assert theory.speedup(0.5, 1, 0.25) == pytest.approx(1.5 / 1.25)
    assert theory.speedup(0.5, 1, 0.25, v=1.25) == pytest.approx(1.0)
    assert theory.speedup(0.0, 1, 0.1) < 1


def test_a_dear_draft_looks_less_far_ahead():
    assert theory.best_lookahead(0.6, 0.01) > theory.best_lookahead(0.6, 0.2) == 2
    assert theory.best_lookahead(0.8, 0.9) == 1
    assert theory.best_lookahead(0.9, 0.001, max_k=4) == 4
    assert theory.best_lookahead(0.9, 0.01, v=lambda k: 1 + k) == 1


@pytest.mark.parametrize(("alpha", "k"), [(-0.1, 1), (1.1, 1), (0.5, 0)])
def test_rates_and_lookaheads_out_of_range_are_refused(alpha, k):
    with pytest.raises(ValueError, match="must be"):
        theory.speedup(alpha, k, 0.1)


def test_a_repeated_guess_is_worth_what_it_is_accepted_for():
    assert theory.expected_tokens(0.5, 3, context="frozen", beta=0.2) == pytest.approx(1 + 0.5 * (1 + 0.2 + 0.04))
    assert theory.acceptance(0.5, 2, context="frozen", beta=0.2) == pytest.approx(0.5 * 1.2 / 1.5)
    assert theory.acceptance(0.5, 1, context="frozen", beta=0.2) == 0.5
    assert theory.speedup(0.5, 2, 0.1, context="frozen", beta=0.2) == pytest.approx(1.6 / 1.2)


@pytest.mark.parametrize("context", ["growing", "frozen"])
@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_the_laws_hold_in_a_simulation_of_rounds(context, k):
    rng, alpha, beta = Random(5), 0.6, 0.1
    accepted = rejected = rounds = 0
    for _ in range(20_000):
        rates = [alpha] + [alpha if context == "growing" else beta] * (k - 1)
        kept = next((i for i, rate in enumerate(rates) if rng.random() >= rate), k)
        accepted, rejected, rounds = accepted + kept, rejected + (kept < k), rounds + 1
    law = {"context": context, "beta": beta}
    assert theory.acceptance(alpha, k, **law) == pytest.approx(accepted / (accepted + rejected), abs=0.01)
    assert theory.expected_tokens(alpha, k, **law) == pytest.approx(1 + accepted / rounds, abs=0.03)


def test_places_that_are_accepted_alike_give_the_usual_formula():
    assert theory.expected_tokens_by_position([0.7] * 4) == pytest.approx(theory.expected_tokens(0.7, 4))
    assert theory.expected_tokens_by_position([0.5, 0.9]) == pytest.approx(1 + 0.5 + 0.45)
    assert theory.expected_tokens_by_position([]) == 1


def test_no_lookahead_passes_the_ceiling():
    assert theory.ceiling(0.75) == 4
    assert theory.speedup(0.75, 60, 0.0) == pytest.approx(theory.ceiling(0.75), abs=1e-6)
    assert theory.ceiling(1.0) == float("inf")


def test_published_acceptance_follows_the_frozen_law():
    published = tables.published_table1()
    first = published.query("n_lookahead == 1").set_index("draft_params")["mean_acceptance_rate"]
    for row in published.query("n_lookahead > 1").itertuples():
        law = theory.acceptance(first[row.draft_params], row.n_lookahead, context="frozen")
        assert row.mean_acceptance_rate == pytest.approx(law, abs=0.003)


def test_published_speedups_follow_the_frozen_law():
    published = tables.published_table1()
    first = published.query("n_lookahead == 1").set_index("draft_params")["mean_acceptance_rate"]
    for row in published.itertuples():
        law = theory.speedup(first[row.draft_params], row.n_lookahead, row.inference_speed_rate, context="frozen")
        assert row.speed_up == pytest.approx(law, rel=0.03)
