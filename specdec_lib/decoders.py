"""The loop: plain decoding, and speculative decoding of Leviathan et al. 2023 and Chen et al. 2023."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from specdec_lib.calibration import calibrate
from specdec_lib.drafters import Drafter, NoDrafter, follow, models_of
from specdec_lib.lookahead import Adaptive, Calibration, Fixed, Lookahead, Tally
from specdec_lib.models import LanguageModel, as_language_model
from specdec_lib.sampling import Chance, GreedyChance, Sampling, SeededChance
from specdec_lib.sessions import Session, session_factory
from specdec_lib.workspace import Workspace

Kind = Literal["resampled", "bonus", "end", "plain"]


@dataclass(frozen=True)
class Draw:
    """One drafted token under the rule: accepted when `uniform` < min(1, target / draft). For traces."""

    token: int
    target: float
    draft: float
    uniform: float


@dataclass(frozen=True)
class Step:
    """One round.

    drafted: the proposed tokens; accepted: how many of them, from the left, became text. next_token: the token the
    target added, or None. kind: "resampled" (exactly one rejection), "bonus" (all accepted), "end" (an accepted token
    ended the text) or "plain" (nothing was drafted).
    """

    drafted: list[int]
    accepted: int
    next_token: int | None
    kind: Kind
    seconds: float
    draws: list[Draw] | None = None

    @property
    def rejected(self) -> int:
        return int(self.kind == "resampled")

    @property
    def tokens(self) -> list[int]:
        """What the round added to the text."""
        added = self.drafted[: self.accepted]
        return added if self.next_token is None else [*added, self.next_token]


@dataclass(frozen=True)
class Generation:
    """A finished text and how it came about. Everything here is derived from the steps."""

    prompt_ids: list[int]
    steps: list[Step]
    prompt_seconds: float  # the prompt's own forward, target and draft
    seconds: float  # all of it, the prompt's forward included
    tokenizer: object = field(default=None, repr=False)
    calibration: Calibration | None = None  # of n_lookahead="auto": with it a seed gives this text again

    @property
    def token_ids(self) -> list[int]:
        """New tokens, the end token included when it was drawn."""
        return [token for step in self.steps for token in step.tokens]

    @property
    def text(self) -> str | None:
        """The new tokens as text, without special tokens; None where the model has no tokenizer."""
        return self.tokenizer.decode(self.token_ids, skip_special_tokens=True) if self.tokenizer else None

    @property
    def accepted(self) -> int:
        return sum(step.accepted for step in self.steps)

    @property
    def rejected(self) -> int:
        return sum(step.rejected for step in self.steps)

    @property
    def acceptance_rate(self) -> float | None:
        """accepted / (accepted + rejected) drafted tokens, as the paper counts; None where nothing was drafted."""
        judged = self.accepted + self.rejected
        return self.accepted / judged if judged else None

    def save_html(self, path: str | Path, plain: "Generation | None" = None, lang: str | None = None) -> Path:
        """Write the trace as a web page that needs nothing else; plain: the same text by plain decoding, to set beside.

        lang: "en" or "ja", the notebook's language by default.
        """
        from specdec_lib.viewer import Trace

        return Trace(self, plain, lang).save(path)

    def _repr_mimebundle_(self, **formats) -> dict[str, str]:
        from specdec_lib.viewer import Trace

        return Trace(self)._repr_mimebundle_(**formats)


class Decoding:
    """One text being decoded: iterating over it yields its steps, and goes on where an earlier loop stopped.

    `generation` is what the steps made so far.
    """

    def __init__(
        self,
        workspace: Workspace,
        lookahead: Lookahead,
        prompt_ids: list[int],
        max_new_tokens: int,
        trace: bool = False,
        done: Callable[[Workspace], None] | None = None,
    ):
        self.workspace, self.lookahead, self.prompt_ids = workspace, lookahead, prompt_ids
        self.max_new_tokens, self.trace, self._done = max_new_tokens, trace, done
        self.target = workspace.target
        self.steps: list[Step] = []
        self.prompt_seconds = 0.0
        self._running = self._run()

    def __iter__(self) -> Iterator[Step]:
        return self._running

    def _run(self) -> Iterator[Step]:
        began = self.workspace.now()
        k, remaining = self.lookahead.choose(), self.max_new_tokens
        self.workspace.start(self.prompt_ids, drafts=k > 0)
        self.prompt_seconds = self.workspace.now() - began
        while True:
            step = self._round(min(k, remaining - 1))
            self.lookahead.learn(step.accepted, step.rejected)
            self.steps.append(step)
            yield step
            remaining -= len(step.tokens)
            if remaining <= 0 or step.tokens[-1] in self.target.end_ids:
                break
            k = self.lookahead.choose()
        if self._done:
            self._done(self.workspace)

    @property
    def generation(self) -> Generation:
        seconds = self.prompt_seconds + sum(step.seconds for step in self.steps)
        return Generation(
            self.prompt_ids,
            list(self.steps),
            self.prompt_seconds,
            seconds,
            self.target.tokenizer,
            self.lookahead.calibration,
        )

    @torch.inference_mode()
    def _round(self, k: int) -> Step:
        """Draft at most k tokens, verify them in one forward, keep what the rule accepts and add one token."""
        workspace = self.workspace
        began = workspace.now()
        drafted, draft = workspace.propose(k)  # (m,), (m, vocab)
        result, logits, uniforms = workspace.verify(drafted, draft)
        accepted, next_id, *drafted_ids = workspace.read(result)
        if next_id >= logits.shape[-1]:
            raise ValueError(
                f"{self.target.name} gave probabilities that are not numbers: its logits overflow in "
                f"{self.target.dtype}. Load it with more bits."
            )
        draws = self._draws(logits, draft, drafted_ids, uniforms) if self.trace else None
        ends = [i for i, token in enumerate(drafted_ids[:accepted], 1) if token in self.target.end_ids]
        if ends:
            return Step(drafted_ids, ends[0], None, "end", workspace.now() - began, draws)
        kind: Kind = "plain" if not drafted_ids else "bonus" if accepted == len(drafted_ids) else "resampled"
        workspace.confirm([*drafted_ids[:accepted], next_id], result[1:2], len(drafted_ids) - accepted)
        return Step(drafted_ids, accepted, next_id, kind, workspace.now() - began, draws)

    def _draws(self, logits: Tensor, draft: Tensor, drafted_ids: list[int], uniforms: Tensor | None) -> list[Draw]:
        target = self.workspace.sampling.distribution(logits)
        numbers = [0.5] * len(drafted_ids) if uniforms is None else uniforms.tolist()  # certain whatever the number
        return [
            Draw(token, target[i, token].item(), draft[i, token].item(), numbers[i])
            for i, token in enumerate(drafted_ids)
        ]


def _check_count(name: str, value: int, otherwise: str = "") -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1{otherwise}, not {value!r}.")


class SpeculativeDecoder:
    """Lets a drafter propose and the target check: the output's distribution is the target's, exactly.

    target: a LanguageModel (`load_model`) or any causal LM of transformers. drafter: who proposes, n_lookahead tokens
    a round; "auto" chooses from 0 to 8 for each round, by the acceptance rate so far and by a `calibration` of this
    decoder on this device, measured at its first text where none is given. kv_cache, session: how the target computes;
    a ModelDrafter follows unless it has a session of its own. Raises ValueError where draft and target don't go
    together: they share vocabulary and tokenizer, or the draft has a `Vocabulary` that says which token is which.
    """

    def __init__(
        self,
        target,
        drafter: Drafter,
        n_lookahead: int | Literal["auto"] = 4,
        kv_cache: bool = True,
        session: str | Callable[[LanguageModel], Session] = "auto",
        calibration: Calibration | None = None,
    ):
        if n_lookahead != "auto":
            _check_count("n_lookahead", n_lookahead, ' or "auto"')
        self.target = as_language_model(target)
        self.n_lookahead, self._calibration = n_lookahead, calibration
        self.open_session = session_factory(session, kv_cache)
        self.drafter = follow(drafter, self.target, self.open_session)
        self._tally = Tally()
        self._idle: list[Workspace] = []
        self.narrowest = min([self.target, *models_of(drafter)], key=lambda reader: reader.context)

    def generate(
        self,
        prompt: str | Sequence[int],
        max_new_tokens: int = 128,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        trace: bool = False,
    ) -> Generation:
        """Continue a prompt, given as text or as token ids.

        temperature, top_k, top_p: see `Sampling`. seed: one seed, one output. trace: also record the probabilities and
        the random number behind each decision (slower). Raises ValueError for an empty prompt or one that does not
        fit the context together with max_new_tokens.
        """
        decoding = self.stream(prompt, max_new_tokens, temperature, top_k, top_p, seed, trace)
        for _ in decoding:
            pass
        return decoding.generation

    def stream(
        self,
        prompt: str | Sequence[int],
        max_new_tokens: int = 128,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        trace: bool = False,
        chance: Chance | None = None,
    ) -> Decoding:
        """The steps of `generate`, each as soon as it is done.

        chance: draws in place of a seed, for a proof that walks every branch.
        """
        prompt_ids, sampling = self.check(prompt, max_new_tokens, temperature, top_k, top_p, seed)
        if chance is None:
            workspace, done = self._kept_workspace(sampling, seed), self._keep
        else:
            workspace, done = self.workspace(sampling, chance), None
        return Decoding(workspace, self._lookahead(sampling), prompt_ids, max_new_tokens, trace, done)

    def check(
        self,
        prompt: str | Sequence[int],
        max_new_tokens: int = 128,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> tuple[list[int], Sampling]:
        """The prompt as token ids and how a token is drawn; ValueError where `generate` could not continue it."""
        if not isinstance(seed, int) or not -(2**63) <= seed < 2**64:
            raise ValueError(f"seed must be a whole number of at most 64 bits, not {seed!r}.")
        return self._prompt_ids(prompt, max_new_tokens), Sampling(temperature, top_k, top_p)

    def workspace(self, sampling: Sampling, chance: Chance) -> Workspace:
        """What one text needs while it is decoded."""
        return Workspace(self.target, self.open_session, self.drafter, sampling, chance)

    def _kept_workspace(self, sampling: Sampling, seed: int) -> Workspace:
        if self._idle and self._idle[-1].sampling == sampling:
            workspace = self._idle.pop()
            workspace.chance.restart(seed)
            return workspace
        chance = GreedyChance() if sampling.greedy else SeededChance(seed, self.target.device)
        return self.workspace(sampling, chance)

    def _lookahead(self, sampling: Sampling) -> Lookahead:
        if self.n_lookahead != "auto":
            return Fixed(self.n_lookahead)
        return Adaptive(self.calibration, self._tally if sampling.greedy else Tally())

    @property
    def calibration(self) -> Calibration:
        """What `n_lookahead="auto"` chooses by: given, or measured when it is first asked for."""
        if self._calibration is None:
            self._calibration = calibrate(self.workspace(Sampling(), GreedyChance()), self.narrowest.context)
        return self._calibration

    def _keep(self, workspace: Workspace) -> None:
        """Keep what was recorded for another text that is sampled alike."""
        if workspace.keeps:
            self._idle = [idle for idle in self._idle if idle.sampling == workspace.sampling] + [workspace]

    def _prompt_ids(self, prompt: str | Sequence[int], max_new_tokens: int) -> list[int]:
        _check_count("max_new_tokens", max_new_tokens)
        ids = self.target.encode(prompt) if isinstance(prompt, str) else [int(token) for token in prompt]
        if not ids:
            raise ValueError("The prompt is empty: give it at least one token.")
        size = self.target.vocab_size
        if outside := [token for token in ids if not 0 <= token < size]:
            raise ValueError(f"Token {outside[0]} is not in the vocabulary of {size} tokens.")
        if len(ids) + max_new_tokens > self.narrowest.context:
            raise ValueError(
                f"The prompt has {len(ids)} tokens and asks for {max_new_tokens} new ones, but {self.narrowest.name} "
                f"reads {self.narrowest.context} at most: shorten the prompt or lower max_new_tokens."
            )
        return ids


class AutoregressiveDecoder(SpeculativeDecoder):
    """Plain decoding, a token a forward: the same loop with nothing drafted, and the baseline of every speed-up."""

    def __init__(
        self,
        target,
        kv_cache: bool = True,
        session: str | Callable[[LanguageModel], Session] = "auto",
    ):
        super().__init__(target, NoDrafter(), n_lookahead=1, kv_cache=kv_cache, session=session)
