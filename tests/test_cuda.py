"""On a GPU: the same texts, logits and laws as on the CPU, with rounds recorded as CUDA graphs."""

import warnings
from collections import Counter
from dataclasses import replace

import pytest
import torch
from conftest import perturbed, tiny_module
from miniature import TINY
from test_graphs import DRAFTERS, PROMPT, SAMPLED

from specdec_lib import AutoregressiveDecoder, ModelDrafter, SpeculativeDecoder, Study, load_model
from specdec_lib.measuring import rounds, speed
from specdec_lib.measuring.frequencies import Remembered, compare, exact_law
from specdec_lib.models import as_language_model
from specdec_lib.sampling import Sampling
from specdec_lib.sessions import SESSIONS, StaticSession, UncachedSession

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def target():
    return as_language_model(tiny_module("neox", context=600).cuda())


@pytest.fixture(scope="module")
def draft(target):
    return as_language_model(perturbed(tiny_module("neox", context=600), 0.1).cuda())


@pytest.fixture(autouse=True)
def _nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # such as a recording that failed
        yield


@pytest.mark.parametrize("session", SESSIONS)
def test_logits_are_those_of_the_cpu(session, target):
    here = as_language_model(tiny_module("neox", context=600))
    wanted = UncachedSession(here).extend([*PROMPT, 7, 8, 9])
    opened = SESSIONS[session](target)
    opened.extend(PROMPT)
    opened.extend([1, 1, 1])
    opened.rollback(len(PROMPT))
    rows = opened.extend([7, 8, 9])
    assert torch.allclose(rows.cpu(), wanted[-3:], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("session", SESSIONS)
def test_greedy_texts_are_plain_decodings(drafter, session, target, draft):
    decoder = SpeculativeDecoder(target, DRAFTERS[drafter](target, draft), 3, session=session)
    plain = AutoregressiveDecoder(as_language_model(tiny_module("neox", context=600)))
    for prompt in (PROMPT, [7], PROMPT[::-1], PROMPT):
        assert decoder.generate(prompt, 40).token_ids == plain.generate(prompt, 40).token_ids


def test_rounds_are_recorded(target, draft):
    decoder = SpeculativeDecoder(target, ModelDrafter(draft), 3)
    first = decoder.generate(PROMPT, 60)
    (workspace,) = decoder._idle
    assert isinstance(workspace.session, StaticSession)
    assert [recording for recording in workspace._verify._recorded.values() if recording]
    assert [recording for recording in workspace.drafter._draft._recorded.values() if recording]
    assert decoder.generate(PROMPT, 60).token_ids == first.token_ids


@pytest.mark.parametrize("drafter", DRAFTERS)
def test_a_seed_gives_its_text_whatever_was_recorded_before(drafter, target, draft):
    decoder = SpeculativeDecoder(target, DRAFTERS[drafter](target, draft), 3)
    decoder.generate(PROMPT, 40, **SAMPLED)
    texts = [decoder.generate(PROMPT, 40, **SAMPLED).token_ids for _ in range(3)]
    assert texts[1:] == texts[:-1]
    assert decoder.generate(PROMPT, 40, **{**SAMPLED, "seed": 4}).token_ids != texts[0]
    fresh = SpeculativeDecoder(target, DRAFTERS[drafter](target, draft), 3)
    assert fresh.generate(PROMPT, 40, **SAMPLED).token_ids == texts[0]


@pytest.mark.parametrize("context", ["growing", "frozen"])
def test_recorded_rounds_sample_the_targets_law(context):
    module = tiny_module("neox", vocab=8, scale=3.0, end=6)
    near = perturbed(module, 1.0)
    target = as_language_model(module.cuda())
    law = exact_law(Remembered(target, PROMPT[:5], UncachedSession), Sampling(0.9, top_k=6), 3)
    decoder = SpeculativeDecoder(target, ModelDrafter(near.cuda(), context=context), 2)
    counts, accepted, rejected = Counter(), 0, 0
    for seed in range(3_000):
        out = decoder.generate(PROMPT[:5], 6, temperature=0.9, top_k=6, seed=seed)
        counts[tuple(out.token_ids[:3])] += 1
        accepted, rejected = accepted + out.accepted, rejected + out.rejected
    found = compare(counts, law)
    assert found["impossible"] == 0
    assert found["degrees"] > 5
    assert found["p_value"] > 0.001
    assert 0.1 < accepted / (accepted + rejected) < 0.95


def test_auto_writes_the_same_text(target, draft):
    decoder = SpeculativeDecoder(target, ModelDrafter(draft), "auto")
    assert decoder.generate(PROMPT, 60).token_ids == AutoregressiveDecoder(target).generate(PROMPT, 60).token_ids
    assert decoder.calibration


def test_the_embedded_models_write_here_what_they_write_on_the_cpu():
    prompt = "タイトル: 山の秋祭り\nテキスト: 山の町で秋祭りが始まった。\n要約: "
    texts = []
    for device in ("cpu", "cuda"):
        target, draft = (load_model(name, device=device) for name in ("mini-target", "mini-draft-4"))
        texts.append(AutoregressiveDecoder(target).generate(prompt, 48).token_ids)
        texts.append(SpeculativeDecoder(target, ModelDrafter(draft), 3).generate(prompt, 48).token_ids)
    assert texts[1:] == texts[:-1]


@pytest.mark.parametrize("bits", [16, 8, 4])
def test_fewer_bits_decode(bits):
    target, draft = (load_model(name, bits=bits, device="cuda") for name in ("mini-target", "mini-draft-4"))
    plain = AutoregressiveDecoder(target).generate("要約: ", 24)
    assert SpeculativeDecoder(target, ModelDrafter(target), 3).generate("要約: ", 24).acceptance_rate > 0.8
    drafted = SpeculativeDecoder(target, ModelDrafter(draft), 3).generate("要約: ", 24)
    assert drafted.token_ids[0] == plain.token_ids[0]
    assert drafted.accepted > 0


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with pytest.MonkeyPatch.context() as few:
        few.setattr(rounds, "REPEATS", 1)
        few.setattr(speed, "NEW_TOKENS", 4)
        yield Study(replace(TINY, draws=20), "cuda", folder=tmp_path_factory.mktemp("tiny"))


EXPERIMENTS = """
forwards rounds quality acceptance rates table1 table1_uncached table1_static lookup table1_lookup frozen table1_frozen
table2 bettertransformer quantization ties frequencies speed
"""


@pytest.mark.parametrize("name", EXPERIMENTS.split())
def test_every_experiment_is_measured(name, study):
    assert set(study.experiments) == set(EXPERIMENTS.split())
    study.run(name)
    assert study.results.progress().set_index("experiment").failed[name] == {}
    assert study.missing(name) == []
