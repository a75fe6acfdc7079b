import random

import pytest
import torch
from conftest import ARCHITECTURES, CONTEXT, tiny_module
from transformers import GPT2LMHeadModel, MambaConfig, MambaForCausalLM

from specdec_lib import AutoregressiveDecoder
from specdec_lib.models import as_language_model
from specdec_lib.sessions import SESSIONS, CachedSession, StaticSession, session_factory


def over_device_positions(model):
    """A static session that rounds could be recorded on."""
    return StaticSession(model, recorder=lambda work, generators: None)


OPENED = {**SESSIONS, "device positions": over_device_positions}
STATIC = ("static", "device positions")
COMPUTED = [(name, kind) for name in OPENED for kind in (["neox"] if name in STATIC else ARCHITECTURES)]
on_every_model = pytest.mark.parametrize(("name", "kind"), COMPUTED)


@pytest.fixture
def model(kind, targets):
    return targets[kind]


def fresh_logits(model, tokens):
    with torch.inference_mode():
        return model.module(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]


def check(logits, model, tokens, rows):
    expected = fresh_logits(model, tokens)[len(tokens) - rows :]
    assert logits.shape == expected.shape
    assert ((logits - expected).abs().max() / expected.abs().max()).item() < 1e-5


@pytest.mark.parametrize("seed", range(4))
@on_every_model
def test_logits_are_those_of_a_fresh_forward_after_any_calls(name, model, seed):
    chance = random.Random(seed)
    session = OPENED[name](model)
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


@pytest.fixture(scope="module")
def windowed():
    return as_language_model(tiny_module("gemma3", context=4096, scale=5.0, sliding_window=512))


