"""`lenet calibrate` adds curves of readings to the card and leaves the weights as they are."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lenet.data.datasets import load
from lenet.errors import CheckpointError, DataError
from lenet.experiments.reading_calibration import calibrate_readings, find_held_out
from lenet.models.checkpoint import load_checkpoint, save_checkpoint
from lenet.training.recipes import RECIPES


def test_the_command_changes_the_card_alone(lenet: Callable[..., Any], workplace: Path):
    shipped = load_checkpoint("mnist")
    recipe = replace(RECIPES["quick"], validation=200).to_dict()
    path = workplace / "a.safetensors"
    save_checkpoint(path, shipped.model, {**shipped.card, "recipe": recipe, "seed": 0})
    before = load_checkpoint(path)
    done = lenet("calibrate", path, "--data", "digits", "--singles", "20", "--strings", "9", "--json")
    assert done.code == 0, done.err
    after = load_checkpoint(path)
    printed = json.loads(done.out)
    curves = after.card["reading_rejection"]
    assert printed["readings"] == {name: curve["validation_count"] for name, curve in curves.items()}
    assert {**before.card, "reading_rejection": curves} == after.card
    for name, tensor in before.model.state_dict().items():
        assert torch.equal(tensor, after.model.state_dict()[name])


def test_shipped_weights_are_not_overwritten(lenet: Callable[..., Any]):
    done = lenet("calibrate", "reader")
    assert done.code == 2
    assert "--out" in done.err
    assert done.err.count("\n") == 1


def test_what_cannot_be_calibrated_is_refused():
    checkpoint, digits = load_checkpoint("mnist"), load("digits", "train")
    recipe = {**checkpoint.card["recipe"], "validation": 0}
    with pytest.raises(CheckpointError, match="held out no images"):
        find_held_out(replace(checkpoint, card={**checkpoint.card, "recipe": recipe}), digits)
    with pytest.raises(CheckpointError, match="does not say which images"):
        find_held_out(replace(checkpoint, card={"classes": checkpoint.card["classes"]}), digits)
    with pytest.raises(CheckpointError, match="full images"):
        calibrate_readings(
            replace(checkpoint, card={**checkpoint.card, "whole_pictures": True}), digits, 1, 1
        )
    with pytest.raises(DataError, match="no pictures"):
        calibrate_readings(checkpoint, digits, 0, 0)
