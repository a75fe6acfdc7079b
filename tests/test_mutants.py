"""Deliberately wrong variants, each a mistake that real implementations have made. The checks that our own code passes
must catch every one; the run ends with a table of which check catches which mutant."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from checks import CHECKS, TableModule
from conftest import CAUGHT

from specdec_lib import sampling, workspace
from specdec_lib.decoders import Decoding
from specdec_lib.drafters import ModelDrafter
from specdec_lib.sampling import SeededChance, acceptance_probabilities, residual_distribution
from specdec_lib.sessions import CachedSession
from specdec_lib.vocabulary import NEVER, Vocabulary

MUTANTS = {}


def mutant(*checks):
    """Register a patch under its docstring; `checks` must be among those that catch it."""

    def register(function):
        MUTANTS[function.__doc__] = (function, checks)
        return function

    return register


@pytest.fixture
def patch(monkeypatch):
    """monkeypatch over a decoder that fails rather than go on for ever."""
    original = Decoding._round

    def bounded(decoding, k):
        assert len(decoding.steps) < 50, "The decoder does not stop."
        return original(decoding, k)

    monkeypatch.setattr(Decoding, "_round", bounded)
    return monkeypatch


# The residual.


@mutant("law by rounds", "law of the whole")
def _(patch):
    """residual not clamped at 0"""
    patch.setattr(sampling, "residual_distribution", lambda t, d: (t - d) / (t - d).clamp(min=0).sum())


@mutant("law by rounds", "law of the whole", "seeded generator")
def _(patch):
    """residual of absolute differences"""
    patch.setattr(sampling, "residual_distribution", lambda t, d: (t - d).abs() / (t - d).abs().sum())


@mutant("law by rounds", "law of the whole")
def _(patch):
    """residual not renormalised"""
    patch.setattr(sampling, "residual_distribution", lambda t, d: (t - d).clamp(min=0))


@mutant("law by rounds", "law of the whole", "seeded generator")
def _(patch):
    """rejected token redrawn from the target"""
    patch.setattr(sampling, "residual_distribution", lambda t, d: t)


@mutant("law by rounds", "law of the whole", "seeded generator")
def _(patch):
    """residual of the row after the rejected token"""

    def verify(target, draft, drafted, chance):
        count = chance.accept(acceptance_probabilities(target[:-1], draft, drafted)).cumprod(0).sum()
        if count == len(drafted):
            return count, chance.draw(target[-1])
        return count, chance.draw(residual_distribution(target[count + 1], draft[count]))

    patch.setattr(workspace, "verify", verify)


# Acceptance and the bonus token.


@mutant("law by rounds", "law of the whole", "seeded generator")
def _(patch):
    """acceptance ratio inverted"""

    def inverted(target, draft, drafted):
        chosen = drafted.unsqueeze(-1)
        return (draft.gather(-1, chosen) / target.gather(-1, chosen)).clamp(max=1).squeeze(-1)

    patch.setattr(sampling, "acceptance_probabilities", inverted)


@mutant("law by rounds", "law of the whole", "seeded generator")
def _(patch):
    """acceptance not divided by the draft's probability"""
    patch.setattr(
        sampling, "acceptance_probabilities", lambda t, d, drafted: t.gather(-1, drafted.unsqueeze(-1)).squeeze(-1)
    )


@mutant("law of the whole")
def _(patch):
    """all accepted tokens counted, not the leading run"""

    def verify(target, draft, drafted, chance):
        count = chance.accept(acceptance_probabilities(target[:-1], draft, drafted)).sum()
        nothing = torch.zeros_like(target[:1])
        return count, chance.draw(residual_distribution(target[count], torch.cat([draft, nothing])[count]))

    patch.setattr(workspace, "verify", verify)


def change_rows(patch, change):
    """Let the rule see the target's rows as change(target, draft)."""
    original = workspace.verify

    def verify(target, draft, drafted, chance):
        return original(change(target, draft) if len(drafted) else target, draft, drafted, chance)

    patch.setattr(workspace, "verify", verify)


@mutant("law by rounds", "law of the whole")
def _(patch):
    """bonus token from the draft's last row"""
    change_rows(patch, lambda target, draft: torch.cat([target[:-1], draft[-1:]]))


