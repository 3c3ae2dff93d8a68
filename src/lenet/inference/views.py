"""Several looks at each crop: as it is, leaning either way, turned either way; their mean decides.

Writers lean and turn in ways that training has seen less of than of upright digits. What a crop is taken for
from all sides is more often right than what it is taken for from one, at the price of a larger batch.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from lenet.models.network import LeNet

LEAN = 0.25  # of the height: how far the top moves against the middle, twice
TURN = math.radians(8)
VIEWS = torch.tensor(
    [
        [[1, 0, 0], [0, 1, 0]],
        *([[1, lean, 0], [0, 1, 0]] for lean in (-LEAN, LEAN)),
        *(
            [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0]]
            for turn in (-TURN, TURN)
        ),
    ]
)  # (views, 2, 3): where each pixel is taken from, with the middle at 0 and the sides at -1 and 1


def average_views(model: LeNet, images: Tensor) -> Tensor:
    """The probabilities (N, classes) of uint8 images (N, 1, H, W), averaged over all views of each."""
    pixels = images.float() / 255
    every = pixels.repeat(len(VIEWS), 1, 1, 1)  # (views · N, 1, H, W)
    places = VIEWS.to(images.device).repeat_interleave(len(images), dim=0)
    grid = functional.affine_grid(places, list(every.shape), align_corners=False)
    every = functional.grid_sample(every, grid, align_corners=False)
    every[: len(images)] = pixels  # resampling would leave it the same to rounding only
    return model.probabilities(every).view(len(VIEWS), len(images), -1).mean(dim=0)
