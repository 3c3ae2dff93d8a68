"""Each digit's box is where it was written, and its image holds its ink alone."""

import cv2
import numpy as np
import pytest

from lenet.data.datasets import load_digits
from lenet.images.strips import cut_strip
from lenet.reading.digits import Line, Piece, cut_components, divide_line, find_cuts, frame_piece
from lenet.reading.lines import find_lines
from lenet.reading.reader import Reader
from lenet.synthesis.hands import Material, gather_material
from lenet.synthesis.strings import Box, write_string


@pytest.fixture(scope="module")
def material() -> Material:
    images, labels = load_digits()
    return gather_material(images[:, 0].numpy(), labels.numpy())


def measure_overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> float:
    """Intersection over union of two boxes left, top, right, bottom."""
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(areas) - wide * high)


def move(box: Box, margin: int) -> tuple[float, float, float, float]:
    return box.left + margin, box.top + margin, box.right + margin, box.bottom + margin


@pytest.mark.parametrize(("spacing", "share"), [("apart", 0.9), ("close", 0.85), ("touching", 0.7)])
def test_boxes_are_around_their_digits(material: Material, spacing: str, share: float) -> None:
    reader, overlaps = Reader(), []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        text = "".join(map(str, rng.integers(10, size=4)))
        written = write_string(text, "number", material, rng, spacing)
        grey = 235 - 200 * np.pad(written.ink, 25)
        reading = reader.read(grey.astype(np.uint8), length=4)
        found = [(x, y, x + w, y + h) for x, y, w, h in (digit.box for digit in reading.digits)]
        true = [move(box, 25) for box in written.boxes]
        if len(found) == len(true):
            overlaps += [measure_overlap(one, other) for one, other in zip(found, true, strict=True)]
    assert len(overlaps) >= 80
    assert np.mean(np.array(overlaps) >= 0.5) >= share


def draw_line(columns: list[tuple[int, int]], shape: tuple[int, int] = (80, 300)) -> tuple[np.ndarray, Line]:
    """The contrast and the line of upright bars from and to these columns."""
    plane = np.zeros(shape, np.float32)
    for left, right in columns:
        plane[20:60, left:right] = 1
    (writing,) = find_lines(plane > 0)
    strip = cut_strip(plane, writing.strokes, writing.rows, writing.columns, writing.height)
    return plane, Line(writing, strip)


def find_span(line: Line, column: float) -> slice:
    """The frame of the strip in which a column of the picture is."""
    across = (column - line.strip.matrix[0, 2]) / line.strip.matrix[0, 0]
    return slice(int(across // 2), int(across // 2) + 1)


def test_ink_is_divided_between_its_digits() -> None:
    bars = [(40, 50), (70, 80), (100, 104), (130, 150)]
    _, line = draw_line(bars)
    spans = [find_span(line, (left + right) / 2) for left, right in bars]
    pieces = divide_line(line, spans)
    assert [piece.box for piece in pieces] == [(left, 20, right, 60) for left, right in bars]
    assert sum(piece.rows.size for piece in pieces) == line.writing.strokes.sum()


def test_two_strokes_of_one_digit_stay_together() -> None:
    _, line = draw_line([(40, 50), (56, 66), (110, 120)])
    pieces = divide_line(line, [find_span(line, 53), find_span(line, 115)])
    assert [piece.box for piece in pieces] == [(40, 20, 66, 60), (110, 20, 120, 60)]


def test_ink_far_from_every_digit_belongs_to_none() -> None:
    _, line = draw_line([(40, 50), (150, 160)])
    (piece,) = divide_line(line, [find_span(line, 45)])
    assert piece.box == (40, 20, 50, 60)


def test_a_digit_without_ink_has_a_box_and_a_blank_image() -> None:
    plane, line = draw_line([(40, 50), (150, 160)])
    first, middle, last = divide_line(line, [find_span(line, x) for x in (45, 100, 155)])
    assert not middle.rows.size
    left, top, right, bottom = middle.box
    assert first.box[0] < left < right <= last.box[2]
    assert top < bottom
    assert not frame_piece(plane, middle).any()


def test_neighbours_are_cut_where_there_is_least_ink() -> None:
    strip = np.zeros((32, 60), np.uint8)
    strip[6:26, 10:20] = strip[6:26, 36:46] = 255
    strip[14, 10:46] = 255  # joined
    (cut,) = find_cuts(strip, [15, 41])
    assert 21 <= cut <= 35
    assert find_cuts(strip, [15]) == []
    assert len(find_cuts(strip, [15, 15, 59, 80])) == 3  # whatever the frames are


def test_components_above_each_other_are_one() -> None:
    plane = np.zeros((100, 200), np.float32)
    plane[20:50, 30:70] = plane[56:80, 35:68] = plane[20:80, 120:140] = 1
    (writing,) = find_lines(plane > 0)
    strip = cut_strip(plane, writing.strokes, writing.rows, writing.columns, writing.height)
    assert [piece.box for piece in cut_components(Line(writing, strip))] == [
        (30, 20, 70, 80),
        (120, 20, 140, 80),
    ]


def test_an_image_holds_the_ink_of_its_piece_alone() -> None:
    plane = np.zeros((80, 120), np.float32)
    plane[20:60, 20:30] = 0.4  # a faint one
    alone = plane.copy()
    plane[20:60, 34:60] = 0.9  # its neighbour
    rows, columns = np.nonzero(alone)
    image = frame_piece(plane, Piece(rows, columns, (20, 20, 30, 60)))
    assert image.shape == (28, 28)
    assert image.max() == 255
    _, _, width, height = cv2.boundingRect((image > 110).astype(np.uint8))
    assert height == pytest.approx(20, abs=1)
    assert width < 8
