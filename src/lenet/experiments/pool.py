"""Trains many runs in parallel, one process per core with one thread; each is an ordinary run folder.

A network this small gains little from a second thread. A finished run is not trained again, and a killed run
is resumed. No torch is imported here: the workers import it after their number of threads is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.errors import DivergedError, RunError
from lenet.processes import MAX_WORKERS, begin_worker
from lenet.training.recipe import Recipe

if TYPE_CHECKING:
    from lenet.training.run_folder import RunFolder


@dataclass(frozen=True)
class Job:
    """A training to run: a recipe and a seed."""

    recipe: Recipe
    seed: int


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
    with open_pool(min(workers, len(jobs))) as pool:
        futures = [pool.submit(run_job, job, runs_dir) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise RunError(
                "a worker died, perhaps for want of memory; run the command again to resume"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def open_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of worker processes with one thread each; they exit when this process exits or dies."""
    return ProcessPoolExecutor(
        max(1, min(workers, MAX_WORKERS)), mp_context=get_context("spawn"), initializer=begin_worker
    )


def run_job(job: Job, runs_dir: Path) -> Outcome:
    """Train or resume one job in this process with one thread; a finished job is not trained again."""
    import torch

    from lenet.insight.progress import keep_curves
    from lenet.training.runs import begin_run, run_training, summarise_run

    torch.set_num_threads(1)
    run = find_job_run(job, runs_dir)
    if run is None:
        run = begin_run(job.recipe, seed=job.seed, device="cpu", runs_dir=runs_dir)
    diverged = run.read_divergence()
    if diverged is None and not summarise_run(run).is_finished:
        try:
            for _ in keep_curves(run_training(run), run):
                pass
        except DivergedError:
            diverged = run.read_divergence()
    summary = summarise_run(run)
    return Outcome(job, str(run.path), summary.test_accuracy, summary.train_loss, diverged)


def find_job_run(job: Job, runs_dir: Path, names: str = "*") -> RunFolder | None:
    """The run in `runs_dir` with the recipe and the seed of the job, or None; `names` is a pattern of names.

    The name of the recipe is ignored, so that a training that two studies need runs once.
    """
    from lenet.training.run_folder import RunFolder

    for file in sorted(runs_dir.glob(f"{names}/recipe.json")):
        folder = RunFolder(file.parent)
        try:
            plan = folder.read_plan()
        except RunError:
            continue  # a run of another version
        # A plan holds the full path of the data and their number of classes.
        wanted = replace(
            job.recipe,
            name=plan.recipe.name,
            source=plan.recipe.source,
            published=plan.recipe.published,
            data=plan.recipe.data,
            model=replace(job.recipe.model, classes=plan.recipe.model.classes),
        )
        same_data = Path(plan.recipe.data).name == Path(job.recipe.data).name
        if plan.seed == job.seed and plan.recipe == wanted and same_data:
            return folder
    return None
