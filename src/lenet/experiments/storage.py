"""Stores the trials of a search and assigns them to processes: SQLite on one machine, PostgreSQL for several.

All trials are created when a search begins. A process that looks for work holds a lock; it first takes over a
trial whose process has stopped sending heartbeats and holds no run, then a waiting trial. So no trial runs
twice and none is lost, whichever process is killed or suspended.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet.errors import RunError
from lenet.experiments.space import Search
from lenet.files import locked

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, Trial

HEARTBEAT_SECONDS = 3
GRACE_SECONDS = 15  # without a heartbeat, after which a trial is taken over
LOCK_KEY = 61_706  # of PostgreSQL's advisory lock


def find_storage(url: str | None, folder: Path) -> str:
    """The URL of the storage; by default SQLite in `folder`. Raises RunError for an unsupported URL."""
    if url is None:
        folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{folder / 'trials.sqlite'}"
    kind, _, rest = url.partition("://")
    if kind in ("postgresql", "postgres"):
        return f"postgresql+psycopg://{rest}"
    if kind in ("sqlite", "postgresql+psycopg"):
        return url
    raise RunError(f"the storage {url!r} is neither sqlite:///FILE nor postgresql://HOST/DATABASE")


@contextmanager
def lock_storage(url: str) -> Iterator[None]:
    """Hold the lock of the storage in a block; the system or the server releases it if the process dies."""
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///") + ".lock")
        file.touch()
        with locked(file, wait=True):
            yield
        return
    from sqlalchemy import NullPool, create_engine, text

    with create_engine(url, poolclass=NullPool).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        yield


def open_study(search: Search, url: str) -> Study:
    """The study of a search with all its trials. Raises RunError if the storage cannot be opened."""
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        raise RunError("a search needs optuna; pip install 'lenet[study]'") from None
    try:
        with lock_storage(url):
            study = _open(search.name, url)
            for _ in range(search.trials - len(study.get_trials(deepcopy=False))):
                study.enqueue_trial({})
    except (SQLAlchemyError, OSError, ImportError) as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        place = make_url(url).render_as_string()  # without its password
        raise RunError(f"the storage {place} cannot be opened: {reason}") from None
    return study


def claim_trial(search: Search, url: str) -> Trial | None:
    """The next trial that no process runs, for the caller to run; None if there is none."""
    from optuna.trial import Trial, TrialState

    study = _open(search.name, url)
    storage = _storage(url)
    with lock_storage(url):
        study_id = storage.get_study_id_from_name(search.name)
        stale = storage._get_stale_trial_ids(study_id)
        left = storage.get_all_trials(study_id, states=(TrialState.RUNNING, TrialState.WAITING))
        found: FrozenTrial | None = None
        for trial in sorted(left, key=lambda trial: (trial.state == TrialState.WAITING, trial.number)):
            is_left = trial._trial_id in stale and not _is_held(trial)
            if trial.state == TrialState.WAITING or is_left:
                found = trial
                break
        if found is None:
            return None
        # The heartbeat comes first, so that a running trial always has one.
        storage.record_heartbeat(found._trial_id)
        storage.set_trial_state_values(found._trial_id, TrialState.RUNNING)
    return Trial(study, found._trial_id)


def _is_held(trial: FrozenTrial) -> bool:
    """True where the run of a trial is here and a process trains it: one that sleeps sends no heartbeat."""
    from lenet.training.run_folder import RunFolder

    run = trial.user_attrs.get("run")
    return isinstance(run, str) and Path(run, "environment.json").is_file() and RunFolder(Path(run)).is_held()


def has_running_trials(search: Search, url: str) -> bool:
    """True while a trial is marked as running."""
    from optuna.trial import TrialState

    return bool(_open(search.name, url).get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


@contextmanager
def keep_alive(url: str, trial: Trial) -> Iterator[None]:
    """Send heartbeats for a trial while the block runs."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            with suppress(Exception):  # the trial itself reports that the storage is gone
                _storage(url).record_heartbeat(trial._trial_id)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _open(name: str, url: str) -> Study:
    import optuna

    logging.getLogger("optuna").setLevel(logging.WARNING)
    return optuna.create_study(
        study_name=name,
        storage=_storage(url),
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )


@lru_cache(maxsize=4)
def _storage(url: str) -> RDBStorage:
    from optuna.storages import RDBStorage

    options: dict[str, Any] = (
        {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls heartbeats experimental
        return RDBStorage(url, options, heartbeat_interval=HEARTBEAT_SECONDS, grace_period=GRACE_SECONDS)
