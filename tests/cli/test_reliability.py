"""`lenet evaluate` tells how far a network can be trusted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lenet.data.idx import write_idx
from lenet.data.imageset import ImageSet
from lenet.images.corruptions import CORRUPTIONS

Lenet = Callable[..., Any]
OURS = {"calibration_error", "risk_coverage_area", "reject_rates", "corruptions", "corruptions_mean"}


@pytest.fixture
def data(digits_test: ImageSet, tmp_path: Path) -> Path:
    """The 360 digits as a folder of IDX files."""
    folder = tmp_path / "digits-idx"
    folder.mkdir()
    write_idx(folder / "t10k-images-idx3-ubyte", digits_test.images[:, 0])
    write_idx(folder / "t10k-labels-idx1-ubyte", digits_test.labels.byte())
    return folder


def test_for_programs(lenet: Lenet, data: Path):
    command = ("evaluate", "mnist", "--data", data, "--json")
    plain = lenet(*command).json
    full = lenet(*command, "--risk-coverage", "--corruptions").json
    assert OURS & set(plain) == {"calibration_error"}
    assert set(full) == set(plain) | OURS
    assert {key: full[key] for key in plain} == plain
    assert list(full["corruptions"]) == ["identity", *CORRUPTIONS]
    assert full["corruptions"]["identity"] == plain["accuracy"]
    assert [row["max_error"] for row in full["reject_rates"]] == [0.01, 0.005, 0.001]


def test_for_people(lenet: Lenet, data: Path, workplace: Path):
    done = lenet("evaluate", "mnist", "--data", data, "--risk-coverage", "--corruptions", "--out", "figures")
    assert (done.code, done.err) == (0, "")
    for words in ("calibration error", "at most wrong", "risk-coverage curve", "canny_edges", "mean of the"):
        assert words in done.out
    names = ["confusion.png", "corruptions.png", "hardest.png", "reliability.png"]
    assert sorted(path.name for path in (workplace / "figures").iterdir()) == names
    for name in names:
        with Image.open(workplace / "figures" / name) as picture:
            assert min(picture.size) > 100


def test_published_files_are_taken_as_they_are(lenet: Lenet, digits_test: ImageSet, tmp_path: Path):
    folder = tmp_path / "mnist_c"
    images = digits_test.images[:40, 0, :, :, None].numpy()
    for name in ("identity", *CORRUPTIONS):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "test_images.npy", images if name != "zigzag" else 255 - images)
        np.save(folder / name / "test_labels.npy", digits_test.labels[:40].numpy())
    values = lenet("evaluate", "mnist", "--corruptions", "--data", folder, "--json").json
    accuracies = values["corruptions"]
    assert values["count"] == 40
    assert len({accuracies[name] for name in accuracies if name != "zigzag"}) == 1
    assert accuracies["zigzag"] < accuracies["fog"] == values["accuracy"]
    (folder / "fog" / "test_images.npy").write_bytes(b"no such thing")
    done = lenet("evaluate", "mnist", "--corruptions", "--data", folder)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "fog" in done.err


def test_images_of_another_size_are_refused(lenet: Lenet, bars_folder: Path, workplace: Path):
    trained = lenet("train", "quick", "--data", bars_folder, "--epochs", 1, "--quiet", "--json").json
    done = lenet("evaluate", trained["run"], "--corruptions")
    assert done.code == 2
    assert "(N, 1, 28, 28)" in done.err
    assert lenet("evaluate", trained["run"], "--risk-coverage").code == 0
