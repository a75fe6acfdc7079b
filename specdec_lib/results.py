"""Measured rows on disk, each with the environment it was measured in; what failed; what was planned."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from specdec_lib.measuring.journal import Journal
from specdec_lib.measuring.lock import locked
from specdec_lib.measuring.rows import check_environment, check_failure, check_key, check_rows
from specdec_lib.measuring.tasks import KEY, Failure
from specdec_lib.paths import write


class Missing(ValueError):
    """Rows that a table needs have not been measured."""


class Results:
    """A folder of measured rows: rows.jsonl and failures.jsonl, written line by line, and environments.json.

    environment_id: whose rows are read, those of the last row's environment by default; rows of different environments
    are never put together. ValueError, saying what to do, for files that are broken or don't belong together.
    """

    def __init__(self, folder: Path, environment_id: str | None = None):
        self.folder = Path(folder)
        self.rows_file, self.environments_file = self.folder / "rows.jsonl", self.folder / "environments.json"
        self.environment_id = environment_id
        self._rows, self._failures = Journal(self.rows_file), Journal(self.folder / "failures.jsonl")
        self._noted: set[tuple] = set()  # in this run
        self.environments = self._read_environments()
        self._check()

    @property
    def rows(self) -> list[dict]:
        return self._rows.entries

    @property
    def environment(self) -> dict:
        """The environment whose rows are read."""
        here = self.environment_id or (self.rows[-1]["environment"] if self.rows else None)
        if here not in self.environments:
            raise Missing(f"There are no results in {self.folder}: run `bash reproduce.sh` first.")
        return self.environments[here]

    @property
    def profile(self) -> str:
        """The name of the profile these rows belong to."""
        for row in self._here():
            return row["profile"]
        raise Missing(f"There are no results in {self.folder}: run `bash reproduce.sh` first.")

    @property
    def target(self) -> str:
        """The model that all others draft for: the first of the environment's sources."""
        return next(iter(self.environment["sources"]))

    @property
    def largest_draft(self) -> str:
        """The last of the environment's sources before the articles."""
        return list(self.environment["sources"])[-2]

    @property
    def done(self) -> set[tuple]:
        """Keys of the rows that this environment has measured."""
        return {tuple(row[name] for name in KEY) for row in self._here()}

    @contextmanager
    def writing(self, environment: dict, planned: Mapping[str, int]) -> Iterator[None]:
        """Hold the folder, read what others wrote meanwhile, and note environment and plan before the first row.

        environment: of `stamp.environment`. planned: rows that each experiment has when it is complete.
        """
        with locked(self.folder):
            self._rows.unpack()
            self._rows.refresh()
            self._failures.refresh()
            self.environments = self._read_environments()
            self._check()
            self.register(environment, planned)
            self._noted.clear()
            try:
                yield
            finally:
                try:
                    self._failures.close()
                finally:
                    self._rows.close()

    def append(self, row: dict) -> None:
        """Write one row to disk before anything else happens."""
        self._rows.append(row)

    def fail(self, failure: Failure, environment_id: str) -> None:
        """Note why a task gave no row: once for each reason that its cell has in a run, and each task once."""
        task = failure.task
        reason = (environment_id, task.experiment, task.cell, failure.reason)
        if reason in self._noted:
            return
        self._noted.add(reason)
        names = ("environment", "experiment", "cell", "reason", "prompt", "repeat")
        entry = dict(zip(names, (*reason, task.prompt, task.repeat), strict=True))
        if not any(entry.items() <= earlier.items() for earlier in self._failures.entries):
            self._failures.append({**entry, "at": time.strftime("%Y-%m-%dT%H:%M:%S%z")})

    def register(self, environment: dict, planned: Mapping[str, int]) -> None:
        """Note an environment, the facts it was met with, and the plan; rows without one are refused."""
        before = self.environments.get(environment["id"], {})
        facts = before.get("facts", [])
        met = [environment["facts"]] if environment.get("facts") and environment["facts"] not in facts else []
        plan = before.get("planned", {}) | dict(planned)
        self.environments[environment["id"]] = {**environment, "facts": facts + met, "planned": plan}
        write(self.environments_file, json.dumps(self.environments, ensure_ascii=False, indent=1) + "\n")

    def has(self, experiment: str) -> bool:
        """Whether this environment has rows of an experiment."""
        return any(row["experiment"] == experiment for row in self._here())

    def frame(self, experiment: str) -> pd.DataFrame:
        """This environment's rows of one experiment, as they were written."""
        rows = [row for row in self._here() if row["experiment"] == experiment]
        if not rows:
            raise Missing(
                f"There are no results of {experiment} in {self.folder} yet: `specdec measure` measures them."
            )
        check_rows(experiment, rows, self.rows_file)
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

    def progress(self) -> pd.DataFrame:
        """A line for each experiment: rows planned, rows there are, and the cells that failed with their reasons."""
        done = pd.Series([row["experiment"] for row in self._here()], dtype=object).value_counts()
        planned = {**self.environment.get("planned", {})}
        unmended = self._unmended()
        rows = []
        for experiment in [*planned, *done.index.difference(list(planned))]:
            failed = {entry["cell"]: entry["reason"] for entry in unmended if entry["experiment"] == experiment}
            there = int(done.get(experiment, 0))
            due = max(planned.get(experiment, there), there)
            rows.append({"experiment": experiment, "planned": due, "done": there, "failed": failed})
        return pd.DataFrame(rows)

    def _unmended(self) -> list[dict]:
        """Failures of tasks that have no row yet."""
        names = ("experiment", "cell", "prompt", "repeat")
        done = {tuple(row[name] for name in names) for row in self._here()}
        here = self.environment["id"]
        return [
            entry
            for entry in self._failures.entries
            if entry["environment"] == here and tuple(entry[name] for name in names) not in done
        ]

    def _here(self) -> Iterator[dict]:
        here = self.environment_id or (self.rows[-1]["environment"] if self.rows else None)
        return (row for row in self.rows if row["environment"] == here)

    def _read_environments(self) -> dict[str, dict]:
        if not self.environments_file.exists():
            return {}
        try:
            environments = json.loads(self.environments_file.read_bytes())
            json.dumps(environments, ensure_ascii=False).encode()  # no half of a surrogate pair
        except OSError as error:
            raise ValueError(
                f"{self.environments_file} can't be read ({error.strerror}): mend its permissions, or move "
                f"{self.folder} aside."
            ) from error
        except (ValueError, RecursionError):
            environments = None
        if isinstance(environments, dict) and all(isinstance(stamp, dict) for stamp in environments.values()):
            return environments
        raise ValueError(
            f"{self.environments_file} is not a JSON object of environments: bring it back from a copy, or move "
            f"{self.folder} aside."
        )

    def _check(self) -> None:
        """Every row names itself and an environment that is known, and every failure its cause."""
        for name, environment in self.environments.items():
            check_environment(name, environment, self.environments_file)
        for number, entry in enumerate(self._failures.entries, 1):
            check_failure(entry, number, self._failures.file)
        for number, row in enumerate(self.rows, 1):
            check_key(row, number, self.rows_file)
        for row in self.rows:
            if row["environment"] not in self.environments:
                raise ValueError(
                    f"{self.rows_file} has rows of the environment {row['environment']!r}, which "
                    f"{self.environments_file.name} doesn't know: bring that file back from a copy, or move the "
                    "folder aside."
                )
