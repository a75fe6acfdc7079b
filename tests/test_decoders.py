import itertools
import math
from collections import defaultdict

import pytest
import torch
from conftest import ARCHITECTURES, CONTEXT, tiny_module, word_tokenizer

from specdec_lib import AutoregressiveDecoder, ModelDrafter, SpeculativeDecoder
from specdec_lib.models import LanguageModel, as_language_model
from specdec_lib.sampling import Sampling
from specdec_lib.sessions import CachedSession, UncachedSession

PROMPT = [3, 5, 7, 11, 2]


def reference(model, prompt, max_new_tokens, ends=None):
    """What transformers itself writes, greedily."""
    tokens = model.module.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=0,
    )
    return tokens[0, len(prompt) :].tolist()


def ending_with(model, ends):
    """The same weights with other end tokens."""
    module = type(model.module)(model.module.config).eval()
    module.load_state_dict(model.module.state_dict())
    module.generation_config.eos_token_id = ends
    return as_language_model(module)


def check_accounting(out, n_lookahead, max_new_tokens, ends=()):
    """What must hold for any text, however it was made."""
    assert 1 <= len(out.token_ids) <= max_new_tokens
    assert [token for step in out.steps for token in step.tokens] == out.token_ids
    assert not set(out.token_ids[:-1]) & set(ends)
    if len(out.token_ids) < max_new_tokens:
        assert out.token_ids[-1] in ends
    for step in out.steps:
        assert len(step.drafted) <= n_lookahead
        assert 0 <= step.accepted <= len(step.drafted)
        added = [] if step.next_token is None else [step.next_token]
        assert step.tokens == step.drafted[: step.accepted] + added
        assert step.rejected == (step.kind == "resampled")
        assert step.seconds >= 0
        if step.kind == "plain":
            assert step.drafted == []
        elif step.kind == "bonus":
            assert 0 < step.accepted == len(step.drafted)
        elif step.kind == "resampled":
            assert step.accepted < len(step.drafted)
        else:
            assert step.kind == "end"
            assert step is out.steps[-1]
            assert step.tokens[-1] in ends
        assert (step.next_token is None) == (step.kind == "end")
    assert out.accepted == sum(step.accepted for step in out.steps)
    assert out.rejected == sum(step.kind == "resampled" for step in out.steps)
    judged = out.accepted + out.rejected
    assert out.acceptance_rate == (out.accepted / judged if judged else None)
    assert out.seconds >= out.prompt_seconds >= 0


# Drafters as a user would write them.


class Silent:
    """Proposes nothing, ever."""

    def start(self, token_ids, sampling, chance):
        pass

    def propose(self, k):
        return torch.empty(0, dtype=torch.long), torch.empty(0, 0)

    def observe(self, confirmed_ids):
        pass


class Cycle:
    """Proposes certain tokens that follow from the text alone, 0 to k of them in turn."""

    def __init__(self, vocab, step=1):
        self.vocab, self.step = vocab, step

    def start(self, token_ids, sampling, chance):
        self.text, self.rounds = list(token_ids), 0

    def propose(self, k):
        m = self.rounds % (k + 1)
        self.rounds += 1
        tokens = torch.tensor([(self.text[-1] + self.step * (i + 1)) % self.vocab for i in range(m)], dtype=torch.long)
        return tokens, torch.nn.functional.one_hot(tokens, self.vocab).float()

    def observe(self, confirmed_ids):
        self.text += confirmed_ids


class Oracle(Cycle):
    """Knows the text that will come, and proposes all of it that fits."""

    def __init__(self, vocab, text):
        self.vocab, self.future = vocab, text

    def propose(self, k):
        tokens = torch.tensor(self.future[len(self.text) :][:k], dtype=torch.long)
        return tokens, torch.nn.functional.one_hot(tokens, self.vocab).float()


