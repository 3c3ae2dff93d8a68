"""Photographs of a text: pictures of any paper in which the text stays where its boxes say."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenet.synthesis.hands import Material
from lenet.synthesis.paper import (
    ADDITIONS,
    Picture,
    add_print,
    draw_haze,
    draw_light,
    draw_pattern,
    expose,
    paste,
    photograph,
    scan,
    turn,
)
from lenet.synthesis.strings import KINDS, Box, Written, choose_text, write_string


def photograph_with_print(written: Written, rng: np.random.Generator, material: Material) -> Picture:
    return photograph(written, rng, material.typefaces)


def scan_cleanly(written: Written, rng: np.random.Generator, material: Material) -> Picture:
    return scan(written, rng)


@pytest.mark.parametrize("take", [photograph_with_print, scan_cleanly])
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(list(KINDS)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_picture_shows_its_text_and_depends_on_the_seed(
    take: Callable[[Written, np.random.Generator, Material], Picture],
    material: Material,
    seed: int,
    kind: str,
) -> None:
    pictures = []
    for _ in range(2):
        rng = np.random.default_rng(seed)
        written = write_string(choose_text(kind, rng), kind, material, rng)
        pictures.append((written, take(written, rng, material)))
    (written, picture), (_, same) = pictures
    assert picture.image.dtype == np.uint8
    assert picture.image.shape == picture.light.shape == picture.written.ink.shape
    assert np.array_equal(picture.image, same.image)
    assert picture.inverted == same.inverted
    assert picture.written.text == written.text
    assert [box.character for box in picture.written.boxes] == [box.character for box in written.boxes]
    assert picture.light.min() >= 0
    height, width = picture.image.shape
    for box in picture.written.boxes:
        assert 0 <= (box.left + box.right) / 2 <= width
        assert 0 <= (box.top + box.bottom) / 2 <= height


@pytest.mark.parametrize("take", [photograph_with_print, scan_cleanly])
def test_ink_is_darker_than_its_paper_or_lighter_where_inverted(
    take: Callable[[Written, np.random.Generator, Material], Picture], material: Material
) -> None:
    darker = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        picture = take(write_string("2607", "number", material, rng), rng, material)
        ink = picture.written.ink > 0.8
        paper = cv2.dilate((picture.written.ink > 0.05).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
        if ink.any() and paper.any():
            is_darker = picture.image[ink].mean() < picture.image[paper].mean()
            darker.append(is_darker != picture.inverted)
    assert len(darker) > 40
    assert np.mean(darker) > 0.9


@pytest.mark.parametrize("degrees", [-25, 10, 28])
def test_a_turn_takes_boxes_and_slope_along(degrees: float) -> None:
    ink = np.zeros((100, 300), np.float32)
    ink[40:60, 50:60] = ink[40:60, 240:250] = 1
    boxes = Box("1", 50, 40, 60, 60), Box("1", 240, 40, 250, 60)
    turned = turn(Written("number", ink, boxes, 20, 3), degrees)
    assert turned.ink.sum() == pytest.approx(ink.sum(), rel=0.02)
    for box in turned.boxes:
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        assert turned.ink[int(y), int(x)] > 0.9
    one, other = turned.boxes
    assert (other.top - one.top) / (other.left - one.left) == pytest.approx(turned.slope, abs=1e-6)
    assert turned.slope == pytest.approx(-math.tan(math.radians(degrees)))


@pytest.mark.parametrize("number", range(len(ADDITIONS)))
def test_additions_are_ink_beside_the_text(material: Material, number: int) -> None:
    _, add = ADDITIONS[number]
    for seed in range(8):
        rng = np.random.default_rng(seed)
        written = write_string("35", "number", material, rng)
        extra = np.zeros_like(written.ink)
        add(extra, written, rng)
        assert 0 <= extra.min() <= extra.max() <= 1.1
        assert (extra > 0.05).mean() < 0.7


def test_print_is_small_and_above_or_below(material: Material) -> None:
    if not material.typefaces:
        return
    rng = np.random.default_rng(0)
    written = write_string("35", "number", material, rng)
    extra = np.zeros((400, 400), np.float32)
    add_print(extra, written, rng, material.typefaces)
    assert extra.max() <= 1


@given(st.integers(0, 2**32), st.integers(3, 90), st.integers(3, 90))
@settings(max_examples=40, deadline=None)
def test_patterns_and_light_fit_any_picture(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    shape = height, width
    pattern, light, clouds = (
        draw_pattern(shape, rng),
        draw_light(shape, 20, rng),
        draw_haze(shape, 5, rng),
    )
    assert pattern.shape == light.shape == clouds.shape == shape
    assert 0 <= pattern.min() <= pattern.max() < 0.5
    assert 0 < light.min() <= light.max() < 1.3
    image, _ = expose(light * 0.7, 20, 0.5, rng)
    assert image.shape == shape
    assert image.dtype == np.uint8


@pytest.mark.parametrize(("left", "top", "sum_"), [(2, 3, 12), (-1, 3, 8), (8, 8, 4), (20, 0, 0), (0, -9, 0)])
def test_patches_are_cut_at_the_edges(left: int, top: int, sum_: int) -> None:
    plane = np.zeros((10, 10), np.float32)
    paste(plane, np.ones((4, 3), np.float32), left, top)
    assert plane.sum() == sum_
