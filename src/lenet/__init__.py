"""LeNet: the network that reads handwriting, trained, measured, seen through and used.

Public names are loaded when first used, so that `import lenet` costs no torch:
`make_model`, `train`, `evaluate`, `load`, `load_data`, `Reader`, `RECIPES`, `Recipe`, `LeNet`, `LeNetConfig`,
`LeNetClassifier` for scikit-learn, `show_progress` for curves in a notebook.
"""

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Threads that wait for work spin for a moment, then sleep. To spin on, torch's way, is 10 times slower where
# other programs want the processors too; to sleep at once is half as slow again where none does. It is heeded
# where torch has not been imported yet.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_PLACES = {
    "LeNet": "lenet.models.network",
    "LeNetClassifier": "lenet.training.estimator",
    "LeNetConfig": "lenet.models.config",
    "LeNetError": "lenet.errors",
    "RECIPES": "lenet.training.recipes",
    "Reader": "lenet.reading.reader",
    "Recipe": "lenet.training.recipe",
    "evaluate": "lenet.training.evaluation",
    "load": "lenet.models.checkpoint:load_checkpoint",
    "load_data": "lenet.data.datasets:load",
    "make_model": "lenet.training.start",
    "show_progress": "lenet.insight.progress",
    "train": "lenet.training.loop",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'lenet' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
