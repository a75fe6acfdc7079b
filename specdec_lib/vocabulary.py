"""A draft whose vocabulary is not the target's: what it reads, and what its tokens are there.

A target with 262,144 tokens spends most of its last layer on words that no text of one kind holds. A draft for such
texts needs a few thousand of them; what it can't propose it simply never proposes, and the rule makes up for it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from specdec_lib.models import PIECES, LanguageModel, check_device, check_pair, known_pieces

NEVER = -1
"""The target's id of a draft token that is never proposed."""

UNKNOWN = 0
"""The draft's id that reads every token of the target's which the draft lacks."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A draft's tokens as the target's.

    proposed: the target's id of each draft token (draft vocabulary,), NEVER for one that is only read. read: the
    draft's id of each of the target's tokens (target vocabulary,). Raises ValueError where either names a token that
    isn't there, or where nothing can be proposed.
    """

    proposed: Tensor
    read: Tensor

    def __post_init__(self):
        for ids, size, whose in ((self.proposed, len(self.read), "target"), (self.read, len(self.proposed), "draft")):
            lowest = NEVER if whose == "target" else 0
            if ids.min() < lowest or ids.max() >= size:
                raise ValueError(f"A vocabulary names a token that the {whose}'s {size} tokens don't have.")
        if self.proposed.max() == NEVER:
            raise ValueError("The draft and the target have no token in common: nothing could be proposed.")

    @classmethod
    def between(cls, target: LanguageModel, draft: LanguageModel) -> "Vocabulary | None":
        """How this draft's tokens are the target's; None where the two share one vocabulary.

        Raises ValueError where they don't belong together.
        """
        check_pair(target, draft)
        if draft.pieces is None:
            return None
        ids = known_pieces(target, draft)
        proposed = torch.tensor([NEVER, *(ids.get(piece, NEVER) for piece in draft.pieces[1:])])
        read = torch.full((target.vocab_size,), UNKNOWN)
        read[proposed[proposed != NEVER]] = (proposed != NEVER).nonzero()[:, 0]
        return cls(proposed.to(draft.device), read.to(draft.device))

    def check(self, target: LanguageModel, draft: LanguageModel) -> None:
        """Raise ValueError unless this stands between these two."""
        if (len(self.read), len(self.proposed)) != (target.vocab_size, draft.vocab_size):
            raise ValueError(
                f"The vocabulary given is of {len(self.read)} and {len(self.proposed)} tokens, but {target.name} has "
                f"{target.vocab_size} and {draft.name} {draft.vocab_size}."
            )
        check_device(target, draft)

    def proposable(self, logits: Tensor) -> Tensor:
        """Logits (n, draft vocabulary) with no chance left for a token that is never proposed."""
        return logits.masked_fill(self.proposed == NEVER, -torch.inf)

    def spread(self, distributions: Tensor) -> Tensor:
        """Distributions over draft tokens (m, draft vocabulary) as ones over the target's (m, target vocabulary)."""
        wide = distributions.new_zeros(len(distributions), len(self.read))
        return wide.index_add_(1, self.proposed.clamp(min=0), distributions)  # what is never proposed adds 0


def save_pieces(pieces: Sequence[str], folder: Path) -> None:
    """Write a draft's pieces beside its weights; the first stands for all that it lacks."""
    (folder / PIECES).write_text(json.dumps(list(pieces), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
