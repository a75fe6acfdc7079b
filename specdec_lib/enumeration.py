"""Every branch of draws and decisions with its exact probability: the law of a decoder's output, without sampling.

All randomness goes through `Chance`. A Chance that follows a script, and a walk that tries every script, add up the
probability of each outcome. The number of branches grows exponentially: for vocabularies of a few tokens, or top_k.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor

from specdec_lib.decoders import Decoding, SpeculativeDecoder, Step
from specdec_lib.models import as_language_model
from specdec_lib.sampling import Chance, Sampling
from specdec_lib.sessions import UncachedSession

Outcome = TypeVar("Outcome", bound=Hashable)
Text = tuple[int, ...]
TOLERANCE = 1e-5  # on the sum of a distribution: single precision over a large vocabulary


@dataclass(frozen=True)
class Choice:
    """One draw or decision as it fell: a token id or whether a drafted token was accepted, and its probability."""

    kind: Literal["draw", "accept"]
    outcome: int | bool
    probability: float


class Branching:
    """A Chance that follows a script, and takes the first option of every choice beyond it.

    script: [number of the option taken, options] of each choice, extended in place; options of probability 0 do not
    exist. every_decision: branch on all 2^m decisions of an `accept`; otherwise on the first rejection alone, m + 1
    ways. The decisions behind it then stand as true, which a rule that counts the leading run can't see.
    Raises ValueError where it is asked for anything but probabilities.
    """

    def __init__(self, script: list, every_decision: bool = True):
        self.script, self.every_decision = script, every_decision
        self.choices: list[Choice] = []
        self.probability = 1.0

    def draw(self, distribution: Tensor) -> Tensor:
        options = list(enumerate(distribution.tolist()))
        if min(p for _, p in options) < 0 or not abs(sum(p for _, p in options) - 1) < TOLERANCE:
            raise ValueError(f"A token was to be drawn from {distribution.tolist()}, which is no distribution.")
        return torch.tensor([self._choose("draw", options)], device=distribution.device)

    def accept(self, probabilities: Tensor) -> Tensor:
        decisions: list[bool] = []
        for p in probabilities.tolist():
            if not 0 <= p <= 1:
                raise ValueError(f"A token was to be accepted with {p}, which is no probability.")
            settled = not self.every_decision and False in decisions
            decisions.append(settled or self._choose("accept", [(True, p), (False, 1 - p)]))
        return torch.tensor(decisions, dtype=torch.bool, device=probabilities.device)

    def _choose(self, kind: Literal["draw", "accept"], options: list[tuple]):
        options = [option for option in options if option[1] > 0]
        place = len(self.choices)
        if place == len(self.script):
            self.script.append([0, options])
        taken, known = self.script[place]
        if known != options:
            raise ValueError("The same choices led to another choice: what is enumerated must depend on them alone.")
        outcome, probability = options[taken]
        self.choices.append(Choice(kind, outcome, probability))
        self.probability *= probability
        return outcome


def walk(
    decode: Callable[[Chance], Outcome], every_decision: bool = True, max_branches: int = 1_000_000
) -> Iterator[tuple[Outcome, Branching]]:
    """Every branch of decode(chance) -> outcome: the outcome, and the chance with its choices and probability.

    Raises ValueError beyond max_branches and where decode depends on more than its choices.
    """
    script: list = []
    for _ in range(max_branches):
        chance = Branching(script, every_decision)
        yield decode(chance), chance
        while script and script[-1][0] == len(script[-1][1]) - 1:
            script.pop()
        if not script:
            return
        script[-1][0] += 1
    raise ValueError(f"There are more than {max_branches} branches: ask for fewer tokens, or a smaller top_k.")


def law(
    decode: Callable[[Chance], Outcome], every_decision: bool = True, max_branches: int = 1_000_000
) -> dict[Outcome, float]:
    """Outcome -> probability of decode(chance) -> outcome, over every branch (see `walk`)."""
    probabilities: dict[Outcome, float] = defaultdict(float)
    for outcome, chance in walk(decode, every_decision, max_branches):
        probabilities[outcome] += chance.probability
    return dict(probabilities)


def target_law(target, prompt_ids: Sequence[int], max_new_tokens: int, sampling: Sampling) -> dict[Text, float]:
    """New tokens -> probability under the target alone, each row from a forward of its own over the whole context."""
    target = as_language_model(target)
    finished, unfinished = {}, {(): 1.0}
    for length in range(1, max_new_tokens + 1):
        longer = {}
        for text, probability in unfinished.items():
            logits = UncachedSession(target).extend([*prompt_ids, *text], last=1)
            for token, p in enumerate(sampling.distribution(logits)[0].tolist()):
                if p > 0:
                    done = length == max_new_tokens or token in target.end_ids
                    (finished if done else longer)[(*text, token)] = probability * p
        unfinished = longer
    return finished


def decoder_law(
    decoder: SpeculativeDecoder, prompt_ids: Sequence[int], max_new_tokens: int, sampling: Sampling
) -> dict[Text, float]:
    """New tokens -> probability, over every branch of the whole decoder, all 2^m decisions of a round included."""

    def decode(chance: Chance) -> Text:
        return tuple(
            token for step in _decoding(decoder, prompt_ids, max_new_tokens, sampling, chance) for token in step.tokens
        )

    return law(decode)


def merged_law(
    decoder: SpeculativeDecoder, prompt_ids: Sequence[int], max_new_tokens: int, sampling: Sampling
) -> dict[Text, float]:
    """`decoder_law` with rounds merged by confirmed text: far fewer branches, the same law.

    The rounds after a text are enumerated once, from a fresh start with that text as prompt, and by leading run. That
    rests on the decoder's state being a function of the confirmed text alone, which `decoder_law` tests.
    """
    prompt_ids = list(prompt_ids)
    finished: dict[Text, float] = defaultdict(float)
    unfinished: dict[Text, float] = {(): 1.0}
    while unfinished:
        text = min(unfinished, key=len)  # nothing shorter is left to lead to it
        reached = unfinished.pop(text)
        for branch in branches(decoder, [*prompt_ids, *text], max_new_tokens - len(text), sampling):
            longer = (*text, *branch.step.tokens)
            done = len(longer) >= max_new_tokens or longer[-1] in decoder.target.end_ids
            texts = finished if done else unfinished
            texts[longer] = texts.get(longer, 0) + reached * branch.probability
    return dict(finished)


@dataclass(frozen=True)
class Branch:
    """One way that a round can go.

    step: the round; choices: the draws and decisions that led to it, in order, each decision up to the first rejection
    (branches that begin with the same choices share that part of the tree); probability: their product.
    """

    step: Step
    choices: list[Choice]
    probability: float

    @property
    def drafted(self) -> list[int]:
        return self.step.drafted

    @property
    def decisions(self) -> list[bool]:
        """Whether each drafted token was accepted, up to the first rejection; what is certain counts as decided."""
        return [choice.outcome for choice in self.choices if choice.kind == "accept"]

    @property
    def next_token(self) -> int | None:
        return self.step.next_token


def branches(
    decoder: SpeculativeDecoder, prompt_ids: Sequence[int], max_new_tokens: int, sampling: Sampling
) -> list[Branch]:
    """Every way that the first round after a prompt can go: the leaves of its tree."""

    def decode(chance: Chance) -> Step:
        return next(iter(_decoding(decoder, prompt_ids, max_new_tokens, sampling, chance)))

    return [Branch(step, chance.choices, chance.probability) for step, chance in walk(decode, every_decision=False)]


def _decoding(
    decoder: SpeculativeDecoder, prompt_ids: Sequence[int], max_new_tokens: int, sampling: Sampling, chance: Chance
) -> Decoding:
    return decoder.stream(list(prompt_ids), max_new_tokens, **asdict(sampling), chance=chance)
