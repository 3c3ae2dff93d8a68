"""What learnt from whole pictures reads whole pictures: the two see the same pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lenet.data.datasets import load
from lenet.models.checkpoint import load_checkpoint
from lenet.reading.reader import Reader
from lenet.training.recipes import RECIPES
from lenet.training.runs import begin_run, run_training


def draw(place: tuple[int, int]) -> Image.Image:
    """A small square somewhere on a large page: cut out and centred, its place is lost."""
    page = Image.new("L", (84, 84), 240)
    x, y = place
    ImageDraw.Draw(page).rectangle((x, y, x + 24, y + 24), fill=20)
    return page


def make_own_pictures(folder: Path) -> Path:
    """Two classes that differ only in where on the page the square stands."""
    rng = np.random.default_rng(0)
    for name, left in (("left", 4), ("right", 52)):
        (folder / name).mkdir(parents=True)
        for number in range(40):
            place = (left + int(rng.integers(-3, 4)), int(rng.integers(4, 52)))
            draw(place).save(folder / name / f"{number}.png")
    return folder


def test_own_pictures_are_read_as_they_were_learnt(tmp_path: Path) -> None:
    own = make_own_pictures(tmp_path / "own")
    recipe = RECIPES["quick"].override(
        {"data": str(own), "epochs": 8, "batch_size": 16, "shift": 0.0, "degrees": 0.0}
    )
    run = begin_run(recipe, device="cpu", runs_dir=tmp_path / "runs")
    for _ in run_training(run):
        pass
    checkpoint = load_checkpoint(run.path)
    assert checkpoint.reads_whole_pictures
    reader = Reader(checkpoint)
    texts = [reader.read(file).text for name in ("left", "right") for file in sorted((own / name).iterdir())]
    assert texts == ["left"] * 40 + ["right"] * 40


def read_whole_pictures() -> Reader:
    """A reader of full images; what it names them does not matter."""
    shipped = load_checkpoint("mnist")
    return Reader(replace(shipped, card={**shipped.card, "whole_pictures": True}))


def test_the_same_pixels_in_training_and_in_reading(tmp_path: Path) -> None:
    own = make_own_pictures(tmp_path / "own")
    reader = read_whole_pictures()
    learnt = {
        image.numpy().tobytes() for split in ("train", "test") for image in load(own, split).images[:, 0]
    }
    seen = set()
    for file in sorted(own.glob("*/*.png")):
        reading, steps = reader.explain(file)
        seen.add(steps[-1].image.tobytes())
        assert [digit.box for digit in reading.digits] == [(0, 0, 84, 84)]
    assert seen == learnt


def test_a_blank_whole_picture_is_not_guessed_at() -> None:
    reading = read_whole_pictures().read(np.full((50, 60), 255, dtype=np.uint8))
    assert (reading.text, reading.rejected, reading.digits) == ("", True, ())


def test_shipped_weights_look_for_signs() -> None:
    assert not load_checkpoint("mnist").reads_whole_pictures
    assert not load("digits", "test").full_image
