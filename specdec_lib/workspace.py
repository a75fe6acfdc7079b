"""What one text needs while it is decoded: the target's session, a drafter, and a round's work on the device."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from specdec_lib.clock import now
from specdec_lib.drafters import Drafter, NoDrafter, catch_up
from specdec_lib.graphs import Repeated
from specdec_lib.models import LanguageModel
from specdec_lib.sampling import Chance, Sampling, verify, verify_greedy
from specdec_lib.sessions import Session, renewed


class Workspace:
    """A target's session and a drafter, and what they do in a round. Where rounds are recorded it serves many texts."""

    def __init__(
        self,
        target: LanguageModel,
        open_session: Callable[[LanguageModel], Session],
        drafter: Drafter,
        sampling: Sampling,
        chance: Chance,
    ):
        self.target, self.open_session = target, open_session
        self.drafter, self.sampling, self.chance = copy.copy(drafter), sampling, chance
        self.device = target.device
        self.session: Session | None = None
        self._pinned = torch.empty(0, dtype=torch.long)

    def start(self, prompt_ids: list[int], drafts: bool) -> None:
        """Read a prompt, all but its last token; the drafter reads it now if it drafts in the first round."""
        session = renewed(self.session, self.open_session, self.target)
        if session is not self.session:
            self.session, self._verify = session, Repeated(session, self.chance)
        if len(prompt_ids) > 1:
            session.extend(prompt_ids[:-1], last=0)
        self.drafter.start(prompt_ids, self.sampling, self.chance)
        if drafts:
            catch_up(self.drafter)
        self._unread = torch.tensor(prompt_ids[-1:], device=self.device)  # text the session has not seen

    @property
    def keeps(self) -> bool:
        """Whether recordings are kept here for another text."""
        return getattr(self.session, "recorder", None) is not None

    def propose(self, k: int) -> tuple[Tensor, Tensor]:
        """At most k drafted tokens (m,) and the distributions (m, vocab) that each was drawn from."""
        drafted, draft = (self.drafter if k else NoDrafter()).propose(k)
        if len(drafted) > k:
            raise ValueError(f"The drafter proposed {len(drafted)} tokens where at most {k} were asked for.")
        return drafted, draft

    def verify(self, drafted: Tensor, draft: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """One forward of the target over the unread token and the drafted ones (m,), and the rule.

        Returns count of accepted tokens, next token and drafted tokens in one tensor (m + 2,), for the one look that
        the host takes at a round; the target's logits (m + 1, vocab); the random numbers (m,), None at temperature 0.
        """
        inputs = [self._unread, drafted]
        if len(drafted) and not self.sampling.greedy:
            inputs.append(draft)
        return self._verify(self._verified, len(drafted), *inputs)

    def _verified(self, m: int, unread: Tensor, drafted: Tensor, *draft: Tensor) -> tuple[Tensor | None, ...]:
        drafted = drafted.to(self.device)
        logits = self.session.extend(torch.cat([unread, drafted]), last=m + 1)
        if self.sampling.greedy:
            count, next_token = verify_greedy(self.sampling.best(logits), drafted)
            return torch.cat([count.view(1), next_token, drafted]), logits, None
        target = self.sampling.distribution(logits)
        rows = draft[0].to(target) if draft else target[:0]
        count, next_token = verify(target, rows, drafted, self.chance)
        return torch.cat([count.view(1), next_token, drafted]), logits, getattr(self.chance, "uniforms", None)

    def read(self, result: Tensor) -> list[int]:
        """The one look of a round: through pinned memory where the result lies on a GPU."""
        if result.device.type == "cpu":
            return result.tolist()
        if len(self._pinned) < len(result):
            self._pinned = torch.empty(len(result), dtype=result.dtype, pin_memory=True)
        here = self._pinned[: len(result)].copy_(result, non_blocking=True)
        torch.cuda.current_stream(result.device).synchronize()
        return here.tolist()

    def confirm(self, token_ids: list[int], newest: Tensor, rejected: int) -> None:
        """Add tokens to the text. newest: the last of them (1,); rejected: drafted tokens that the session forgets."""
        self._unread = newest
        self.session.rollback(self.session.length - rejected)
        self.drafter.observe(token_ids)

    def now(self) -> float:
        """The time in seconds when all work so far is done."""
        return now(self.device)
