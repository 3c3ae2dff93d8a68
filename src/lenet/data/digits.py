"""The digits that come with scikit-learn, brought into the form of MNIST.

1,797 digits written by 43 people (Alpaydin and Kaynak 1998; UCI, CC BY 4.0): the original 32×32 bitmaps
were divided into blocks of 4×4, and each of the 8×8 values counts the ink of its block, 0..16.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SIDE = 28
_BOX = 20


def load_digits() -> tuple[Tensor, Tensor]:
    """All 1,797 digits: images uint8 (1797, 1, 28, 28), white on black, and labels int64 (1797,)."""
    # Takes a second to import, and only this data set needs it.
    from sklearn.datasets import load_digits as load_bundled

    bundled = load_bundled()
    images = np.stack([enlarge(blocks) for blocks in bundled.images])
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(bundled.target.astype(np.int64))


def enlarge(blocks: np.ndarray) -> np.ndarray:
    """Bring one 8×8 digit (0..16) to a 28×28 image (uint8), made as MNIST's are.

    As in LeCun et al. 1998, section III.A, the digit fills a box of 20×20 pixels in grey levels and lies with
    its centre of mass in the middle of the image.
    """
    small = Image.fromarray((blocks / 16).astype(np.float32))
    box = np.clip(np.asarray(small.resize((_BOX, _BOX), Image.Resampling.BICUBIC)), 0, 1)
    image = np.zeros((SIDE, SIDE), dtype=np.uint8)
    top, left = (_start(box.sum(axis=axis)) for axis in (1, 0))
    image[top : top + _BOX, left : left + _BOX] = np.rint(box * 255)
    return image


def _start(profile: np.ndarray) -> int:
    """Where the box must begin along one axis for its centre of mass to come to the middle."""
    centre = float(profile @ np.arange(_BOX) / profile.sum())
    return min(max(round((SIDE - 1) / 2 - centre), 0), SIDE - _BOX)
