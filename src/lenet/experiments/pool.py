"""Trains many runs in parallel, one process per core with one thread; each is an ordinary run folder.

A network this small gains little from a second thread. A finished run is not trained again, and a killed run
is resumed; one that another process trains is waited for. No torch is imported here: the workers import it
after their number of threads is set.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.errors import BusyError, DivergedError, RunError
from lenet.files import locked
from lenet.processes import open_pool
from lenet.training.recipe import Recipe

if TYPE_CHECKING:
    from lenet.training.run_folder import RunFolder

POLL_SECONDS = 1.0  # for runs and trials of other processes


@dataclass(frozen=True)
class Job:
    """A training to run: a recipe and a seed."""

    recipe: Recipe
    seed: int

    @property
    def identity(self) -> str:
        """A hash of all settings and the seed; names and sources are not settings."""
        settings = replace(self.recipe, name="job", source="job", published={}).to_dict()
        return hashlib.sha256(json.dumps([settings, self.seed], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """The result of a job."""

    job: Job
    run: str
    test_accuracy: float | None
    """None if the training diverged."""
    train_loss: float | None
    diverged: str | None


def run_jobs(jobs: Sequence[Job], runs_dir: Path, workers: int) -> Iterator[Outcome]:
    """Train all jobs into `runs_dir`, `workers` at a time; yield each as it finishes, in no fixed order.

    After a kill, the next call keeps finished runs and resumes the others. A diverged training is an outcome
    too. Raises what `begin_run` and `run_training` raise, and RunError when a worker dies.
    """
    runs_dir.mkdir(parents=True, exist_ok=True)
    left = []
    for job in jobs:
        run = find_job_run(job, runs_dir)
        outcome = None if run is None else _read_outcome(job, run)
        if outcome is None:
            left.append(job)
        else:
            yield outcome
    if not left:
        return  # without starting a process
    with open_pool(min(workers, len(left))) as pool:
        for future in as_completed([pool.submit(run_job, job, runs_dir) for job in left]):
            yield future.result()


def run_job(job: Job, runs_dir: Path) -> Outcome:
    """Train or resume one job in this process with one thread; a finished job is not trained again."""
    import torch

    from lenet.insight.progress import keep_curves
    from lenet.training.runs import begin_run, run_training

    torch.set_num_threads(1)
    runs_dir.mkdir(parents=True, exist_ok=True)
    with locked(runs_dir, wait=True):  # another study may need the same training
        run = find_job_run(job, runs_dir)
        if run is None:
            run = begin_run(job.recipe, seed=job.seed, device="cpu", runs_dir=runs_dir)
    while (outcome := _read_outcome(job, run)) is None:
        try:
            for _ in keep_curves(run_training(run), run):
                pass
        except BusyError:
            time.sleep(POLL_SECONDS)
        except DivergedError:
            pass  # the run says so
    return outcome


def _read_outcome(job: Job, run: RunFolder) -> Outcome | None:
    """The outcome of a job's run; None while it is neither finished nor diverged."""
    from lenet.training.summaries import summarise_run

    diverged, summary = run.read_divergence(), summarise_run(run)
    if diverged is None and not summary.is_finished:
        return None
    return Outcome(job, str(run.path), summary.test_accuracy, summary.train_loss, diverged)


def find_job_run(job: Job, runs_dir: Path, names: str = "*") -> RunFolder | None:
    """The run in `runs_dir` with the recipe and the seed of the job, or None; `names` is a pattern of names.

    Names are ignored, so that a training that two studies need runs once. The data must be equal.
    """
    from lenet.data.datasets import load
    from lenet.data.imageset import fingerprint
    from lenet.training.run_folder import RunFolder

    data_sha256 = ""
    for file in sorted(runs_dir.glob(f"{names}/recipe.json")):
        folder = RunFolder(file.parent)
        try:
            plan = folder.read_plan()
        except RunError:
            continue  # a run of another version
        # A plan holds the full path of the data and their number of classes; their hash is compared below.
        wanted = replace(
            job.recipe,
            name=plan.recipe.name,
            source=plan.recipe.source,
            published=plan.recipe.published,
            data=plan.recipe.data,
            model=replace(job.recipe.model, classes=plan.recipe.model.classes),
        )
        if plan.seed == job.seed and plan.recipe == wanted:
            data_sha256 = data_sha256 or fingerprint(load(job.recipe.data, "train"))
            if plan.data_sha256 == data_sha256:
                return folder
    return None