@pytest.mark.parametrize("length", [100, 510, 511, 512, 513, 600, 2000])
@pytest.mark.parametrize("name", ["uncached", "cached"])
def test_a_rollback_reaches_behind_the_edge_of_a_window(name, length, windowed):
    """As a decoder does it: the prompt, then rounds of drafted tokens of which some are taken back."""
    chance = random.Random(length)
    tokens = [chance.randrange(60) for _ in range(length)]
    session = OPENED[name](windowed)
    session.extend(tokens, last=0)
    for kept in (0, 3, 7, 1, 8):
        drafted = [chance.randrange(60) for _ in range(8)]
        check(session.extend(drafted), windowed, tokens + drafted, 8)
        session.rollback(len(tokens) + kept)
        tokens += drafted[:kept]
    session.rollback(length // 2)
    check(session.extend([1, 2, 3]), windowed, [*tokens[: length // 2], 1, 2, 3], 3)


def test_a_model_that_keeps_a_state_is_refused():
    with torch.random.fork_rng():
        module = MambaForCausalLM(MambaConfig(vocab_size=20, hidden_size=16, num_hidden_layers=1, state_size=4))
    model = as_language_model(module)
    with pytest.raises(ValueError, match="state that can't be rolled back: choose session"):
        CachedSession(model)
    AutoregressiveDecoder(model, kv_cache=False).generate([1, 2, 3], 4)


@on_every_model
def test_all_rows_come_back_by_default(name, model):
    session = OPENED[name](model)
    check(session.extend([3, 1, 4]), model, [3, 1, 4], 3)
    check(session.extend([1, 5]), model, [3, 1, 4, 1, 5], 2)


@on_every_model
def test_the_last_rows_come_back(name, model):
    session = OPENED[name](model)
    session.extend([3, 1])
    check(session.extend([4, 1, 5, 9], last=2), model, [3, 1, 4, 1, 5, 9], 2)


@pytest.mark.parametrize("name", ["uncached", "cached"])
def test_the_last_rows_come_back_from_a_model_that_gives_all(name, targets):
    class AllRows(GPT2LMHeadModel):
        def forward(self, input_ids, past_key_values=None, use_cache=None):
            return super().forward(input_ids, past_key_values=past_key_values, use_cache=use_cache)

    model = as_language_model(AllRows(targets["gpt2"].module.config))
    session = OPENED[name](model)
    session.extend([3, 1])
    check(session.extend([4, 1, 5, 9], last=2), model, [3, 1, 4, 1, 5, 9], 2)


@on_every_model
def test_nothing_asked_nothing_given(name, model):
    session = OPENED[name](model)
    assert len(session.extend([3, 1, 4], last=0)) == 0
    assert session.length == 3
    check(session.extend([1]), model, [3, 1, 4, 1], 1)


@on_every_model
def test_extending_by_nothing_changes_nothing(name, model):
    session = OPENED[name](model)
    session.extend([3, 1])
    assert len(session.extend([], last=0)) == 0
    assert session.length == 2
    check(session.extend([4]), model, [3, 1, 4], 1)


@on_every_model
def test_rollback_to_nothing_starts_anew(name, model):
    session = OPENED[name](model)
    session.extend([3, 1, 4])
    session.rollback(0)
    assert session.length == 0
    check(session.extend([9, 2]), model, [9, 2], 2)


@on_every_model
def test_rollback_to_the_same_length_forgets_nothing(name, model):
    session = OPENED[name](model)
    session.rollback(0)
    session.extend([3, 1, 4])
    session.rollback(3)
    assert session.length == 3
    check(session.extend([1]), model, [3, 1, 4, 1], 1)


@on_every_model
def test_the_whole_context_can_be_used(name, model):
    tokens = [number % model.vocab_size for number in range(CONTEXT)]
    session = OPENED[name](model)
    session.extend(tokens[:50], last=0)
    check(session.extend(tokens[50:]), model, tokens, CONTEXT - 50)


@on_every_model
def test_sessions_of_one_model_are_apart(name, model):
    one, other = OPENED[name](model), OPENED[name](model)
    one.extend([3, 1, 4])
    other.extend([2, 7])
    check(one.extend([1]), model, [3, 1, 4, 1], 1)
    check(other.extend([1]), model, [2, 7, 1], 1)


@on_every_model
def test_the_callers_tokens_stay_theirs(name, model):
    tokens = torch.tensor([3, 1, 4])
    session = OPENED[name](model)
    session.extend(tokens)
    tokens.zero_()
    session.rollback(2)
    check(session.extend([5]), model, [3, 1, 5], 1)


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_by_name(name):
    assert session_factory(name, kv_cache=name != "uncached") is SESSIONS[name]
    assert session_factory(SESSIONS[name]) is SESSIONS[name]


def test_auto_is_static_where_the_model_allows_it(targets, drafts):
    open_session = session_factory("auto")
    assert type(open_session(targets["neox"])) is StaticSession
    assert type(open_session(targets["llama"])) is CachedSession
    eager = tiny_module("neox")
    eager.set_attn_implementation("eager")
    assert type(open_session(as_language_model(eager))) is CachedSession


@pytest.mark.parametrize(("kind", "attention"), [("llama", "sdpa"), ("neox", "eager")])
def test_static_refuses_what_it_does_not_compute(kind, attention):
    module = tiny_module(kind)
    module.set_attn_implementation(attention)
    with pytest.raises(ValueError, match='choose session "cached" or "auto"'):
        StaticSession(as_language_model(module))


@pytest.fixture(params=[32, 256], ids=["narrow", "wide"])
def width(request):
    """Wide layers are packed for a CPU, narrow ones where many rows come at once."""
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
def test_static_logits_are_the_models_in_every_precision(dtype, parallel, activation, width):
    module = tiny_module("neox", scale=64 / width, hidden_size=width, hidden_act=activation).to(dtype)
    for layer in module.gpt_neox.layers:
        layer.use_parallel_residual = parallel
    module.config.use_parallel_residual = parallel
    model = as_language_model(module)
    session, tokens = StaticSession(model), list(range(30))
    expected = fresh_logits(model, tokens)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.03}[dtype]
    for part in (tokens[:20], tokens[20:21], tokens[21:24], tokens[24:]):
        logits = session.extend(part)
        rows = expected[session.length - len(logits) : session.length]
        assert ((logits - rows).abs().max() / rows.abs().max()).item() < tolerance


def test_static_follows_weights_that_change(width):
    model = as_language_model(tiny_module("neox", hidden_size=width))
    tokens = list(range(20))
    check(StaticSession(model).extend(tokens), model, tokens, 20)
    with torch.no_grad():
        model.module.gpt_neox.layers[0].mlp.dense_h_to_4h.weight.mul_(1.5)
    check(StaticSession(model).extend(tokens), model, tokens, 20)
    model.module.double()
    check(StaticSession(model).extend(tokens), model, tokens, 20)
