"""The figures about trust are drawn whole, whatever there is to draw."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lenet.data.corrupted import corrupt_all
from lenet.data.imageset import ImageSet
from lenet.images.corruptions import CORRUPTIONS
from lenet.insight.plots.curves import draw_reliability
from lenet.insight.plots.figures import draw_corruptions
from lenet.training.evaluation import Robustness
from lenet.uncertainty.calibration import Reliability, bin_confidence
from lenet.uncertainty.risk import compute_risk


def make_reliability(count: int, sharpness: float) -> Reliability:
    generator = torch.Generator().manual_seed(count)
    probabilities = (sharpness * torch.randn(count, 10, generator=generator)).softmax(dim=1)
    labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    return Reliability(compute_risk(probabilities, labels), bin_confidence(probabilities, labels))


@pytest.mark.parametrize(("count", "sharpness"), [(1, 1.0), (14, 1.0), (2000, 8.0), (200, 1000.0)])
def test_any_number_of_images_is_drawn(tmp_path: Path, count: int, sharpness: float):
    draw_reliability(make_reliability(count, sharpness), tmp_path / "a.png", "runs/$x_$ on digits")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 1000
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (np.ptp(pixels, axis=2) > 60).sum() > 50  # a curve, and points
    assert (pixels[:, [0, -1]] == 255).all()  # nothing is cut off


def test_equal_figures_are_equal_files(tmp_path: Path):
    for name in ("a.png", "b.png"):
        draw_reliability(make_reliability(300, 5.0), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("count", [3, 20])
def test_the_sheet_has_a_row_for_each_corruption(digits_test: ImageSet, tmp_path: Path, count: int):
    corrupted = corrupt_all(digits_test.subset(torch.arange(count)))
    accuracies = dict.fromkeys(("identity", *CORRUPTIONS), 0.5)
    draw_corruptions(corrupted, Robustness(accuracies), tmp_path / "sheet.png", "mnist on digits")
    with Image.open(tmp_path / "sheet.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    gaps = (pixels == 255).all(axis=1)  # white from edge to edge, between the rows
    bands = np.flatnonzero(np.diff(gaps.astype(int)) == -1)
    assert len(bands) >= 16
