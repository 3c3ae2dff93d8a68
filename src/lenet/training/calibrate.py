"""The last touch to a trained network: probabilities that fit held-out images, and what rejection costs."""

import torch
from torch import nn

from lenet.data.datasets import ImageSet
from lenet.models.calibration import find_temperature
from lenet.models.checkpoint import Checkpoint
from lenet.models.rejection import figure_rejection
from lenet.training.evaluate import compute_logits


def calibrate(checkpoint: Checkpoint, validation: ImageSet) -> Checkpoint:
    """The same network with calibrated probabilities; its card holds `temperature` and `rejection`.

    The temperature is divided out of the last layer's weights and biases, so what uses the network need not
    know of it; no answer changes. `checkpoint` is changed in place. `validation` are images that it was not
    trained on.
    """
    model = checkpoint.model
    logits = compute_logits(model, validation.images)
    temperature = find_temperature(model.with_background(logits), validation.labels)
    last = [layer for layer in model.children() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.div_(temperature)
    probabilities = model.as_probabilities(compute_logits(model, validation.images))
    rejection = figure_rejection(probabilities, validation.labels)
    return Checkpoint(model, checkpoint.card | {"temperature": temperature, "rejection": rejection})
