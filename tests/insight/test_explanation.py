"""The figures of an explanation are drawn whole for every network, and its values are what they say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lenet.data.imageset import ImageSet
from lenet.errors import DataError, PictureError
from lenet.insight.activations import Subject, trace_maps
from lenet.insight.explanation import (
    compare_classes,
    explain_subjects,
    find_class,
    find_subjects,
    first_layers,
    pick_sample,
    pick_subject,
    show_patches,
)
from lenet.models.checkpoint import Checkpoint, load_checkpoint
from lenet.models.config import MODELS, LeNetConfig
from lenet.models.network import LeNet, initialise
from lenet.reading.reader import Reader

PICTURES = Path(__file__).parents[2] / "examples/pictures"
NAMES = tuple(f"$x_{number}$ <b>" for number in range(10))


def make(config: LeNetConfig, classes: tuple[str, ...] = NAMES) -> Checkpoint:
    model = LeNet(replace(config, classes=len(classes)))
    initialise(model, "xavier", torch.Generator().manual_seed(5))
    return Checkpoint(model.eval(), {"classes": list(classes)})


def check_drawn(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels[:, [0, -1]] == 255).all(), "something is cut off"
    assert (pixels[[0, -1]] == 255).all(), "something is cut off"
    assert (pixels < 100).all(axis=2).sum() > 500, "nothing is drawn"
    return pixels


@pytest.mark.parametrize(
    "config",
    [
        MODELS["lenet5-tanh"],
        LeNetConfig(activation="sigmoid", pooling="avg", channels=(1,), hidden=(), kernel_size=3),
        LeNetConfig(channels=(70, 3), hidden=(300,), input_size=20, fit="resize", dropout=0.2),
    ],
    ids=["three convolutions", "least", "wide"],
)
def test_every_network_is_drawn(config: LeNetConfig, digits_test: ImageSet, tmp_path: Path):
    checkpoint, data = make(config), replace(digits_test.subset(torch.arange(40)), classes=NAMES)
    subjects = [pick_subject(data, place) for place in range(2 if config.kernel_size == 3 else 1)]
    rows = explain_subjects(checkpoint, subjects, tmp_path, "$a_b$")
    show_patches(checkpoint, data, tmp_path / "patches.png", "$a_b$")
    for name in ("layers", "attribution", "filters", "patches"):
        pixels = check_drawn(tmp_path / f"{name}.png").astype(int)
        assert (np.ptp(pixels, axis=2) > 60).sum() > 500 or name == "patches", "no colours"
    assert [row["name"] for row in rows[0]["layers"]] == [
        "input", *(layer.name for layer in checkpoint.model.config.layers())
    ]  # fmt: skip


def test_a_dead_network_is_drawn(digits_test: ImageSet, tmp_path: Path):
    """Dead units answer 0 to everything: no range of values, no outline, nothing to divide by."""
    checkpoint = make(LeNetConfig(), digits_test.classes)
    with torch.no_grad():
        for parameter in checkpoint.model.parameters():
            parameter.zero_()
    blank = Subject("blank", torch.zeros(1, 28, 28, dtype=torch.uint8))
    rows = explain_subjects(checkpoint, [blank], tmp_path)
    assert rows[0]["probability"] == pytest.approx(0.1)
    assert all(layer["zeros"] == 1 for layer in rows[0]["layers"])
    told = compare_classes(checkpoint, digits_test, ("1", "2"), tmp_path / "compare.png")
    assert {row["distance"] for rows in told["layers"].values() for row in rows} == {0.0}
    assert len(list(tmp_path.glob("*.png"))) == 4


def test_equal_networks_have_equal_figures(bars: ImageSet, small: LeNetConfig, tmp_path: Path):
    for name in ("a", "b"):
        explain_subjects(make(small, bars.classes), [pick_sample(bars, "row")], tmp_path / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_truth_is_the_rival_of_a_mistake(digits_test: ImageSet, tmp_path: Path):
    checkpoint = load_checkpoint("mnist")
    with torch.no_grad():
        predicted = checkpoint.model(digits_test.images).argmax(dim=1)
    wrong = int((predicted != digits_test.labels).nonzero()[0])
    (row,) = explain_subjects(checkpoint, [pick_subject(digits_test, wrong)], tmp_path)
    assert row["rival"] == row["label"] == str(int(digits_test.labels[wrong]))
    assert row["predicted"] == str(int(predicted[wrong]))


@pytest.mark.parametrize("checkpoint", ["reader", "mnist"])
def test_subjects_are_what_is_read(checkpoint: str):
    loaded = load_checkpoint(checkpoint)
    reader = Reader(loaded)
    for picture in sorted(PICTURES.glob("[0-9]*"))[::3]:
        subjects = find_subjects(loaded, picture, picture.name)
        with torch.no_grad():
            classes = loaded.model(torch.stack([s.image for s in subjects])).argmax(dim=1).tolist()
        assert "".join(loaded.classes[number] for number in classes) == reader.read(picture).text


@pytest.mark.parametrize("checkpoint", ["reader", "mnist"])
def test_there_is_one_confidence(checkpoint: str, tmp_path: Path):
    """What `predict` prints, what its figure says and what `explain` prints are one number."""
    loaded = load_checkpoint(checkpoint)
    reader = Reader(loaded)
    for picture in sorted(PICTURES.glob("[0-9]*"))[:1]:
        reading, steps = reader.explain(picture)
        assert len(reading.digits) == 1
        assert steps[-1].reason == f"{reading.text} ({reading.confidence:.1%})"
        (row,) = explain_subjects(loaded, find_subjects(loaded, picture, picture.name), tmp_path)
        assert row["predicted"] == reading.text
        assert row["probability"] == pytest.approx(reader.read(picture).confidence, rel=1e-5)


def test_several_digits_are_several_subjects(digits_test: ImageSet, tmp_path: Path):
    loaded = load_checkpoint("reader")
    gap = np.zeros((60, 12), np.uint8)
    digits = [
        np.asarray(Image.fromarray(digits_test.images[place, 0].numpy()).resize((60, 60)))
        for place in (0, 1, 2)
    ]
    strip = np.hstack([gap, *(part for digit in digits for part in (digit, gap))])
    Image.fromarray(255 - np.pad(strip, 20)).save(tmp_path / "three.png")
    subjects = find_subjects(loaded, tmp_path / "three.png", "three.png")
    assert [subject.name for subject in subjects] == [f"three.png, digit {n}" for n in (1, 2, 3)]
    with torch.no_grad():
        read = loaded.model(torch.stack([s.image for s in subjects])).argmax(dim=1)
    text = Reader(loaded).read(tmp_path / "three.png").text
    assert "".join(loaded.classes[number] for number in read.tolist()) == text


def test_nothing_to_explain(tmp_path: Path):
    Image.new("L", (60, 60), 255).save(tmp_path / "blank.png")
    with pytest.raises(PictureError, match=r"blank\.png: no ink"):
        find_subjects(load_checkpoint("reader"), tmp_path / "blank.png", "blank.png")


def test_classes_are_found_whatever_their_capitals():
    classes = ("Pullover", "Coat", "coat")
    assert [find_class(classes, name) for name in ("pullover", "Coat", "coat", "COAT")] == [0, 1, 2, 1]
    with pytest.raises(DataError, match="no class 'shirt'; the network knows Pullover, Coat"):
        find_class(classes, "shirt")


def test_samples_that_are_not_there(digits_test: ImageSet):
    for index in (-1, 360):
        with pytest.raises(DataError, match="images 0 to 359"):
            pick_subject(digits_test, index)
    few = digits_test.subset((digits_test.labels == 1).nonzero().flatten())
    with pytest.raises(DataError, match="no image of the class '3'"):
        pick_sample(few, "3")
    assert pick_sample(digits_test, "3").label == "3"


def test_two_classes_side_by_side(bars: ImageSet, small: LeNetConfig, tmp_path: Path):
    """A first layer of known kernels: one map for rows, one for columns; both tell the two apart."""
    checkpoint = make(small, bars.classes)
    with torch.no_grad():
        weight = checkpoint.model.conv1.weight
        weight.zero_()
        checkpoint.model.conv1.bias.zero_()
        weight[0, 0, 1] = 1.0  # along a row
    told = compare_classes(checkpoint, bars, ("ROW", "column"), tmp_path / "compare.png", "$a_b$")
    check_drawn(tmp_path / "compare.png")
    assert told["classes"] == ["row", "column"]
    assert told["count"] == [30, 30]
    assert [*told["layers"]] == first_layers(checkpoint.model) == ["relu1", "relu2"]
    assert [row["map"] for row in told["layers"]["relu1"]] == [1, 2]
    assert told["layers"]["relu1"][1]["distance"] == 0  # the silent one tells nothing
    members = [bars.images[bars.labels == number] for number in (0, 1)]
    maps = [trace_maps(checkpoint.model, images)["relu1"][:, 0].double() for images in members]
    apart = (maps[0].mean(0) - maps[1].mean(0)).square().mean().sqrt()
    spread = ((maps[0].var(0, correction=0) + maps[1].var(0, correction=0)) / 2).mean().sqrt()
    assert told["layers"]["relu1"][0]["distance"] == pytest.approx(float(apart / spread), rel=1e-4)


def test_comparisons_that_cannot_be(bars: ImageSet, small: LeNetConfig, tmp_path: Path):
    checkpoint = make(small, bars.classes)
    for names, words in ((("row", "Row"), "same class"), (("row", "ring"), "no class 'ring'")):
        with pytest.raises(DataError, match=words):
            compare_classes(checkpoint, bars, names, tmp_path / "compare.png")
    with pytest.raises(DataError, match="no image"):
        compare_classes(
            checkpoint, bars.subset((bars.labels == 0).nonzero()[:, 0]), ("row", "column"), tmp_path / "a.png"
        )
    assert not list(tmp_path.iterdir())
