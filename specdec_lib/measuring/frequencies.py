"""Whether sampled text has the target's law: the first tokens of many draws against their exact probabilities."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache

import torch
from torch import Tensor

from specdec_lib.decoders import SpeculativeDecoder
from specdec_lib.drafters import ModelDrafter
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.tasks import Task
from specdec_lib.models import LanguageModel
from specdec_lib.profiles import Profile
from specdec_lib.sampling import Sampling
from specdec_lib.sessions import CachedSession, UncachedSession

SMALLEST_EXPECTED = 5.0
"""Outcomes expected less often are pooled, so that the chi-square law holds for the statistic."""

Law = dict[tuple[int, ...], float]


@dataclass(frozen=True)
class Case:
    """One way to sample. tokens: how many of a text's first tokens are counted together."""

    draft: str
    n_lookahead: int
    context: str
    sampling: Sampling
    tokens: int

    @property
    def id(self) -> str:
        how = " ".join(f"{name}={value}" for name, value in asdict(self.sampling).items() if value is not None)
        return f"{self.draft} k={self.n_lookahead} {self.context} {how}, first {self.tokens} tokens"


def cases_of(profile: Profile) -> tuple[Case, ...]:
    """Every n_lookahead from 1 to 4, both contexts, the smallest and the profile's own draft.

    The longer the round, the fewer tokens are kept: a forward of the target is due for each text that may be drafted.
    """
    small, usual = profile.drafts[0], profile.draft
    return (
        Case(small, 1, "growing", Sampling(1.0, top_k=8), 3),
        Case(usual, 2, "growing", Sampling(0.7, top_k=20, top_p=0.9), 2),
        Case(usual, 3, "growing", Sampling(1.3, top_k=4), 2),
        Case(small, 4, "growing", Sampling(1.0, top_k=3), 2),
        Case(usual, 2, "frozen", Sampling(1.3, top_k=5, top_p=0.95), 2),
    )


class Remembered:
    """A model's logits after a prompt and some tokens more, by a real forward for each context that is new.

    `open` gives a decoder sessions that read them, so that a draw costs the loop alone.
    """

    def __init__(self, model: LanguageModel, prompt: Sequence[int], kind: type = CachedSession):
        self.model, self.prompt = model, list(prompt)
        self.rows: dict[tuple[int, ...], Tensor] = {}
        self._session = kind(model)
        self._session.extend(self.prompt[:-1], last=0)

    def row(self, text: tuple[int, ...]) -> Tensor:
        """Logits (1, vocab) after the prompt and text."""
        if text not in self.rows:
            self._session.rollback(len(self.prompt) - 1)
            self.rows[text] = self._session.extend([self.prompt[-1], *text], last=1)
        return self.rows[text]

    def open(self, _: LanguageModel) -> "RememberedSession":
        return RememberedSession(self)


class RememberedSession:
    """A session on the remembered prompt."""

    def __init__(self, source: Remembered):
        self.source = source
        self.tokens: list[int] = []

    @property
    def length(self) -> int:
        return len(self.tokens)

    def extend(self, token_ids: Sequence[int] | Tensor, last: int | None = None) -> Tensor:
        self.tokens += token_ids.tolist() if isinstance(token_ids, Tensor) else token_ids
        text = tuple(self.tokens[len(self.source.prompt) :])
        first = len(text) + 1 - (len(token_ids) if last is None else last)
        rows = [self.source.row(text[:end]) for end in range(first, len(text) + 1)]
        return torch.cat(rows) if rows else torch.empty(0, self.source.model.vocab_size)

    def rollback(self, length: int) -> None:
        del self.tokens[length:]


def exact_law(target: Remembered, sampling: Sampling, tokens: int) -> Law:
    """Probability of every text of `tokens` tokens, or of fewer where an end token comes first."""
    finished: Law = {}
    unfinished: Law = {(): 1.0}
    for length in range(1, tokens + 1):
        longer: Law = {}
        for text, before in unfinished.items():
            for token, probability in _probabilities(target.row(text)[0], sampling):
                done = length == tokens or token in target.model.end_ids
                (finished if done else longer)[(*text, token)] = before * probability
        unfinished = longer
    return finished