@mutant("law by rounds", "law of the whole")
def _(patch):
    """every drafted token verified after the confirmed text"""
    change_rows(patch, lambda target, draft: target[:1].expand_as(target))


# The rule at temperature 0.


def verify_greedily_by(patch, count_and_next):
    """Replace the rule by count_and_next(best (m + 1,), matches (m,), drafted (m,))."""
    patch.setattr(workspace, "verify_greedy", lambda best, drafted: count_and_next(best, best[:-1] == drafted, drafted))


@mutant("greedy text")
def _(patch):
    """at temperature 0: all matches counted, not the leading run"""
    verify_greedily_by(patch, lambda best, matches, drafted: (matches.sum(), best[matches.sum()].view(1)))


@mutant("greedy text")
def _(patch):
    """at temperature 0: the next token taken after the last drafted one"""
    verify_greedily_by(patch, lambda best, matches, drafted: (matches.cumprod(0).sum(), best[-1:]))


@mutant("greedy text")
def _(patch):
    """at temperature 0: a rejected token kept"""

    def count_and_next(best, matches, drafted):
        count = matches.cumprod(0).sum()
        return count, torch.cat([drafted, best[-1:]])[count].view(1)

    verify_greedily_by(patch, count_and_next)


# What the draft reports.


def draw_by(patch, pick):
    """Let a ModelDrafter report its rows as ever and draw each token by pick(drafter, chance, rows of the round)."""
    original = ModelDrafter.propose

    def propose(drafter, k):
        chance, rows = drafter._chance, []

        def draw(row):
            rows.append(row)
            return pick(drafter, chance, rows)

        drafter._chance = SimpleNamespace(draw=draw)
        try:
            return original(drafter, k)
        finally:
            drafter._chance = chance

    patch.setattr(ModelDrafter, "propose", propose)


@mutant("law by rounds", "law of the whole")
def _(patch):
    """drafted at temperature 1, reported at the warped one"""

    def pick(drafter, chance, rows):
        row = rows[-1] ** drafter._sampling.temperature
        return chance.draw(row / row.sum())

    draw_by(patch, pick)


@mutant("law by rounds", "law of the whole", "seeded generator")
def _(patch):
    """drafted greedily, reported as a softmax"""
    draw_by(patch, lambda drafter, chance, rows: rows[-1].argmax(-1, keepdim=True))


@mutant("law by rounds", "law of the whole", "seeded generator")
def _(patch):
    """drafted from a frozen context, verified as if it grew"""
    draw_by(patch, lambda drafter, chance, rows: chance.draw(rows[0]))


@mutant("law by rounds", "law of the whole", "seeded generator")
def _(patch):
    """top-k on the draft's side only"""
    original = Decoding._round

    def round_(decoding, k):
        decoding.workspace.sampling = replace(decoding.workspace.sampling, top_k=None)
        return original(decoding, k)

    patch.setattr(Decoding, "_round", round_)


# The vocabulary.


@mutant("law by rounds")
def _(patch):
    """what the target lacks is drawn as another token, and its chance forgotten"""
    original = Vocabulary.spread
    patch.setattr(Vocabulary, "proposable", lambda vocabulary, logits: logits)

    def as_target(drafter, drafted, rows):
        vocabulary = drafter.vocabulary
        if vocabulary is None:
            return drafted, rows
        return vocabulary.proposed[drafted].clamp(min=0), original(vocabulary, rows * (vocabulary.proposed != NEVER))

    patch.setattr(ModelDrafter, "_as_target", as_target)


@mutant("law by rounds")
def _(patch):
    """a token that the draft has twice counts once"""

    def spread(vocabulary, rows):
        wide = rows.new_zeros(len(rows), len(vocabulary.read))
        known = vocabulary.proposed != NEVER
        return wide.index_copy_(1, vocabulary.proposed[known], rows[:, known])

    patch.setattr(Vocabulary, "spread", spread)


@mutant("law by rounds")
def _(patch):
    """the draft's own numbers taken for the target's"""
    original = ModelDrafter._as_target

    def as_target(drafter, drafted, rows):
        _, rows = original(drafter, drafted, rows)
        return drafted, rows

    patch.setattr(ModelDrafter, "_as_target", as_target)


