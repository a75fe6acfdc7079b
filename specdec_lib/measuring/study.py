"""A profile measured: what is planned, what is missing, and the folder where every row lands as it is finished."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from specdec_lib import hub
from specdec_lib.language import say
from specdec_lib.measuring.bench import Bench
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.plan import Pace, PlainSeconds, duration, estimate, extent
from specdec_lib.measuring.sources import ARTICLES, revisions_in, versions_of
from specdec_lib.measuring.stamp import environment
from specdec_lib.measuring.tasks import Failure, Task
from specdec_lib.models import pick_device, resolve
from specdec_lib.paths import RUNS
from specdec_lib.profiles import Profile, profile_named
from specdec_lib.results import Results

if TYPE_CHECKING:
    from specdec_lib.measuring.cluster import Cluster


class Study(Lab):
    """A profile on a device, with the results of its experiments.

    profile: "mini", "quick", "paper", "replica", "gemma" or a Profile of one's own. device: "auto", "cpu" or "cuda".
    seed: of every generation. articles, repeats: fewer of them (`Profile.limited`). cluster: "local" or the address of
    a Dask scheduler, to measure there instead of here. pickled: models, by name and apart by spaces, whose weights may
    be pickled. source: a local copy of the articles (`xlsum.load`) in place of the profile's. folder: of the results.
    Raises ValueError, saying what to do, for anything else and for models and articles that can't be had.
    """

    def __init__(
        self,
        profile: str | Profile = "mini",
        device: str = "auto",
        seed: int = 0,
        articles: int | None = None,
        repeats: int | None = None,
        cluster: str = "",
        pickled: str = "",
        source: str = "",
        folder: Path | None = None,
    ):
        for name, value in (("device", device), ("cluster", cluster), ("pickled", pickled), ("source", source)):
            if not isinstance(value, str):
                raise ValueError(f"{name} must be text, not {value!r}.")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise ValueError(f"seed must be a whole number of at least 0, not {seed!r}.")
        profile = profile if isinstance(profile, Profile) else profile_named(profile)
        profile = profile.limited(articles, repeats).trusting(pickled)
        profile = replace(profile, source=source or profile.source)
        device = device if cluster else pick_device(device)
        self.results = Results(folder or RUNS / profile.name)
        sources = versions_of(profile, self.results.environments.values())
        revisions = revisions_in(sources)
        super().__init__(profile, pick_device("auto") if cluster else device, seed, revisions)
        if cluster:
            self._place = _cluster(cluster, profile, device, seed, sources, self.results.environments)
            self.environment = self._place.environment
        else:
            self.environment = environment(device, torch.get_num_threads(), seed, sources)
            self._place = Bench(self, self.environment["id"])
        self.results.environment_id = self.environment["id"]
        self.experiments = self._place.experiments
        self._fetched: set[str] = set()

    @cached_property
    def tasks(self) -> dict[str, list[Task]]:
        """What there is to measure, by experiment."""
        return {name: list(experiment.tasks()) for name, experiment in self.experiments.items()}

    def missing(self, name: str) -> list[Task]:
        """The tasks of an experiment that have no row yet."""
        return self._missing([name])

    def _missing(self, names: Iterable[str]) -> list[Task]:
        done = self.results.done
        return [task for name in names for task in self.tasks[name] if task.key not in done]

    def plan(self) -> str:
        """What will run, what is there already, and about how long the rest takes."""
        profile, device, folder = self.profile.name, self.environment["device"], self.results.folder.name
        lines = [
            say(
                f"{profile} on {device}, seed {self.seed}, results in {folder}/",
                f"{profile}（{device}、シード {self.seed}）、測定結果の保存先：{folder}/",
            )
        ]
        missing = {name: self.missing(name) for name in self.experiments}
        for name, tasks in self.tasks.items():
            lines.append(f"  {extent(name, tasks, len(missing[name]))}")
        lines += self._set_apart()
        if not any(missing.values()):
            done = say("  nothing to run: all of it is measured", "  すべて測定済みです")
            return "\n".join([*lines, done])
        seconds = sum(map(self._pace.seconds, missing.values())) / self._place.devices
        return "\n".join([*lines, f"  {estimate(seconds, self._place.devices)}"])

    def _set_apart(self) -> list[str]:
        """What parts the rows of the environment measured last from those to come, where there are some."""
        if not self.results.rows or self.results.rows[-1]["environment"] == self.environment["id"]:
            return []
        last = self.results.environments[self.results.rows[-1]["environment"]]
        shared = [name for name in self.environment if name not in ("id", "facts")]
        other = [name for name in shared if last.get(name) != self.environment[name]]
        count = sum(row["environment"] == last["id"] for row in self.results.rows)
        return [
            say(
                f"  {count} rows were measured with other {', '.join(other)}: they stay, and nothing is added to them",
                f"  {count}行は条件（{'、'.join(other)}）が違う測定のものです。そのまま残し、追加はしません",
            )
        ]

    def run(self, name: str) -> None:
        """Measure what is missing of one experiment. What fails is noted with its reason, and the rest goes on.

        Raises ValueError where another run writes into the same folder, or where rows could not be written at the end.
        """
        if name not in self.experiments:
            raise ValueError(f"experiment must be one of {', '.join(self.experiments)}, not {name!r}.")
        if not self.missing(name):
            return
        if isinstance(self._place, Bench):
            self._fetch()
        with self.results.writing(self.environment, {name: len(tasks) for name, tasks in self.tasks.items()}):
            failures = list(self._measure(name, self.missing(name)))
        if failures:
            print(
                f"{name}: {len(failures)} rows are missing. Once the reason is mended, the same command adds them.",
                file=sys.stderr,
            )
            for reason, cells in _by_reason(failures).items():
                others = f", and {len(cells) - 1} cells more" if len(cells) > 1 else ""
                print(f"  {next(iter(cells))}{others}: {reason}", file=sys.stderr)

    def _fetch(self) -> None:
        """Have all checkpoints here before anything is timed; what can't be had is said, and fails in its own cells."""
        for name in [name for name in self.revisions if name not in {ARTICLES, *self._fetched}]:
            self._fetched.add(name)
            try:
                hub.checkpoint(resolve(name), self.revisions[name], name in self.profile.pickled)
            except ValueError as error:
                print(error, file=sys.stderr)

    def _measure(self, name: str, missing: list[Task]) -> Iterator[Failure]:
        self._recall_greedy_texts()
        for outcome in self._shown(self._place.outcomes(missing), name, len(missing)):
            if isinstance(outcome, Failure):
                self.results.fail(outcome, self.environment["id"])
                yield outcome
            else:
                self.results.append(outcome)

    def _recall_greedy_texts(self) -> None:
        """What an earlier run decoded need not be decoded again."""
        for row in self.results.rows:
            whole = row["experiment"] == "quality" and row["max_new_tokens"] == self.profile.max_new_tokens
            if whole and row["environment"] == self.environment["id"]:
                self.greedy_tokens[row["prompt"]] = row["token_ids"]

    @cached_property
    def _pace(self) -> Pace:
        here = [row for row in self.results.rows if row["environment"] == self.environment["id"]]
        try:
            plain = self._place.plain_seconds()
        except ValueError:
            raise
        except Exception:  # it fails again, and is noted, where it is measured
            plain = dict.fromkeys(("cached", "uncached"), PlainSeconds(0.0, 0.0))
        return Pace(plain, here)

    def _shown(self, outcomes: Iterator, name: str, count: int) -> Iterator:
        """With a bar while it lasts, which also says what is left of the whole study; a notebook keeps none of it."""
        others = self._missing(other for other in self.experiments if other != name)
        rest = self._pace.seconds(others) / self._place.devices
        bar = tqdm(outcomes, desc=name, total=count, mininterval=1, ascii=True)
        for outcome in bar:
            yield outcome
            rate = bar.format_dict["rate"]
            if rate and others:
                left = duration((count - bar.n) / rate + rest)
                rows = count - bar.n + len(others)
                told = say(f"all experiments: {rows} rows, {left} left", f"全実験：残り{rows}行、約{left}")
                bar.set_postfix_str(told, refresh=False)
        if "ipykernel" in sys.modules:
            from IPython.display import clear_output

            clear_output()


def _by_reason(failures: list[Failure]) -> dict[str, dict[str, None]]:
    """The cells that failed for each reason, in order."""
    reasons: dict[str, dict[str, None]] = {}
    for failure in failures:
        reasons.setdefault(failure.reason, {})[failure.task.cell] = None
    return reasons


def _cluster(address: str, *setup) -> "Cluster":
    if find_spec("distributed") is None:
        raise ValueError("cluster needs Dask, which is not installed: `pip install '.[cluster]'` adds it.")
    from specdec_lib.measuring.cluster import Cluster

    return Cluster(address, *setup)
