"""What a round costs on this device: drafting and verification timed in the order a round has them.

A forward costs more after another model's than after its own, whose weights are still in the processor's cache; so
neither part is timed alone.
"""

from collections.abc import Iterable, Sequence
from itertools import count, cycle
from statistics import median

import torch

from specdec_lib.drafters import catch_up, models_of
from specdec_lib.lookahead import Calibration
from specdec_lib.workspace import Workspace

REPEATS = 9
LARGEST = 8  # tokens drafted in a round
CONTEXT = 256  # tokens of the text it is measured over


class RoundTimer:
    """Rounds of a workspace over a given text, whatever the models say: no round depends on another.

    context: tokens that fit; prompt: what is read first; continuation: a token for each round to come.
    """

    def __init__(self, workspace: Workspace, context: float, prompt: Sequence[int], continuation: Iterable[int]):
        self.workspace, self.context = workspace, context
        self.prompt, self.continuation = list(prompt), iter(continuation)
        self.restart()

    def restart(self) -> None:
        """Go back to the prompt alone."""
        self.workspace.start(self.prompt, drafts=True)
        self.length = len(self.prompt)

    @torch.inference_mode()
    def time(self, k: int) -> tuple[float, float]:
        """Seconds of drafting k tokens, and of verifying them and moving on; anew from the prompt in a full context."""
        if self.length + k > self.context:
            self.restart()
        self.length += 1
        workspace, token = self.workspace, next(self.continuation)
        began = workspace.now()
        drafted, draft = workspace.propose(k)
        proposed = workspace.now()
        result, *_ = workspace.verify(drafted, draft)
        workspace.read(result)
        workspace.confirm([token], torch.tensor([token], device=workspace.device), len(drafted))
        ended = workspace.now()
        catch_up(workspace.drafter)  # or a draft after a plain round would have more to read than one after its own
        return proposed - began, ended - proposed


def calibrate(workspace: Workspace, context: float) -> Calibration:
    """Measure a workspace's rounds with 0 to 8 drafted tokens, in turn, over a text of 256 tokens: about a second.

    A model's rounds are measured where a lookup before it finds nothing, a lookup's where it finds all it may.
    """
    half, vocab_size = context / 2, workspace.target.vocab_size
    ks = range(int(min(LARGEST, half)) + 1)
    prompt = [7919 * place % vocab_size for place in range(int(min(CONTEXT, half)))]
    new = (7919 * place % vocab_size for place in count(len(prompt)))
    timer = RoundTimer(workspace, context, prompt, new if models_of(workspace.drafter) else cycle(prompt))
    for k in (*ks, *ks):  # warm up, and record
        timer.time(k)
    rounds = [[timer.time(k) for k in ks] for _ in range(REPEATS)]
    drafting, verification = ([median(row[k][part] / row[0][1] for row in rounds) for k in ks[1:]] for part in (0, 1))
    return Calibration((0.0, *drafting), (1.0, *verification))
