"""A batch in eight slices, so that any number of processes ends with the same bits.

Floating-point sums depend on their order. Here the order is fixed: the gradient of each slice is computed by
itself, with random distortions and dropout of its own, and the eight are added in pairs, neighbours first:

    ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))

With 1, 2, 4 or 8 processes each one computes neighbouring slices and adds them up; the sums are gathered, and
every process adds them in the same pairs. The divisor of the mean belongs to the whole batch, and so does
everything that follows: clipping, the optimiser's step, the average of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lenet.errors import RunError
from lenet.models.adapter import Network, draws_at_random
from lenet.training.batches import EpochStreams, TrainingImages, choose_examples, distort_images
from lenet.training.optimisation import measure_loss
from lenet.training.plan import SLICES
from lenet.training.process_group import ProcessGroup
from lenet.training.randomness import random_stream, seeded_dropout
from lenet.training.recipe import Recipe
from lenet.training.targets import soften_targets


@dataclass(eq=False)
class SlicedBatches:
    """Computes gradients of batches, each process those of its slices."""

    group: ProcessGroup
    material: TrainingImages
    recipe: Recipe
    seed: int
    weights: Tensor | None
    """Of each class in the loss, (classes,)."""
    epoch: int = 0
    distortions: dict[int, torch.Generator] = field(default_factory=dict)
    """Of this process's slices."""

    def begin_epoch(self, epoch: int, device: torch.device) -> None:
        """Open the random streams of this process's slices."""
        share = SLICES // self.group.size
        own = range(self.group.rank * share, (self.group.rank + 1) * share)
        self.epoch = epoch
        self.distortions = {
            part: random_stream(self.seed, f"distortions of slice {part}", epoch, device=device)
            for part in own
        }

    def differentiate(
        self, model: Network, teachers: Sequence[Network], indices: Tensor, streams: EpochStreams, step: int
    ) -> tuple[Tensor, Tensor, int]:
        """Leave the gradients of a batch's loss in the network, the same in every process.

        Returns the loss, the number of right answers and the number of examples. Raises RunError when
        another process has ended.
        """
        places, labels = choose_examples(self.material, indices, self.recipe, streams)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        sizes = [*(parameter.numel() for parameter in parameters), 1, 1]  # the loss, right answers
        sums = torch.zeros(len(self.distortions), sum(sizes), device=places.device)
        total_weight = self._weigh(labels, teachers)
        chosen, meant = places.tensor_split(SLICES), labels.tensor_split(SLICES)
        is_random = draws_at_random(model)
        for row, (part, stream) in zip(sums, self.distortions.items(), strict=True):
            if not len(chosen[part]):  # of a batch of fewer than eight
                continue
            images = distort_images(self.material.gather(chosen[part]), self.recipe, stream)
            targets = right = meant[part]
            if teachers:
                targets, right = soften_targets(teachers, images, right, self.recipe.distillation)
            purpose = f"dropout of slice {part}"
            with seeded_dropout(is_random, self.seed, self.epoch, step, places.device, purpose):
                logits = model.with_reject_logit(model(images))
            mean = measure_loss(logits, targets, self.recipe.loss, self.recipe.label_smoothing, self.weights)
            loss = mean * (self._weigh(meant[part], teachers) / total_weight)
            gradients = torch.autograd.grad(loss, parameters)
            count = (logits.argmax(dim=1) == right).sum()
            torch.cat([v.flatten() for v in (*gradients, loss.detach(), count.to(loss))], out=row)
        total = add_in_pairs(self.group.gather(add_in_pairs(sums)))
        for parameter, piece in zip(parameters, total.split(sizes), strict=False):
            parameter.grad = piece.view_as(parameter)
        return total[-2], total[-1], len(labels)

    def _weigh(self, labels: Tensor, teachers: Sequence[Network]) -> Tensor | float:
        """The divisor of the mean loss: the weights of the examples, added up."""
        # The mean over targets that are probabilities, as teachers give them, is over the examples.
        if self.weights is None or teachers:
            return float(len(labels))
        return self.weights[labels].sum()


def add_in_pairs(rows: Tensor) -> Tensor:
    """The sum of 1, 2, 4 or 8 rows (n, …): neighbours first, so that part sums may be computed elsewhere."""
    while len(rows) > 1:
        rows = rows[0::2] + rows[1::2]
    return rows[0]


def check_slices(slices: int, group: ProcessGroup) -> None:
    """Raise RunError where the processes cannot share the slices of a run's batches evenly."""
    if slices % group.size:
        if slices == 1:
            raise RunError(
                f"the run was begun without slices, which {group.size} processes need; leave torchrun out"
            )
        raise RunError(
            f"{group.size} processes cannot share {slices} slices of a batch evenly; start 1, 2, 4 or 8"
        )
