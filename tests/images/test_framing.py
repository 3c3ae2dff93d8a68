"""Whatever is drawn comes out as large, as central and as bold as a digit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lenet.images.framing import EDGE, frame_digits


@given(
    top=st.integers(0, 40),
    left=st.integers(0, 60),
    height=st.integers(10, 40),
    width=st.integers(10, 40),
    pen=st.integers(2, 4),
)
@settings(deadline=None, max_examples=60)
def test_a_frame_of_any_place_and_size(top: int, left: int, height: int, width: int, pen: int) -> None:
    canvas = torch.zeros(1, 1, 80, 100)
    canvas[0, 0, top : top + height, left : left + width] = 1
    canvas[0, 0, top + pen : top + height - pen, left + pen : left + width - pen] = 0
    image = frame_digits(canvas)[0, 0].numpy() / 255
    rows, columns = np.nonzero(image > EDGE)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(20, abs=5)  # its pen may have changed
    assert (np.ptp(rows) + 1) / (np.ptp(columns) + 1) == pytest.approx(height / width, rel=0.5)
    assert ndimage.center_of_mass(image) == pytest.approx((14, 14), abs=0.3)


@pytest.mark.parametrize("pen", [2, 6, 12, 16])
def test_strokes_become_as_wide_as_those_of_digits(pen: int) -> None:
    canvas = torch.zeros(1, 1, 96, 96)
    canvas[0, 0, 10:86, 40 : 40 + pen] = 1
    row = frame_digits(canvas)[0, 0, 14] / 255
    assert 1.5 <= row.sum() <= 4.5


def test_each_of_a_batch_as_if_it_were_alone() -> None:
    canvas = (torch.rand(5, 1, 40, 40, generator=torch.Generator().manual_seed(0)) > 0.9).float()
    together = frame_digits(canvas, (20, 24))
    assert together.shape == (5, 1, 20, 24)
    alone = torch.cat([frame_digits(drawing[None], (20, 24)) for drawing in canvas])
    assert torch.equal(together, alone)


def test_blank_stays_blank() -> None:
    assert not frame_digits(torch.zeros(2, 1, 50, 60)).any()
    assert frame_digits(torch.zeros(0, 1, 50, 60)).shape == (0, 1, 28, 28)
