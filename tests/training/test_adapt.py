"""`train --from`: a checkpoint learns one writer's corrections and keeps what it knew."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from lenet.data.imageset import ImageSet
from lenet.errors import DataError, RecipeError, RunError
from lenet.experiments.corrections import frame_corrections
from lenet.models.checkpoint import Checkpoint, load_checkpoint, save_network
from lenet.reading.reader import Reader
from lenet.training.evaluation import compute_logits, evaluate
from lenet.training.initial import load_images
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES
from lenet.training.resuming import open_run
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training
from lenet.training.targets import UNLABELLED, soften_targets

PER_CLASS = 3


def finish(folder: RunFolder) -> RunFolder:
    for _ in run_training(folder):
        pass
    return folder


def slant(images: torch.Tensor) -> torch.Tensor:
    """A hand that the shipped weights read badly: digits with a strong slant, (N, 1, 28, 28) uint8."""
    matrix = torch.tensor([[1, 1.1, 0], [0, 1.0, 0]]).expand(len(images), 2, 3)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images.float(), grid, align_corners=False).round().byte()


def short(reader: Checkpoint, **changes: Any) -> Recipe:
    return replace(RECIPES["adapt"], model=reader.model.config, **changes)


@pytest.fixture(scope="module")
def reader() -> Checkpoint:
    return load_checkpoint("reader")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits: ImageSet) -> Path:
    """Corrections as class folders: the first slanted digits of each class, as pictures of 28×28 pixels."""
    root = tmp_path_factory.mktemp("hand") / "my-hand"
    for label in range(10):
        (root / str(label)).mkdir(parents=True)
        mine = slant(digits.images[digits.labels == label][:PER_CLASS])
        for number, image in enumerate(mine):
            Image.fromarray(image[0].numpy()).save(root / str(label) / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, folder: Path, reader: Checkpoint) -> RunFolder:
    """A finished run that nobody changes."""
    recipe = short(reader, epochs=6, data=str(folder))
    corrections = frame_corrections(folder, reader)
    runs_dir = tmp_path_factory.mktemp("runs")
    return finish(begin_run(recipe, device="cpu", runs_dir=runs_dir, initial=reader, corrections=corrections))


def test_it_learns_the_hand_and_keeps_what_it_knew(
    run: RunFolder, reader: Checkpoint, digits: ImageSet, digits_test: ImageSet
):
    adapted = load_checkpoint(run.path)
    others = replace(digits_test, images=slant(digits_test.images))  # by other writers, never learnt
    learnt = load_images(run, run.read_plan(), "train")
    assert len(learnt) == 10 * PER_CLASS
    before, after = (evaluate(one, others).accuracy for one in (reader, adapted))
    assert 1 - after < 0.8 * (1 - before)
    assert evaluate(adapted, learnt).loss < 0.5 * evaluate(reader, learnt).loss
    assert evaluate(adapted, digits_test).accuracy > evaluate(reader, digits_test).accuracy - 0.01


def test_mnist_is_not_forgotten(run: RunFolder, reader: Checkpoint, mnist_test: ImageSet):
    before, after = (evaluate(one, mnist_test).accuracy for one in (reader, load_checkpoint(run.path)))
    assert after > before - 0.002


def test_the_reject_class_stays_and_the_thresholds_go(run: RunFolder, reader: Checkpoint):
    adapted = load_checkpoint(run.path)
    assert adapted.model.config == reader.model.config
    assert {"rejection", "reading_rejection"} <= reader.card.keys()
    assert not {"rejection", "reading_rejection", "temperature"} & adapted.card.keys()
    assert not adapted.reads_whole_pictures
    noise = torch.randint(0, 256, (200, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
    for checkpoint in (reader, adapted):
        logits = compute_logits(checkpoint.model, noise)
        assert (checkpoint.model.as_probabilities(logits).sum(dim=1) < 0.5).double().mean() > 0.95


def test_stopped_and_resumed_it_ends_with_the_same_bits(
    tmp_path: Path, folder: Path, reader: Checkpoint, run: RunFolder
):
    """The checkpoint and the pictures that it began with may be gone by then."""
    pictures, weights = tmp_path / "my-hand", tmp_path / "mine.safetensors"
    shutil.copytree(folder, pictures)
    save_network(reader, weights)
    stopped = begin_run(
        short(reader, epochs=6, data=str(pictures)),
        device="cpu",
        runs_dir=tmp_path / "runs",
        initial=load_checkpoint(weights),
        corrections=frame_corrections(pictures, reader),
    )
    assert stopped.path.name == "adapt-my-hand-0"
    next(record for record in run_training(stopped) if type(record).__name__ == "Epoch")
    shutil.rmtree(pictures)
    weights.write_bytes(b"other")
    moved = RunFolder(stopped.path.rename(tmp_path / "elsewhere"))
    finish(open_run(moved.path))
    for name in ("last.safetensors", "state.safetensors", "initial.safetensors"):
        assert (moved.path / name).read_bytes() == (run.path / name).read_bytes()


def test_a_changed_initial_checkpoint_is_refused(tmp_path: Path, run: RunFolder):
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))
    save_network(load_checkpoint("mnist"), copy.initial)
    with pytest.raises(RunError, match=r"initial\.safetensors is not what the run began with"):
        next(run_training(copy))
    copy.initial.unlink()
    with pytest.raises(RunError, match=r"initial\.safetensors is not what the run began with"):
        next(run_training(copy))


def test_framed_pictures_keep_their_pixels_and_others_are_framed_as_read(
    tmp_path: Path, folder: Path, reader: Checkpoint, digits: ImageSet
):
    framed = frame_corrections(folder, reader)
    assert framed is not None
    train, test = framed
    wanted = torch.cat([slant(digits.images[digits.labels == n][:PER_CLASS]) for n in range(10)])
    assert torch.equal(train.images, wanted)
    assert train.labels.tolist() == [n for n in range(10) for _ in range(PER_CLASS)]
    assert len(test) == 360

    photograph = Path("examples/pictures/3-yellow-paper.jpg").resolve()
    (tmp_path / "3").mkdir()
    shutil.copyfile(photograph, tmp_path / "3" / "photograph.jpg")
    one = frame_corrections(tmp_path, reader)
    assert one is not None
    seen = Reader(reader).explain(photograph)[1][-1].image
    assert np.array_equal(one[0].images[0, 0].numpy(), seen)


def test_rehearsed_images_have_the_answers_of_the_initial_network(reader: Checkpoint, digits: ImageSet):
    labels = torch.tensor([4, UNLABELLED, 0, UNLABELLED])
    images = digits.images[:4]
    targets, complete = soften_targets([reader.model], images, labels, 0.0)
    own = reader.model.probabilities(images)
    assert torch.allclose(targets[[1, 3], :10], own[[1, 3]])
    assert torch.allclose(targets.sum(dim=1), torch.ones(4))
    assert targets[0].argmax() == 4
    assert targets[0].max() == 1
    assert complete.tolist() == [4, int(own[1].argmax()), 0, int(own[3].argmax())]


def test_what_cannot_be_is_refused(tmp_path: Path, folder: Path, reader: Checkpoint):
    def begin(recipe: Recipe, initial: Checkpoint | None = reader) -> RunFolder:
        return begin_run(recipe, device="cpu", runs_dir=tmp_path / "runs", initial=initial)

    with pytest.raises(RecipeError, match="give one with `from`"):
        begin(short(reader, data="digits"), None)
    with pytest.raises(RecipeError, match="`activation` is sigmoid in d2l and relu in the checkpoint"):
        begin(replace(RECIPES["d2l"], data="digits"))
    with pytest.raises(RecipeError, match="rehearsal compares probabilities"):
        replace(RECIPES["quick"], loss="mean-squared-error", rehearsal=1.0)
    assert not (tmp_path / "runs").exists()

    blank = tmp_path / "blank" / "3"
    blank.mkdir(parents=True)
    Image.new("L", (60, 60), 255).save(blank / "paper.png")
    with pytest.raises(DataError, match=r"paper\.png: no ink was found; remove it"):
        frame_corrections(blank.parent, reader)
    blank.rename(blank.with_name("three"))
    with pytest.raises(DataError, match="has a class 'three'; name the folders 0 to 9"):
        frame_corrections(blank.parent, reader)


def test_one_class_is_enough(lenet: Callable[..., Any], folder: Path, workplace: Path):
    """The highest labels of the test images are then not among those learnt."""
    shutil.copytree(folder / "3", workplace / "corrections" / "3")
    outcome = lenet("train", "--from", "reader", "--data", "corrections", "--epochs", "1", "--quiet")
    assert outcome.code == 0, outcome.err
    evaluated = lenet("evaluate", "runs/adapt-corrections-0", "--json").json
    assert (evaluated["count"], evaluated["accuracy"] > 0.9) == (360, True)
    (workplace / "runs/adapt-corrections-0/corrections/classes.txt").write_text("0\n0\n")
    refused = lenet("evaluate", "runs/adapt-corrections-0")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "must name each class once" in refused.err


def test_on_the_command_line(lenet: Callable[..., Any], folder: Path, workplace: Path):
    outcome = lenet("train", "--from", "reader", "--data", folder, "--epochs", "1", "--quiet")
    assert outcome.code == 0, outcome.err
    assert "no thresholds for --max-error" in outcome.out
    assert "learnt from      30" in outcome.out
    run = workplace / "runs" / "adapt-my-hand-0"
    assert json.loads((run / "recipe.json").read_text())["recipe"]["data"] == "corrections"
    again = lenet("train", "--resume", run, "--from", "reader")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "leave --from and --teacher out" in again.err
    refused = lenet("train", "d2l", "--from", "reader", "--data", "digits")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert lenet("doctor", run).code in (0, 1)
    report = lenet("report", run)
    assert report.code == 0, report.err
    assert "--from initial.safetensors" in (run / "report.html").read_text("utf-8")
