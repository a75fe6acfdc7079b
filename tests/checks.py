"""What a right decoder passes and a wrong one does not: test_law.py runs these on our own code, test_mutants.py on
deliberately wrong variants of it. Logits come from small tables, so that every probability is exact."""

from collections import Counter
from dataclasses import dataclass

import torch
from test_decoders import Cycle, Silent, Uniform
from transformers import GenerationMixin, GPT2Config, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from specdec_lib import ModelDrafter, SpeculativeDecoder
from specdec_lib.drafters import FirstDrafter, PromptLookupDrafter
from specdec_lib.enumeration import decoder_law, merged_law, target_law
from specdec_lib.measuring.frequencies import compare
from specdec_lib.models import as_language_model
from specdec_lib.sampling import Sampling
from specdec_lib.vocabulary import NEVER, Vocabulary


class TableModule(PreTrainedModel, GenerationMixin):
    """A causal LM that looks its logits up by the whole context, in float64: a table drawn once from a seed.

    What it keeps as keys in transformers' cache are the token ids themselves, so that a cache one token short or long
    is another context, with other logits.
    """

    config_class = GPT2Config

    def __init__(self, seed, vocab, ends=None):
        super().__init__(GPT2Config(vocab_size=vocab, n_positions=32, bos_token_id=None, eos_token_id=ends))
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))  # what tells device and dtype
        self.seed, self.rows = seed, {}

    def row(self, context):
        if context not in self.rows:
            vocab = self.config.vocab_size
            number = sum((token + 1) * (vocab + 1) ** i for i, token in enumerate(context))
            generator = torch.Generator().manual_seed(1_000_000 * self.seed + number)
            self.rows[context] = 1.5 * torch.randn(vocab, generator=generator, dtype=torch.float64)
        return self.rows[context]

    def forward(self, input_ids, past_key_values=None, use_cache=None, logits_to_keep=0):
        kept = logits_to_keep or input_ids.shape[1]
        if past_key_values is not None:
            keys = input_ids[:, None, :, None]  # (batch, head, token, 1)
            input_ids = past_key_values.update(keys, keys, 0)[0][:, 0, :, 0]
        context = tuple(input_ids[0].tolist())
        rows = [self.row(context[: len(context) - i]) for i in reversed(range(kept))]
        return CausalLMOutput(logits=torch.stack(rows).unsqueeze(0))


def table_model(seed, vocab=3, ends=None):
    return as_language_model(TableModule(seed, vocab, ends))


class Paced(Cycle):
    """A Cycle whose number of tokens follows from the text, so that rounds may be merged by it."""

    def propose(self, k):
        self.rounds = len(self.text)
        return super().propose(k)


def with_vocabulary(proposed, read, context="growing"):
    """A drafter over a table of its own, whose tokens are the target's as these say; what it lacks it reads as 0."""

    def build(draft, target):
        size = max(len(proposed), 1 + max(read))
        model = table_model(draft.module.seed + 500, size)
        of_target = torch.tensor([*read, *[0] * target.vocab_size][: target.vocab_size])
        ids = torch.tensor([*proposed, *[NEVER] * size][:size])
        return ModelDrafter(model, context=context, vocabulary=Vocabulary(ids, of_target))

    return build


DRAFTERS = {
    "growing": lambda draft, target: ModelDrafter(draft),
    "frozen": lambda draft, target: ModelDrafter(draft, context="frozen"),
    "itself": lambda draft, target: ModelDrafter(target),
    "uniform": lambda draft, target: Uniform(target.vocab_size),
    "paced": lambda draft, target: Paced(target.vocab_size),
    "cycle": lambda draft, target: Cycle(target.vocab_size, 2),
    "silent": lambda draft, target: Silent(),
    "lookup": lambda draft, target: PromptLookupDrafter(target.vocab_size, shortest=1),
    "in turn": lambda draft, target: FirstDrafter(PromptLookupDrafter(target.vocab_size), ModelDrafter(draft)),
    "fewer tokens": with_vocabulary([NEVER, 2, 0], [2, 0, 1]),
    "fewer, frozen": with_vocabulary([NEVER, 2, 0], [2, 0, 1], "frozen"),
    "tokens the target lacks": with_vocabulary([1, NEVER, 0, NEVER], [2, 0, 3]),
    "one token twice": with_vocabulary([1, 2, 1], [0, 2, 1]),
}
VOCABULARIES = list(DRAFTERS)[-4:]


