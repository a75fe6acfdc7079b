"""What a row of each experiment must hold, so that tables can be made of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**40)]
Number = Annotated[float, Meta(ge=-1e300, le=1e300)]  # neither infinite nor NaN
Time = Annotated[float, Meta(ge=0, le=1e9)]
Elapsed = Annotated[float, Meta(ge=1e-9, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]
Tokens = Annotated[list[Count], Meta(min_length=1)]


class Key(TypedDict):
    environment: str
    profile: str
    experiment: str
    cell: str
    prompt: str
    repeat: Count
    max_new_tokens: Count


class Failed(TypedDict):
    environment: str
    experiment: str
    cell: str
    reason: str
    prompt: str
    repeat: Count


class Environment(TypedDict, total=False):
    id: str
    sources: dict[str, str]
    facts: list[dict]
    planned: dict[str, Count]


class Generated(TypedDict):
    target: str
    draft: str | None
    lookup: bool
    n_lookahead: Annotated[int, Meta(ge=1, le=1000)] | None
    session: str
    attention: str
    bits: int
    draft_bits: int | None
    token_ids: Tokens
    drafted: list[Count]
    accepted: list[Count]
    kinds: Annotated[str, Meta(pattern="^[rbep]+$")]
    seconds: Elapsed | None
    prompt_seconds: Time | None
    weights: Count
    rouge1: Share
    rouge2: Share
    rougeL: Share


class Forward(TypedDict):
    model: str
    session: str
    width: Count
    parameters: Count
    seconds: Elapsed


class Round(TypedDict):
    session: str
    draft: str
    n_lookahead: Count
    bandwidth: Annotated[float, Meta(ge=1, le=1e18)]
    draft_seconds: Time
    verify_seconds: Elapsed
    round_seconds: Elapsed
    draft_bytes: Count
    verify_bytes: Count


class Sampled(TypedDict):
    draft: str
    n_lookahead: Count
    context: str
    temperature: Number
    top_k: Count | None
    top_p: Number | None
    draws: Count
    outcomes: Count
    acceptance: Share
    statistic: Number
    degrees: Count
    p_value: Share
    largest_deviation: Number


class Tied(TypedDict):
    bits: int
    dtype: str
    differs_at: Count | None
    gap: Number | None
    noise: Number | None
    usual_gap: Number
    usual_noise: Number


class Sped(TypedDict):
    library: str
    method: str
    drafter: str | None
    draft: str | None
    n_lookahead: int | str | None
    session: str | None
    version: str | None
    attention: str
    dtype: str
    token_ids: Tokens
    seconds: Elapsed


FORMS = {"forwards": Forward, "rounds": Round, "frequencies": Sampled, "ties": Tied, "speed": Sped}


def check_key(row: Mapping, number: int, file: Path) -> None:
    """Raise ValueError unless a row says what it is a measurement of."""
    _check(row, Key, f"Line {number} of {file} is no row", "mend or delete that line, or move the folder aside")


def check_failure(entry: Mapping, number: int, file: Path) -> None:
    """Raise ValueError unless an entry says what failed, and why."""
    _check(
        entry, Failed, f"Line {number} of {file} tells no failure", "mend or delete that line, or move the folder aside"
    )


def check_environment(name: str, environment: Mapping, file: Path) -> None:
    """Raise ValueError unless an environment can be read."""
    _check(environment, Environment, f"The environment {name!r} in {file} can't be read", "bring that file back")


def _check(entry: Mapping, form: type, wrong: str, advice: str) -> None:
    try:
        msgspec.convert(entry, form)
    except msgspec.ValidationError as error:
        raise ValueError(f"{wrong} ({_sentence(error)}): {advice}.") from error


def check_rows(experiment: str, rows: Sequence[Mapping], file: Path) -> None:
    """Raise ValueError unless rows hold what an experiment's rows must."""
    form = FORMS.get(experiment, Generated)
    for row in rows:
        try:
            msgspec.convert(row, form)
            if form is Generated and (wrong := _contradiction(row)):
                raise msgspec.ValidationError(wrong)
        except msgspec.ValidationError as error:
            raise ValueError(
                f"A row of {experiment} in {file} can't be read ({_sentence(error)}; cell {row['cell']!r}, prompt "
                f"{row['prompt']!r}, repeat {row['repeat']}): if another version wrote it, "
                "move the folder aside and measure anew; else delete it."
            ) from error


def _contradiction(row: Mapping) -> str | None:
    """What in a row of decoding does not go together."""
    if not len(row["drafted"]) == len(row["accepted"]) == len(row["kinds"]):
        return "drafted, accepted and kinds differ in length"
    if (row["n_lookahead"] is None) != (row["draft"] is None and not row["lookup"]):
        return "n_lookahead is there without a drafter, or a drafter without it"
    if (row["seconds"] is None) != (row["prompt_seconds"] is None):
        return "seconds and prompt_seconds are not there together"
    if row["seconds"] is not None and row["prompt_seconds"] >= row["seconds"]:
        return "prompt_seconds are no part of seconds"
    return None


def _sentence(error: Exception) -> str:
    return str(error).replace("`", "").replace(" - at $.", " in ")
