"""From logits to a distribution, and the rule that keeps the target's distribution exact."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn from logits, applied alike to target and draft.

    temperature: 0 takes the most likely token, exactly; 1 leaves the logits as they are.
    top_k: keep the k most likely tokens. top_p: keep the smallest set of tokens whose probability reaches top_p.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 (greedy) or a positive number, not {self.temperature}.")
        if self.top_k is not None and (type(self.top_k) is not int or self.top_k < 1):
            raise ValueError(f"top_k must be a whole number of at least 1 or None, not {self.top_k}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1 or None, not {self.top_p}.")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def distribution(self, logits: Tensor) -> Tensor:
        """Probabilities (rows, vocab) from logits (rows, vocab), in float32 or the logits' own float64."""
        if self.greedy:
            return certain(logits.argmax(-1), logits.shape[-1])
        scores = logits if logits.dtype == torch.float64 else logits.float()
        scores = scores - scores.amax(-1, keepdim=True)  # so that no temperature, however low, overflows
        return self._warpers(torch.finfo(scores.dtype).tiny)(None, scores).softmax(-1)

    def best(self, logits: Tensor) -> Tensor:
        """The most likely tokens (rows,); beyond the vocabulary where logits (rows, vocab) are not numbers."""
        largest, best = logits.max(-1)
        return best.masked_fill(largest.isnan(), logits.shape[-1])

    def _warpers(self, coldest: float) -> LogitsProcessorList:
        warpers = LogitsProcessorList()
        if self.temperature != 1:
            warpers.append(TemperatureLogitsWarper(max(float(self.temperature), coldest)))
        if self.top_k is not None:
            warpers.append(TopKLogitsWarper(self.top_k))
        if self.top_p is not None and self.top_p < 1:
            warpers.append(TopPLogitsWarper(self.top_p))
        return warpers


def certain(tokens: Tensor, vocab_size: int) -> Tensor:
    """The distributions (m, vocab) that hold nothing but a token each: (m,)."""
    return torch.zeros(len(tokens), vocab_size, device=tokens.device).scatter_(-1, tokens.unsqueeze(-1), 1)


class Chance(Protocol):
    """The one seam for randomness: a generator draws, a proof may walk every branch instead."""

    def draw(self, distribution: Tensor) -> Tensor:
        """A token id (1,) from a distribution (vocab,)."""

    def accept(self, probabilities: Tensor) -> Tensor:
        """Independent decisions (m,) bool, each true with its probability (m,)."""


class SeededChance:
    """Chance from one generator: the same seed gives the same output, whatever ran before.

    `uniforms` keeps the numbers of the last `accept`, for traces.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu"):
        self.generator = torch.Generator(device)
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Begin another text."""
        self.generator.manual_seed(seed)
        self.uniforms: Tensor | None = None

    @property
    def generators(self) -> list[torch.Generator]:
        """What a recorded round draws from."""
        return [self.generator]

    def draw(self, distribution: Tensor) -> Tensor:
        cumulative = distribution.cumsum(-1, dtype=torch.float64)
        total = cumulative[-1:]
        uniform = torch.rand(1, generator=self.generator, device=distribution.device, dtype=torch.float64) * total
        last = torch.searchsorted(cumulative, total)  # with any mass: what rounding up to the total would pass by
        return torch.minimum(torch.searchsorted(cumulative, uniform, right=True), last)

    def accept(self, probabilities: Tensor) -> Tensor:
        self.uniforms = torch.rand(
            probabilities.shape, generator=self.generator, device=probabilities.device, dtype=probabilities.dtype
        )
        return self.uniforms < probabilities


class GreedyChance:
    """Chance where there is none: at temperature 0 every probability is 0 or 1."""

    generators = ()

    def restart(self, seed: int) -> None:
        pass

    def draw(self, distribution: Tensor) -> Tensor:
        return distribution.argmax(-1, keepdim=True)

    def accept(self, probabilities: Tensor) -> Tensor:
        return probabilities == 1


def acceptance_probabilities(target: Tensor, draft: Tensor, drafted: Tensor) -> Tensor:
    """min(1, target(x) / draft(x)) for each drafted token x: (m,).

    target, draft: (m, vocab); drafted: (m,). Leviathan et al. 2023, section 2.3.
    """
    chosen = drafted.unsqueeze(-1)
    return (target.gather(-1, chosen) / draft.gather(-1, chosen)).clamp(max=1).squeeze(-1)


def residual_distribution(target: Tensor, draft: Tensor) -> Tensor:
    """max(0, target - draft), normalised: what a rejected token is replaced from. All (vocab,).

    Leviathan et al. 2023, section 2.3; Chen et al. 2023, equation 2. Where rounding leaves nothing of the
    difference, the two distributions are equal and the target's own is returned.
    """
    excess = (target - draft).clamp(min=0)
    total = excess.sum()
    return torch.where(total > 0, excess / total, target)


def verify(target: Tensor, draft: Tensor, drafted: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """One round of Leviathan et al. 2023, algorithm 1, without a look at any value from the host.

    target: (m + 1, vocab) distributions after each prefix of the drafted tokens; draft: (m, vocab) distributions the
    tokens were drawn from; drafted: (m,) token ids. Returns the count of accepted tokens () and the next token (1,):
    from the residual at the first rejection, or from the target's last row when all m were accepted.
    """
    m = len(drafted)
    if not m:
        return drafted.new_zeros(()), chance.draw(target[0])
    accepted = chance.accept(acceptance_probabilities(target[:m], draft, drafted))
    count = accepted.cumprod(0).sum()
    row = count.unsqueeze(0)
    # A bonus token is a residual against nothing: beyond the last drafted token the draft has no mass.
    proposed = draft.index_select(0, row.clamp(max=m - 1)) * (row < m)
    return count, chance.draw(residual_distribution(target.index_select(0, row)[0], proposed[0]))


def verify_greedy(best: Tensor, drafted: Tensor) -> tuple[Tensor, Tensor]:
    """`verify` at temperature 0, where the target holds one token for certain: best (m + 1,), drafted (m,).

    That token is accepted whatever the draft's probability, and replaces any other, so the draft's distributions do not
    matter and nothing is left to chance.
    """
    count = (best[:-1] == drafted).cumprod(0).sum()
    return count, best.index_select(0, count.unsqueeze(0))
