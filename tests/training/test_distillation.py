"""Distillation: a network learns from the answers of others."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import Module

from lenet.data.imageset import ImageSet
from lenet.errors import RecipeError, RunError
from lenet.insight.report import write_command
from lenet.models.checkpoint import Checkpoint, load_checkpoint, save_network
from lenet.models.network import LeNet
from lenet.training.evaluation import compute_logits
from lenet.training.loop import train
from lenet.training.recipe import Recipe
from lenet.training.resuming import open_run
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training
from lenet.training.start import make_model
from lenet.training.targets import UNLABELLED, soften_targets


def finish(folder: RunFolder, epochs: int | None = None) -> RunFolder:
    for number, _ in enumerate(run_training(folder), 1):
        if number == epochs:
            break
    return folder


def teach(data: ImageSet, recipe: Recipe, seed: int, teachers: Sequence[Module] = ()) -> LeNet:
    model = make_model(replace(recipe, model=replace(recipe.model, classes=len(data.classes))), seed)
    for _ in train(model, data, recipe, seed=seed, device="cpu", teachers=teachers):
        pass
    return model


@pytest.fixture(scope="module")
def long(recipe: Recipe) -> Recipe:
    return replace(recipe, epochs=20)


@pytest.fixture(scope="module")
def teachers(bars: ImageSet, long: Recipe) -> list[LeNet]:
    return [teach(bars, long, seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def files(teachers: list[LeNet], bars: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("teachers")
    names = [folder / "one.safetensors", folder / "two.safetensors"]
    for name, teacher in zip(names, teachers, strict=True):
        save_network(Checkpoint(teacher.eval(), {"classes": ["0", "1", "2"]}), name)
    return names


@pytest.fixture(scope="module")
def plan(varied: Recipe, bars_folder: Path) -> Recipe:
    varied = varied.override({"reject_class": False, "negatives": 0.0})
    return replace(varied, data=str(bars_folder), epochs=3, distillation=0.7)


def test_targets_are_the_labels_and_the_mean_of_the_answers(teachers: list[LeNet], bars: ImageSet):
    images, classes = bars.images[:5], len(bars.classes)
    labels = bars.labels[:5].clone()
    labels[1] = UNLABELLED
    targets, complete = soften_targets([one.eval() for one in teachers], images, labels, 0.25)
    answers = sum(one.probabilities(images) for one in teachers) / 2
    expected = 0.25 * answers + 0.75 * torch.eye(classes)[labels.clamp(min=0)]
    expected[1] = answers[1]
    torch.testing.assert_close(targets, expected)
    assert complete.tolist() == [*labels[:1].tolist(), int(answers[1].argmax()), *labels[2:].tolist()]


def test_with_a_share_of_1_the_labels_do_not_matter(teachers: list[LeNet], bars: ImageSet, long: Recipe):
    """The labels are wrong on purpose: what is right is what the teachers say."""
    wrong = replace(bars, labels=(bars.labels + 1) % len(bars.classes))
    model = teach(wrong, replace(long, distillation=1.0), 3, teachers)
    predicted = compute_logits(model, bars.images).argmax(dim=1)
    answers = sum(one.eval().probabilities(bars.images) for one in teachers)
    assert (predicted == answers.argmax(dim=1)).double().mean() > 0.95
    assert (predicted == wrong.labels).double().mean() < 0.1


def test_any_module_may_teach(bars: ImageSet, recipe: Recipe):
    """Such as a network that is no LeNet: this one knows the first class only."""

    class First(Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 20 * torch.eye(len(bars.classes))[torch.zeros(len(images), dtype=torch.long)]

    model = teach(bars, replace(recipe, distillation=1.0), 0, [First()])
    assert compute_logits(model, bars.images).argmax(dim=1).unique().tolist() == [0]


def test_resumed_it_ends_with_the_same_bits(plan: Recipe, files: list[Path], tmp_path: Path):
    """Also where the teachers' own files are gone."""
    given = [load_checkpoint(shutil.copy(file, tmp_path)) for file in files]
    whole = finish(begin_run(plan, device="cpu", runs_dir=tmp_path / "runs", teachers=given))
    stopped = finish(begin_run(plan, device="cpu", runs_dir=tmp_path / "runs", teachers=given), 1)
    for file in tmp_path.glob("*.safetensors"):
        file.unlink()
    finish(open_run(stopped.path))
    assert stopped.last.read_bytes() == whole.last.read_bytes()
    alone = finish(begin_run(replace(plan, distillation=0.0), device="cpu", runs_dir=tmp_path / "runs"))
    assert alone.last.read_bytes() != whole.last.read_bytes()


