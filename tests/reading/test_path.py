"""The best path through a graph made by hand: what heights say of digits, they do not say of letters."""

import numpy as np
import pytest

from lenet.errors import PictureError
from lenet.reading.lattice import Arc, Lattice
from lenet.reading.path import Constraints, find_path

BLANK = np.zeros((28, 28), np.uint8)
DIGITS = tuple("0123456789")


def stand(*heights: float) -> Lattice:
    """Pieces side by side, each of which may be one sign, with their heights as shares of the text's."""
    boxes = [(80 * n, 100 - round(100 * high), 80 * n + 50, 100) for n, high in enumerate(heights)]
    arcs = tuple(Arc(n, n, BLANK, high) for n, high in enumerate(heights))
    count = len(heights)
    return Lattice(arcs, np.array(heights), np.arange(count), np.array(boxes), np.zeros((1, 1), np.int32))


def read(lattice: Lattice, names: str, classes: tuple[str, ...], **known: object) -> str:
    """The best text where the network takes each arc for what `names` says, with 0.97."""
    rows = np.full((len(names), len(classes)), 0.03 / (len(classes) - 1))
    for row, name in zip(rows, names, strict=True):
        row[classes.index(name)] = 0.97
    path, *_ = find_path(lattice, rows, classes, Constraints(**known))
    return "".join(classes[step.label] for step in path or ())


@pytest.mark.parametrize(("low", "text"), [("1", "26"), ("7", "26"), ("0", "206")])
def test_a_low_1_is_rather_a_comma_and_a_low_0_is_not(low: str, text: str) -> None:
    assert read(stand(1, 0.5, 1), f"2{low}6", DIGITS) == text


@pytest.mark.parametrize("classes", [tuple("abcdefghij"), tuple("9876543210")], ids="".join)
def test_costs_depend_on_the_names_of_classes(classes: tuple[str, ...]) -> None:
    second, eighth = classes[1], classes[7]
    for name in (second, eighth):
        kept = name not in "17"
        assert (len(read(stand(1, 0.5, 1), classes[2] + name + classes[3], classes)) == 3) is kept


def test_an_amount_begins_with_no_0_whatever_its_place_among_the_classes() -> None:
    turned = tuple("9876543210")
    assert read(stand(1, 1), "05", turned) == "05"
    assert read(stand(1, 1), "05", turned, amount=True) != "05"
    assert read(stand(1, 1), "95", turned, amount=True) == "95"


def test_the_number_of_digits_does_not_multiply_the_time() -> None:
    """Every length is searched, so that 400 digits take 25 times as long for 50 known digits as for any."""
    row = stand(*[1.0] * 400)
    text = "0123456789" * 40
    assert read(row, text, DIGITS) == text
    assert len(read(row, text, DIGITS, count=50)) == 50
    with pytest.raises(PictureError, match="too many marks to find 51 digits"):
        read(row, text, DIGITS, count=51)
