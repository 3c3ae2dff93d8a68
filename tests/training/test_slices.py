"""Batches in slices: the gradients of the whole batch, whoever computes which slice."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lenet.data.imageset import ImageSet
from lenet.errors import RecipeError, RunError
from lenet.synthesis.distortions import Distortions
from lenet.training.batches import gather_images, make_batch, open_streams
from lenet.training.loop import Epoch, step, train_steps
from lenet.training.optimisation import weigh_classes
from lenet.training.plan import Plan
from lenet.training.process_group import ALONE, ProcessGroup
from lenet.training.recipe import Recipe
from lenet.training.recipes import find_recipe
from lenet.training.slices import SlicedBatches, add_in_pairs, check_slices
from lenet.training.start import make_model, start
from lenet.training.targets import soften_targets

CPU = torch.device("cpu")


class Partners(ProcessGroup):
    """A group whose processes are computed one after the other: the others' tensors are put in by hand."""

    def gather(self, tensor: Tensor) -> Tensor:
        return tensor[None]


def differentiate(
    data: ImageSet, recipe: Recipe, indices: Tensor, group: ProcessGroup
) -> tuple[Any, Tensor, Tensor, int]:
    """The network with its gradients, the loss, the right answers and the examples of one batch."""
    recipe = replace(recipe, model=replace(recipe.model, classes=len(data.classes)))
    material = gather_images(data, recipe, 0)
    state = start(make_model(recipe, 0), recipe)
    sliced = SlicedBatches(group, material, recipe, 0, weigh_classes(recipe, material.labels))
    sliced.begin_epoch(1, CPU)
    streams = open_streams(len(material.labels), recipe, 0, 1, CPU)
    return state.model, *sliced.differentiate(state.model, state.teachers, indices, streams, 1)


def expect_whole_batch(
    data: ImageSet, recipe: Recipe, indices: Tensor, model: Any, loss: Tensor, right: Tensor, examples: int
) -> None:
    """Compare what the slices gave with one step on the whole batch, to rounding."""
    recipe = replace(recipe, lr=1e-9, clip_norm=0.0)
    state = start(make_model(recipe, 0), recipe)
    material = gather_images(data, recipe, 0)
    images, labels = make_batch(material, indices, recipe, open_streams(len(data), recipe, 0, 1, CPU))
    targets = labels
    if state.teachers:
        targets, labels = soften_targets(state.teachers, images, labels, recipe.distillation)
    whole, logits = step(state, images, targets, recipe, 1e-9, weigh_classes(recipe, material.labels))
    assert examples == len(labels)
    assert right == (logits.argmax(dim=1) == labels).sum()
    assert loss.item() == pytest.approx(whole.item(), rel=1e-5)
    for sliced, plain in zip(model.parameters(), state.model.parameters(), strict=True):
        torch.testing.assert_close(sliced.grad, plain.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", [64, 27, 5])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"label_smoothing": 0.1, "class_weights": (1.0, 5.0, 0.2)},
        {"loss": "mean-squared-error", "class_weights": (1.0, 5.0, 0.2)},
        {"loss": "bipolar-squared-error", "class_weights": (1.0, 5.0, 0.2)},
        {"reject_class": True, "negatives": 0.3, "class_weights": "balanced"},
    ],
    ids=["plain", "weights", "mean-squared-error", "bipolar-squared-error", "negatives"],
)
def test_the_gradients_are_those_of_the_whole_batch(
    bars: ImageSet, recipe: Recipe, changes: dict[str, Any], count: int
):
    """The divisor of a weighted mean belongs to the batch; a slice may be empty."""
    recipe = replace(recipe.override(changes), batch_size=count, lr=1e-9)
    indices = torch.randperm(len(bars), generator=torch.Generator().manual_seed(1))[:count]
    model, loss, right, examples = differentiate(bars, recipe, indices, ALONE)

    expect_whole_batch(bars, recipe, indices, model, loss, right, examples)


