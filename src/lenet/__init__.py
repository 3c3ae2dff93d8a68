"""LeNet-5: train it, measure it, look inside it, and read handwriting with it.

The public names are listed in `__init__.pyi`, where type checkers and editors find them. Each is imported
when it is first used, so that `import lenet` does not import torch.
"""

import os
from importlib import import_module

__version__ = "0.1.0"

# Threads that wait for work spin for a moment, then sleep. To spin on, torch's way, is 10 times slower where
# other programs want the processors too; to sleep at once is half as slow again where none does. It is heeded
# where torch has not been imported yet.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Where each public name is defined: a module, and the name that it has there where that is another one.
_PLACES = {
    "Checkpoint": "lenet.models.checkpoint",
    "Distortions": "lenet.synthesis.distortions",
    "Epoch": "lenet.training.loop",
    "Evaluation": "lenet.training.evaluation",
    "Export": "lenet.export.network",
    "ImageSet": "lenet.data.imageset",
    "LeNet": "lenet.models.network",
    "LeNetClassifier": "lenet.training.estimator",
    "LeNetConfig": "lenet.models.config",
    "LeNetError": "lenet.errors",
    "RECIPES": "lenet.training.recipes",
    "Reader": "lenet.reading.reader",
    "Reading": "lenet.reading.reading",
    "Recipe": "lenet.training.recipe",
    "begin_run": "lenet.training.runs",
    "compute_attribution": "lenet.insight.attribution",
    "draw_attribution": "lenet.insight.plots.layers",
    "draw_confusion": "lenet.insight.plots.figures",
    "draw_curves": "lenet.insight.plots.curves",
    "draw_hardest": "lenet.insight.plots.figures",
    "draw_layers": "lenet.insight.plots.layers",
    "draw_patches": "lenet.insight.plots.layers",
    "draw_steps": "lenet.insight.plots.figures",
    "evaluate": "lenet.training.evaluation",
    "export_network": "lenet.export.network",
    "find_patches": "lenet.insight.activations",
    "find_pictures": "lenet.batch.folders",
    "find_recipe": "lenet.training.recipes",
    "find_subjects": "lenet.insight.explanation",
    "load": "lenet.models.checkpoint:load_checkpoint",
    "load_data": "lenet.data.datasets:load",
    "make_model": "lenet.training.start",
    "plot_runs": "lenet.insight.plots.curves",
    "read_in_bulk": "lenet.batch.pool",
    "run_training": "lenet.training.runs",
    "save": "lenet.models.checkpoint:save_network",
    "save_figure": "lenet.insight.plots.canvas",
    "keep_curves": "lenet.insight.progress",
    "show": "lenet.page.notebook",
    "show_progress": "lenet.insight.progress",
    "split_stratified": "lenet.data.imageset",
    "summarise_run": "lenet.training.summaries",
    "trace_maps": "lenet.insight.activations",
    "train": "lenet.training.loop",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'lenet' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
