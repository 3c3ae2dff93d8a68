"""Which pixels raise a class's logit, and which lower it: gradient, gradient times input, occlusion.

All three are in logits, so that they can be compared: what a pixel, or a patch, adds to the class's logit.
For a linear network, gradient times input and occlusion by single pixels are the same.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lenet.models.network import LeNet
from lenet.phrases import Phrase
from lenet.training.evaluation import compute_logits

MAX_PLACES = 40  # a side, where a patch is put; beyond that it moves by more than a pixel


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each pixel adds to the logits of the predicted class and of a rival.

    Each map is float (2, H, W): the class's, the rival's.
    """

    predicted: int
    rival: int
    probabilities: Tensor
    """float (classes,)."""
    gradient: Tensor
    """Of the logit, by the pixel in 0..1: what a little more ink there would add (Simonyan et al. 2013)."""
    contribution: Tensor
    """Gradient times pixel: what the ink that is there adds, as far as the network is linear."""
    occlusion: Tensor
    """By how much the logit falls when a patch around the pixel is covered (Zeiler and Fergus 2014)."""

    @property
    def methods(self) -> dict[str, Tensor]:
        """By what each method measures, float (3, H, W): for the class, for the rival, their difference."""
        maps = {
            Phrase("gradient:\nmore ink here would add"): self.gradient,
            Phrase("gradient × ink:\nthe ink here adds"): self.contribution,
            Phrase("occlusion:\na cover here takes away"): self.occlusion,
        }
        return {name: torch.cat([both, both[:1] - both[1:]]) for name, both in maps.items()}


def compute_attribution(model: LeNet, image: Tensor, rival: int | None = None, patch: int = 5) -> Attribution:
    """The attribution of `image`, uint8 (1, H, W), to its class and to `rival`, by default the runner-up.

    `patch` is the side, in pixels, of what covers a part of the image with background.
    """
    logits = compute_logits(model, image[None])
    order = logits[0].argsort(descending=True, stable=True).tolist()
    predicted = order[0]
    if rival is None or rival == predicted:
        rival = order[1]
    classes = [predicted, rival]
    gradient = compute_gradient(model, image, classes)
    return Attribution(
        predicted=predicted,
        rival=rival,
        probabilities=model.as_probabilities(logits)[0],
        gradient=gradient,
        contribution=gradient * (image / 255),
        occlusion=occlude(model, image, patch)[classes],
    )


def compute_gradient(model: LeNet, image: Tensor, classes: list[int]) -> Tensor:
    """The gradient of the logits of `classes` by the pixels, 0..1, of `image`, uint8 (1, H, W).

    Returns (len(classes), H, W).
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.enable_grad():
            pixels = (image / 255).to(device).repeat(len(classes), 1, 1, 1).requires_grad_()
            # Images do not touch each other, so one sum gives each its own class's gradient.
            chosen = model(pixels)[range(len(classes)), classes].sum()
            (gradient,) = torch.autograd.grad(chosen, pixels)
            return gradient[:, 0].cpu()
    finally:
        model.train(was_training)


def occlude(model: LeNet, image: Tensor, patch: int = 5) -> Tensor:
    """How far every logit falls when a square of `patch` pixels around each pixel is covered.

    `image` is uint8 (1, H, W) and is covered with background, 0. Returns (classes, H, W); in large images
    neighbouring pixels share a patch.
    """
    height, width = image.shape[1:]
    step = -(-max(height, width) // MAX_PLACES)
    uncovered = compute_logits(model, image[None])
    before = patch // 2
    rows = []
    for row in range(step // 2, height + step // 2, step):
        places = range(step // 2, width + step // 2, step)
        covered = image.repeat(len(places), 1, 1, 1)
        top, bottom = max(row - before, 0), row - before + patch
        for number, column in enumerate(places):
            covered[number, 0, top:bottom, max(column - before, 0) : column - before + patch] = 0
        rows.append(uncovered - compute_logits(model, covered))  # (places, classes)
    maps = torch.stack(rows).permute(2, 0, 1)  # (classes, rows, places)
    return maps.repeat_interleave(step, 1).repeat_interleave(step, 2)[:, :height, :width]
