"""Who proposes tokens."""

import copy
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from specdec_lib.graphs import Repeated
from specdec_lib.models import LanguageModel, as_language_model
from specdec_lib.sampling import Chance, Sampling, certain
from specdec_lib.sessions import Session, fastest_session, renewed, session_factory
from specdec_lib.vocabulary import Vocabulary

Context = Literal["growing", "frozen"]
"""What a draft reads: the confirmed text and what it has drafted since, or the confirmed text alone."""


class Drafter(Protocol):
    """Proposes tokens for the target to check; told after each round which tokens became text.

    One that computes with models names them in `models`, may take over a decoder's session by `following` and reads
    what it has not yet read of the text by `catch_up`.
    """

    def start(self, token_ids: Sequence[int], sampling: Sampling, chance: Chance) -> None:
        """Begin a new text after the prompt's tokens; nothing of an earlier text is kept."""

    def propose(self, k: int) -> tuple[Tensor, Tensor]:
        """At most k >= 1 tokens (m,) and the distributions (m, vocab) that each was drawn from; m may be 0."""

    def observe(self, confirmed_ids: Sequence[int]) -> None:
        """The tokens that the round has added to the text."""


class ModelDrafter:
    """A small model that drafts, by default each token after the confirmed text and the tokens drafted before it.

    model: a LanguageModel or any causal LM of transformers.
    session: how the draft computes (a name or factory, see `session_factory`); None follows the decoder.
    context: "growing" (Leviathan et al. 2023, Chen et al. 2023), or "frozen": every token of a round is drawn after the
    confirmed text alone, at the price of a forward each, which rebuilds the runs behind the study's published tables.
    vocabulary: how the draft's tokens are the target's, where they aren't the same; None takes it from the model.
    The output's distribution is the target's whatever the draft.
    """

    def __init__(
        self,
        model,
        session: str | Callable[[LanguageModel], Session] | None = None,
        context: Context = "growing",
        vocabulary: Vocabulary | None = None,
    ):
        if context not in get_args(Context):
            raise ValueError(f"context must be {' or '.join(get_args(Context))}, not {context!r}.")
        self.model = as_language_model(model)
        self.open_session = session_factory(session) if session else None
        self.context = context
        self.vocabulary = vocabulary
        self._session: Session | None = None
        self._chance: Chance | None = None

    @property
    def models(self) -> list[LanguageModel]:
        return [self.model]

    def following(self, target: LanguageModel, open_session: Callable[[LanguageModel], Session]) -> "ModelDrafter":
        """This drafter for a target, with the decoder's session where it has none of its own.

        Raises ValueError where draft and target don't go together.
        """
        follower = copy.copy(self)
        follower.open_session, follower._session = self.open_session or open_session, None
        if self.vocabulary:
            self.vocabulary.check(target, self.model)
        else:
            follower.vocabulary = Vocabulary.between(target, self.model)
        return follower

    def start(self, token_ids: Sequence[int], sampling: Sampling, chance: Chance) -> None:
        session = renewed(self._session, self.open_session or fastest_session, self.model)
        if session is not self._session or chance is not self._chance or sampling != self._sampling:
            self._session, self._sampling, self._chance = session, sampling, chance
            self._draft = Repeated(session, chance)
        self._text = list(token_ids)

    def catch_up(self) -> None:
        """Read the text, all but what every round reads first."""
        if unread := self._text[self._session.length : -self._width]:
            self._session.extend(self._as_read(torch.tensor(unread)), last=0)

    @property
    def _width(self) -> int:
        """How many tokens a round reads first, at least: a recorded one always as many as after full acceptance."""
        return 2 if self._draft.record else 1

    def _as_read(self, text: Tensor) -> Tensor:
        """The target's tokens (n,) as the draft's."""
        return text if self.vocabulary is None else self.vocabulary.read[text.to(self.vocabulary.read.device)]

    def propose(self, k: int) -> tuple[Tensor, Tensor]:
        if len(self._text) - self._session.length > 2:  # more than one round ago
            self.catch_up()
        return self._draft(self._drafted, k, torch.tensor(self._text[self._session.length :]))

    def _drafted(self, k: int, unread: Tensor) -> tuple[Tensor, Tensor]:
        tokens, rows = [], []
        unread = self._as_read(unread)
        context = unread
        for _ in range(k):
            logits = self._session.extend(context, last=1)
            if self.vocabulary:
                logits = self.vocabulary.proposable(logits)
            if self._sampling.greedy:
                tokens.append(logits.argmax(-1))
            else:
                rows.append(self._sampling.distribution(logits))
                drawn = self._chance.draw(rows[-1][0])
                tokens.append(drawn.clamp(max=self.model.vocab_size - 1))  # beyond it where a row holds no numbers
            if self.context == "growing":
                context = tokens[-1]
            else:  # the same question again
                self._session.rollback(self._session.length - 1)
                context = unread[-1:]
        return self._as_target(torch.cat(tokens), torch.cat(rows) if rows else None)

    def _as_target(self, drafted: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """Draft tokens (m,) and their distributions, None for certain ones, as the target's."""
        size = self.model.vocab_size
        if self.vocabulary:
            drafted, size = self.vocabulary.proposed[drafted], len(self.vocabulary.read)
            rows = None if rows is None else self.vocabulary.spread(rows)
        return drafted, certain(drafted, size) if rows is None else rows

    def observe(self, confirmed_ids: Sequence[int]) -> None:
        """Keep what was accepted of the forwarded tokens; the rest of the text is read with the next draft."""
        self._text += confirmed_ids
        self._session.rollback(max(0, min(self._session.length, len(self._text) - self._width)))


class NoDrafter:
    """Proposes nothing: every token is the target's own, which is plain decoding."""

    def start(self, token_ids: Sequence[int], sampling: Sampling, chance: Chance) -> None:
        pass

    def propose(self, k: int) -> tuple[Tensor, Tensor]:
        return torch.empty(0, dtype=torch.long), torch.empty(0, 0)

    def observe(self, confirmed_ids: Sequence[int]) -> None:
        pass


class PromptLookupDrafter:
    """Proposes what followed the last few tokens where the text had them before: a summary copies its article.

    It looks for the longest ending of the text, of `shortest` to `longest` tokens, that occurs earlier, and takes the
    latest place. Where that is so late that fewer than k tokens follow, they are proposed again and again. Nothing is
    computed, so c is 0; where no ending recurs it proposes nothing.
    """

    def __init__(self, vocab_size: int, longest: int = 4, shortest: int = 2):
        if not 1 <= shortest <= longest:
            raise ValueError(f"It takes 1 <= shortest <= longest tokens to look up, not {shortest} and {longest}.")
        self.vocab_size, self.longest, self.shortest = vocab_size, longest, shortest

    def start(self, token_ids: Sequence[int], sampling: Sampling, chance: Chance) -> None:
        self._text: list[int] = []
        self._followed: dict[tuple[int, ...], int] = {}  # each n-gram of the text: the place after its latest end
        self._read(token_ids)

    def propose(self, k: int) -> tuple[Tensor, Tensor]:
        tokens = torch.tensor(self._continuation(k), dtype=torch.long)
        return tokens, certain(tokens, self.vocab_size)

    def observe(self, confirmed_ids: Sequence[int]) -> None:
        self._read(confirmed_ids)

    def _read(self, token_ids: Sequence[int]) -> None:
        """An n-gram counts as seen once a token has followed it."""
        for token in token_ids:
            end = len(self._text)
            for n in range(self.shortest, min(self.longest, end) + 1):
                self._followed[tuple(self._text[end - n :])] = end
            self._text.append(token)

    def _continuation(self, k: int) -> list[int]:
        for n in range(min(self.longest, len(self._text)), self.shortest - 1, -1):
            if place := self._followed.get(tuple(self._text[-n:])):
                copied = self._text[place : place + k]
                return (copied * k)[:k]  # past the end of the text on with what was just copied, as a loop goes on
        return []


class FirstDrafter:
    """Asks its drafters in turn and takes the first proposal: `FirstDrafter(lookup, ModelDrafter(draft))`."""

    def __init__(self, first: Drafter, *others: Drafter):
        self.drafters = (first, *others)

    def __copy__(self) -> "FirstDrafter":
        return FirstDrafter(*map(copy.copy, self.drafters))

    @property
    def models(self) -> list[LanguageModel]:
        return [model for drafter in self.drafters for model in models_of(drafter)]

    def following(self, target: LanguageModel, open_session: Callable[[LanguageModel], Session]) -> "FirstDrafter":
        return FirstDrafter(*(follow(drafter, target, open_session) for drafter in self.drafters))

    def start(self, token_ids: Sequence[int], sampling: Sampling, chance: Chance) -> None:
        for drafter in self.drafters:
            drafter.start(token_ids, sampling, chance)

    def catch_up(self) -> None:
        for drafter in self.drafters:
            catch_up(drafter)

    def propose(self, k: int) -> tuple[Tensor, Tensor]:
        for drafter in self.drafters:
            tokens, rows = drafter.propose(k)
            if len(tokens):
                break
        return tokens, rows

    def observe(self, confirmed_ids: Sequence[int]) -> None:
        for drafter in self.drafters:
            drafter.observe(confirmed_ids)


def models_of(drafter: Drafter) -> list[LanguageModel]:
    """The models a drafter computes with, if any."""
    return getattr(drafter, "models", [])


def follow(drafter: Drafter, target: LanguageModel, open_session: Callable[[LanguageModel], Session]) -> Drafter:
    """The drafter for a target, with the decoder's session where it computes with models and has none of its own.

    Raises ValueError where its models don't go with the target.
    """
    return drafter.following(target, open_session) if models_of(drafter) else drafter


def catch_up(drafter: Drafter) -> None:
    """Let a drafter read the text ahead of its next proposal, where it computes with models."""
    if models_of(drafter):
        drafter.catch_up()
