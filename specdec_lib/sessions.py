"""One running sequence of a model: extend it by tokens, look at logits, roll it back."""

import inspect
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache

from specdec_lib import neox
from specdec_lib.graphs import Recorder, recorder_for
from specdec_lib.models import LanguageModel


class Session(Protocol):
    """Contract: after any calls, logits are those of a fresh forward over the same tokens (1e-5 relative in fp32)."""

    length: int

    def extend(self, token_ids: Sequence[int] | Tensor, last: int | None = None) -> Tensor:
        """Append tokens (n,) and return the logits of the last `last` of them, all by default: (last, vocab).

        `last=0` asks for nothing: a session without a cache then computes nothing.
        """

    def rollback(self, length: int) -> None:
        """Forget every token after the first `length`."""


class _ModelSession:
    """What both sessions over a transformers model share: how tokens reach it and which logits come back."""

    def __init__(self, model: LanguageModel):
        self.model = model.module
        self.device = model.device
        self.vocab_size = model.vocab_size
        self._keeps_logits = "logits_to_keep" in inspect.signature(self.model.forward).parameters

    def _tokens(self, token_ids: Sequence[int] | Tensor) -> Tensor:
        return torch.as_tensor(token_ids, dtype=torch.long, device=self.device)

    @torch.inference_mode()
    def _forward(self, tokens: Tensor, last: int, **cache) -> Tensor:
        """Logits (last, vocab) of the last rows of one forward over tokens (n,); no forward where nothing is to do."""
        if not len(tokens):
            return torch.empty(0, self.vocab_size, device=self.device)
        if self._keeps_logits:
            cache["logits_to_keep"] = max(last, 1)  # transformers reads 0 as all
        logits = self.model(input_ids=tokens.unsqueeze(0), **cache).logits[0]
        return logits[logits.shape[0] - last :]


class UncachedSession(_ModelSession):
    """Computes the whole sequence again at every call, as the paper's runs without KV-cache do."""

    def __init__(self, model: LanguageModel):
        super().__init__(model)
        self.tokens = self._tokens([])

    @property
    def length(self) -> int:
        return len(self.tokens)

    def extend(self, token_ids: Sequence[int] | Tensor, last: int | None = None) -> Tensor:
        new = self._tokens(token_ids)
        self.tokens = torch.cat([self.tokens, new])
        last = len(new) if last is None else last
        return self._forward(self.tokens if last else new[:0], last, use_cache=False)

    def rollback(self, length: int) -> None:
        _check_rollback(self.length, length)
        self.tokens = self.tokens[:length]


class CachedSession(_ModelSession):
    """Keeps keys and values in transformers' DynamicCache and computes new tokens only.

    All of them, also where a layer sees a window of the last ones (Gemma 3): what has left a window would be missing
    after a rollback. Raises ValueError for models that keep a state instead (Mamba, Jamba, Qwen3-Next), which nothing
    rolls back.
    """

    def __init__(self, model: LanguageModel):
        if getattr(model.module, "_is_stateful", False):
            raise ValueError(
                f"{model.name} is a {type(model.module).__name__}, which sums up what it has read in a state that "
                'can\'t be rolled back: choose session "uncached" (kv_cache=False).'
            )
        super().__init__(model)
        self.cache = DynamicCache()

    @property
    def length(self) -> int:
        return self.cache.get_seq_length()

    def extend(self, token_ids: Sequence[int] | Tensor, last: int | None = None) -> Tensor:
        new = self._tokens(token_ids)
        return self._forward(new, len(new) if last is None else last, past_key_values=self.cache, use_cache=True)

    def rollback(self, length: int) -> None:
        _check_rollback(self.length, length)
        if surplus := self.length - length:
            self.cache.crop(-surplus)


