"""What exercises hand to the learner, around the few lines that are theirs."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from specdec_lib.sampling import Chance, Sampling


class ToyCache:
    """A row of keys for each token that was read; the first `length` of `rows` (room, width) count."""

    def __init__(self, room: int = 64, width: int = 4):
        self.rows, self.length = torch.zeros(room, width), 0

    def extend(self, keys: Tensor) -> None:
        """Read tokens: their keys (n, width) come behind the rows that count, over what is left there."""
        self.rows[self.length : self.length + len(keys)] = keys
        self.length += len(keys)


Propose = Callable[[list[int], int, Chance, int], tuple[Tensor, Tensor]]
"""From the text, k, the chance to draw with and the vocabulary's size: tokens (m,), distributions (m, vocabulary)."""


class FunctionDrafter:
    """A drafter that keeps the text and asks a function to propose what follows it."""

    def __init__(self, function: Propose, vocab_size: int):
        self.function, self.vocab_size = function, vocab_size

    def start(self, token_ids: Sequence[int], sampling: Sampling, chance: Chance) -> None:
        self.text, self.chance = list(token_ids), chance

    def propose(self, k: int) -> tuple[Tensor, Tensor]:
        return self.function(list(self.text), k, self.chance, self.vocab_size)

    def observe(self, confirmed_ids: Sequence[int]) -> None:
        self.text += confirmed_ids
