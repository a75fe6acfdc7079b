"""What is run where: the embedded models, a quick look at them, or the paper's own."""

from dataclasses import dataclass

from specdec_lib.models import EMBEDDED, PAPER_SIZES


@dataclass(frozen=True)
class Profile:
    """One set of models, articles and repeats. Every number a notebook's tables depend on stands here."""

    name: str
    target: str
    drafts: tuple[str, ...]
    draft: str  # the one of Table 2 and of the quantization table
    source: str  # of the articles, see xlsum.load
    articles: int  # for acceptance and quality
    timed_articles: int
    repeats: int
    lookaheads: tuple[int, ...]
    uncached_lookaheads: tuple[int, ...]  # of Table 1 again in the paper's own session, where table1_session is another
    frozen_lookaheads: tuple[int, ...]  # timed with the draft's context frozen, in the paper's own session
    max_new_tokens: int
    timed_new_tokens: int  # where a whole summary would take too long: everything uncached, quantization, rates
    table1_session: str
    draws: int  # sampled texts a case, for `frequencies`


MINI = Profile(
    name="mini",
    target=EMBEDDED[0],
    drafts=tuple(EMBEDDED[1:]),
    draft="mini-draft-4",
    source="embedded",
    articles=100,
    timed_articles=8,
    repeats=2,
    lookaheads=(1, 3, 5, 7),
    uncached_lookaheads=(1, 3),
    frozen_lookaheads=(3, 7),
    max_new_tokens=128,
    timed_new_tokens=24,
    table1_session="cached",
    draws=20_000,
)
QUICK = Profile(
    name="quick",
    target=EMBEDDED[0],
    drafts=("mini-draft-1", "mini-draft-4", "mini-draft-5"),
    draft="mini-draft-4",
    source="embedded",
    articles=6,
    timed_articles=2,
    repeats=2,
    lookaheads=(1, 3, 5, 7),
    uncached_lookaheads=(1, 3),
    frozen_lookaheads=(3, 7),
    max_new_tokens=64,
    timed_new_tokens=12,
    table1_session="cached",
    draws=1_000,
)
PAPER = Profile(
    name="paper",
    target="409M-xlsum-sft",
    drafts=tuple(f"{size}-xlsum-sft" for size in PAPER_SIZES[:-1]),
    draft="29M-xlsum-sft",
    source="hub",
    articles=889,
    timed_articles=889,
    repeats=5,
    lookaheads=(1, 3, 5, 7),
    uncached_lookaheads=(),
    frozen_lookaheads=(3, 5, 7),
    max_new_tokens=128,
    timed_new_tokens=128,
    table1_session="uncached",
    draws=20_000,
)
PROFILES = {profile.name: profile for profile in (MINI, QUICK, PAPER)}


def profile_named(name: str) -> Profile:
    if name not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, not {name!r}.")
    return PROFILES[name]
