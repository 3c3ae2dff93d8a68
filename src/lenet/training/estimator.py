"""LeNet as a scikit-learn classifier: fit, predict, pipelines, grid search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isqrt
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

import lenet
from lenet.data.imageset import ImageSet
from lenet.errors import CheckpointError, RecipeError
from lenet.models.checkpoint import load_checkpoint, save_checkpoint
from lenet.models.config import Activation, Pooling
from lenet.training.evaluation import compute_logits
from lenet.training.loop import Epoch, train
from lenet.training.recipe import Optimizer, Recipe
from lenet.training.recipes import find_recipe
from lenet.training.start import make_model

USUAL_SIDE = 28  # of the images that the recipes were made for; others are resized
CARD_KEY = "estimator"
SETTABLE = (
    "epochs", "batch_size", "optimizer", "lr", "weight_decay",
    "channels", "kernel_size", "activation", "pooling", "hidden", "dropout",
)  # fmt: skip
# scikit-learn holds images out in ways of its own, and its classifiers have no answer 'none of them'.
LEFT_OUT = {
    "validation": 0, "patience": 0, "calibrate": False, "keep_every_epoch": False,
    "reject_class": False, "negatives": 0.0,
}  # fmt: skip


class LeNetClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A recipe's network as a scikit-learn classifier of square images, light on dark.

    X is (n, 784), (n, 28, 28) or (n, 1, 28, 28), or square images of any other size, which are resized.
    Bytes are taken as they are, 0..255; of other numbers the smallest and the largest that `fit` sees become
    0 and 255. Labels may be of any type that scikit-learn knows.

    Parameters
    ----------
    recipe : str or Recipe, default="quick"
        Where every number comes from that is not given here; `lenet recipes` lists the names. It trains on
        all of X: held-out images, patience and 'no digit' are left out.
    epochs, batch_size, optimizer, lr, weight_decay : default=None
        Of the training; None is as the recipe has it.
    channels, kernel_size, activation, pooling, hidden, dropout : default=None
        Of the network; None is as the recipe has it.
    device : str, default="auto"
        auto, cpu, cuda, cuda:N or mps.
    warm_start : bool, default=False
        Continue from the weights that the last `fit` left; the optimiser begins anew.
    random_state : int, RandomState or None, default=0
        Decides the initial weights, the order and the distortions. None is different every time.

    Attributes
    ----------
    classes_ : the labels, sorted.
    n_features_in_ : pixels of an image.
    model_ : the trained LeNet.
    history_ : one Epoch for each pass.

    Keep it with `save`, as a checkpoint that the other commands read too; nothing is executed to load it, as
    it would be with a pickle.
    """

    def __init__(
        self,
        recipe: str | Recipe = "quick",
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        optimizer: Optimizer | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        channels: Sequence[int] | None = None,
        kernel_size: int | None = None,
        activation: Activation | None = None,
        pooling: Pooling | None = None,
        hidden: Sequence[int] | None = None,
        dropout: float | None = None,
        device: str = "auto",
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.recipe = recipe
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.channels = channels
        self.kernel_size = kernel_size
        self.activation = activation
        self.pooling = pooling
        self.hidden = hidden
        self.dropout = dropout
        self.device = device
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train on images X and labels y.

        Raises ValueError on data that scikit-learn would refuse, on images that are not square and on a
        single class; RecipeError or ModelError on parameters that cannot be.
        """
        goes_on = self.warm_start and hasattr(self, "model_")
        X, y = validate_data(self, _flatten(X), y, reset=not goes_on)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y has one class only, {classes[0]!r}; a classifier needs two at least")
        if not goes_on:
            low, high = (0, 255) if X.dtype == np.uint8 else (X.min(), X.max())
            self.pixel_range_ = (float(low), float(high))
        images = self._make_images(X)
        recipe = self._make_recipe(images.shape[-1], len(classes))
        given = self.random_state
        seed = int(given if isinstance(given, Integral) else check_random_state(given).randint(2**31))
        if not goes_on:
            self.classes_, self.model_ = classes, make_model(recipe, seed)
        elif not np.array_equal(classes, self.classes_):
            raise ValueError("warm_start goes on with the classes of the last fit, and y has others")
        data = ImageSet(
            images,
            torch.from_numpy(labels.astype(np.int64)),
            tuple(map(str, classes)),
            name="X",
            flips=True,  # whoever names a recipe that flips knows what the images are of
        )
        self.history_: list[Epoch] = list(train(self.model_, data, recipe, seed=seed, device=self.device))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, in the order of `classes_`: float32 (n, classes)."""
        check_is_fitted(self, "model_")
        X = validate_data(self, _flatten(X), reset=False)
        logits = compute_logits(self.model_, self._make_images(X))
        return self.model_.as_probabilities(logits).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest label of each image: (n,)."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def save(self, path: str | Path) -> None:
        """Write a checkpoint, whole or not at all, that `load`, `lenet.load` and the commands read."""
        check_is_fitted(self, "model_")
        own = {
            "recipe": self._make_recipe(isqrt(self.n_features_in_), len(self.classes_)).to_dict(),
            "labels": self.classes_.tolist(),
            "pixel_range": self.pixel_range_,
            "pixels": self.n_features_in_,
        }
        card = {"classes": list(map(str, self.classes_)), CARD_KEY: own, "lenet": lenet.__version__}
        save_checkpoint(Path(path), self.model_, card)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The fitted classifier that `save` wrote. Raises CheckpointError, one line, on any other file."""
        checkpoint = load_checkpoint(path)
        try:
            own = checkpoint.card[CARD_KEY]
            low, high = own["pixel_range"]
            estimator = cls(Recipe.from_dict(own["recipe"]))
            estimator.classes_, estimator.pixel_range_ = np.array(own["labels"]), (float(low), float(high))
            estimator.n_features_in_ = int(own["pixels"])
            if estimator.classes_.shape != (checkpoint.model.config.classes,):
                raise ValueError("other labels than classes")
        except (KeyError, TypeError, ValueError, RecipeError) as error:
            raise CheckpointError(f"{path}: not what LeNetClassifier.save wrote ({error})") from None
        estimator.model_, estimator.history_ = checkpoint.model, []
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _make_recipe(self, side: int, classes: int) -> Recipe:
        """The recipe with the parameters that were given, for images of this size and so many classes."""
        recipe = find_recipe(self.recipe) if isinstance(self.recipe, str) else self.recipe
        given = {name: value for name in SETTABLE if (value := getattr(self, name)) is not None}
        recipe = recipe.override({**given, **LEFT_OUT})
        fit = recipe.model.fit if side == USUAL_SIDE else "resize"
        return replace(recipe, model=replace(recipe.model, classes=classes, fit=fit))

    def _make_images(self, X: np.ndarray) -> Tensor:
        """Bytes (n, 1, side, side) of values (n, side × side)."""
        if isqrt(X.shape[1]) ** 2 != X.shape[1]:
            raise ValueError(f"{X.shape[1]} pixels are no square image; give (n, 784) or (n, 28, 28), say")
        low, high = self.pixel_range_
        scaled = (X.astype(np.float32) - low) * (255 / ((high - low) or 1))
        side = isqrt(X.shape[1])
        return torch.from_numpy(scaled.clip(0, 255).round().astype(np.uint8)).view(-1, 1, side, side)


def _flatten(X: Any) -> Any:
    """Images (n, H, W) or (n, 1, H, W) as rows of pixels; anything else is left for scikit-learn to judge."""
    shape: tuple[int, ...] = np.shape(X) if hasattr(X, "shape") or isinstance(X, list | tuple) else ()
    if len(shape) == 3 or (len(shape) == 4 and shape[1] == 1):
        if shape[-1] != shape[-2]:
            raise ValueError(f"images are {shape[-2]}×{shape[-1]}; square ones are needed")
        return np.asarray(X).reshape(shape[0], -1)
    return X