def test_a_kept_epoch_goes_on_with_its_teachers(plan: Recipe, files: list[Path], tmp_path: Path):
    kept = replace(plan, keep_every_epoch=True, schedule="constant")
    given = [load_checkpoint(file) for file in files]
    run = finish(begin_run(kept, device="cpu", runs_dir=tmp_path, teachers=given))
    branch = finish(open_run(run.kept(2), 3))
    assert branch.last.read_bytes() == run.last.read_bytes()


def test_a_changed_teacher_is_found(plan: Recipe, files: list[Path], tmp_path: Path):
    given = [load_checkpoint(file) for file in files]
    run = begin_run(plan, device="cpu", runs_dir=tmp_path, teachers=given)
    shutil.copyfile(run.teacher(1), run.teacher(2))
    with pytest.raises(RunError, match=r"teacher-2\.safetensors is not what the run began with"):
        finish(run)


def test_the_command_of_a_run_names_its_teachers(
    lenet: Callable[..., Any], plan: Recipe, files: list[Path], bars_folder: Path, workplace: Path
):
    arguments = ["quick", "--data", bars_folder, "--epochs", 1, "--distillation", 0.9]
    teachers = [word for file in files for word in ("--teacher", file)]
    made = lenet("train", *arguments, *teachers, "--quiet", "--json").json
    command = write_command(RunFolder(Path(made["run"])).read_plan())
    assert "--teacher teacher-1.safetensors --teacher teacher-2.safetensors" in command
    assert "--distillation 0.9" in command
    resumed = lenet("train", "--resume", made["run"], "--teacher", files[0])
    assert resumed.code == 2
    assert "leave --from and --teacher out" in resumed.err


def test_what_does_not_fit_is_refused(
    lenet: Callable[..., Any], files: list[Path], bars_folder: Path, workplace: Path
):
    for words, message in (
        (["quick", "--distillation", 0.9], "give a checkpoint to learn from with --teacher"),
        (["quick", "--teacher", "mnist"], "has --distillation, such as 0.9"),
        (["quick", "--distillation", 0.9, "--teacher", files[0]], "a teacher has other classes than digits"),
        (
            ["reader", "--data", "digits", "--distillation", 0.9, "--teacher", "mnist", "--epochs", 1],
            "--reject-class",
        ),
        (["adapt", "--data", "digits", "--distillation", 0.9], "without rehearsal"),
        (["quick", "--distillation", 1.5], "from 0.0 to 1.0"),
    ):
        outcome = lenet("train", *words)
        assert outcome.code == 2, words
        assert message in outcome.err
        assert len(outcome.err.splitlines()) == 1
    assert not (workplace / "runs").exists()


def test_the_teachers_given_are_not_changed(bars: ImageSet, recipe: Recipe, teachers: list[LeNet]):
    """They are the caller's: training goes on with them as before."""
    teachers[0].train()
    teach(bars, replace(recipe, distillation=0.5), 0, teachers)
    assert teachers[0].training
    assert all(parameter.requires_grad for parameter in teachers[0].parameters())


@pytest.mark.parametrize("change", [{"classes": 4}, {"reject_class": True}])
def test_answers_must_fit_the_network(bars: ImageSet, recipe: Recipe, change: dict[str, Any]):
    teacher = LeNet(replace(recipe.model, **{"classes": len(bars.classes), **change}))
    with pytest.raises(RecipeError, match=r"a teacher has 4 classes|`reject_class` must be the same"):
        teach(bars, replace(recipe, distillation=0.5), 0, [teacher])


def test_in_python_too(bars: ImageSet, recipe: Recipe, teachers: list[LeNet]):
    for lesson, given in ((replace(recipe, distillation=0.5), []), (recipe, teachers)):
        with pytest.raises(RecipeError, match="`distillation`"):
            teach(bars, lesson, 0, given)