def _probabilities(logits: Tensor, sampling: Sampling) -> Iterator[tuple[int, float]]:
    """Token and probability, by the definition of `Sampling` in float64: no code shared with what is tested."""
    values, ids = (logits.double() / sampling.temperature).softmax(-1).sort(descending=True)
    if sampling.top_k is not None:
        values = values[: sampling.top_k] / values[: sampling.top_k].sum()
    if sampling.top_p is not None:
        values = values[values.cumsum(0) - values < sampling.top_p]
    return zip(ids.tolist(), (values / values.sum()).tolist(), strict=False)


def measure(case: Case, target: Remembered, draft: Remembered, law: Law, draws: int) -> dict:
    """Draw texts with seeds 0 to draws - 1 and hold the frequencies of their first tokens against a law."""
    drafter = ModelDrafter(draft.model, draft.open, case.context)
    decoder = SpeculativeDecoder(target.model, drafter, case.n_lookahead, session=target.open)
    room = case.tokens + case.n_lookahead  # so that every counted round drafts n_lookahead tokens
    counts: Counter[tuple[int, ...]] = Counter()
    accepted = rejected = 0
    for seed in range(draws):
        stream = decoder.stream(target.prompt, room, **asdict(case.sampling), seed=seed)
        text: list[int] = []
        for step in stream:
            text += step.tokens
            accepted, rejected = accepted + step.accepted, rejected + step.rejected
            if len(text) >= case.tokens:
                break
        counts[tuple(text[: case.tokens])] += 1
    return {"acceptance": accepted / (accepted + rejected), **compare(counts, law)}


def compare(counts: Counter, law: Law) -> dict:
    """Pearson's chi-square test of counted outcomes against their probabilities.

    largest_deviation: of a frequency from its probability. impossible: draws of outcomes that the law doesn't know;
    one of them is enough for a p value of 0.
    """
    draws = sum(counts.values())
    cells = sorted(((probability * draws, counts[text]) for text, probability in law.items()), reverse=True)
    kept = [cell for cell in cells if cell[0] >= SMALLEST_EXPECTED]
    pool = tuple(map(sum, zip(*cells[len(kept) :], strict=True))) or (0.0, 0)
    if pool[0] >= SMALLEST_EXPECTED or not kept:
        kept.append(pool)
    else:  # what is pooled is still too rare to stand alone
        kept[-1] = (kept[-1][0] + pool[0], kept[-1][1] + pool[1])
    statistic = sum((seen - expected) ** 2 / expected for expected, seen in kept)
    degrees = len(kept) - 1
    impossible = sum(count for text, count in counts.items() if text not in law)
    return {
        "draws": draws,
        "outcomes": len(law),
        "statistic": statistic,
        "degrees": degrees,
        "p_value": 0.0 if impossible else _chi_square_tail(statistic, degrees),
        "largest_deviation": max(abs(seen - expected) for expected, seen in cells) / draws,
        "impossible": impossible,
    }


def _chi_square_tail(statistic: float, degrees: int) -> float:
    """Probability of a larger statistic; 1 where there was only one outcome."""
    if degrees == 0:
        return 1.0
    halves = torch.tensor([degrees, statistic], dtype=torch.float64) / 2
    return torch.special.gammaincc(*halves).item()


class Frequencies:
    """An experiment: each case on the first article, with seeds from 0 on."""

    name = "frequencies"

    def __init__(self, lab: Lab):
        self.lab = lab
        self._remembered = cache(lambda model, kind: Remembered(lab.model(model), lab.prompts[0], kind))

    def tasks(self) -> Iterator[Task]:
        for case in cases_of(self.lab.profile):
            cell = f"{case.id}, {self.lab.profile.draws} draws"
            yield Task(self.name, cell, self.lab.articles[0]["id"], 0, case.tokens, block=cell, work=(case,))

    def warm_up(self, task: Task) -> None:
        """Nothing is timed."""

    def measure(self, task: Task) -> dict:
        (case,) = task.work
        profile = self.lab.profile
        law = exact_law(self._remembered(profile.target, UncachedSession), case.sampling, case.tokens)
        target, draft = (self._remembered(model, CachedSession) for model in (profile.target, case.draft))
        return {
            "target": profile.target,
            "draft": case.draft,
            "n_lookahead": case.n_lookahead,
            "context": case.context,
            **asdict(case.sampling),
            **measure(case, target, draft, law, profile.draws),
        }
