"""The diagnosis names faults made on purpose, and finds none in healthy runs."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lenet.data.datasets import load, write_unbalanced
from lenet.data.idx import write_idx
from lenet.errors import DivergedError
from lenet.insight.activations import trace_maps
from lenet.insight.diagnosis import Diagnosis, diagnose, has_learnt_nothing, judge, watch
from lenet.insight.faults import Fault
from lenet.insight.symptoms import find_dead_units, find_saturated, measure_purity, measure_symptoms
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.training.loop import Epoch
from lenet.training.recipes import find_recipe
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training

Changes = Mapping[str, Any]


def run_recipe(name: str, changes: Changes, folder: Path, seed: int = 0, data: str = "digits") -> RunFolder:
    run = begin_run(find_recipe(name, data).override(changes), seed=seed, device="cpu", runs_dir=folder)
    try:
        for _ in run_training(run):
            pass
    except DivergedError:
        assert run.read_divergence() is not None
    return run


def in_order(folder: Path) -> str:
    """The digits, by class."""
    for prefix, split in (("train", "train"), ("t10k", "test")):
        data = load("digits", split)  # type: ignore[arg-type]
        data = data.subset(data.labels.argsort(stable=True)) if split == "train" else data
        write_idx(folder / f"{prefix}-images-idx3-ubyte", data.images[:, 0])
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", data.labels.byte())
    return str(folder)


def make_unbalanced(folder: Path) -> str:
    write_unbalanced("digits", folder)
    return str(folder)


def as_is(folder: Path) -> str:
    return "digits"


def mislabel(folder: Path) -> str:
    """The digits with labels that belong to none of them."""
    generator = torch.Generator().manual_seed(0)
    for prefix, split in (("train", "train"), ("t10k", "test")):
        data = load("digits", split)  # type: ignore[arg-type]
        write_idx(folder / f"{prefix}-images-idx3-ubyte", data.images[:, 0])
        order = torch.randperm(len(data), generator=generator)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", data.labels[order].byte())
    return str(folder)


FAULTY: list[tuple[str, str, Changes, Callable[[Path], str]]] = [
    ("diverged", "d2l-relu", {"optimizer": "sgd", "lr": 9.0, "loss": "mean-squared-error"}, as_is),
    ("dead units", "d2l-relu", {"optimizer": "sgd", "lr": 0.9, "epochs": 6}, as_is),
    ("learning rate too large", "d2l", {"lr": 100.0, "epochs": 3}, as_is),
    ("learning rate too small", "quick", {"schedule": "constant", "lr": 1e-6, "epochs": 3}, as_is),
    ("saturated units", "d2l", {"pixel_std": 1e-4, "epochs": 3}, as_is),
    ("vanishing gradient", "d2l", {"initialisation": "default", "lr": 0.05, "epochs": 3}, as_is),
    ("overfitting", "d2l-relu", {"validation": 1337, "epochs": 60, "lr": 0.002, "batch_size": 20}, as_is),
    ("class imbalance", "d2l-relu", {"lr": 0.002, "epochs": 10, "batch_size": 50}, make_unbalanced),
    ("sorted data", "d2l-relu", {"shuffle": False, "lr": 0.002, "epochs": 3, "batch_size": 64}, in_order),
    ("nothing learnt", "d2l-relu", {"lr": 0.0005, "epochs": 5}, mislabel),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "recipe", "changes", "make"), FAULTY, ids=[row[0] for row in FAULTY])
def test_a_fault_made_on_purpose_is_named_first(
    fault: str, recipe: str, changes: Changes, make: Callable[[Path], str], tmp_path: Path
):
    (tmp_path / "data").mkdir()
    run = run_recipe(recipe, changes, tmp_path / "runs", data=make(tmp_path / "data"))
    found = diagnose(run).faults
    assert [one.name for one in found][:1] == [fault], found
    assert "\n" not in found[0].sentence
    assert re.search(r"`[a-z_]+(=[^`]+)?`", found[0].remedy), "the remedy names a setting"


def test_too_large_a_rate_saturates_as_well(tmp_path: Path):
    run = run_recipe("d2l", {"lr": 100.0, "epochs": 3}, tmp_path)
    assert [one.name for one in diagnose(run).faults] == ["learning rate too large", "saturated units"]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "changes",
    [{}, {"activation": "tanh"}, {"activation": "gelu", "pooling": "avg"}, {"validation": 200}],
    ids=["as it is", "tanh", "gelu", "validation"],
)
def test_healthy_runs_raise_nothing(changes: Changes, seed: int, tmp_path: Path):
    run = run_recipe("quick", {"epochs": 8, **changes}, tmp_path, seed)
    assert diagnose(run).faults == ()


@pytest.mark.parametrize("recipe", ["d2l-relu", "lab3", "best", "sprint", "lenet1-1998", "lenet-1989"])
def test_named_recipes_raise_nothing_after_a_few_epochs_of_digits(recipe: str, tmp_path: Path):
    faults = diagnose(run_recipe(recipe, {"epochs": 6, "batch_size": 64}, tmp_path)).faults
    # At its learning rate of 0.009, d2l-relu does lose maps, and its loss on 360 images rises.
    expected = {"dead maps", "rising test loss"} if recipe == "d2l-relu" else set()
    assert {one.name for one in faults} <= expected


def test_a_run_is_only_read(tmp_path: Path, tree: Callable[[Path], dict[str, bytes | None]]):
    run = run_recipe("quick", {"epochs": 2}, tmp_path)
    before = tree(run.path)
    diagnose(run)
    assert tree(run.path) == before


def test_a_run_handed_on_without_its_state_is_examined_by_its_weights(tmp_path: Path):
    run = run_recipe("quick", {"epochs": 2}, tmp_path)
    before = diagnose(run).symptoms
    (run.path / "state.safetensors").unlink()
    after = diagnose(run).symptoms
    assert (after.dead_units, after.majority_class, after.majority_predicted_share) == (
        before.dead_units, before.majority_class, before.majority_predicted_share,
    )  # fmt: skip


def test_json_keeps_its_earlier_keys(tmp_path: Path):
    """What programs read from `lenet doctor --json` stays, beside the names that replaced it."""
    told = diagnose(run_recipe("quick", {"epochs": 1}, tmp_path)).to_dict()
    assert list(told) == ["run", "symptoms", "faults"]
    symptoms = told["symptoms"]
    for earlier, name in (
        ("silent", "dead_units"),
        ("favourite", "majority_class"),
        ("favourite_share", "majority_predicted_share"),
        ("favourite_count_share", "majority_label_share"),
    ):
        assert symptoms[earlier] == symptoms[name]
    assert json.loads(json.dumps(told))["symptoms"]["saturated"] == {}


def test_a_run_that_has_not_begun_has_no_faults(tmp_path: Path):
    run = begin_run(find_recipe("quick"), device="cpu", runs_dir=tmp_path)
    diagnosis: Diagnosis = diagnose(run)
    assert (diagnosis.faults, diagnosis.symptoms.epochs) == ((), 0)


def test_a_run_that_goes_on_after_diverging_is_forgiven(tmp_path: Path):
    run = run_recipe("quick", {"epochs": 2}, tmp_path)
    run.write_divergence("once")
    for _ in run_training(run):
        pass
    assert diagnose(run).symptoms.diverged is None


def watch_all(run: RunFolder) -> list[Fault]:
    return [
        fault for record in run_training(run) if isinstance(record, Epoch) and (fault := watch(run, record))
    ]


def test_what_is_plain_is_said_while_it_trains(tmp_path: Path):
    recipe = find_recipe("d2l-relu", "digits").override({"optimizer": "sgd", "lr": 3.0, "epochs": 4})
    faults = watch_all(begin_run(recipe, device="cpu", runs_dir=tmp_path))
    assert faults[0].name == "dead units"


def test_a_sigmoid_is_given_time_to_begin(tmp_path: Path):
    recipe = replace(find_recipe("d2l", "digits"), epochs=3)
    assert watch_all(begin_run(recipe, device="cpu", runs_dir=tmp_path)) == []


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_recipe("d2l-relu", {"epochs": 1, "batch_size": 32}, tmp_path_factory.mktemp("healthy"))


def judge_changed(run: RunFolder, **changes: Any) -> list[Fault]:
    symptoms = replace(measure_symptoms(run), dead_units={}, **changes)
    return list(judge(symptoms, run.read_plan().recipe))


def test_no_alarm_while_the_accuracy_rises(healthy: RunFolder):
    """The loss of a sigmoid network stays at chance for epochs; its accuracy rises first."""
    flat = (2.31, 2.30, 2.30, 2.30, 2.27)
    standing = {"epochs": 5, "train_losses": flat, "held_out_losses": flat, "train_accuracies": (0.1,) * 5}
    standing["saturated"], standing["update_ratios"] = {}, {"conv1": 0.001, "output": 0.001}
    assert [f.name for f in judge_changed(healthy, **standing, held_out_accuracies=(0.1,) * 5)] == [
        "nothing learnt"
    ]
    rising = (0.1, 0.1, 0.1, 0.11, 0.28)
    assert judge_changed(healthy, **standing, held_out_accuracies=rising) == []
    assert has_learnt_nothing(5.0, 2.3, gain=0.2)  # an exploded loss is one, whatever is right by chance


def test_a_rising_loss_is_named_without_a_gap(healthy: RunFolder):
    losses = (0.5, 0.2, 0.22, 0.24, 0.26)
    curves = {"epochs": 5, "train_losses": (0.5, 0.2, 0.1, 0.05, 0.03), "held_out_losses": losses}
    curves |= {
        "train_accuracies": (0.9, 0.95, 0.97, 0.99, 1.0),
        "held_out_accuracies": (0.9, 0.95, 0.96, 0.96, 0.96),
    }
    (fault,) = judge_changed(healthy, **curves)
    assert fault.name == "rising test loss"
    assert "risen from 0.2 (epoch 2) to 0.26" in fault.what
    late = curves | {"held_out_losses": (0.5, 0.4, 0.3, 0.2, 0.26)}  # one bad epoch is none
    assert judge_changed(healthy, **late) == []


def test_dead_maps_are_counted_and_named(healthy: RunFolder):
    symptoms = replace(measure_symptoms(healthy), dead_units={"relu1": 0.0, "relu2": 5 / 16, "relu3": 0.5})
    (fault,) = judge(symptoms, healthy.read_plan().recipe)
    assert fault.name == "dead maps"
    assert fault.what.startswith("5 of the 16 maps of conv2 answer 0")
    few = replace(symptoms, dead_units={"relu1": 0.0, "relu2": 1 / 16, "relu3": 0.5})
    assert list(judge(few, healthy.read_plan().recipe)) == []


def test_dead_and_saturated_units_are_counted():
    relu = LeNet(LeNetConfig(activation="relu"))
    tanh = LeNet(LeNetConfig(activation="tanh"))
    with torch.no_grad():
        for name in ("conv2", "dense2"):  # all answer, save for a quarter
            bias = relu.get_submodule(name).bias
            bias[:] = 1e3  # type: ignore[index]
            bias[: len(bias) // 4] = -1e6  # type: ignore[index,arg-type]
        tanh.get_submodule("dense1").bias[:30] = 1e6  # type: ignore[index]
    images = torch.randint(0, 256, (64, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
    dead = find_dead_units(relu, trace_maps(relu, images))
    assert (dead["relu2"], dead["relu4"]) == (0.25, 0.25)
    saturated = find_saturated(tanh, trace_maps(tanh, images))
    assert saturated["tanh3"] == 30 / 120
    assert find_dead_units(tanh, trace_maps(tanh, images)) == {}


def test_purity_of_batches():
    labels = torch.arange(4).repeat_interleave(10)
    assert measure_purity(labels, 10) == 1
    assert measure_purity(labels, 20) == 0.5
    assert measure_purity(labels.view(4, 10).T.flatten(), 8) == 0.25


def test_guessing_is_told_from_knowing():
    assert has_learnt_nothing(2.3, 2.3026)
    assert not has_learnt_nothing(2.2, 2.3026)
