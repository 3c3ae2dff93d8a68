"""The loop learns, repeats itself bit for bit, and does to the weights what its words say."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

import lenet
from lenet.data.imageset import ImageSet
from lenet.errors import DataError, DeviceError, DivergedError, ModelError, RecipeError
from lenet.models.config import Initialisation, LeNetConfig
from lenet.models.layers import ACTIVATION_KINDS, POOLING_KINDS
from lenet.models.network import LeNet
from lenet.synthesis.augmentation import augment
from lenet.synthesis.glyphs import draw_glyphs
from lenet.synthesis.negatives import draw_scribbles
from lenet.training.batches import gather_images, make_batch, open_streams
from lenet.training.loop import Epoch, Step, step, train, train_steps
from lenet.training.optimisation import learning_rate, measure_loss
from lenet.training.randomness import random_stream, sample_order
from lenet.training.recipe import Loss, Optimizer, Recipe, Schedule
from lenet.training.recipes import RECIPES
from lenet.training.start import hold_out_images, make_model, start


def learn(recipe: Recipe, data: ImageSet, seed: int = 0, **more: Any) -> tuple[LeNet, list[Epoch]]:
    model = make_model(recipe, seed)
    return model, list(train(model, data, recipe, seed=seed, device="cpu", **more))


def weights(model: LeNet) -> Tensor:
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def strip_times(epochs: list[Epoch]) -> list[Epoch]:
    return [replace(epoch, seconds=0, examples_per_second=0) for epoch in epochs]


def test_the_quick_recipe_learns_digits(digits: ImageSet, digits_test: ImageSet):
    recipe = replace(RECIPES["quick"], epochs=10)
    _, epochs = learn(recipe, digits, test=digits_test)
    assert epochs[-1].test_accuracy is not None
    assert epochs[-1].test_accuracy > 0.95
    assert [epoch.epoch for epoch in epochs] == list(range(1, 11))
    assert epochs[-1].train_loss < epochs[0].train_loss / 5


def test_one_seed_one_training(varied: Recipe, bars: ImageSet, more_bars: ImageSet):
    runs = [learn(varied, bars, seed, validation=more_bars) for seed in (4, 4, 5)]
    assert torch.equal(weights(runs[0][0]), weights(runs[1][0]))
    assert strip_times(runs[0][1]) == strip_times(runs[1][1])
    assert not torch.equal(weights(runs[0][0]), weights(runs[2][0]))


def test_training_neither_reads_nor_changes_the_random_state(varied: Recipe, bars: ImageSet):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first, _ = learn(varied, bars)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(2)
    second, _ = learn(varied, bars)
    assert torch.equal(weights(first), weights(second))


def test_the_network_given_counts_not_the_recipes(recipe: Recipe, small: LeNetConfig, bars: ImageSet):
    """Its dropout is seeded too, though the recipe's network has none."""
    model = make_model(recipe.override({"dropout": 0.5}), 0)
    twin = copy.deepcopy(model)
    before = torch.random.get_rng_state()
    assert list(train(model, bars, recipe, device="cpu"))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(77)
    assert list(train(twin, bars, recipe, device="cpu"))
    assert torch.equal(weights(model), weights(twin))
    ten = LeNet(replace(small, classes=10))
    with pytest.raises(DataError, match="bars has 3 classes, the network was made for 10"):
        next(train(ten, bars, recipe, device="cpu"))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_weights_are_those_of_a_loop_written_out(recipe: Recipe, bars: ImageSet, optimizer: Any):
    """The same training with torch's plain optimisers and schedulers, and no generator in sight."""
    recipe = replace(
        recipe, optimizer=optimizer, schedule="one-cycle", weight_decay=0.01, clip_norm=0.5,
        label_smoothing=0.1, momentum=0.9 if optimizer == "sgd" else 0.0,
    ).override({"degrees": 5.0})  # fmt: skip
    model, _ = learn(recipe, bars, seed=3)

    plain = make_model(recipe, 3)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    options = {"momentum": 0.9} if optimizer == "sgd" else {}
    stepper = kinds[optimizer](plain.parameters(), lr=recipe.lr, weight_decay=0.01, **options)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        stepper, recipe.lr, total_steps=3 * 5, cycle_momentum=False
    )
    for epoch in (1, 2, 3):
        order = sample_order(90, True, 3, epoch)
        generator = random_stream(3, "distortions", epoch)
        for indices in order.split(20):
            images = augment(bars.images[indices].float() / 255, recipe.distortions, generator)
            stepper.zero_grad()
            loss = torch.nn.functional.cross_entropy(plain(images), bars.labels[indices], label_smoothing=0.1)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
            stepper.step()
            scheduler.step() if scheduler.last_epoch < 14 else None
    torch.testing.assert_close(weights(model), weights(plain), rtol=1e-4, atol=1e-5)