@dataclass(frozen=True)
class Case:
    """One law to enumerate: n new tokens of a table, whole or with rounds merged by confirmed text."""

    k: int
    n: int
    sampling: Sampling
    drafter: str = "growing"
    session: str = "cached"
    whole: bool = False
    vocab: int = 3
    ends: bool = False  # the last token of the vocabulary ends a text
    seed: int = 0
    prompt: tuple[int, ...] = (0, 1)

    def __str__(self):
        how = f"T{self.sampling.temperature:g},{self.sampling.top_k or '-'},{self.sampling.top_p or '-'}"
        words = [f"k{self.k}", f"n{self.n}", f"v{self.vocab}", how, self.drafter, self.session]
        return "-".join([*words, *["ends"] * self.ends, *["whole"] * self.whole, str(self.seed)])

    @property
    def target(self):
        return table_model(2 * self.seed, self.vocab, [self.vocab - 1] if self.ends else None)

    def decoder(self, target):
        drafter = DRAFTERS[self.drafter](table_model(2 * self.seed + 1, self.vocab), target)
        return SpeculativeDecoder(target, drafter, self.k, session=self.session)


def assert_same_law(law, expected):
    """Outcome -> probability, twice: equal to 1e-10, and all there is."""
    gaps = {text: abs(law.get(text, 0) - expected.get(text, 0)) for text in {*law, *expected}}
    worst = max(gaps, key=gaps.get)
    assert gaps[worst] < 1e-10, (
        f"{worst} has probability {law.get(worst, 0)} where the target gives it {expected.get(worst, 0)}."
    )
    assert abs(sum(law.values()) - 1) < 1e-10, f"The probabilities add up to {sum(law.values())}."


def check_case(case):
    """The law of the decoder's output is the target's own."""
    target = case.target
    of_decoder = decoder_law if case.whole else merged_law
    law = of_decoder(case.decoder(target), case.prompt, case.n, case.sampling)
    assert_same_law(law, target_law(target, case.prompt, case.n, case.sampling))


def chi_square(case, texts):
    """The statistic of `texts` generated texts against the target's law, seeds 0, 1, 2, … and its p-value."""
    target, sampling = case.target, case.sampling
    law = target_law(target, case.prompt, case.n, sampling)
    decoder = case.decoder(target)
    warping = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
    outputs = (decoder.generate(case.prompt, case.n, **warping, seed=seed) for seed in range(texts))
    counts = Counter(tuple(out.token_ids) for out in outputs)
    found = compare(counts, law)
    assert not found["impossible"], "A text came that the target never writes."
    return found["statistic"], found["p_value"]


# The checks that every mutant meets.

HOT, PRUNED = Sampling(1.6), Sampling(1.4, top_k=2)


def law_by_rounds():
    """Exact, rounds merged by confirmed text."""
    check_case(Case(1, 3, HOT, seed=1))
    check_case(Case(2, 4, PRUNED, session="uncached", seed=2))
    check_case(Case(3, 5, PRUNED, "paced", ends=True, seed=3))
    check_case(Case(3, 4, PRUNED, seed=4))
    check_case(Case(2, 4, HOT, "tokens the target lacks", seed=9))
    check_case(Case(2, 4, HOT, "one token twice", seed=10))


def law_of_the_whole():
    """Exact, every branch of the whole decoder."""
    check_case(Case(1, 3, HOT, whole=True, ends=True, seed=5))
    check_case(Case(2, 4, PRUNED, whole=True, seed=6))
    check_case(Case(2, 4, PRUNED, "frozen", "uncached", whole=True, seed=7))


def greedy_text():
    """Temperature 0: the target's most likely token, one after the other."""
    for seed in range(3):
        target = Case(1, 8, Sampling(0.0), seed=seed).target
        text = [0, 1]
        for _ in range(8):
            text.append(target.module.row(tuple(text)).argmax().item())
        for k in range(1, 5):
            for drafter in ("growing", "frozen"):
                for session in ("cached", "uncached"):
                    decoder = Case(k, 8, Sampling(0.0), drafter, session, seed=seed).decoder(target)
                    assert decoder.generate([0, 1], 8).token_ids == text[2:]


def length_and_end():
    """No text is longer than asked for, and nothing follows an end token."""
    for seed, k in ((0, 1), (1, 2), (2, 3)):
        case = Case(k, 4, PRUNED, seed=seed, ends=True)
        decoder = case.decoder(case.target)
        for number in range(40):
            tokens = decoder.generate(case.prompt, 4, temperature=1.4, top_k=2, seed=number).token_ids
            assert len(tokens) <= 4
            assert case.vocab - 1 not in tokens[:-1]


def seeded_generator():
    """The generator's own texts, by chi-square: no random number serves twice, which no enumeration can see."""
    statistic, p = chi_square(Case(3, 4, PRUNED, seed=8), texts=600)
    assert p > 1e-3, f"chi-square {statistic:.1f}, p = {p:.1g}"


CHECKS = {
    check.__name__.replace("_", " "): check
    for check in (law_by_rounds, law_of_the_whole, greedy_text, length_and_end, seeded_generator)
}
