"""Where the data sets of this machine are not seen: exports are compared on scikit-learn's digits."""

from collections.abc import Iterator

import pytest
import torch

from lenet.data.datasets import load_digits


@pytest.fixture(scope="module")
def no_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    nothing = str(tmp_path_factory.mktemp("nothing"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LENET_DATA", "LENET_CACHE"):
            patch.setenv(name, nothing)
        yield


@pytest.fixture(scope="session")
def all_digits() -> tuple[torch.Tensor, torch.Tensor]:
    """scikit-learn's 1,797 digits: images and labels."""
    return load_digits()