def test_figures_are_means_over_the_pass(recipe: Recipe, bars: ImageSet, more_bars: ImageSet):
    """With a rate of nothing the network stands still, so the pass can be measured afterwards."""
    recipe = replace(recipe, lr=1e-30, epochs=1)
    model, (epoch,) = learn(recipe, bars, validation=more_bars, test=more_bars)
    with torch.no_grad():
        logits = model.eval()(bars.images)
    assert epoch.train_loss == pytest.approx(
        measure_loss(logits, bars.labels, "cross-entropy").item(), rel=1e-5
    )
    assert epoch.train_accuracy == (logits.argmax(1) == bars.labels).double().mean().item()
    assert epoch.learning_rate == 1e-30
    assert epoch.examples_per_second == pytest.approx(90 / epoch.seconds)
    assert (epoch.validation_loss, epoch.validation_accuracy) == (epoch.test_loss, epoch.test_accuracy)


def test_without_held_out_images_there_are_no_figures_and_the_last_epoch_is_best(
    recipe: Recipe, bars: ImageSet
):
    _, epochs = learn(recipe, bars)
    assert all(
        epoch.is_best and epoch.validation_loss is None and epoch.test_loss is None for epoch in epochs
    )


def test_without_shuffling_the_order_is_that_of_the_file(recipe: Recipe, bars: ImageSet):
    recipe = replace(recipe, shuffle=False, epochs=1, optimizer="sgd", lr=0.1)
    model, _ = learn(recipe, bars)
    plain = make_model(recipe, 0)
    stepper = torch.optim.SGD(plain.parameters(), 0.1)
    for begin in range(0, 90, 20):
        stepper.zero_grad()
        logits = plain(bars.images[begin : begin + 20])
        torch.nn.functional.cross_entropy(logits, bars.labels[begin : begin + 20]).backward()
        stepper.step()
    torch.testing.assert_close(weights(model), weights(plain), rtol=1e-5, atol=1e-7)
    assert not torch.equal(weights(model), weights(learn(replace(recipe, shuffle=True), bars)[0]))


def test_averaged_weights_are_the_average(recipe: Recipe, bars: ImageSet):
    """One step an epoch, so that every step's weights can be seen."""
    recipe = replace(recipe, epochs=30, batch_size=90, ema_decay=0.6)
    state = start(make_model(recipe, 0), recipe)
    average = weights(state.averaged)
    for record in train_steps(state, bars, recipe, seed=0):
        if isinstance(record, Epoch):
            decay = min(0.6, (1 + record.epoch) / (10 + record.epoch))
            average = decay * average + (1 - decay) * weights(state.model)
            torch.testing.assert_close(weights(state.averaged), average, rtol=1e-5, atol=1e-6)
    assert not torch.equal(weights(state.averaged), weights(state.model))


def test_train_leaves_the_average_in_the_model(recipe: Recipe, bars: ImageSet, more_bars: ImageSet):
    recipe = replace(recipe, ema_decay=0.9)
    model, epochs = learn(recipe, bars, test=more_bars)
    state = start(make_model(recipe, 0), recipe)
    assert list(train_steps(state, bars, recipe, seed=0))
    assert torch.equal(weights(model), weights(state.averaged))
    assert lenet.evaluate(model, more_bars).accuracy == epochs[-1].test_accuracy


@pytest.mark.parametrize("limit", [0.01, 1e6])
def test_the_gradient_is_limited(recipe: Recipe, bars: ImageSet, limit: float):
    recipe = replace(recipe, optimizer="sgd", lr=1.0, epochs=1, batch_size=90, clip_norm=limit)
    before = weights(make_model(recipe, 0))
    moved = (weights(learn(recipe, bars)[0]) - before).norm().item()
    free = (weights(learn(replace(recipe, clip_norm=0.0), bars)[0]) - before).norm().item()
    assert moved == pytest.approx(min(limit, free), rel=1e-3)


