"""Pictures that lie on their side or stand on their head."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lenet.images.decoding import decode
from lenet.reading.reader import NOTHING, Reader
from lenet.reading.reading import Digit
from lenet.reading.turning import QUARTERS, choose_turn, turn_back, turn_picture

PICTURES = Path(__file__).parents[2] / "examples/pictures"


def read_turns(reader, decoded):
    return {quarters: reader.read(turn_picture(decoded, quarters).pixels) for quarters in QUARTERS}


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_boxes_are_those_of_the_picture_before_it_was_turned(quarters):
    pixels = np.zeros((50, 80, 3), np.uint8)
    pixels[5:17, 30:37] = 255
    turned = turn_picture(decode(pixels), quarters)
    rows, columns = np.nonzero(turned.pixels[:, :, 0])
    box = (int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
    assert (turned.width, turned.height) == turned.pixels.shape[1::-1]
    assert turn_back(Digit(1, 1.0, box, ()), quarters, 80, 50).box == (30, 5, 7, 12)


def test_a_picture_that_is_read_upright_is_not_turned():
    for name in ("2-transparent.png", "7-blue-ink.png"):
        assert Reader(turned=True).read(PICTURES / name) == Reader().read(PICTURES / name)


@pytest.mark.parametrize(("name", "text"), [("4-sideways.jpg", "4"), ("2-transparent.png", "2")])
def test_the_best_turn_is_taken_and_named(name, text):
    upright = decode(PICTURES / name)
    lying = turn_picture(upright, 1)
    reader = Reader()
    quarters, reading = choose_turn(lying, read_turns(reader, lying))
    assert (reading.text, reading.rejected, quarters) == (text, False, 3)
    assert reading.reason == "turned by 270°"


def test_what_can_be_read_upside_down_is_called_ambiguous():
    reader = Reader()
    lying = turn_picture(decode(PICTURES / "9-pencil.jpg"), 2)
    _, reading = choose_turn(lying, read_turns(reader, lying))
    assert reading.text == "9"
    assert "ambiguous" in reading.reason


def test_without_an_accepted_turn_the_upright_reading_stays():
    blank = decode(np.full((60, 60), 255, np.uint8))
    assert choose_turn(blank, read_turns(Reader(), blank)) is None
    assert Reader(turned=True).read(blank.pixels) == NOTHING


def test_what_is_explained_is_what_was_read():
    """Also where the picture is read turned: the steps are those of the turned picture."""
    rows = [np.full((60, 20, 3), 255, np.uint8)]
    for name in ("4-sideways.jpg", "7-blue-ink.png"):
        picture = Image.fromarray(decode(PICTURES / name).pixels).resize((60, 60))
        rows += [np.asarray(picture), rows[0]]
    for quarters in range(4):
        lying = np.rot90(np.hstack(rows), quarters)
        reader = Reader(turned=True)
        assert reader.explain(lying)[0] == reader.read(lying)
    lying = turn_picture(decode(PICTURES / "9-pencil.jpg"), 1).pixels
    for reader in (Reader(turned=True), Reader(turned=True, max_error=0.01)):
        reading, steps = reader.explain(lying)
        assert reading == reader.read(lying)
        if reading.reason.startswith("turned"):
            assert steps[0].image.shape[:2] != lying.shape[:2]
