"""Strips: one height for all writing, level, with full ink, and a map back to the picture that is exact."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet.images.strips import (
    MARGIN,
    MAX_COLUMNS,
    MAX_EXTENT,
    ROWS,
    TEXT_HEIGHT,
    Strip,
    cut_strip,
    stack_strips,
    weighted_median,
)
from lenet.models import line_config


def draw_row(height: int, count: int, strength: float = 1.0) -> np.ndarray:
    """A row of upright strokes on a plane of contrast, `height` pixels high and half as far apart."""
    plane = np.zeros((3 * height, (count + 3) * height // 2), np.float32)
    for number in range(count):
        left = height + number * height // 2
        plane[height : 2 * height, left : left + max(2, height // 8)] = strength
    return plane


def cut(plane: np.ndarray, height: float, slope: float = 0.0) -> Strip:
    """The strip of all that is on the plane."""
    left, top, width, high = cv2.boundingRect((plane > 0.1).view(np.uint8))
    rows, columns = slice(top, top + high), slice(left, left + width)
    return cut_strip(plane, plane[rows, columns] > 0.1, rows, columns, height, slope)


def map_points(strip: Strip, points: np.ndarray) -> np.ndarray:
    return points @ strip.matrix[:, :2].T + strip.matrix[:, 2]


@pytest.mark.parametrize("height", [10, 20, 33, 80, 200])
def test_writing_of_any_size_gets_one_height(height: int) -> None:
    strip = cut(draw_row(height, 5), height).image
    assert strip.dtype == np.uint8
    assert len(strip) == ROWS
    rows, columns = (np.flatnonzero((strip > 127).any(axis=axis)) for axis in (1, 0))
    assert abs(np.ptp(rows) + 1 - TEXT_HEIGHT) <= 1
    assert abs((rows[0] + rows[-1] + 1) / 2 - ROWS / 2) <= 1
    assert abs(columns[0] - MARGIN) <= 1
    assert abs(strip.shape[1] - 1 - columns[-1] - MARGIN) <= 2


def test_sizes_of_one_drawing_give_like_strips() -> None:
    small, large = (cut(draw_row(height, 5), height).image.astype(float) for height in (40, 160))
    assert abs(small.shape[1] - large.shape[1]) <= 1
    width = min(small.shape[1], large.shape[1])
    assert np.abs(small[:, :width] - large[:, :width]).mean() < 12


def test_tall_and_long_lines_are_made_to_fit() -> None:
    plane = draw_row(40, 3)
    plane[5:115, 50:54] = 1  # a stroke of nearly three heights
    tall = cut(plane, 40).image
    assert abs(np.ptp(np.flatnonzero((tall > 127).any(axis=1))) + 1 - MAX_EXTENT) <= 1
    assert cut(draw_row(20, 300), 20).image.shape[1] <= MAX_COLUMNS


@pytest.mark.parametrize("strength", [0.1, 0.3, 1.0])
def test_faint_and_full_ink_come_out_alike(strength: float) -> None:
    plane = draw_row(40, 4, strength)
    rows, columns = slice(40, 80), slice(40, 105)
    strip = cut_strip(plane, plane[rows, columns] > 0, rows, columns, 40).image
    assert strip.max() == 255
    assert (strip[ROWS // 2] > 200).sum() >= 4
    assert strip[:, :MARGIN].max() == 0


def test_without_any_ink_a_strip_is_blank() -> None:
    plane = np.zeros((30, 30), np.float32)
    strip = cut_strip(plane, np.ones((10, 10), np.bool_), slice(5, 15), slice(5, 15), 10)
    assert not strip.image.any()


@pytest.mark.parametrize("degrees", [-30, -12, 12, 30])
def test_turned_lines_come_out_level(degrees: float) -> None:
    plane = np.pad(draw_row(40, 8), 80)
    middle = (plane.shape[1] / 2, plane.shape[0] / 2)
    matrix = cv2.getRotationMatrix2D(middle, degrees, 1)
    turned = cv2.warpAffine(plane, matrix, plane.shape[::-1])
    strip = cut(turned, 40, -math.tan(math.radians(degrees))).image
    ink = strip > 127
    tops = [np.flatnonzero(column)[0] for column in ink.T if column.any()]
    assert max(tops) - min(tops) <= 2
    assert abs(np.ptp(np.flatnonzero(ink.any(axis=1))) + 1 - TEXT_HEIGHT) <= 2


@given(st.integers(8, 90), st.integers(1, 6), st.floats(-0.6, 0.6))
@settings(max_examples=40, deadline=None)
def test_the_map_goes_back_to_the_pixels_that_a_strip_shows(height: int, count: int, slope: float) -> None:
    plane = draw_row(height, count)
    strip = cut(plane, height, slope)
    matrix = strip.matrix[:, :2]
    scale = 1 / math.hypot(*matrix[:, 0])
    np.testing.assert_allclose(matrix.T @ matrix * scale**2, np.eye(2), atol=1e-9)  # turned and scaled
    assert math.atan2(matrix[1, 0], matrix[0, 0]) == pytest.approx(math.atan(slope))
    rows, columns = np.nonzero(strip.image > 127)
    x, y = map_points(strip, np.column_stack([columns, rows]) + 0.5).T
    reach = 1.5 / scale + 1
    inked = cv2.dilate(plane, np.ones((2 * round(reach) + 1,) * 2, np.uint8))
    inside = (x >= 0) & (y >= 0) & (x < plane.shape[1]) & (y < plane.shape[0])
    assert inside.all()
    assert (inked[y.astype(int), x.astype(int)] > 0).all()
    corners = map_points(strip, np.array([[0, 0], [strip.image.shape[1], ROWS]]))
    ink_rows, ink_columns = np.nonzero(plane)
    turn = matrix * scale
    along = (np.column_stack([ink_columns, ink_rows]) + 0.5) @ turn
    middle = (along.min(axis=0) + along.max(axis=0)) / 2
    np.testing.assert_allclose(corners.mean(axis=0) @ turn, middle, atol=1)


def test_a_batch_is_its_strips_and_paper_on_the_right() -> None:
    strips = [np.full((ROWS, width), width, np.uint8) for width in (9, 16, 3)]
    batch = stack_strips(strips)
    assert batch.shape == (3, 1, ROWS, 16)
    for row, strip in zip(batch, strips, strict=True):
        assert np.array_equal(row[0, :, : strip.shape[1]], strip)
        assert not row[0, :, strip.shape[1] :].any()
    assert stack_strips(strips[:1], 32).shape == (1, 1, ROWS, 32)


def test_strips_are_as_high_as_the_line_network_wants_them():
    assert ROWS == line_config.ROWS


def test_the_weighted_median_counts_values_by_their_weights() -> None:
    heights, areas = np.array([3, 40, 44, 2]), np.array([9, 240, 230, 4])
    assert weighted_median(heights, areas) == 40