def test_rehearsed_images_are_taught_by_the_initial_network(digits: ImageSet):
    """Targets are probabilities then, and the mean is over the examples, whatever their classes weigh."""
    adapt = find_recipe("adapt")
    recipe = replace(adapt, rehearsal=1.0, class_weights=(3.0, *[1.0] * 9), distortions=Distortions())
    indices = torch.arange(20)
    expect_whole_batch(digits, recipe, indices, *differentiate(digits, recipe, indices, ALONE))


@pytest.mark.parametrize("size", [2, 4, 8])
def test_processes_add_up_what_one_process_adds_up(bars: ImageSet, varied: Recipe, size: int):
    """With everything random on: a slice depends on no other, and the pairs are the same."""
    indices = torch.arange(61)
    alone, *figures = differentiate(bars, varied, indices, ALONE)
    parts = []
    for rank in range(size):
        model, *sums, _ = differentiate(bars, varied, indices, Partners(size, rank))
        parts.append(torch.cat([*(p.grad.flatten() for p in model.parameters()), torch.stack(sums)]))
    total = add_in_pairs(torch.stack(parts))
    expected = [*(p.grad.flatten() for p in alone.parameters()), torch.stack(figures[:2])]
    assert torch.equal(total, torch.cat(expected))
    assert not torch.equal(parts[0], parts[1])


def test_slices_are_distorted_each_in_its_own_way(bars: ImageSet, recipe: Recipe):
    """Eight equal slices would otherwise get eight times the same distortion."""
    recipe = recipe.override({"degrees": 20.0})
    sliced = SlicedBatches(ALONE, gather_images(bars, recipe, 0), recipe, 0, None)
    sliced.begin_epoch(1, CPU)
    first = {part: torch.rand(4, generator=stream) for part, stream in sliced.distortions.items()}
    assert len({tuple(values.tolist()) for values in first.values()}) == 8
    sliced.begin_epoch(2, CPU)
    again = torch.rand(4, generator=sliced.distortions[0])
    assert not torch.equal(again, first[0])
    sliced.begin_epoch(1, CPU)
    assert torch.equal(torch.rand(4, generator=sliced.distortions[0]), first[0])


def test_a_training_in_slices_learns(bars: ImageSet, recipe: Recipe):
    figures = []
    for is_sliced in (False, True):
        state = start(make_model(recipe, 0), recipe)
        records = train_steps(state, bars, replace(recipe, epochs=8), seed=0, test=bars, is_sliced=is_sliced)
        figures.append([record for record in records if isinstance(record, Epoch)][-1])
    assert figures[1].test_accuracy == pytest.approx(figures[0].test_accuracy, abs=0.05)
    assert figures[1].train_loss == pytest.approx(figures[0].train_loss, rel=0.05)


def test_who_may_share_a_batch(recipe: Recipe, make: Callable[..., Plan]):
    for size in (1, 2, 4, 8):
        check_slices(8, ProcessGroup(size))
    check_slices(1, ALONE)
    with pytest.raises(RunError, match="3 processes cannot share 8 slices"):
        check_slices(8, ProcessGroup(3))
    with pytest.raises(RunError, match="begun without slices, which 2 processes need"):
        check_slices(1, ProcessGroup(2))
    for wrong in (0, 4, True, "8"):
        with pytest.raises(RecipeError, match="it must be 1 or 8"):
            make(slices=wrong)


def test_images_that_are_steps_of_their_own_cannot_be_shared(make: Callable[..., Plan]):
    with pytest.raises(RecipeError, match="leave torchrun out"):
        make(recipe=find_recipe("lenet5-1998"), slices=8)


@pytest.fixture
def make(recipe: Recipe) -> Callable[..., Plan]:
    usual = {"recipe": recipe, "seed": 0, "device": "cpu", "threads": 1, "data_sha256": "hash"}
    return lambda **changes: Plan(**{**usual, **changes})


def test_a_plan_mentions_slices_only_where_there_are_some(make: Callable[..., Plan]):
    assert "slices" not in make().to_dict()
    assert make(slices=8).to_dict()["slices"] == 8
