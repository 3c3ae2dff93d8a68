"""Searches: parallel trials, each an ordinary run folder, compared by their validation accuracy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenet.data.datasets import load
from lenet.errors import BusyError, DivergedError, ModelError, RecipeError, RunError
from lenet.experiments.pool import POLL_SECONDS, Job, find_job_run
from lenet.experiments.space import Choice, Search
from lenet.experiments.storage import claim_trial, has_running_trials, keep_alive, open_study
from lenet.processes import open_pool
from lenet.training.recipe import Recipe

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

VALIDATION_SHARE = 0.1  # of the training images, if the recipe holds none out


@dataclass(frozen=True)
class TrialResult:
    """A finished trial."""

    number: int
    settings: dict[str, Any]
    state: str
    """complete, pruned, or fail for settings that are invalid together."""
    validation_accuracy: float | None
    """Of the best epoch; of the last one if pruned."""
    test_accuracy: float | None
    """Not used by the search; None if pruned or diverged."""
    run: str | None


def hold_out(recipe: Recipe) -> Recipe:
    """The recipe with validation images: a tenth of the training images, unless the recipe sets a number."""
    if recipe.validation:
        return recipe
    return replace(recipe, validation=max(1, round(VALIDATION_SHARE * len(load(recipe.data, "train")))))


def run_search(search: Search, folder: Path, url: str, workers: int) -> Iterator[TrialResult]:
    """Run the remaining trials, `workers` at a time; yield each trial that this process has run.

    Returns when no trial is left, including those of other processes on the same storage; trials of dead
    processes are taken over. After a kill, the next call resumes the search.
    Raises RunError when the storage fails or a worker dies.
    """
    study = open_study(search, url)
    if all(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)):
        return  # without starting a process
    with open_pool(min(workers, search.trials)) as pool:

        def submit() -> Future[TrialResult | None]:
            return pool.submit(run_next_trial, search, folder, url)

        pending = {submit() for _ in range(min(workers, search.trials))}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                if result is not None:
                    pending.add(submit())
                    yield result


def run_next_trial(search: Search, folder: Path, url: str) -> TrialResult | None:
    """Run the next trial in this process with one thread; None when no trial is left."""
    import torch
    from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
    from sqlalchemy.exc import SQLAlchemyError

    torch.set_num_threads(1)
    try:
        while True:
            trial = claim_trial(search, url)
            if trial is None and not has_running_trials(search, url):
                return None
            if trial is not None:
                try:
                    with keep_alive(url, trial):
                        return _run_trial(search, folder, trial)
                except BusyError:
                    pass  # the process that began the trial lives; it ends the trial
                except UpdateFinishedTrialError:
                    # Another process took over this trial and finished it; its result stays.
                    return _describe(trial.study.get_trials(deepcopy=False)[trial.number])
            time.sleep(POLL_SECONDS)
    except (StorageInternalError, SQLAlchemyError) as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise RunError(f"the storage failed ({reason}); run the command again to resume") from None


def list_results(search: Search, url: str) -> list[TrialResult]:
    """The finished trials of a search, of all processes, in order."""
    trials = open_study(search, url).get_trials(deepcopy=False)
    return [_describe(trial) for trial in trials if trial.state.is_finished()]


def _run_trial(search: Search, folder: Path, trial: Trial) -> TrialResult:
    from optuna.trial import TrialState

    from lenet.insight.progress import keep_curves
    from lenet.training.loop import Epoch
    from lenet.training.runs import begin_run, run_training
    from lenet.training.summaries import summarise_run

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
        with closing(run_training(run)) as training:  # a pruned training stops and releases its run
            left = () if summarise_run(run).is_finished else keep_curves(training, run)
            # First the epochs that a killed process has trained, and perhaps not reported.
            for record in chain(run.read_history(), left):
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
    told = trial.study.tell(
        trial, value if state == TrialState.COMPLETE else None, state, skip_if_finished=True
    )
    return _describe(told)


def suggest(search: Search, trial: Trial) -> dict[str, Any]:
    """Draw the settings of a trial; the same settings if they were drawn before."""
    from optuna.samplers import TPESampler

    settings: dict[str, Any] = {}
    for place, part in enumerate(search.space):
        # Each trial and setting has its own random stream, so that the settings do not depend on which
        # process draws them, nor on what was drawn before a process died.
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
    """Report the accuracy of an epoch; True if the trial should be pruned."""
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