def test_patience_ends_a_training_that_stands_still(recipe: Recipe, bars: ImageSet, more_bars: ImageSet):
    recipe = replace(recipe, lr=1e-30, epochs=50, validation=45, patience=3)
    _, epochs = learn(recipe, bars, validation=more_bars)
    assert [epoch.is_best for epoch in epochs] == [True, False, False, False]


def test_the_best_epoch_is_the_first_of_the_highest_accuracy_and_lowest_loss(
    recipe: Recipe, bars: ImageSet, more_bars: ImageSet
):
    _, epochs = learn(replace(recipe, epochs=15, lr=0.05), bars, validation=more_bars)
    best: tuple[float, float] = (-1.0, 0.0)
    for epoch in epochs:
        assert epoch.validation_accuracy is not None
        assert epoch.validation_loss is not None
        rank = (epoch.validation_accuracy, -epoch.validation_loss)
        assert epoch.is_best == (rank > best)
        best = max(best, rank)
    assert {epoch.is_best for epoch in epochs} == {True, False}


def test_a_small_training_learns_what_is_no_digit_and_what_a_flag_is(digits: ImageSet, digits_test: ImageSet):
    recipe = replace(RECIPES["quick"], epochs=8).override({"reject_class": True})
    scribbles = draw_scribbles(torch.zeros(200, 1, 28, 28), random_stream(9, "scribbles"))
    flagged, ones = (part[:90] for part in draw_glyphs(200, (28, 28), random_stream(9, "glyph_variants")))
    figures = []
    for changes in ({}, {"negatives": 0.5, "glyph_variants": 0.2}):
        model, _ = learn(replace(recipe, **changes), digits)
        with torch.no_grad():
            is_digit = [
                model.eval().probabilities(images).sum(dim=1) for images in (scribbles, digits_test.images)
            ]
            found = (model(flagged).argmax(dim=1) == ones).float().mean().item()
        figures.append([*((share < 0.5).float().mean().item() for share in is_digit), found])
    plain, taught = figures
    assert plain[:2] == [0, 0]  # never shown anything else, it takes everything for a digit
    assert taught[0] > 0.7
    assert taught[1] < 0.05
    assert taught[2] > max(0.9, plain[2])


def test_a_test_set_decides_nothing(recipe: Recipe, bars: ImageSet, more_bars: ImageSet):
    first = learn(recipe, bars)
    second = learn(recipe, bars, test=more_bars)
    assert torch.equal(weights(first[0]), weights(second[0]))
    assert [e.is_best for e in first[1]] == [e.is_best for e in second[1]]


def test_break_stops_it(recipe: Recipe, bars: ImageSet):
    model = make_model(recipe, 0)
    assert len(list(islice(train(model, bars, recipe, device="cpu"), 2))) == 2
    whole, _ = learn(replace(recipe, epochs=2), bars)
    assert torch.equal(weights(model), weights(whole))


def test_steps_are_reported_within_an_epoch(digits: ImageSet):
    recipe = replace(RECIPES["quick"], epochs=1, batch_size=1)
    records: Iterator[Step | Epoch] = train_steps(
        start(make_model(recipe, 0), recipe), digits, recipe, seed=0
    )
    first, second = islice(records, 2)
    assert isinstance(first, Step)
    assert isinstance(second, Step)
    assert 0 < first.step < second.step < first.steps == 1437
    assert 0 <= second.accuracy <= 1


@pytest.mark.parametrize(("name", "lr"), [("d2l", 1000.0), ("d2l-relu", 900.0), ("lenet5-tanh", 1000.0)])
def test_a_training_that_diverges_says_so(name: str, lr: float, digits: ImageSet):
    recipe = replace(RECIPES[name], optimizer="sgd", lr=lr, epochs=20, batch_size=256, validation=0).override(
        {"activation": "relu"}
    )
    with pytest.raises(DivergedError, match=r"not finite in epoch \d+: .*lower `lr`"):
        learn(recipe, digits)


def test_saturated_sigmoids_are_no_divergence(digits: ImageSet):
    """A rate of 1000 drives sigmoids to 0 and 1: nothing is learnt, but every number stays finite."""
    recipe = replace(RECIPES["d2l"], lr=1000.0, epochs=1)
    _, (epoch,) = learn(recipe, digits)
    assert epoch.train_accuracy < 0.3


