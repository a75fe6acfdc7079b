"""Measured rows as JSON lines, the environment they were measured in, and intervals."""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

MEASURING_MODULES = [
    "sampling",
    "sessions",
    "neox",
    "linears",
    "graphs",
    "drafters",
    "theory",
    "lookahead",
    "clock",
    "workspace",
    "calibration",
    "decoders",
    "attention",
    "models",
    "experiments",
    "forwards",
    "rounds",
    "frequencies",
    "ties",
    "peers",
    "speed",
    "xlsum",
    "rouge",
]
KEY = ["experiment", "cell", "prompt", "repeat", "max_new_tokens"]


def code_version() -> str:
    """A hash of the modules that decode and measure: editing any other file voids no result."""
    digest = hashlib.sha256()
    for module in MEASURING_MODULES:
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    return digest.hexdigest()[:12]


def content_version(sources: Sequence[str | Path]) -> str:
    """A hash of the models and articles measured: of weights and files that are here, of the names of others."""
    digest = hashlib.sha256()
    for source in sources:
        file = Path(source) / "model.safetensors" if Path(source).is_dir() else Path(source)
        digest.update(file.read_bytes() if file.is_file() else str(source).encode())
    return digest.hexdigest()[:12]


def environment(device: str, threads: int, seed: int = 0, sources: Sequence[str | Path] = ()) -> dict:
    """Everything that rows put together must share, with an `id` that is the same wherever all of it is.

    sources: what models and articles are loaded from: folders, files or hub names.
    """
    stamp = {
        "machine": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "device": device,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "transformers", "bitsandbytes")},
        "seed": seed,
        "code": code_version(),
        "content": content_version(sources),
    }
    return {"id": hashlib.sha256(json.dumps(stamp).encode()).hexdigest()[:12], **stamp}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


class Results:
    """A folder of measured rows: rows.jsonl, written row by row, and environments.json.

    environment_id: whose rows are read, those of the last row's environment by default; rows of different environments
    are never put together. A last line that a crash cut short is dropped with a notice; a broken line elsewhere is a
    ValueError.
    """

    def __init__(self, folder: Path, environment_id: str | None = None):
        self.folder = Path(folder)
        self.rows_file = self.folder / "rows.jsonl"
        self.environments_file = self.folder / "environments.json"
        self.environment_id = environment_id
        self.environments: dict[str, dict] = {}
        if self.environments_file.exists():
            self.environments = json.loads(self.environments_file.read_text(encoding="utf-8"))
        self.rows, self._torn_at = self._read()

    def _read(self) -> tuple[list[dict], int | None]:
        """The rows, and where a torn last line begins."""
        if not self.rows_file.exists():
            return [], None
        content = self.rows_file.read_bytes()
        *lines, torn = content.split(b"\n")
        if torn:
            print(f"{self.rows_file.name}: the last line was cut short and is dropped.", file=sys.stderr)
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ValueError(
                    f"Line {number} of {self.rows_file} is not JSON: mend or delete that line, or delete the file."
                ) from error
        return rows, len(content) - len(torn) if torn else None

    def append(self, row: dict) -> None:
        """Write one row to disk before anything else happens."""
        if self._torn_at is not None:
            os.truncate(self.rows_file, self._torn_at)
            self._torn_at = None
        with self.rows_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.rows.append(row)

    def register(self, stamp: dict) -> None:
        """Note an environment before its first row."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.environments[stamp["id"]] = stamp
        unfinished = self.environments_file.with_suffix(".json.part")
        unfinished.write_text(json.dumps(self.environments, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self.environments_file)

    @property
    def environment(self) -> dict:
        """The environment whose rows are read."""
        if not self.rows:
            raise ValueError(f"There are no results in {self.folder}: run `bash reproduce.sh` first.")
        return self.environments[self.environment_id or self.rows[-1]["environment"]]

    @property
    def profile(self) -> str:
        """The name of the profile these rows belong to."""
        here = self.environment["id"]
        return next(row["profile"] for row in self.rows if row["environment"] == here)

    @property
    def done(self) -> set[tuple]:
        """Keys of the rows that this environment has measured."""
        return {tuple(row[key] for key in KEY) for row in self.rows if row["environment"] == self.environment_id}

    def has(self, experiment: str) -> bool:
        """Whether this environment has rows of an experiment."""
        here = self.environment["id"]
        return any(row["experiment"] == experiment and row["environment"] == here for row in self.rows)

    def frame(self, experiment: str) -> pd.DataFrame:
        """This environment's rows of one experiment, as they were written."""
        here = self.environment["id"]
        rows = [row for row in self.rows if row["experiment"] == experiment and row["environment"] == here]
        if not rows:
            raise ValueError(f"There are no results of {experiment} in {self.folder}: run notebook 03 first.")
        return pd.DataFrame(rows)

    def generations(self, experiment: str) -> pd.DataFrame:
        """`frame` of an experiment that decodes, with counts and seconds a token (decode: without the prompt)."""
        table = self.frame(experiment)
        table["tokens"] = table["token_ids"].map(len)
        table["accepted_tokens"] = table["accepted"].map(sum)
        table["rejected_tokens"] = table["kinds"].map(lambda kinds: kinds.count("r"))
        table["rounds"] = table["kinds"].map(len)
        judged = table["accepted_tokens"] + table["rejected_tokens"]
        table["acceptance"] = table["accepted_tokens"] / judged.where(judged > 0)
        table["token_seconds"] = table["seconds"] / table["tokens"]
        table["decode_seconds"] = (table["seconds"] - table["prompt_seconds"]) / table["tokens"]
        return table


def interval(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[..., np.ndarray] = np.median,
    draws: int = 2_000,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """The statistic of one value (or row of counts) a prompt, and its bootstrap interval over prompts.

    values: (prompts,) or (prompts, columns); statistic takes an array of them and an axis: its `axis=-1` result.
    Percentile bootstrap with a fixed seed, so that the same rows always give the same digits.
    """
    values = np.asarray(values, dtype=float)
    picks = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    low, high = np.quantile(statistic(values[picks], axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(statistic(values[None], axis=1)[0]), float(low), float(high)


def pooled(counts: np.ndarray, axis: int) -> np.ndarray:
    """Pooled rate of (…, prompts, 2) counts of accepted and rejected tokens, over the prompts' axis."""
    sums = counts.sum(axis=axis)
    return sums[..., 0] / sums.sum(axis=-1)
