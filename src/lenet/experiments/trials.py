"""Searches: trials in parallel, each an ordinary run folder, judged by images held out of training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenet.data.datasets import load
from lenet.errors import DivergedError, ModelError, RecipeError, RunError
from lenet.experiments.pool import Job, find_job_run, open_pool
from lenet.experiments.space import Choice, Search
from lenet.experiments.storage import beating, claim, is_anyone_at_work, open_study
from lenet.training.recipe import Recipe

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

HELD_OUT = 0.1  # of the training images, where the recipe holds none out
SECONDS_BETWEEN_LOOKS = 1.0  # for work that another process left


@dataclass(frozen=True)
class TrialResult:
    """One trial that has come to its end."""

    number: int
    settings: dict[str, Any]
    state: str
    """complete, pruned, or fail for settings that no network can have together."""
    validation_accuracy: float | None
    """Of the best epoch; where it was pruned, of the last one."""
    test_accuracy: float | None
    """Decides nothing; None where it was pruned or diverged."""
    run: str | None


def hold_out(recipe: Recipe) -> Recipe:
    """The recipe with images held out to judge by: a tenth, unless it says how many."""
    if recipe.validation:
        return recipe
    return replace(recipe, validation=max(1, round(HELD_OUT * len(load(recipe.data, "train")))))


def run_search(search: Search, folder: Path, url: str, workers: int) -> Iterator[TrialResult]:
    """Carry out the trials that are left, `workers` at a time; yield each that this process has done.

    Ends when none is left: with other processes on the same storage, when they are done too, or have died
    and their trials been taken over. Killed at any time and called again, it goes on.
    Raises RunError when the storage is not there or a worker dies.
    """
    open_study(search, url)
    with open_pool(min(workers, search.trials)) as pool:

        def submit() -> Future[TrialResult | None]:
            return pool.submit(run_next_trial, search, folder, url)

        under_way = {submit() for _ in range(min(workers, search.trials))}
        try:
            while under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    if result is not None:
                        under_way.add(submit())
                        yield result
        except BrokenProcessPool as error:
            raise RunError("a worker died, perhaps for want of memory; the same command goes on") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def run_next_trial(search: Search, folder: Path, url: str) -> TrialResult | None:
    """Carry out the next trial in this process, with one thread; None when there are no more."""
    import torch
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    torch.set_num_threads(1)
    try:
        while (trial := claim(search, url)) is None:
            if not is_anyone_at_work(search, url):
                return None
            time.sleep(SECONDS_BETWEEN_LOOKS)
        with beating(url, trial):
            return _run_trial(search, folder, trial)
    except (StorageInternalError, SQLAlchemyError) as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise RunError(f"the storage broke off ({reason}); the same command goes on") from None


def list_results(search: Search, url: str) -> list[TrialResult]:
    """All trials of a search that have come to their end, whoever carried them out, in order."""
    trials = open_study(search, url).get_trials(deepcopy=False)
    return [_describe(trial) for trial in trials if trial.state.is_finished()]


def _run_trial(search: Search, folder: Path, trial: Trial) -> TrialResult:
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    from lenet.insight.progress import keep_curves
    from lenet.training.loop import Epoch
    from lenet.training.runs import begin_run, run_training, summarise_run

    try:
        recipe = search.recipe.override(suggest(search, trial))
        job = Job(replace(recipe, name=f"trial-{trial.number:04d}"), search.seed)
        run = find_job_run(job, folder, f"{job.recipe.name}-*")
        if run is None:
            run = begin_run(job.recipe, seed=job.seed, device="cpu", runs_dir=folder)
    except (ModelError, RecipeError) as error:
        trial.set_user_attr("reason", str(error))
        return _describe(trial.study.tell(trial, state=TrialState.FAIL))
    trial.set_user_attr("run", str(run.path))
    value, state = 0.0, TrialState.COMPLETE
    try:
        # What a killed process has trained and perhaps not reported comes first.
        for record in (
            *run.read_history(),
            *(() if summarise_run(run).is_finished else keep_curves(run_training(run), run)),
        ):
            if isinstance(record, Epoch):
                value = max(value, record.validation_accuracy or 0.0)
                if _report(trial, record) and record.epoch < record.epochs:
                    state = TrialState.PRUNED
                    break
    except DivergedError as error:
        trial.set_user_attr("reason", str(error))
        value = 0.0
    if state == TrialState.COMPLETE and (accuracy := summarise_run(run).test_accuracy) is not None:
        trial.set_user_attr("test_accuracy", accuracy)
    try:
        told = trial.study.tell(trial, value if state == TrialState.COMPLETE else None, state)
    except (UpdateFinishedTrialError, ValueError):
        # Taken for dead, and done by another process meanwhile: what it has told stays.
        told = trial.study.get_trials(deepcopy=False)[trial.number]
    return _describe(told)


def suggest(search: Search, trial: Trial) -> dict[str, Any]:
    """The settings of a trial: drawn, or the same as when they were drawn before."""
    from optuna.samplers import TPESampler

    settings: dict[str, Any] = {}
    for place, part in enumerate(search.space):
        # A stream of its own for each trial and setting: what is drawn does not depend on who draws it, nor
        # on what was drawn before a process died.
        stream = np.random.SeedSequence([search.seed, trial.number, place])
        trial.study.sampler = TPESampler(seed=int(stream.generate_state(1)[0]))
        if isinstance(part, Choice):
            label = trial.suggest_categorical(part.name, part.labels)
            settings[part.name] = part.values[part.labels.index(label)]
        elif part.is_whole:
            settings[part.name] = trial.suggest_int(part.name, int(part.low), int(part.high), log=part.is_log)
        else:
            settings[part.name] = trial.suggest_float(part.name, part.low, part.high, log=part.is_log)
    return settings


def _report(trial: Trial, epoch: Any) -> bool:
    """Tell how good an epoch was; True where the trial is not worth going on with."""
    known = trial.storage.get_trial(trial._trial_id).intermediate_values
    if epoch.epoch not in known:
        trial.report(epoch.validation_accuracy, epoch.epoch)
    return trial.should_prune()


def _describe(trial: FrozenTrial) -> TrialResult:
    return TrialResult(
        number=trial.number,
        settings=dict(trial.params),
        state=trial.state.name.lower(),
        validation_accuracy=trial.value,
        test_accuracy=trial.user_attrs.get("test_accuracy"),
        run=trial.user_attrs.get("run"),
    )
