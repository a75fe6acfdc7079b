import random

import pytest
import torch
from conftest import ARCHITECTURES, CONTEXT
from transformers import GPT2LMHeadModel

from specdec_lib.models import as_language_model
from specdec_lib.sessions import SESSIONS, session_factory

pytestmark = pytest.mark.parametrize("name", SESSIONS)


@pytest.fixture(params=ARCHITECTURES)
def model(request, targets):
    return targets[request.param]


def fresh_logits(model, tokens):
    with torch.inference_mode():
        return model.module(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]


def check(logits, model, tokens, rows):
    expected = fresh_logits(model, tokens)[len(tokens) - rows :]
    assert logits.shape == expected.shape
    assert ((logits - expected).abs().max() / expected.abs().max()).item() < 1e-5


@pytest.mark.parametrize("seed", range(4))
def test_logits_are_those_of_a_fresh_forward_after_any_calls(name, model, seed):
    chance = random.Random(seed)
    session = SESSIONS[name](model)
    tokens = []
    assert session.length == 0
    for _ in range(30):
        if tokens and chance.random() < 0.4:
            length = chance.choice([0, len(tokens), chance.randrange(len(tokens) + 1), len(tokens) - 1])
            session.rollback(length)
            del tokens[length:]
        else:
            new = [chance.randrange(model.vocab_size) for _ in range(chance.randint(1, 9))]
            if len(tokens) + len(new) > CONTEXT:
                continue
            last = chance.choice([None, 0, 1, chance.randint(1, len(new))])
            logits = session.extend(chance.choice([new, torch.tensor(new)]), last=last)
            tokens += new
            if last != 0:
                check(logits, model, tokens, len(new) if last is None else last)
        assert session.length == len(tokens)


def test_all_rows_come_back_by_default(name, model):
    session = SESSIONS[name](model)
    check(session.extend([3, 1, 4]), model, [3, 1, 4], 3)
    check(session.extend([1, 5]), model, [3, 1, 4, 1, 5], 2)


def test_the_last_rows_come_back(name, model):
    session = SESSIONS[name](model)
    session.extend([3, 1])
    check(session.extend([4, 1, 5, 9], last=2), model, [3, 1, 4, 1, 5, 9], 2)


def test_the_last_rows_come_back_from_a_model_that_gives_all(name, targets):
    class AllRows(GPT2LMHeadModel):
        def forward(self, input_ids, past_key_values=None, use_cache=None):
            return super().forward(input_ids, past_key_values=past_key_values, use_cache=use_cache)

    model = as_language_model(AllRows(targets["gpt2"].module.config))
    session = SESSIONS[name](model)
    session.extend([3, 1])
    check(session.extend([4, 1, 5, 9], last=2), model, [3, 1, 4, 1, 5, 9], 2)


def test_nothing_asked_nothing_given(name, model):
    session = SESSIONS[name](model)
    assert len(session.extend([3, 1, 4], last=0)) == 0
    assert session.length == 3
    check(session.extend([1]), model, [3, 1, 4, 1], 1)


def test_extending_by_nothing_changes_nothing(name, model):
    session = SESSIONS[name](model)
    session.extend([3, 1])
    assert len(session.extend([], last=0)) == 0
    assert session.length == 2
    check(session.extend([4]), model, [3, 1, 4], 1)


def test_rollback_to_nothing_starts_anew(name, model):
    session = SESSIONS[name](model)
    session.extend([3, 1, 4])
    session.rollback(0)
    assert session.length == 0
    check(session.extend([9, 2]), model, [9, 2], 2)


def test_rollback_to_the_same_length_forgets_nothing(name, model):
    session = SESSIONS[name](model)
    session.rollback(0)
    session.extend([3, 1, 4])
    session.rollback(3)
    assert session.length == 3
    check(session.extend([1]), model, [3, 1, 4, 1], 1)


def test_the_whole_context_can_be_used(name, model):
    tokens = [number % model.vocab_size for number in range(CONTEXT)]
    session = SESSIONS[name](model)
    session.extend(tokens[:50], last=0)
    check(session.extend(tokens[50:]), model, tokens, CONTEXT - 50)


def test_sessions_of_one_model_are_apart(name, model):
    one, other = SESSIONS[name](model), SESSIONS[name](model)
    one.extend([3, 1, 4])
    other.extend([2, 7])
    check(one.extend([1]), model, [3, 1, 4, 1], 1)
    check(other.extend([1]), model, [2, 7, 1], 1)


def test_the_callers_tokens_stay_theirs(name, model):
    tokens = torch.tensor([3, 1, 4])
    session = SESSIONS[name](model)
    session.extend(tokens)
    tokens.zero_()
    session.rollback(2)
    check(session.extend([5]), model, [3, 1, 5], 1)


def test_a_session_by_name(name):
    assert session_factory(name, kv_cache=name != "uncached") is SESSIONS[name]
    assert session_factory(SESSIONS[name]) is SESSIONS[name]
