"""What a round costs: its forwards alone, the whole of it, and the bytes that must move for it.

Forwards are timed in the order that a round has them, since one costs more after another model's than after its own,
whose weights are still in the processor's cache.
"""

from collections.abc import Iterator
from functools import cache
from itertools import cycle
from statistics import median

import torch

from specdec_lib.calibration import RoundTimer
from specdec_lib.clock import now
from specdec_lib.decoders import SpeculativeDecoder
from specdec_lib.drafters import ModelDrafter
from specdec_lib.measuring.forwards import Forwarding
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.tasks import Task
from specdec_lib.models import LanguageModel
from specdec_lib.profiles import Profile
from specdec_lib.sampling import GreedyChance, Sampling
from specdec_lib.sessions import session_factory

REPEATS, LIKE = 5, 5
BUFFER = 2**29  # bytes that are read to measure a bandwidth: more than a processor's cache holds
PLAIN = 0  # n_lookahead of a round without a draft


class Rounds:
    """An experiment: in each session all drafts and look-aheads in turn, with plain rounds to compare with.

    The paper's own session is timed where Table 1 is timed in it.
    """

    name = "rounds"

    def __init__(self, lab: Lab):
        self.lab = lab
        self._round = cache(lambda session, draft: Round(lab, session, draft))
        self._bandwidth = cache(lambda: read_bandwidth(lab.device))

    def tasks(self) -> Iterator[Task]:
        for session, lookaheads in timed(self.lab.profile).items():
            for repeat in range(REPEATS):
                for draft in self.lab.profile.drafts:
                    for k in (PLAIN, *lookaheads):
                        yield Task(
                            self.name,
                            f"{draft} {session}",
                            f"k={k}",
                            repeat,
                            k,
                            block=f"{session} {repeat}",
                            work=(session, draft, k),
                        )

    def warm_up(self, task: Task) -> None:
        session, draft, _ = task.work
        self._bandwidth()
        self._round(session, draft)

    def measure(self, task: Task) -> dict:
        session, draft, k = task.work
        return {
            "session": session,
            "draft": draft,
            "n_lookahead": k,
            "bandwidth": self._bandwidth(),
            **self._round(session, draft).measure(k),
        }


def timed(profile: Profile) -> dict[str, tuple[int, ...]]:
    """The look-aheads that rounds are timed at, by session."""
    return {s: profile.uncached_lookaheads if s == "uncached" else profile.lookaheads for s in profile.sessions}


class Round:
    """A pair of models in one session, in the middle of a text: a prompt, and half as many new tokens as are timed."""

    def __init__(self, lab: Lab, session: str, draft: str):
        attention = "eager" if session == "uncached" else "sdpa"
        self.target, self.draft = (lab.model(name, attention) for name in (lab.profile.target, draft))
        profile = lab.profile
        written = profile.timed_new_tokens if session == "uncached" else profile.max_new_tokens
        self.prompt = lab.prompts[0] + lab.prompts[0][: written // 2]
        decoder = SpeculativeDecoder(self.target, ModelDrafter(self.draft), max(profile.lookaheads), session=session)
        workspace = decoder.workspace(Sampling(), GreedyChance())
        self.whole = RoundTimer(workspace, decoder.narrowest.context, self.prompt, cycle(self.prompt))
        self.forwards = [
            Forwarding(session_factory(session)(model), self.prompt) for model in (self.target, self.draft)
        ]
        for k in (PLAIN, *profile.lookaheads):  # warm up
            self.measure(k)

    def measure(self, k: int) -> dict[str, float]:
        """Seconds of the forwards and of the whole, and bytes of weights, keys and values that the forwards read.

        Medians of five like rounds after another such round, so that the processor's cache holds what it holds then.
        """
        forwards = [self._forwards(k) for _ in range(1 + LIKE)][1:]
        self.whole.restart()
        wholes = [sum(self.whole.time(k)) for _ in range(1 + LIKE)][1:]
        return {
            "draft_seconds": median(drafting for drafting, _ in forwards),
            "verify_seconds": median(verification for _, verification in forwards),
            "round_seconds": median(wholes),
            "draft_bytes": k * bytes_read(self.draft, len(self.prompt)),
            "verify_bytes": bytes_read(self.target, len(self.prompt)),
        }

    def _forwards(self, k: int) -> tuple[float, float]:
        target, draft = self.forwards
        tokens = torch.tensor(self.prompt[: k + 1])
        began = now(self.target.device)
        for place in range(k):
            draft.extend(tokens[place : place + 1])
        drafted = now(self.target.device)
        target.extend(tokens)
        verified = now(self.target.device)
        for forwards in (target, draft):
            forwards.session.rollback(len(self.prompt))
        return drafted - began, verified - drafted


def bytes_read(model: LanguageModel, length: int) -> int:
    """Bytes that a forward of one token after `length` others can't do without: weights, keys and values.

    Of an embedding that is no output layer as well it reads a row only, which is not counted.
    """
    module, config = model.module, model.module.config
    weights = {weight.data_ptr(): weight.numel() * weight.element_size() for weight in module.parameters()}
    embedding, head = module.get_input_embeddings().weight, module.get_output_embeddings().weight
    if embedding.data_ptr() != head.data_ptr():
        del weights[embedding.data_ptr()]
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = heads * (getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    keys_and_values = 2 * config.num_hidden_layers * width * length * embedding.element_size()
    return sum(weights.values()) + keys_and_values


def read_bandwidth(device: str) -> float:
    """Bytes a second at which memory is read: a sum over 512 MB, the median of nine."""
    buffer = torch.ones(BUFFER // 4, device=device)
    seconds = []
    for _ in range(10):
        began = now(buffer.device)
        buffer.sum()
        seconds.append(now(buffer.device) - began)
    return BUFFER / median(seconds[1:])
