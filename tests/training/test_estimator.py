"""The scikit-learn classifier: scikit-learn's own checks, and the same bits as `train`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import lenet
from lenet.data.imageset import ImageSet
from lenet.errors import CheckpointError, LeNetError, ModelError, RecipeError
from lenet.models.checkpoint import save_checkpoint
from lenet.training.estimator import LeNetClassifier
from lenet.training.evaluation import evaluate
from lenet.training.loop import train
from lenet.training.recipes import RECIPES
from lenet.training.start import make_model

SMALL = RECIPES["quick"].override(
    {
        "channels": (4, 6), "hidden": (16,), "kernel_size": 3, "input_size": 8, "epochs": 20,
        "batch_size": 16, "schedule": "constant", "lr": 0.01, "degrees": 0, "scale": 0, "shear": 0,
        "shift": 0,
    }
)  # fmt: skip

# The checks whose data are images by chance, or none at all, are the others.
DATA_ARE_NO_SQUARES = {
    "check_classifier_data_not_an_array", "check_classifiers_classes", "check_classifiers_train",
    "check_dict_unchanged", "check_dont_overwrite_parameters", "check_dtype_object",
    "check_estimators_dtypes", "check_estimators_fit_returns_self", "check_estimators_nan_inf",
    "check_estimators_overwrite_params", "check_estimators_pickle", "check_f_contiguous_array_estimator",
    "check_fit2d_predict1d", "check_fit_check_is_fitted", "check_fit_idempotent", "check_fit_score_takes_y",
    "check_methods_sample_order_invariance", "check_methods_subset_invariance", "check_n_features_in",
    "check_pipeline_consistency", "check_readonly_memmap_input", "check_supervised_y_2d",
}  # fmt: skip


class Padded(LeNetClassifier):  # type: ignore[misc]
    """Fills rows of any length up to the next square, so that every check has images."""

    def _make_images(self, X: np.ndarray) -> torch.Tensor:
        missing = int(np.ceil(np.sqrt(X.shape[1]))) ** 2 - X.shape[1]
        return super()._make_images(np.pad(X, ((0, 0), (0, missing))))


def list_failures(estimator: LeNetClassifier) -> dict[str, str]:
    """The names of scikit-learn's checks that fail, and why."""
    outcomes = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(outcomes) > 50
    return {row["check_name"]: str(row["exception"]) for row in outcomes if row["status"] == "failed"}


def test_scikit_learns_checks():
    """What fails, fails because 2, 3, 5 or 10 columns are no square image."""
    failures = list_failures(LeNetClassifier(SMALL))
    assert failures.keys() == DATA_ARE_NO_SQUARES
    assert all("no square image" in reason for reason in failures.values())


def test_scikit_learns_checks_on_images():
    """Nothing fails once the data are images."""
    assert list_failures(Padded(SMALL)) == {}


@pytest.fixture(scope="module")
def images(bars: ImageSet) -> np.ndarray:
    return bars.images[:, 0].numpy()  # (90, 12, 12)


@pytest.fixture(scope="module")
def names(bars: ImageSet) -> np.ndarray:
    return np.array(bars.classes)[bars.labels]


@pytest.fixture(scope="module")
def fitted(images: np.ndarray, names: np.ndarray) -> LeNetClassifier:
    """A classifier that nobody changes."""
    return LeNetClassifier(SMALL).fit(images, names)


def test_it_learns_and_answers_in_the_labels_it_was_given(
    fitted: LeNetClassifier, images: np.ndarray, names: np.ndarray, more_bars: ImageSet
):
    assert fitted.classes_.tolist() == sorted(more_bars.classes)
    assert fitted.score(more_bars.images, np.array(more_bars.classes)[more_bars.labels]) > 0.9
    probabilities = fitted.predict_proba(images)
    assert probabilities.shape == (90, 3)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(images)).all()
    assert [epoch.epoch for epoch in fitted.history_] == list(range(1, 21))
    assert fitted.n_features_in_ == 144


