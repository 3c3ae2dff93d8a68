"""Calibration changes probabilities and no answers; the card holds what it found."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lenet.data.imageset import ImageSet
from lenet.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet.training.evaluation import calibrate, compute_logits
from lenet.training.loop import train
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES
from lenet.training.start import make_model
from lenet.uncertainty.calibration import fit_temperature
from lenet.uncertainty.risk import summarise_risk


@pytest.mark.parametrize("reject_class", [False, True])
def test_the_temperature_is_in_the_last_layer(
    digits: ImageSet, digits_test: ImageSet, tmp_path: Path, reject_class: bool
):
    recipe = replace(RECIPES["quick"], epochs=2).override({"reject_class": reject_class})
    model = make_model(recipe, 0)
    list(train(model, digits, recipe, device="cpu"))
    before = compute_logits(model, digits_test.images)
    temperature = fit_temperature(model.with_reject_logit(before), digits_test.labels)
    result = calibrate(Checkpoint(model, {"classes": digits.classes}), digits_test)
    after = compute_logits(result.model, digits_test.images)
    torch.testing.assert_close(after, before / temperature, rtol=1e-4, atol=1e-5)
    assert torch.equal(after.argmax(dim=1), before.argmax(dim=1))
    assert result.card["temperature"] == temperature
    assert fit_temperature(model.with_reject_logit(after), digits_test.labels) == pytest.approx(1, rel=1e-3)
    assert result.card["rejection"] == summarise_risk(model.as_probabilities(after), digits_test.labels)
    save_checkpoint(tmp_path / "kept.safetensors", result.model, result.card)
    assert load_checkpoint(tmp_path / "kept.safetensors").card["rejection"] == result.card["rejection"]


def test_only_the_last_layer_changes(recipe: Recipe, more_bars: ImageSet):
    model = make_model(recipe, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calibrate(Checkpoint(model, {}), more_bars)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"output.weight", "output.bias"}
