"""What hands are made of in these tests: small images, with and without a typeface."""

from pathlib import Path

import matplotlib
import pytest

from lenet.data.datasets import load_digits
from lenet.synthesis.font_glyphs import Typeface
from lenet.synthesis.hands import Material, gather_material

DEJAVU = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")  # every machine has it


@pytest.fixture(scope="session", params=[False, True], ids=["no typeface", "typeface"])
def material(request: pytest.FixtureRequest) -> Material:
    """scikit-learn's digits, alone and with a typeface."""
    images, labels = load_digits()
    typefaces = [Typeface(DEJAVU.read_bytes(), "DejaVu")] if request.param else []
    return gather_material(images[:, 0].numpy(), labels.numpy(), typefaces)