def test_the_bits_are_those_of_the_loop(images: np.ndarray, bars: ImageSet):
    """On images of the usual size, where nothing has to be resized, it is `train` and nothing else."""
    usual = torch.nn.functional.pad(bars.images, (8, 8, 8, 8))  # (90, 1, 28, 28)
    recipe = RECIPES["quick"].override({"epochs": 2, "lr": 0.01, "channels": (2, 3), "hidden": (9,)})
    estimator = LeNetClassifier(epochs=2, lr=0.01, channels=[2, 3], hidden=[9], random_state=5)
    estimator.fit(usual.numpy(), bars.labels.numpy())
    recipe = replace(recipe, model=replace(recipe.model, classes=3))
    data = ImageSet(usual, bars.labels, ("0", "1", "2"), "bars")
    model = make_model(recipe, 5)
    assert list(train(model, data, recipe, seed=5, device="cpu"))[-1].epoch == 2
    for mine, theirs in zip(estimator.model_.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_every_form_of_images_is_the_same(fitted: LeNetClassifier, images: np.ndarray, names: np.ndarray):
    expected = fitted.predict_proba(images)
    forms = [images.reshape(90, -1), images[:, None], images.reshape(90, -1).tolist(), torch.tensor(images)]
    for form in forms:
        assert np.array_equal(fitted.predict_proba(form), expected)
    for scaled in (images / 255, images.astype(np.int64), images.astype(np.float32) * 3 - 100):
        other = LeNetClassifier(SMALL).fit(scaled, names)  # the bars reach from 0 to 255
        assert np.allclose(other.predict_proba(scaled), expected, atol=1e-5)


@pytest.mark.parametrize(
    "labels", [[5, 3, 9], [True, False, True], [0.0, 1.0, 4.0], list("abc"), np.array(list("xyz"), object)]
)
def test_labels_of_any_type(images: np.ndarray, bars: ImageSet, labels: Any, tmp_path: Path):
    y = np.array(labels, dtype=getattr(labels, "dtype", None))[bars.labels]
    estimator = LeNetClassifier(SMALL, epochs=1).fit(images, y)
    assert set(estimator.predict(images)) <= set(labels)
    estimator.save(tmp_path / "a.safetensors")
    again = LeNetClassifier.load(tmp_path / "a.safetensors")
    assert again.predict(images).tolist() == estimator.predict(images).tolist()


def test_the_seed_decides(images: np.ndarray, names: np.ndarray):
    def first_weight(random_state: Any) -> float:
        model = LeNetClassifier(SMALL, epochs=1, random_state=random_state).fit(images, names).model_
        return next(model.parameters()).flatten()[0].item()

    assert first_weight(1) == first_weight(np.int64(1))
    assert first_weight(1) != first_weight(2)
    assert first_weight(np.random.RandomState(4)) == first_weight(np.random.RandomState(4))
    assert first_weight(None) != first_weight(None)


def test_a_warm_start_goes_on(images: np.ndarray, names: np.ndarray):
    estimator = LeNetClassifier(SMALL, epochs=3, warm_start=True).fit(images, names)
    first = estimator.history_[0].train_loss
    estimator.fit(images, names)
    assert estimator.history_[0].train_loss < first
    with pytest.raises(ValueError, match="classes of the last fit"):
        estimator.fit(images, np.char.add(names, "?"))
    with pytest.raises(ValueError, match="features"):
        estimator.fit(images[:, 1:, 1:], names)
    cold = clone(estimator).set_params(warm_start=False).fit(images, names)
    assert cold.history_[0].train_loss == first


def test_grid_search_in_a_pipeline(digits: ImageSet):
    images, labels = digits.images[:300].numpy().reshape(300, -1), digits.labels[:300].numpy()
    pipeline = make_pipeline(FunctionTransformer(np.sqrt), LeNetClassifier(lr=0.01))
    grid = {"lenetclassifier__epochs": [1, 6], "lenetclassifier__pooling": ["avg", "max"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(images, labels)
    assert search.best_params_["lenetclassifier__epochs"] == 6
    assert search.best_score_ > 0.6


def test_a_checkpoint_that_everybody_reads(
    fitted: LeNetClassifier, images: np.ndarray, more_bars: ImageSet, tmp_path: Path
):
    path = tmp_path / "bars.safetensors"
    fitted.save(path)
    again = LeNetClassifier.load(str(path))
    assert np.array_equal(again.predict_proba(images), fitted.predict_proba(images))
    assert again.predict(images).tolist() == fitted.predict(images).tolist()
    assert again.recipe.model == fitted.model_.config
    names = np.array(more_bars.classes)[more_bars.labels]
    assert evaluate(lenet.load(path), more_bars).accuracy == fitted.score(more_bars.images, names)
    fitted.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "change",
    [{"labels": ["a"]}, {"labels": None}, {"pixel_range": [1]}, {"pixel_range": "ab"}, {"recipe": {}},
     {"pixels": "x"}, None],
)  # fmt: skip
def test_what_is_no_saved_classifier_is_refused(
    fitted: LeNetClassifier, tmp_path: Path, change: dict[str, Any] | None
):
    fitted.save(tmp_path / "a.safetensors")
    card = json.loads(json.dumps(lenet.load(tmp_path / "a.safetensors").card))
    card["estimator"] = card["estimator"] | change if change else None
    save_checkpoint(tmp_path / "b.safetensors", fitted.model_, card)
    with pytest.raises(
        CheckpointError, match=r"b\.safetensors: not what LeNetClassifier\.save wrote"
    ) as caught:
        LeNetClassifier.load(tmp_path / "b.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [({"recipe": "quik"}, RecipeError), ({"lr": -1.0}, RecipeError), ({"channels": (6, 16, 32)}, ModelError)],
)
def test_parameters_that_cannot_be(
    images: np.ndarray, names: np.ndarray, parameters: dict[str, Any], kind: type[LeNetError]
):
    with pytest.raises(kind):
        LeNetClassifier(**{"recipe": SMALL, **parameters}).fit(images, names)


def test_images_that_are_not_square(names: np.ndarray):
    with pytest.raises(ValueError, match="12×10; square ones are needed"):
        LeNetClassifier(SMALL).fit(np.zeros((90, 12, 10)), names)
    with pytest.raises(ValueError, match="120 pixels are no square image"):
        LeNetClassifier(SMALL).fit(np.zeros((90, 120)), names)