class StaticSession:
    """Keeps keys and values in place and rolls back by forgetting a position: the fast path, for GPT-NeoX with sdpa.

    recorder: what records rounds (`graphs`), by default CUDA graphs on CUDA. Positions are then tensors, and every
    forward attends to all of `room`, so that one recording serves every length. Raises ValueError for any other model
    or attention, as it does its own.
    """

    STRIDE = 256  # tokens by which room grows: another recording for each

    def __init__(self, model: LanguageModel, recorder: Recorder | None = None):
        if not neox.supports(model.module):
            raise ValueError(
                f'session="static" computes GPT-NeoX with sdpa attention, but {model.name} is a '
                f'{type(model.module).__name__} with {model.attention}: choose session "cached" or "auto".'
            )
        self.device, self.vocab_size, self.context = model.device, model.vocab_size, model.context
        self.length = self.room = 0
        self._module, self._forward = model.module, neox.StaticNeoX(model.module)
        self.recorder = recorder or (
            None if model.bits == 8 else recorder_for(model.device)
        )  # LLM.int8() asks the host
        if self.recorder:
            self._position = torch.zeros(1, dtype=torch.long, device=self.device)  # length, on the device
            self._offsets = torch.arange(self.context, device=self.device)
            self.renew()

    def extend(self, token_ids: Sequence[int] | Tensor, last: int | None = None) -> Tensor:
        new = torch.as_tensor(token_ids, dtype=torch.long, device=self.device)
        n = len(new)
        if not n:
            return torch.empty(0, self.vocab_size, device=self.device)
        place: slice | Tensor = slice(self.length, self.length + n)
        end = self.length + n
        if self.recorder:
            if last != 0:  # not so a prompt, which is read once and never recorded
                self.make_room(n)
                place, end = self._position + self._offsets[:n], self.room
            self._position += n
        self.length += n
        return self._forward(new, place, end, n if last is None else last)

    def rollback(self, length: int) -> None:
        _check_rollback(self.length, length)
        if self.recorder and length != self.length:
            self._position -= self.length - length
        self.length = length

    def renew(self) -> None:
        """Stand at the beginning, as if newly opened."""
        self.restart(0)
        self.room = 0
        self._forward.cache.zero_()  # a masked place counts nothing times what is there, which must be a number

    @property
    def is_current(self) -> bool:
        """Whether the model's weights are those that this session was opened on."""
        return self._forward.model is neox.prepared(self._module)

    def restart(self, length: int) -> None:
        """Stand at `length` on host and device, whatever an interrupted recording left."""
        self.length = length
        self._position.fill_(length)

    def make_room(self, n: int) -> None:
        """Let the next n tokens be seen by forwards over positions on the device."""
        while self.room < min(self.length + n, self.context):
            self.room = min(self.room + self.STRIDE, self.context)


def renewed(session: Session | None, open_session: Callable[[LanguageModel], Session], model: LanguageModel) -> Session:
    """A session for another text: the same one where rounds are recorded on it, else a new one."""
    if getattr(session, "recorder", None) and session.is_current:
        session.renew()
        return session
    return open_session(model)


def _check_rollback(now: int, length: int) -> None:
    if not 0 <= length <= now:
        raise ValueError(f"A session of {now} tokens can't be rolled back to {length}.")


class ReplayedSession:
    """Answers from logits that are known already, row i after token i: nothing is computed.

    At temperature 0 one forward over prompt and finished text gives every row the loop will ask for, so acceptance at
    any n_lookahead can be counted without decoding again. Rows after a wrong guess are not the model's; the loop
    never uses them, since nothing after the first rejection counts.
    """

    def __init__(self, logits: Tensor):
        self.logits = logits  # (tokens, vocab)
        self.length = 0

    def extend(self, token_ids: Sequence[int] | Tensor, last: int | None = None) -> Tensor:
        self.length += len(token_ids)
        return self.logits[self.length - (len(token_ids) if last is None else last) : self.length]

    def rollback(self, length: int) -> None:
        self.length = length


def fastest_session(model: LanguageModel) -> Session:
    """The fastest cached session that computes this model."""
    return StaticSession(model) if neox.supports(model.module) else CachedSession(model)


SESSIONS: dict[str, Callable[[LanguageModel], Session]] = {
    "uncached": UncachedSession,
    "cached": CachedSession,
    "static": StaticSession,
}


def session_factory(session: str | Callable, kv_cache: bool = True) -> Callable[[LanguageModel], Session]:
    """What opens a session: a name of SESSIONS, the caller's own factory, or "auto".

    "auto" is static where the model allows it, else cached; uncached without kv_cache.
    """
    if callable(session):
        return session
    if session == "auto":
        return fastest_session if kv_cache else UncachedSession
    if session not in SESSIONS:
        raise ValueError(f"session must be one of auto, {', '.join(SESSIONS)} or a factory, not {session!r}.")
    if not kv_cache and session != "uncached":
        raise ValueError(f'kv_cache=False computes without a cache: session must be "uncached", not {session!r}.')
    return SESSIONS[session]
