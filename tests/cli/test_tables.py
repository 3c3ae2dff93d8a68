"""Tables for people."""

import re
from dataclasses import replace

import torch

from lenet.cli.tables import align, show_evaluation, show_network, show_published, show_run, show_runs
from lenet.data.imageset import ImageSet
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet, initialise
from lenet.training.evaluation import evaluate
from lenet.training.summaries import RunSummary

RUN = RunSummary(
    run="runs/a", checkpoint="runs/a/last.safetensors", epochs=3, train_loss=0.5, train_accuracy=0.9,
    validation_accuracy=None, test_accuracy=0.875, seconds=1.5, examples_per_second=12_345.6,
    recipe="quick", data="digits", seed=0, is_finished=True,
)  # fmt: skip


def test_columns_are_aligned():
    text = align([["name", "count"], ["a", 1], ["long name", 1_000], ["x", None]], right=(1,))
    assert text.splitlines() == ["name       count", "a              1", "long name   1000", "x"]


def test_a_run_is_shown():
    assert show_run(RUN).splitlines() == [
        "runs/a: 3 epochs in 1.5 s of training, 12,346 examples/s",
        "train loss 0.5000, train accuracy 90.00%",
        "test accuracy 87.50% (runs/a/last.safetensors)",
    ]
    fresh = replace(RUN, epochs=0, train_loss=None, train_accuracy=None, test_accuracy=None, checkpoint=None)
    assert len(show_run(fresh).splitlines()) == 1


def test_the_best_epoch_is_named():
    lines = show_run(replace(RUN, validation_accuracy=0.9, best_epoch=2)).splitlines()
    assert lines[2] == "best validation accuracy 90.00% (epoch 2 of 3)"


def test_the_values_of_the_author_stand_beside_those_of_the_run():
    run = replace(RUN, recipe="d2l", data="fashion-mnist")
    text = "\n".join(show_published(run))
    assert re.search(r"^train loss +0\.5000 +0\.4700$", text, re.MULTILINE)
    assert re.search(r"^test accuracy +87\.50% +81\.40%$", text, re.MULTILINE)
    assert "other author: loss .467, train .824, test .786" in text
    assert "other settings" not in text
    assert "this run has other settings: epochs=3" in "\n".join(
        show_published(replace(run, changes={"epochs": 3}))
    )
    for other in (RUN, replace(run, data="digits"), replace(run, is_finished=False)):
        assert show_published(other) == []


def test_what_was_measured_on_other_images_is_a_note_without_a_table():
    source, note = show_published(replace(RUN, recipe="lenet-1989", data="mnist"))[1:]
    assert source.startswith("LeCun et al. 1989")
    assert note == "zip code digits: train accuracy .9986, test accuracy .95"


def test_runs_are_shown():
    unfinished = replace(RUN, run="runs/b", test_accuracy=None, is_finished=False, validation_accuracy=0.5)
    lines = show_runs([RUN, unfinished]).splitlines()
    assert len({len(line.rstrip()) for line in lines[:1]}) == 1
    assert lines[1].endswith("finished")
    assert lines[2].endswith("resume with --resume")
    assert "50.00%" in lines[2]


def test_a_network_is_shown_with_its_total():
    lines = show_network(LeNetConfig(dropout=0.5)).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters", "multiply-adds"]
    assert lines[-1].split() == ["total", "61,706", "416,520"]
    assert sum("Dropout" in line for line in lines) == 2


def test_an_evaluation_is_shown(bars: ImageSet, small: LeNetConfig):
    model = LeNet(small)
    initialise(model, "default", torch.Generator().manual_seed(0))
    evaluation = evaluate(model, bars)
    text = show_evaluation(evaluation)
    head = f"90 images: accuracy {evaluation.accuracy:.2%}, loss {evaluation.loss:.4f}, calibration error "
    assert text.startswith(f"{head}{evaluation.calibration_error:.2%}\n")
    rows = {line.split()[0]: line.split() for line in text.split("\n\n")[1].splitlines()}
    assert rows["column"][1] == "30"
    assert len(text.split("hardest\n")[1].splitlines()) == 11