class Uniform:
    """Draws each token from a flat distribution."""

    def __init__(self, vocab):
        self.vocab = vocab

    def start(self, token_ids, sampling, chance):
        self.chance = chance

    def propose(self, k):
        rows = torch.full((k, self.vocab), 1 / self.vocab, dtype=torch.float64)
        return torch.cat([self.chance.draw(row) for row in rows]), rows

    def observe(self, confirmed_ids):
        pass


# Greedy: the target's own text, token for token.


@pytest.mark.parametrize("session", ["uncached", "cached", "auto"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_text_is_that_of_transformers(targets, drafts, architecture, session):
    target, draft = targets[architecture], drafts[architecture]
    for prompt in (PROMPT, [4], list(range(30))):
        expected = reference(target, prompt, 30)
        assert len(set(expected)) > 3
        for k in range(1, 9):
            decoder = SpeculativeDecoder(target, ModelDrafter(draft), n_lookahead=k, session=session)
            out = decoder.generate(prompt, max_new_tokens=30)
            assert out.token_ids == expected
            check_accounting(out, k, 30)


@pytest.mark.parametrize("session", ["uncached", "cached", "auto"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_plain_text_is_that_of_transformers(targets, architecture, session):
    out = AutoregressiveDecoder(targets[architecture], session=session).generate(PROMPT, max_new_tokens=20)
    assert out.token_ids == reference(targets[architecture], PROMPT, 20)
    check_accounting(out, 0, 20)
    assert {step.kind for step in out.steps} == {"plain"}
    assert out.acceptance_rate is None


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("of_target", "of_draft"), [("uncached", "cached"), ("cached", "uncached")])
def test_target_and_draft_may_compute_in_different_sessions(targets, drafts, architecture, of_target, of_draft):
    target = targets[architecture]
    decoder = SpeculativeDecoder(target, ModelDrafter(drafts[architecture], of_draft), 3, session=of_target)
    assert decoder.generate(PROMPT, max_new_tokens=25).token_ids == reference(target, PROMPT, 25)


@pytest.mark.parametrize("session", ["uncached", "cached", "auto"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("new", [1, 2, 9])
def test_prompt_and_new_tokens_may_fill_the_context(targets, drafts, architecture, session, new):
    target = targets[architecture]
    prompt = [(7 * number) % 60 for number in range(CONTEXT - new)]
    for k in (1, 4, 8):
        decoder = SpeculativeDecoder(target, ModelDrafter(drafts[architecture]), k, session=session)
        assert decoder.generate(prompt, max_new_tokens=new).token_ids == reference(target, prompt, new)


@pytest.mark.parametrize("session", ["uncached", "cached", "auto"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_end_token_ends_the_text_wherever_it_falls(targets, drafts, architecture, session, k):
    whole = reference(targets[architecture], PROMPT, 24)
    for end in dict.fromkeys(whole):
        target = ending_with(targets[architecture], end)
        expected = reference(target, PROMPT, 24, end)
        assert expected == whole[: whole.index(end) + 1]
        for draft in (drafts[architecture], target):
            out = SpeculativeDecoder(target, ModelDrafter(draft), k, session=session).generate(PROMPT, 24)
            assert out.token_ids == expected
            check_accounting(out, k, 24, [end])


def test_a_token_accepted_as_the_end_in_the_middle_of_a_round(target):
    whole = reference(target, PROMPT, 24)
    place = next(i for i in range(2, 24) if whole[i] not in whole[:i])
    ending = ending_with(target, [whole[place], 59])
    drafter = Oracle(60, PROMPT + whole)
    out = SpeculativeDecoder(ending, drafter, n_lookahead=place + 4).generate(PROMPT, 24)
    (step,) = out.steps
    assert (step.kind, step.accepted, step.next_token) == ("end", place + 1, None)
    assert step.drafted == whole[: place + 4]
    assert out.token_ids == whole[: place + 1]
    assert out.acceptance_rate == 1


def test_any_of_several_end_tokens_ends_the_text(target):
    whole = reference(target, PROMPT, 24)
    ends = list(dict.fromkeys(whole))[2:]
    ending = ending_with(target, ends)
    expected = reference(ending, PROMPT, 24, ends)
    assert len(expected) < 24
    for k in (1, 3, 8):
        assert SpeculativeDecoder(ending, ModelDrafter(target), k).generate(PROMPT, 24).token_ids == expected
    assert AutoregressiveDecoder(ending).generate(PROMPT, 24).token_ids == expected


def test_an_end_token_in_the_prompt_ends_nothing(target, draft):
    end = next(token for token in range(60) if token not in reference(target, [9, *PROMPT], 10))
    prompt = [end, *PROMPT]
    ending = ending_with(target, end)
    out = SpeculativeDecoder(ending, ModelDrafter(draft), 3).generate(prompt, 10)
    assert out.token_ids == reference(ending, prompt, 10, end)


@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_never_more_than_max_new_tokens(target, draft, k):
    whole = reference(target, PROMPT, 2 * k + 3)
    for n in {1, 2, k, k + 1, k + 2, 2 * k + 3}:
        for drafter in (ModelDrafter(draft), ModelDrafter(target), Cycle(60), Silent(), Uniform(60)):
            out = SpeculativeDecoder(target, drafter, k).generate(PROMPT, max_new_tokens=n)
            assert out.token_ids == whole[:n]
            check_accounting(out, k, n)
            assert len(out.token_ids) == n


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("k", [1, 3, 8])
def test_a_draft_equal_to_the_target_is_always_accepted(target, k, temperature):
    out = SpeculativeDecoder(target, ModelDrafter(target), k).generate(PROMPT, 40, temperature=temperature, seed=3)
    assert out.rejected == 0
    assert out.acceptance_rate == 1
    assert {step.kind for step in out.steps} <= {"bonus", "plain"}
    assert len(out.steps) == math.ceil(40 / (k + 1))


def test_a_draft_that_is_always_wrong_costs_a_rejection_a_round(target):
    whole = reference(target, PROMPT, 10)
    wrong = Oracle(60, PROMPT + [(token + 1) % 60 for token in whole])
    out = SpeculativeDecoder(target, wrong, 3).generate(PROMPT, 10)
    assert out.token_ids == whole
    assert [step.kind for step in out.steps] == ["resampled"] * 9 + ["plain"]
    assert (out.accepted, out.rejected, out.acceptance_rate) == (0, 9, 0)


def test_accounting_by_hand(target):
    whole = reference(target, PROMPT, 8)
    guess = list(whole)
    guess[1] = (guess[1] + 1) % 60
    out = SpeculativeDecoder(target, Oracle(60, PROMPT + guess), 3).generate(PROMPT, 8)
    first, second, third = out.steps
    assert (first.drafted, first.accepted, first.next_token, first.kind) == (guess[:3], 1, whole[1], "resampled")
    assert (second.drafted, second.accepted, second.next_token, second.kind) == (whole[2:5], 3, whole[5], "bonus")
    assert (third.drafted, third.accepted, third.next_token, third.kind) == (whole[6:7], 1, whole[7], "bonus")
    assert (out.accepted, out.rejected, out.acceptance_rate) == (5, 1, 5 / 6)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_silent_drafter_is_plain_decoding(target, temperature):
    out = SpeculativeDecoder(target, Silent(), 4).generate(PROMPT, 15, temperature=temperature, seed=2)
    assert (
        out.token_ids == AutoregressiveDecoder(target).generate(PROMPT, 15, temperature=temperature, seed=2).token_ids
    )
    assert [step.kind for step in out.steps] == ["plain"] * 15
    assert out.acceptance_rate is None


@pytest.mark.parametrize("drafter", [Cycle(60), Cycle(60, 7), Uniform(60)], ids=["cycle", "leaps", "uniform"])
@pytest.mark.parametrize("session", ["uncached", "cached", "auto"])
def test_greedy_text_is_the_targets_whoever_drafts(target, drafter, session):
    decoder = SpeculativeDecoder(target, drafter, 5, session=session)
    assert decoder.generate(PROMPT, 30).token_ids == reference(target, PROMPT, 30)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_draft_reads_the_drafted_tokens_and_the_target_every_prefix(target, draft, temperature):
    asked = defaultdict(list)

    class Spy:
        """A cached session that notes the context of every row that was asked for."""

        def __init__(self, model):
            self.name, self.inner, self.tokens = model.name, CachedSession(model), []

        @property
        def length(self):
            return self.inner.length

        def extend(self, token_ids, last=None):
            self.tokens += [int(token) for token in token_ids]
            rows = len(token_ids) if last is None else last
            asked[self.name] += [self.tokens[: len(self.tokens) - i] for i in reversed(range(rows))]
            return self.inner.extend(token_ids, last)

        def rollback(self, length):
            self.inner.rollback(length)
            del self.tokens[length:]

    one, other = (LanguageModel(model.module, None, name, "sdpa", 32) for model, name in ((target, "t"), (draft, "d")))
    out = SpeculativeDecoder(one, ModelDrafter(other), 4, session=Spy).generate(PROMPT, 30, temperature, seed=1)
    kinds = {step.kind for step in out.steps}
    assert {"bonus", "resampled"} <= kinds
    text, of_target, of_draft = list(PROMPT), [], []
    for step in out.steps:
        of_target += [text + step.drafted[:i] for i in range(len(step.drafted) + 1)]
        of_draft += [text + step.drafted[:i] for i in range(len(step.drafted))]
        text += step.tokens
    assert asked["t"] == of_target
    assert asked["d"] == of_draft


@pytest.mark.parametrize("own", [True, False])
def test_a_draft_computes_in_its_own_session_or_else_in_the_decoders(target, draft, own):
    opened = []

    def factory(name):
        return lambda model: opened.append((name, model.module)) or CachedSession(model)

    drafter = ModelDrafter(draft, factory("own") if own else None)
    SpeculativeDecoder(target, drafter, 3, session=factory("decoder")).generate(PROMPT, 4)
    assert opened == [("decoder", target.module), ("own" if own else "decoder", draft.module)]


def test_a_model_drafter_of_ones_own_stays_ones_own(target, draft):
    class Counting(ModelDrafter):
        rounds = 0

        def observe(self, confirmed_ids):
            Counting.rounds += 1
            super().observe(confirmed_ids)

    out = SpeculativeDecoder(target, Counting(draft), 3).generate(PROMPT, 20)
    assert out.token_ids == reference(target, PROMPT, 20)
    assert Counting.rounds == len(out.steps)


def test_a_draft_of_shorter_context_does_no_harm(targets):
    """Refused with a clear sentence, or the target's own text."""
    short = as_language_model(tiny_module("gpt2", seed=6, context=16))
    try:
        decoder = SpeculativeDecoder(targets["gpt2"], ModelDrafter(short), 4)
        out = decoder.generate(PROMPT, 40)
    except ValueError:
        return
    assert out.token_ids == reference(targets["gpt2"], PROMPT, 40)


# Seeds, streams, traces.

SAMPLED = {"max_new_tokens": 25, "temperature": 1.5, "top_k": 30, "top_p": 0.95}


@pytest.fixture
def decoder(target, draft):
    return SpeculativeDecoder(target, ModelDrafter(draft), 3)


def test_one_seed_one_output_whatever_ran_before(target, draft, decoder):
    first = decoder.generate(PROMPT, seed=7, **SAMPLED)
    torch.manual_seed(123)
    decoder.generate([9, 9], 12, temperature=2.0, seed=8)
    torch.rand(5)
    again = decoder.generate(PROMPT, seed=7, **SAMPLED)
    fresh = SpeculativeDecoder(target, ModelDrafter(draft), 3).generate(PROMPT, seed=7, **SAMPLED)
    for out in (again, fresh):
        assert [step.drafted for step in out.steps] == [step.drafted for step in first.steps]
        assert out.token_ids == first.token_ids


def test_decoding_leaves_the_global_generator_alone(decoder):
    state = torch.random.get_rng_state()
    decoder.generate(PROMPT, seed=7, **SAMPLED)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_different_seeds_differ(target, decoder):
    for one in (decoder, AutoregressiveDecoder(target)):
        outputs = {tuple(one.generate(PROMPT, seed=seed, **SAMPLED).token_ids) for seed in range(6)}
        assert len(outputs) == 6


def test_the_session_does_not_change_a_seeds_output(target, draft):
    outputs = {
        tuple(
            SpeculativeDecoder(target, ModelDrafter(draft), 3, session=s).generate(PROMPT, seed=4, **SAMPLED).token_ids
        )
        for s in ("static", "cached", "uncached")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("own", [False, True], ids=["model", "cycle"])
def test_interleaved_streams_do_not_disturb_each_other(target, draft, own):
    decoder = SpeculativeDecoder(target, Cycle(60) if own else ModelDrafter(draft), 3)
    requests = [(PROMPT, 7), ([8, 1], 7), (PROMPT, 9)]
    apart = [decoder.generate(prompt, seed=seed, **SAMPLED).token_ids for prompt, seed in requests]
    streams = [decoder.stream(prompt, seed=seed, **SAMPLED) for prompt, seed in requests]
    for _ in itertools.zip_longest(*streams):
        pass
    assert [stream.generation.token_ids for stream in streams] == apart


def test_a_stream_yields_the_steps_of_generate(decoder):
    stream = decoder.stream(PROMPT, 20)
    written = []
    for step in stream:
        written += step.tokens
        assert stream.generation.token_ids == written
    assert written == decoder.generate(PROMPT, 20).token_ids


def test_a_stream_left_and_taken_up_again_still_gives_the_targets_text(target, decoder):
    stream = decoder.stream(PROMPT, 20)
    for _ in stream:
        break
    for _ in stream:
        pass
    assert stream.generation.token_ids == reference(target, PROMPT, 20)


@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_a_trace_shows_the_rule(decoder, temperature):
    options = {"max_new_tokens": 40, "temperature": temperature, "seed": 5}
    out = decoder.generate(PROMPT, trace=True, **options)
    plain = decoder.generate(PROMPT, **options)
    assert out.token_ids == plain.token_ids
    assert all(step.draws is None for step in plain.steps)
    assert {"bonus", "resampled"} <= {step.kind for step in out.steps}
    for step in out.steps:
        assert [draw.token for draw in step.draws] == step.drafted
        passed = [draw.uniform < min(1, draw.target / draw.draft) for draw in step.draws]
        assert step.accepted == len(list(itertools.takewhile(bool, passed)))
        for draw in step.draws:
            assert 0 <= draw.uniform < 1
            assert 0 <= draw.target <= 1 + 1e-6
            assert 0 < draw.draft <= 1 + 1e-6


def test_a_trace_has_the_probabilities_of_both_models(target, draft, decoder):
    out = decoder.generate(PROMPT, 12, temperature=0.8, top_k=20, top_p=0.9, seed=5, trace=True)
    text = list(PROMPT)
    for step in out.steps:
        for i, draw in enumerate(step.draws):
            context = text + step.drafted[:i]
            for model, probability in ((target, draw.target), (draft, draw.draft)):
                row = Sampling(0.8, 20, 0.9).distribution(UncachedSession(model).extend(context, last=1))[0]
                assert probability == pytest.approx(row[draw.token].item(), abs=1e-4)
        text += step.tokens


# Bad input.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": []}, "prompt is empty"),
        ({"prompt": [60]}, "Token 60 is not in the vocabulary"),
        ({"prompt": [3, -1]}, "Token -1 is not in the vocabulary"),
        ({"prompt": "w1 w2"}, "without a tokenizer"),
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number"),
        ({"max_new_tokens": -2}, "max_new_tokens must be a whole number"),
        ({"max_new_tokens": CONTEXT - len(PROMPT) + 1}, "shorten the prompt or lower max_new_tokens"),
        ({"prompt": [1] * (CONTEXT + 3), "max_new_tokens": 1}, "shorten the prompt or lower max_new_tokens"),
        ({"temperature": -1.0}, "temperature must be"),
        ({"top_k": 0}, "top_k must be"),
        ({"top_p": 0.0}, "top_p must be"),
        ({"top_p": 1.5}, "top_p must be"),
    ],
)
def test_bad_requests(target, decoder, options, message):
    for one in (decoder, AutoregressiveDecoder(target)):
        for method in (one.generate, one.stream):
            with pytest.raises(ValueError, match=message):
                method(**{"prompt": PROMPT, "max_new_tokens": 5, **options})


def test_an_empty_text_is_refused(words):
    target = LanguageModel(tiny_module("neox"), word_tokenizer(words), "t", "sdpa", 32)
    for prompt in ("", "  "):
        with pytest.raises(ValueError, match="prompt is empty"):
            AutoregressiveDecoder(target).generate(prompt)


@pytest.fixture
def broken():
    module = tiny_module("neox")
    with torch.no_grad():
        module.get_output_embeddings().weight.fill_(float("nan"))
    return module


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_probabilities_that_are_not_numbers_are_refused(broken, draft, temperature):
    for decoder in (SpeculativeDecoder(broken, ModelDrafter(draft), 2), AutoregressiveDecoder(broken)):
        with pytest.raises(ValueError, match="not numbers"):
            decoder.generate(PROMPT, 5, temperature=temperature)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_draft_that_gives_no_numbers_is_never_believed(target, broken, temperature):
    out = SpeculativeDecoder(target, ModelDrafter(broken), 2).generate(PROMPT, 20, temperature=temperature)
    assert len(out.token_ids) == 20
    if temperature == 0:
        assert out.token_ids == reference(target, PROMPT, 20)


@pytest.mark.parametrize("k", [0, -1])
def test_bad_lookahead(target, draft, k):
    with pytest.raises(ValueError, match="n_lookahead must be a whole number"):
        SpeculativeDecoder(target, ModelDrafter(draft), n_lookahead=k)


def test_draft_of_another_vocabulary(target):
    other = as_language_model(tiny_module("neox", vocab=61))
    with pytest.raises(ValueError, match="share one vocabulary"):
        SpeculativeDecoder(target, ModelDrafter(other))


def test_draft_with_another_tokenizer(target, words):
    module = target.module
    one = LanguageModel(module, word_tokenizer(words), "t", "sdpa", 32)
    other = LanguageModel(module, word_tokenizer([*words[:-2], words[-1], words[-2]]), "d", "sdpa", 32)
    with pytest.raises(ValueError, match="different tokenizers"):
        SpeculativeDecoder(one, ModelDrafter(other))
    assert SpeculativeDecoder(one, ModelDrafter(one)).generate("w1 w2", 3).text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"session": "cachd"}, "session must be one of"),
        ({"kv_cache": False, "session": "cached"}, "kv_cache=False"),
    ],
)
def test_bad_sessions(target, draft, options, message):
    with pytest.raises(ValueError, match=message):
        SpeculativeDecoder(target, ModelDrafter(draft), **options)
    with pytest.raises(ValueError, match=message):
        AutoregressiveDecoder(target, **options)


@pytest.mark.parametrize("kv_cache", [True, False])
def test_kv_cache_on_and_off_write_the_same(target, draft, kv_cache):
    decoder = SpeculativeDecoder(target, ModelDrafter(draft), 3, kv_cache=kv_cache)
    assert decoder.generate(PROMPT, 20).token_ids == reference(target, PROMPT, 20)