VARIANTS: list[dict[str, Any]] = [
    *({"activation": name} for name in ACTIVATION_KINDS),
    *({"pooling": name} for name in POOLING_KINDS),
    *({"optimizer": name} for name in get_args(Optimizer)),
    *({"schedule": name} for name in get_args(Schedule)),
    *({"initialisation": name} for name in get_args(Initialisation)),
    *({"loss": name} for name in get_args(Loss)),
    {"class_weights": "balanced"},
    {"class_weights": (1, 2, 3)},
    {"loss": "mean-squared-error", "class_weights": "balanced", "label_smoothing": 0.1},
    {"batch_size": 1},
    {"batch_size": 10_000},
    {"hidden": ()},
    {"hidden": (30, 20, 10)},
    {"channels": (4,)},
    {"channels": (4, 6, 8), "kernel_size": 1},
    {"dropout": 0.3},
    {"fit": "resize", "input_size": 16},
    {"input_size": 8},
    {"elastic": 1.0, "shear": 0.1, "scale": 0.2},
    {"momentum": 0.9, "optimizer": "sgd"},
    {"ema_decay": 0.5},
    {"reject_class": True},
    {"reject_class": True, "negatives": 0.5, "class_weights": "balanced"},
    {"reject_class": True, "negatives": 0.5, "class_weights": (1, 2, 3), "label_smoothing": 0.1},
    {"pen": 1.0, "blur": 1.0, "coarseness": 0.5, "noise": 0.1, "cover": 0.1, "fading": 0.3, "aspect": 0.1},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_choice_trains(changes: dict[str, Any], recipe: Recipe, bars: ImageSet):
    changed = replace(recipe, epochs=2).override(changes)
    model, epochs = learn(changed, bars)
    assert not torch.equal(weights(model), weights(make_model(changed, 0)))
    assert all(0 <= epoch.train_accuracy <= 1 for epoch in epochs)
    assert epochs[-1].learning_rate == learning_rate(
        changed, 2 * -(-90 // changed.batch_size) - 1, -(-90 // changed.batch_size)
    )


def test_balanced_weights_change_what_is_learnt(recipe: Recipe, bars: ImageSet):
    few = bars.subset(torch.cat([torch.nonzero(bars.labels == 0).flatten(), torch.tensor([1, 4, 2, 5])]))
    with_weights = learn(replace(recipe, class_weights="balanced"), few)[0]
    assert not torch.equal(weights(with_weights), weights(learn(recipe, few)[0]))


def test_parts_that_do_not_fit(recipe: Recipe, bars: ImageSet, digits: ImageSet):
    with pytest.raises(DataError, match="digits has 10 classes, the network was made for 3"):
        learn(recipe, digits)
    with pytest.raises(RecipeError, match="flip makes no sense on bars"):
        learn(recipe.override({"flip": True}), bars)
    with pytest.raises(RecipeError, match="glyph_variants are digits, and bars has other classes"):
        learn(replace(recipe, glyph_variants=0.1), bars)
    with pytest.raises(RecipeError, match="class_weights are 2 numbers, bars has 3 classes"):
        learn(replace(recipe, class_weights=(1.0, 2.0)), bars)
    with pytest.raises(DeviceError, match="cuda:99"):
        next(train(make_model(recipe, 0), bars, recipe, device="cuda:99"))
    assert learn(recipe.override({"flip": True}), replace(bars, flips=True))


def test_the_package_offers_it_by_name(digits: ImageSet):
    recipe = replace(lenet.RECIPES["quick"], epochs=1)
    model = lenet.LeNet(recipe.model)
    assert len(list(lenet.train(model, digits, recipe, device="cpu"))) == 1


def test_the_loop_is_its_batches_and_steps(bars: ImageSet, recipe: Recipe):
    """An epoch written out by hand from `make_batch` and `step` ends with the loop's bits."""
    recipe = replace(recipe.override({"degrees": 10.0}), epochs=1)
    looped = make_model(recipe, 5)
    list(train(looped, bars, recipe, seed=5, device="cpu"))
    state = start(make_model(recipe, 5), recipe)
    material = gather_images(bars, recipe, 5)
    streams = open_streams(len(bars), recipe, 5, 1, torch.device("cpu"))
    for number, indices in enumerate(streams.order.split(recipe.batch_size)):
        images, labels = make_batch(material, indices, recipe, streams)
        rate = learning_rate(recipe, number, math.ceil(len(bars) / recipe.batch_size))
        loss, logits = step(state, images, labels, recipe, rate, None)
        assert not loss.requires_grad
        assert logits.shape == (len(labels), 3)
    for name, value in looped.state_dict().items():
        assert torch.equal(value, state.model.state_dict()[name]), name


# ---- networks that are not ours ---


def sequential() -> nn.Sequential:
    """A network as the tutorials write it down."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.Flatten(),
        nn.Linear(4 * 6 * 6, 16), nn.Dropout(0.1), nn.ReLU(), nn.Linear(16, 3),
    )  # fmt: skip


def test_any_module_from_pixels_to_logits_learns(bars: ImageSet, more_bars: ImageSet, recipe: Recipe):
    torch.manual_seed(0)
    net = sequential()
    epochs = list(lenet.train(net, bars, replace(recipe, epochs=12), test=more_bars, device="cpu"))
    assert epochs[-1].test_accuracy is not None
    assert epochs[-1].test_accuracy > 0.9
    assert lenet.evaluate(net, more_bars).accuracy == epochs[-1].test_accuracy
    other = lenet.evaluate(net, more_bars, pixels=replace(recipe.model, pixel_mean=5.0))
    assert other.accuracy < epochs[-1].test_accuracy  # the pixels are prepared as it says


def test_any_module_repeats_itself_and_its_average_is_one_of_a_whole_network(bars: ImageSet, recipe: Recipe):
    recipe, states = replace(recipe, ema_decay=0.9), []
    for _ in range(2):
        torch.manual_seed(3)
        net = sequential()
        list(train(net, bars, recipe, seed=4, device="cpu"))
        states.append(net.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert states[0]["3.running_mean"].abs().max() > 0  # of the batch normalisation


def test_the_same_layers_learn_the_same_under_either_name(bars: ImageSet, recipe: Recipe):
    ours = make_model(recipe, 2)
    theirs = nn.Sequential(*copy.deepcopy(list(ours.children())))
    train_both = [list(train(net, bars, recipe, seed=1, device="cpu")) for net in (ours, theirs)]
    assert train_both[0][-1].train_loss == pytest.approx(train_both[1][-1].train_loss, rel=1e-4)


def test_a_module_that_gives_no_logits_is_told(bars: ImageSet, recipe: Recipe):
    with pytest.raises(
        ModelError, match=r"Sequential returns \(20, 144\) for 20 images of 3 classes; logits"
    ):
        list(train(nn.Sequential(nn.Flatten(), nn.Linear(144, 144)), bars, recipe, device="cpu"))
    with pytest.raises(ModelError, match=r"Identity returns"):
        lenet.evaluate(nn.Identity(), bars)
    with pytest.raises(ModelError, match="Identity has no weights that could be trained"):
        next(train(nn.Identity(), bars, recipe, device="cpu"))


def test_images_are_held_out_as_the_recipe_says(bars: ImageSet, recipe: Recipe):
    recipe = replace(recipe, validation=30)
    first, given = make_model(recipe, 0), make_model(recipe, 0)
    epochs = list(train(first, bars, recipe, device="cpu"))
    assert all(epoch.validation_accuracy is not None for epoch in epochs)
    learning, held_out = hold_out_images(bars, recipe, 0)
    assert held_out is not None
    assert (len(learning), len(held_out)) == (60, 30)
    again = list(train(given, learning, recipe, device="cpu", validation=held_out))
    assert strip_times(again) == strip_times(epochs)


def test_an_image_set_is_a_data_set_of_torch(bars: ImageSet):
    loader = torch.utils.data.DataLoader(bars, batch_size=32)
    images, labels = next(iter(loader))
    assert torch.equal(images, bars.images[:32] / 255)
    assert torch.equal(labels, bars.labels[:32])
    assert len(loader) == 3


@pytest.mark.slow
def test_the_obvious_network_begins_as_the_recipe_says(fashion: tuple[ImageSet, ImageSet]):
    """With PyTorch's own initial weights the textbook's sigmoid network stands still for six epochs."""
    (data, test), recipe = fashion, replace(RECIPES["d2l"], epochs=3)
    torch.manual_seed(1)
    model = lenet.LeNet(recipe.model)
    list(lenet.train(model, data, recipe, device="cpu"))
    assert lenet.evaluate(model, test).accuracy > 0.6
