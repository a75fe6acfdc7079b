"""Speed beside other libraries: the same articles decoded in every way in turn, by ours and by theirs."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Literal

import torch

from specdec_lib.clock import now
from specdec_lib.decoders import AutoregressiveDecoder, SpeculativeDecoder
from specdec_lib.drafters import Drafter, FirstDrafter, ModelDrafter, PromptLookupDrafter
from specdec_lib.experiments import Study, progress
from specdec_lib.models import LanguageModel
from specdec_lib.peers import Decode, Peers, has_flashspec
from specdec_lib.profiles import Profile

ARTICLES, REPEATS = 24, 2  # at most: every way takes its turn on each
NEW_TOKENS = 64
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
        *(Way("transformers", "prompt lookup", "lookup", None, k) for k in (3, 6)),
        *(Way("transformers", "assisted", "model", draft, k) for draft in drafts for k in (1, 3)),
        *(Way("transformers", "assisted default", "model", draft) for draft in drafts),
        *(Way("flashspec", "auto", "lookup first", draft) for draft in drafts),
        *(Way("flashspec", "composite-g4", "lookup first", draft) for draft in drafts),
        *(Way("flashspec", "bandit", "model", draft, k) for draft in drafts for k in (1, 2)),
        *(Way("original", "frozen", "model", profile.draft, 3, session) for session in ("uncached", "cached")),
        *(Way("ours", "plain", session=session) for session in ("cached", "auto")),
        *(Way("ours", "speculative", "model", draft, k, "auto") for draft in drafts for k in (1, 2, 3, "auto")),
        Way("ours", "speculative", "model", UNTRAINED, "auto", "auto"),
        *(Way("ours", "lookup", "lookup", None, k, "auto") for k in (3, 6)),
        *(Way("ours", "lookup first", "lookup first", draft, 3, "auto") for draft in drafts),
    )


def run(study: Study) -> None:
    """Measure what is missing, article by article, every way in turn, and write a row for each.

    Each way first decodes the longest and the shortest prompt, unmeasured: what compiles or records does so then.
    Without flashspec its ways are left out, with a notice.
    """
    missing = list(_missing(study))
    if not has_flashspec() and any(way.library == "flashspec" for way, *_ in missing):
        print("flashspec is not installed and is left out: `pip install .[bench]` adds it.", file=sys.stderr)
        missing = [work for work in missing if work[0].library != "flashspec"]
    if not missing:
        return
    study.results.register(study.environment)
    peers = Peers(study.model(study.profile.target))
    decoders = {way: _build(study, peers, way) for way in dict.fromkeys(way for way, *_ in missing)}
    prompts = sorted((study.prompts[article] for _, article, _ in missing), key=len)
    for decode in decoders.values():
        for prompt in (prompts[-1], prompts[0]):
            decode(prompt, NEW_TOKENS)
    for way, article, repeat in progress(missing, "speed"):
        began = now(peers.target.device)
        token_ids = decoders[way](study.prompts[article], NEW_TOKENS)
        seconds = now(peers.target.device) - began
        study.results.append(
            {
                "environment": study.environment["id"],
                "profile": study.profile.name,
                "experiment": "speed",
                "cell": way.name,
                **asdict(way),
                "version": version(way.library) if way.library in ("transformers", "flashspec") else None,
                "target": study.profile.target,
                "attention": peers.target.attention,
                "bits": peers.target.bits,
                "dtype": peers.target.dtype,
                "prompt": study.articles[article]["id"],
                "prompt_tokens": len(study.prompts[article]),
                "repeat": repeat,
                "max_new_tokens": NEW_TOKENS,
                "token_ids": token_ids,
                "seconds": seconds,
            }
        )


def _missing(study: Study) -> Iterator[tuple[Way, int, int]]:
    profile, done = study.profile, study.results.done
    every_way = ways(profile, study.device)
    for article in range(min(profile.timed_articles, ARTICLES, len(study.articles))):
        for repeat in range(min(profile.repeats, REPEATS)):
            for way in every_way:
                if ("speed", way.name, study.articles[article]["id"], repeat, NEW_TOKENS) not in done:
                    yield way, article, repeat


def _build(study: Study, peers: Peers, way: Way) -> Decode:
    draft = None
    if way.draft:
        draft = untrained(study.model(study.profile.draft)) if way.draft == UNTRAINED else study.model(way.draft)
    match way.library, way.method:
        case "transformers", "generate":
            return peers.generate()
        case "transformers", "compiled":
            return peers.compiled()
        case "transformers", "prompt lookup":
            return peers.prompt_lookup(way.n_lookahead)
        case "transformers", _:
            return peers.assisted(draft, way.n_lookahead)
        case "flashspec", strategy:
            return peers.flashspec(draft, strategy, way.n_lookahead)
    if way.drafter is None:
        decoder = AutoregressiveDecoder(peers.target, session=way.session)
    else:
        drafter = _drafter(way, peers.target.vocab_size, draft)
        decoder = SpeculativeDecoder(peers.target, drafter, way.n_lookahead, session=way.session)
    return lambda prompt_ids, max_new_tokens: decoder.generate(prompt_ids, max_new_tokens).token_ids


def _drafter(way: Way, vocab_size: int, draft) -> Drafter:
    lookup = PromptLookupDrafter(vocab_size)
    if way.drafter == "lookup":
        return lookup
    model = ModelDrafter(draft, context="frozen" if way.library == "original" else "growing")
    return FirstDrafter(lookup, model) if way.drafter == "lookup first" else model


def untrained(model: LanguageModel) -> LanguageModel:
    """A model like the given one with random weights, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = type(model.module)(model.module.config).eval()
    return replace(model, module=module.to(model.device, model.module.dtype), name=UNTRAINED)
