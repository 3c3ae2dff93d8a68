"""Local contrast normalisation: each pixel against those around it, whatever the light and the paper.

After Jarrett, Kavukcuoglu, Ranzato and LeCun 2009, "What is the best multi-stage architecture for object
recognition?", section 2: subtractive, then divisive, by a Gaussian neighbourhood.
"""

from functools import lru_cache

import torch
from torch import Tensor

MIN_CONTRAST = 0.1  # standard deviation of pixels 0..1 around: what is flatter is paper and stays flat


def normalise_contrast(pixels: Tensor, deviation: float) -> Tensor:
    """How far each pixel is from the mean around it, in standard deviations around it.

    Args:
        pixels: floats (N, 1, H, W), 0 to 1.
        deviation: of the Gaussian that says what is around, in pixels.

    Returns:
        Floats (N, 1, H, W); the same to rounding for pixels with anything added, and, where there is
        contrast enough, for pixels times anything.
    """
    down, across = (gaussian_weights_of_side(side, deviation).to(pixels) for side in pixels.shape[2:])
    difference = pixels - down @ pixels @ across.T
    spread = (down @ difference.square() @ across.T).clamp(min=MIN_CONTRAST**2).sqrt()
    return difference / spread


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept must also serve where gradients are wanted
def gaussian_weights_of_side(side: int, deviation: float) -> Tensor:
    """The weight of each place along a side in the mean around each: (side, side), rows add up to 1.

    Beyond the ends everything is as at the ends.
    """
    places = torch.arange(side, dtype=torch.float64)
    reach = torch.arange(-side, 2 * side, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((places[:, None] - reach) / deviation) ** 2)  # (side, 3 · side)
    weights /= weights.sum(dim=1, keepdim=True)
    inner = weights[:, side : 2 * side].clone()
    inner[:, 0] += weights[:, :side].sum(dim=1)
    inner[:, -1] += weights[:, 2 * side :].sum(dim=1)
    return inner.float()
