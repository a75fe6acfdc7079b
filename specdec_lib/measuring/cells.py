"""The grids of the paper as cells: ways to decode that are compared with one another on the same articles."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from specdec_lib.attention import BETTERTRANSFORMER
from specdec_lib.drafters import Context
from specdec_lib.profiles import Profile


@dataclass(frozen=True)
class Cell:
    """One way to decode. Without draft and lookup it is plain decoding; with both the text is looked up first."""

    target: str
    draft: str | None = None
    lookup: bool = False
    n_lookahead: int | None = None
    session: str = "cached"  # or "uncached", "static", or "replayed" (acceptance without decoding again)
    attention: str = "sdpa"
    bits: int = 32  # of the target
    draft_bits: int = 32
    context: Context = "growing"

    @property
    def id(self) -> str:
        drafters = " else ".join(["lookup"] * self.lookup + [self.draft] * (self.draft is not None))
        how = f"{drafters} k={self.n_lookahead} {self.context}" if drafters else "plain"
        bits = f"{self.bits}" if self.draft_bits == self.bits or not self.draft else f"{self.bits}/{self.draft_bits}"
        return f"{self.target} {how} {self.session} {self.attention} {bits}-bit"

    @property
    def plain(self) -> "Cell":
        """The same without a draft: what this cell's speed-up is measured against."""
        return replace(self, draft=None, lookup=False, n_lookahead=None, draft_bits=32, context="growing")


@dataclass(frozen=True)
class Comparison:
    """Cells that are compared with one another, on the same articles."""

    name: str
    cells: tuple[Cell, ...]
    articles: int
    repeats: int
    max_new_tokens: int


def plain_cell(profile: Profile) -> Cell:
    """Plain decoding of the target over transformers' cache."""
    return Cell(profile.target, bits=profile.bits)


def comparisons_of(profile: Profile) -> Iterator[Comparison]:
    """Every comparison of a profile, in the order of the notebooks."""
    p = profile
    ours, counted = (p.own_articles, p.repeats), (p.articles, 1)
    plain = plain_cell(p)
    paper_setting = replace(plain, session="uncached", attention="eager")
    grid = [replace(plain, draft=d, n_lookahead=k) for d in p.drafts for k in p.lookaheads]
    replayed = [replace(cell, session="replayed", attention="sdpa") for cell in grid]
    static = [replace(cell, session=p.fastest, attention="sdpa") for cell in (plain, *grid)]
    looking = dict.fromkeys((None, p.drafts[0], p.draft))
    looked = replace(plain, lookup=True, session="replayed")
    lookup = [replace(looked, draft=draft, n_lookahead=k) for draft in looking for k in p.lookaheads]
    yield Comparison("quality", (plain,), *counted, p.max_new_tokens)
    yield Comparison("acceptance", tuple(replayed), *counted, p.max_new_tokens)
    yield Comparison("rates", tuple(_rates(p)), *ours, p.timed_new_tokens)
    yield Comparison("table1", (plain, *grid), *ours, p.max_new_tokens)
    as_published = [replace(paper_setting, draft=d, n_lookahead=k) for d in p.drafts for k in p.uncached_lookaheads]
    yield Comparison(
        "table1_uncached", (paper_setting, *as_published), p.timed_articles, p.uncached_repeats, p.timed_new_tokens
    )
    yield Comparison("table1_static", tuple(static), *ours, p.max_new_tokens)
    yield Comparison("lookup", tuple(lookup), *counted, p.max_new_tokens)
    timed = [replace(cell, session=p.fastest) for cell in lookup]
    yield Comparison("table1_lookup", (static[0], *timed), *ours, p.max_new_tokens)
    frozen = [replace(cell, context="frozen") for cell in replayed if cell.n_lookahead > 1]
    yield Comparison("frozen", tuple(frozen), *counted, p.max_new_tokens)
    timed = [
        replace(paper_setting, draft=d, n_lookahead=k, context="frozen") for d in p.drafts for k in p.frozen_lookaheads
    ]
    yield Comparison("table1_frozen", (paper_setting, *timed), p.own_articles, 1, p.timed_new_tokens)
    yield Comparison("table2", tuple(_combinations(p)), p.timed_articles, p.repeats, p.timed_new_tokens)
    yield Comparison("bettertransformer", tuple(_as_published(p)), *counted, p.timed_new_tokens)
    yield Comparison("quantization", tuple(_quantized(p)), *ours, p.timed_new_tokens)


def _rates(p: Profile) -> Iterator[Cell]:
    """Each model alone, in every session."""
    for session, attention in (("uncached", "eager"), ("cached", "sdpa"), ("static", "sdpa")):
        for model in (p.target, *p.drafts):
            yield Cell(model, session=session, attention=attention)


def _combinations(p: Profile) -> Iterator[Cell]:
    """The eight of Table 2."""
    for draft in (None, p.draft):
        for session in ("uncached", "cached"):
            for attention in ("eager", "sdpa"):
                yield Cell(p.target, draft, False, 1 if draft else None, session, attention)


def _as_published(p: Profile) -> Iterator[Cell]:
    """With a cache, under a right mask and under that of 2023."""
    for attention in ("sdpa", BETTERTRANSFORMER):
        for draft in (None, p.draft):
            yield Cell(p.target, draft, n_lookahead=1 if draft else None, attention=attention)


def _quantized(p: Profile) -> Iterator[Cell]:
    """32, 16, 8 and 4 bits: plain, and speculative with target and draft alike, then the target or the draft alone."""
    for bits in (32, 16, 8, 4):
        yield Cell(p.target, bits=bits)
        for draft_bits in dict.fromkeys((bits, 32)):
            yield Cell(p.target, p.draft, n_lookahead=1, bits=bits, draft_bits=draft_bits)
        if bits < 32:
            yield Cell(p.target, p.draft, n_lookahead=1, draft_bits=bits)
