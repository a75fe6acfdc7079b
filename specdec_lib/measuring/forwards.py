"""What one forward costs: each model, 1 to 8 tokens at once over a cached prompt. Gives c and v(k) their parts.

Each is timed after others like it, as in plain decoding, so that the processor's cache holds what it holds then;
`rounds` times forwards in a round's order.
"""

from collections.abc import Iterator
from functools import cache
from statistics import median

import torch
from torch import Tensor

from specdec_lib.clock import now
from specdec_lib.graphs import Repeated
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.tasks import Task
from specdec_lib.sampling import GreedyChance
from specdec_lib.sessions import Session, session_factory

REPEATS, UNTIMED, LIKE = 15, 2, 5
RECORDED = 2  # forwards alike after which one is repeated, where that is done


class Forwards:
    """An experiment: all models, sessions and widths in turn; widths are 1 and, for each n_lookahead k, k + 1."""

    name = "forwards"

    def __init__(self, lab: Lab):
        self.lab = lab
        self.widths = sorted({1, *(k + 1 for k in lab.profile.lookaheads)})
        self._session = cache(self._open)

    def tasks(self) -> Iterator[Task]:
        for repeat in range(REPEATS):
            for model in (self.lab.profile.target, *self.lab.profile.drafts):
                for session in self.lab.profile.sessions:
                    if session == "uncached":  # which reads the whole text again
                        continue
                    for width in self.widths:
                        yield Task(
                            self.name,
                            f"{model} {session}",
                            f"{width} tokens",
                            repeat,
                            width,
                            block=f"{repeat}",
                            work=(model, session, width),
                        )

    def warm_up(self, task: Task) -> None:
        model, session, _ = task.work
        for width in self.widths:
            for _ in range(RECORDED):
                _time(self._session(model, session), self.lab.prompts[0][:width])

    def measure(self, task: Task) -> dict:
        model, session, width = task.work
        forwarding, tokens = self._session(model, session), self.lab.prompts[0][:width]
        seconds = [_time(forwarding, tokens) for _ in range(UNTIMED + LIKE)][UNTIMED:]
        return {
            "model": model,
            "session": session,
            "context": len(self.lab.prompts[0]),
            "width": width,
            "parameters": self.lab.model(model).parameters,
            "seconds": median(seconds),
        }

    def _open(self, model: str, session: str) -> "Forwarding":
        return Forwarding(session_factory(session)(self.lab.model(model)), self.lab.prompts[0])


class Forwarding:
    """A session's forwards after a prompt, with nothing drawn; recorded where rounds are.

    Of a model with fewer tokens others stand in for those it lacks: which they are costs nothing.
    """

    def __init__(self, session: Session, prompt: list[int]):
        self.session, self._repeat = session, Repeated(session, GreedyChance())
        session.extend(torch.tensor(prompt) % session.vocab_size, last=0)

    @torch.inference_mode()
    def extend(self, tokens: Tensor) -> None:
        self._repeat(lambda _, tokens: (self.session.extend(tokens),), 0, tokens % self.session.vocab_size)


def _time(forwarding: Forwarding, tokens: list[int]) -> float:
    """Seconds of one forward, which is taken back."""
    session, inputs = forwarding.session, torch.tensor(tokens)
    length = session.length
    began = now(session.device)
    forwarding.extend(inputs)
    seconds = now(session.device) - began
    session.rollback(length)
    return seconds
