from lenet.batch.folders import find_pictures
from lenet.batch.pool import read_in_bulk
from lenet.data.datasets import load as load_data
from lenet.data.imageset import ImageSet, split_stratified
from lenet.errors import LeNetError
from lenet.export.network import Export, export_network
from lenet.insight.activations import find_patches, trace_maps
from lenet.insight.attribution import compute_attribution
from lenet.insight.explanation import find_subjects
from lenet.insight.plots.canvas import save_figure
from lenet.insight.plots.curves import draw_curves, plot_runs
from lenet.insight.plots.figures import draw_confusion, draw_hardest, draw_steps
from lenet.insight.plots.layers import draw_attribution, draw_layers, draw_patches
from lenet.insight.progress import keep_curves, show_progress
from lenet.models.checkpoint import Checkpoint
from lenet.models.checkpoint import load_checkpoint as load
from lenet.models.checkpoint import save_network as save
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.page.notebook import show
from lenet.reading.reader import Reader
from lenet.reading.reading import Reading
from lenet.synthesis.distortions import Distortions
from lenet.training.estimator import LeNetClassifier
from lenet.training.evaluation import Evaluation, evaluate
from lenet.training.loop import Epoch, train
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES, find_recipe
from lenet.training.runs import begin_run, run_training
from lenet.training.start import make_model
from lenet.training.summaries import summarise_run

__version__: str
__all__ = [
    "RECIPES",
    "Checkpoint",
    "Distortions",
    "Epoch",
    "Evaluation",
    "Export",
    "ImageSet",
    "LeNet",
    "LeNetClassifier",
    "LeNetConfig",
    "LeNetError",
    "Reader",
    "Reading",
    "Recipe",
    "begin_run",
    "compute_attribution",
    "draw_attribution",
    "draw_confusion",
    "draw_curves",
    "draw_hardest",
    "draw_layers",
    "draw_patches",
    "draw_steps",
    "evaluate",
    "export_network",
    "find_patches",
    "find_pictures",
    "find_recipe",
    "find_subjects",
    "keep_curves",
    "load",
    "load_data",
    "make_model",
    "plot_runs",
    "read_in_bulk",
    "run_training",
    "save",
    "save_figure",
    "show",
    "show_progress",
    "split_stratified",
    "summarise_run",
    "trace_maps",
    "train",
]