# The cache.


@mutant("law of the whole", "greedy text")
def _(patch):
    """cache one token short after a rollback"""
    original = CachedSession.rollback
    patch.setattr(CachedSession, "rollback", lambda session, length: original(session, max(length - 1, 0)))


@mutant("law of the whole", "greedy text")
def _(patch):
    """cache one token long after a rollback"""
    original = CachedSession.rollback
    patch.setattr(CachedSession, "rollback", lambda session, length: original(session, min(length + 1, session.length)))


@mutant("law by rounds", "law of the whole", "greedy text")
def _(patch):
    """causal mask aligned to the top left over a cache"""
    original = TableModule.forward

    def forward(module, input_ids, past_key_values=None, **options):
        out = original(module, input_ids, past_key_values=past_key_values, **options)
        if past_key_values is not None and input_ids.shape[1] > 1:
            context = past_key_values.layers[0].keys[0, 0, :, 0].tolist()
            rows = [module.row(tuple(context[: i + 1])) for i in range(input_ids.shape[1])]
            out.logits = torch.stack(rows[-out.logits.shape[1] :]).unsqueeze(0)
        return out

    patch.setattr(TableModule, "forward", forward)


# Where a text ends.


@mutant("law by rounds", "law of the whole", "length and end")
def _(patch):
    """tokens after the end token, accepted in the same round"""
    original = Decoding._round

    def round_(decoding, k):
        target = decoding.target
        decoding.target = SimpleNamespace(end_ids=(), device=target.device)
        try:
            return original(decoding, k)
        finally:
            decoding.target = target

    patch.setattr(Decoding, "_round", round_)


@mutant("law by rounds", "law of the whole", "greedy text", "length and end")
def _(patch):
    """more than max_new_tokens: the last round drafts as many as any"""
    original = Decoding._round
    patch.setattr(Decoding, "_round", lambda decoding, k: original(decoding, decoding.lookahead.choose()))


@mutant("law by rounds", "law of the whole", "greedy text")
def _(patch):
    """max_new_tokens forgotten: only an end token stops"""
    original = Decoding.__init__

    def init(decoding, *arguments, **options):
        original(decoding, *arguments, **options)
        decoding.max_new_tokens = 10**9

    patch.setattr(Decoding, "__init__", init)


# One random number used twice: the law of each branch is right, the branches are not independent.


@mutant("seeded generator")
def _(patch):
    """one uniform number for all positions of a round"""

    def accept(chance, probabilities):
        return torch.rand(1, generator=chance.generator, dtype=probabilities.dtype) < probabilities

    patch.setattr(SeededChance, "accept", accept)


@mutant("seeded generator")
def _(patch):
    """a token drawn and judged by the same number"""

    def draw(chance, distribution):
        chance.drawn = [*getattr(chance, "drawn", []), torch.rand(1, generator=chance.generator)]
        return (distribution.cumsum(0) > chance.drawn[-1]).int().argmax(-1, keepdim=True)

    def accept(chance, probabilities):
        judged = chance.drawn[len(chance.drawn) - len(probabilities) :] if len(probabilities) else []
        return torch.cat([*judged, torch.empty(0)]) < probabilities

    patch.setattr(SeededChance, "draw", draw)
    patch.setattr(SeededChance, "accept", accept)


@mutant("seeded generator")
def _(patch):
    """the generator seeded anew at every decision"""
    original = SeededChance.accept

    def accept(chance, probabilities):
        chance.generator.manual_seed(chance.generator.initial_seed())
        return original(chance, probabilities)

    patch.setattr(SeededChance, "accept", accept)


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught(name, patch, request):
    apply, due = MUTANTS[name]
    apply(patch)
    caught = []
    for check_name, check in CHECKS.items():
        try:
            check()
        except (AssertionError, ValueError, IndexError):  # wrong, refused by the library, or out of step with a cache
            caught.append(check_name)
    request.config.stash.setdefault(CAUGHT, {})[name] = caught
    assert set(due) <= set(caught)
