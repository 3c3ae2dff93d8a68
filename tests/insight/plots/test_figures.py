"""Figures are drawn whole, and show what they say."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lenet.data.imageset import ImageSet
from lenet.insight.plots import fonts
from lenet.insight.plots.curves import draw_curves
from lenet.insight.plots.figures import draw_confusion, draw_hardest, draw_sample, draw_steps
from lenet.insight.plots.fonts import find_fonts
from lenet.models.network import LeNet
from lenet.reading.reader import Reader
from lenet.training.evaluation import evaluate
from lenet.training.loop import train
from lenet.training.recipes import RECIPES
from lenet.training.start import make_model

WRONG, RIGHT = (201, 42, 42), (43, 138, 62)


@pytest.fixture(scope="module")
def model(digits: ImageSet) -> LeNet:
    recipe = RECIPES["quick"].override({"epochs": 2})
    network = make_model(recipe, 0)
    for _ in train(network, digits, recipe, device="cpu"):
        pass
    return network


def has_colour(path: Path, colour: tuple[int, int, int]) -> bool:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    return bool((pixels == colour).all(axis=1).any())


def test_a_sample_shows_errors_in_red(model: LeNet, digits_test: ImageSet, tmp_path: Path):
    with torch.no_grad():
        right = model.eval()(digits_test.images).argmax(1) == digits_test.labels
    good, bad = (torch.nonzero(mask).flatten()[:8] for mask in (right, ~right))
    assert draw_sample(model, digits_test, good, tmp_path / "good.png") == 0
    assert draw_sample(model, digits_test, bad, tmp_path / "bad.png") == len(bad)
    assert (has_colour(tmp_path / "good.png", WRONG), has_colour(tmp_path / "good.png", RIGHT)) == (
        False,
        True,
    )
    assert (has_colour(tmp_path / "bad.png", WRONG), has_colour(tmp_path / "bad.png", RIGHT)) == (True, False)


@pytest.mark.parametrize("count", [1, 9, 10, 11])
def test_any_number_of_images_makes_a_grid(model: LeNet, digits_test: ImageSet, tmp_path: Path, count: int):
    draw_sample(model, digits_test, torch.arange(count), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.width >= 110 * min(count, 10)


def test_an_evaluation_is_drawn(model: LeNet, digits_test: ImageSet, tmp_path: Path):
    evaluation = evaluate(model, digits_test, hardest=12)
    draw_confusion(evaluation, tmp_path / "new" / "confusion.png")
    draw_hardest(evaluation, digits_test, tmp_path / "new" / "hardest.png")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["confusion.png", "hardest.png"]
    assert has_colour(tmp_path / "new" / "hardest.png", WRONG)


def test_classes_with_long_names_have_room(bars: ImageSet, tmp_path: Path, small: Any):
    draw_confusion(evaluate(LeNet(small), bars), tmp_path / "confusion.png", "bars")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert min(picture.size) > 400


def test_captions_with_long_names_stay_in_their_columns(model: LeNet, digits_test: ImageSet, tmp_path: Path):
    names = tuple(f"Ankle boots, size {number}" for number in range(10))
    draw_sample(model, replace(digits_test, classes=names), torch.arange(30), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))[60:].astype(int)  # without the title
    between = (pixels.max(axis=2) > 100).all(axis=0).nonzero()[0]  # columns that no image reaches into
    coloured = np.ptp(pixels, axis=2) > 40
    edges = [place for place in between if 5 < place < pixels.shape[1] - 5]
    assert len(edges) >= 9
    assert not coloured[:, edges].any()


def test_words_are_words_whatever_signs_are_in_them(model: LeNet, digits_test: ImageSet, tmp_path: Path):
    names = tuple(f"${number}^{{ é" for number in range(10))  # half a formula
    data = replace(digits_test, classes=names)
    evaluation = evaluate(model, data, hardest=3)
    draw_confusion(evaluation, tmp_path / "confusion.png", "runs/$a_$b\\frac")
    draw_hardest(evaluation, data, tmp_path / "hardest.png")
    draw_sample(model, data, torch.arange(3), tmp_path / "sample.png")
    draw_steps(Reader("mnist").explain(np.eye(60) * 255)[1], tmp_path / "steps.png", "$x^{$.png")
    draw_curves([], tmp_path / "curves.png", "quick-$^{$-0")
    assert len(list(tmp_path.iterdir())) == 5


def test_chinese_names_are_drawn_in_a_font_that_has_them(model: LeNet, digits_test: ImageSet, tmp_path: Path):
    """No box, which a warning would tell: warnings are errors here. Tick labels are drawn as well."""
    if not find_fonts("数字零"):
        pytest.skip("no font with Chinese characters is installed")
    data = replace(digits_test, classes=tuple("零一二三四五六七八九"))
    draw_confusion(evaluate(model, data), tmp_path / "confusion.png", "数字")
    plain = replace(digits_test, classes=tuple("0123456789"))
    draw_confusion(evaluate(model, plain), tmp_path / "plain.png", "digits")
    assert (tmp_path / "confusion.png").read_bytes() != (tmp_path / "plain.png").read_bytes()


def test_codes_are_drawn_where_no_font_has_the_characters(
    model: LeNet, digits_test: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fonts, "find_fonts", lambda characters: [])
    data = replace(digits_test, classes=tuple("零一二三四五六七八九"))
    with pytest.warns(
        fonts.GlyphWarning, match=r"no font here has .*零.*, so a figure shows codes such as \\u"
    ) as told:
        draw_confusion(evaluate(model, data), tmp_path / "confusion.png", "数字")
    assert len(told) == 1
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_a_long_title_is_not_cut_off(model: LeNet, digits_test: ImageSet, tmp_path: Path):
    evaluation = evaluate(model, digits_test)
    draw_confusion(evaluation, tmp_path / "confusion.png", "a/long/path" * 20)
    with Image.open(tmp_path / "confusion.png") as picture:
        assert (np.asarray(picture.convert("L"))[:, [0, -1]] == 255).all()


def test_the_steps_of_reading_are_drawn(tmp_path: Path):
    page = np.full((80, 60), 240, dtype=np.uint8)
    page[20:60, 28:33] = 20
    _, steps = Reader("mnist").explain(page)
    draw_steps(steps, tmp_path / "steps.png", "a stroke")
    with Image.open(tmp_path / "steps.png") as picture:
        assert len(steps) == 8  # four beside each other: a page is wide enough for two rows
        assert 1000 <= picture.width <= 1200
        assert picture.height > 0.5 * picture.width


def test_equal_figures_are_equal_files(model: LeNet, digits_test: ImageSet, tmp_path: Path):
    for name in ("a.png", "b.png"):
        draw_sample(model, digits_test, torch.arange(5), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_full_disk_leaves_the_old_figure(
    model: LeNet, digits_test: ImageSet, tmp_path: Path, full_disk: Callable[[int], Any]
):
    path = tmp_path / "grid.png"
    draw_sample(model, digits_test, torch.arange(3), path)
    before = path.read_bytes()
    with full_disk(2000), pytest.raises(OSError, match="too large"):
        draw_sample(model, digits_test, torch.arange(9), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
