"""The ways of decoding that are compared with other libraries', by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from specdec_lib.profiles import Profile

UNTRAINED = "untrained"
"""A draft of the profile's own draft's size that has learned nothing: what `n_lookahead="auto"` must not lose by."""


@dataclass(frozen=True)
class Way:
    """One way to decode greedily.

    method: the library's own name for it. drafter: who proposes; None in plain decoding. draft: the model among them.
    n_lookahead: None where the library chooses. session: of our decoders.
    """

    library: Literal["transformers", "flashspec", "original", "ours"]
    method: str
    drafter: Literal["model", "lookup", "lookup first"] | None = None
    draft: str | None = None
    n_lookahead: int | str | None = None
    session: str | None = None

    @property
    def name(self) -> str:
        k = None if self.n_lookahead is None else f"k={self.n_lookahead}"
        session = None if self.session == "auto" else self.session
        return " ".join(part for part in (self.library, self.method, self.draft, k, session) if part)


def ways(profile: Profile, device: str) -> tuple[Way, ...]:
    """All that are compared, in the order of their turns: with the smallest draft and with the profile's own."""
    drafts = tuple(dict.fromkeys((profile.drafts[0], profile.draft)))
    return (
        Way("transformers", "generate"),
        *([Way("transformers", "compiled")] if device.startswith("cuda") else []),
        *(Way("transformers", "prompt lookup", "lookup", None, k) for k in profile.lookup_lookaheads),
        *(_with_shared_vocabulary(profile, drafts) if profile.shared_vocabulary else ()),
        *(Way("ours", "plain", session=session) for session in ("cached", "auto")),
        *(Way("ours", "speculative", "model", draft, k, "auto") for draft in drafts for k in (1, 2, 3, "auto")),
        *([Way("ours", "speculative", "model", UNTRAINED, "auto", "auto")] if profile.shared_vocabulary else []),
        *(Way("ours", "lookup", "lookup", None, k, "auto") for k in profile.lookup_lookaheads),
        *(
            Way("ours", "lookup first", "lookup first", draft, k, "auto")
            for draft in drafts
            for k in profile.first_lookaheads
        ),
    )


def _with_shared_vocabulary(profile: Profile, drafts: tuple[str, ...]) -> Iterator[Way]:
    """Those with a draft that knows the target's tokens and no others, as other libraries ask for; ours beside them."""
    yield from (Way("transformers", "assisted", "model", draft, k) for draft in drafts for k in (1, 3))
    yield from (Way("transformers", "assisted default", "model", draft) for draft in drafts)
    yield from (Way("flashspec", "auto", "lookup first", draft) for draft in drafts)
    yield from (Way("flashspec", "composite-g4", "lookup first", draft) for draft in drafts)
    yield from (Way("flashspec", "bandit", "model", draft, k) for draft in drafts for k in (1, 2))
    yield from (Way("ours", "speculative", "model", draft, k, "cached") for draft in drafts for k in (1, 3))
    yield from (Way("original", "frozen", "model", profile.draft, 3, session) for session in ("uncached", "cached"))
