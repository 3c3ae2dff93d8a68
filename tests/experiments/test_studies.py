"""Studies are run, kept and compared."""

from dataclasses import replace
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
import torch

from lenet.data.datasets import load, thin_out
from lenet.data.imageset import ImageSet
from lenet.errors import RecipeError
from lenet.experiments.comparison import compare, list_jobs, prepare, run_study
from lenet.experiments.distorted import CONDITIONS, colour, make_grey, measure_distorted, measure_inverted
from lenet.experiments.pool import Job, find_job_run, run_job
from lenet.experiments.space import make_grid, read_space
from lenet.experiments.studies import STUDIES, Study, find_study
from lenet.models.checkpoint import load_checkpoint
from lenet.models.config import LeNetConfig
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training


@pytest.fixture
def study(small: LeNetConfig, bars_folder: Path) -> Study:
    recipe = Recipe("bars", small, str(bars_folder), 2, 20, "adam", 0.01)
    return Study("rates", "Which rate?", recipe, {"0.01": {}, "0.001": {"lr": 0.001}})


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_one_that_can_be(name: str):
    study = find_study(name)
    recipes = [study.plan(variant) for variant in study.variants]
    assert len({recipe.name for recipe in recipes}) == len(recipes) >= 2
    plain = [replace(recipe, name="any") for recipe in recipes]
    assert all(plain.count(recipe) == 1 for recipe in plain), "variants differ"
    for recipe in recipes:
        assert recipe.model.layers()
    assert study.question.endswith("?")


def test_the_exercises_of_the_textbook_run_as_long_as_its_author():
    own = {"mean-squared-error", "class-weights", "distorted", "inverted"}
    for name in STUDIES.keys() - own:
        study = find_study(name)
        assert study.plan(next(iter(study.variants))).epochs == RECIPES["d2l"].epochs == 10, name


def test_inverted_digits_are_measured(digits_test: ImageSet):
    """Dark ink on light paper is mostly one and the same digit to a network that learnt light ink."""
    found = measure_inverted(load_checkpoint("mnist"), digits_test.subset(torch.arange(60)))
    assert found["as they are"].accuracy > 0.8
    assert found["inverted"].accuracy < 0.3
    assert found["inverted"].most_frequent[1] > 0.3
    assert found["inverted, read as pictures"].accuracy > 0.7


def test_a_study_that_is_none():
    with pytest.raises(RecipeError, match="did you mean 'pooling'"):
        find_study("poling")


def test_runs_are_ordinary_and_kept(study: Study, tmp_path: Path):
    jobs = [job for group in list_jobs(study, 2).values() for job in group]
    outcomes = [run_job(job, tmp_path) for job in jobs]
    assert len({outcome.run for outcome in outcomes}) == 4
    written = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}
    assert [run_job(job, tmp_path) for job in jobs] == outcomes
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")} == written
    comparison = compare(study, 2, outcomes)
    assert comparison.variants[0].accuracies["test"] == tuple(o.test_accuracy for o in outcomes[:2])


def test_a_run_that_was_killed_goes_on(study: Study, tmp_path: Path):
    job = Job(study.plan("0.01"), 0)
    lock_storage = run_job(job, tmp_path / "lock_storage")
    torch.set_num_threads(1)
    run = begin_run(job.recipe, seed=0, device="cpu", runs_dir=tmp_path / "killed")
    next(run_training(run))
    outcome = run_job(job, tmp_path / "killed")
    assert outcome.run == str(run.path)
    assert outcome.test_accuracy == lock_storage.test_accuracy
    assert RunFolder(Path(lock_storage.run)).last.read_bytes() == run.last.read_bytes()


def test_the_same_training_is_done_once_whatever_it_is_called(study: Study, tmp_path: Path):
    first = run_job(Job(study.plan("0.01"), 0), tmp_path)
    other = Job(replace(study.plan("0.01"), name="other", source="elsewhere"), 0)
    assert run_job(other, tmp_path).run == first.run
    assert find_job_run(replace(other, seed=1), tmp_path) is None
    assert find_job_run(Job(study.plan("0.001"), 0), tmp_path) is None


def test_a_training_that_diverges_is_an_outcome(study: Study, tmp_path: Path):
    wild = replace(study.recipe, optimizer="sgd", lr=900.0, loss="mean-squared-error")
    bad = replace(study, recipe=wild, variants={"a": {}, "b": {"activation": "elu"}})
    outcomes = [run_job(job, tmp_path) for group in list_jobs(bad, 2).values() for job in group]
    assert [outcome.test_accuracy for outcome in outcomes] == [None] * 4
    conclusion = compare(bad, 2, outcomes).conclusion
    assert "“a” learnt nothing in 2 of 2 runs: the loss is not finite in epoch" in conclusion


def test_variants_that_are_spelt_alike_are_two(study: Study, tmp_path: Path):
    """-0.5 and 0.5 make one slug; 0.0100000001 and 0.01 are alike to six digits."""
    for text, setting in (("pixel_mean=-0.5,0.5", "pixel_mean"), ("lr=0.01,0.0100000001", "lr")):
        grid = make_grid(study.recipe, read_space(study.recipe, [text]))
        assert len(grid.variants) == len({grid.plan(label).name for label in grid.variants}) == 2
        jobs = [job for group in list_jobs(grid, 1).values() for job in group]
        outcomes = [run_job(job, tmp_path) for job in jobs]
        assert outcomes[0].run != outcomes[1].run
        plans = [RunFolder(Path(outcome.run)).read_plan() for outcome in outcomes]
        values = [read_setting(plan.recipe, setting) for plan in plans]
        assert values == [changes[setting] for changes in grid.variants.values()]
        told = [
            replace(outcome, test_accuracy=share)
            for outcome, share in zip(outcomes, (0.25, 0.75), strict=True)
        ]
        variants = compare(grid, 1, told).variants
        assert [variant.accuracies["test"] for variant in variants] == [(0.25,), (0.75,)]


def read_setting(recipe: Recipe, name: str) -> object:
    return getattr(recipe if hasattr(recipe, name) else recipe.model, name)


def test_equal_names_of_other_data_are_other_trainings(study: Study, tmp_path: Path, bars_folder: Path):
    other = tmp_path / "elsewhere" / bars_folder.name
    other.mkdir(parents=True)
    for file in bars_folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    job = Job(study.plan("0.01"), 0)
    begun = begin_run(job.recipe, seed=0, device="cpu", runs_dir=tmp_path)
    moved = replace(job, recipe=replace(job.recipe, data=str(other)))
    assert find_job_run(moved, tmp_path) == begun  # the same data
    images = other / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1] + b"\x07")
    assert find_job_run(moved, tmp_path) is None


def test_a_training_of_another_study_is_waited_for(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = Job(study.plan("0.01"), 0)
    run = begin_run(job.recipe, seed=0, device="cpu", runs_dir=tmp_path)
    training = run_training(run)
    next(training)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            list(training)  # the other process ends

    monkeypatch.setattr("lenet.experiments.pool.time.sleep", wait)
    assert run_job(job, tmp_path).run == str(run.path)
    assert len(waits) == 2
    assert len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process can be started."""

    def refuse(self: SpawnProcess) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(SpawnProcess, "start", refuse)


@pytest.mark.usefixtures("no_workers")
def test_a_finished_study_starts_no_workers(study: Study, tmp_path: Path):
    """Nor does one whose trainings diverged; the runs that are left do need a worker."""
    wild = {"wild": {"optimizer": "sgd", "lr": 900.0, "loss": "mean-squared-error", "activation": "elu"}}
    study = replace(study, variants={**study.variants, **wild})
    jobs = [job for group in list_jobs(study, 1).values() for job in group]
    done = [run_job(job, tmp_path) for job in jobs]
    assert done[2].diverged
    assert list(run_study(study, 1, tmp_path, workers=2)) == done
    with pytest.raises(AssertionError, match="a process was started"):
        list(run_study(study, 2, tmp_path, workers=2))


@pytest.mark.slow
def test_workers_do_the_same(study: Study, tmp_path: Path):
    outcomes = list(run_study(study, 2, tmp_path / "pool", workers=2))
    here = [run_job(o.job, tmp_path / "here") for o in outcomes]
    assert [o.test_accuracy for o in outcomes] == [o.test_accuracy for o in here]


def test_rare_classes_are_thinned_out(tmp_path: Path):
    labels = torch.arange(10).repeat(100)
    left = labels[thin_out(labels, range(5, 10), 0.03)]
    assert left.bincount().tolist() == [100] * 5 + [3] * 5
    assert labels[thin_out(labels, range(5, 10), 0.0001)].bincount().tolist() == [100] * 5 + [1] * 5
    study = replace(STUDIES["class-weights"], recipe=RECIPES["quick"])
    prepared = prepare(study, tmp_path)
    counts = load(prepared.recipe.data, "train").labels.bincount()
    assert counts[:5].min() > 100
    assert counts[5:].max() < 3
    assert len(load(prepared.recipe.data, "test")) == 360
    assert prepare(study, tmp_path) == prepared


def test_coloured_digits_have_contrast_and_come_back(digits_test: ImageSet):
    images = digits_test.images[:20, 0].numpy()
    pictures = [colour(image, number) for number, image in enumerate(images)]
    assert pictures[0].shape == (112, 112, 3)
    assert (colour(images[0], 0) == pictures[0]).all()
    grey = make_grey(pictures)[:, 0].float()
    for image, picture in zip(images, grey, strict=True):
        assert float(picture.max() - picture.min()) > 40
        assert (
            abs(torch.corrcoef(torch.stack([torch.tensor(image).flatten(), picture.flatten()]))[0, 1]) > 0.9
        )


@pytest.mark.slow
def test_distorted_images_are_measured(digits_test: ImageSet):
    figures = measure_distorted(load_checkpoint("mnist"), digits_test.subset(torch.arange(40)))
    assert tuple(figures) == CONDITIONS
    assert figures["as they are"] > figures["coloured, made grey"]
    assert figures["coloured, read as pictures"] > figures["coloured, made grey"]


def test_an_old_name_finds_its_study() -> None:
    assert find_study("disturbed") is STUDIES["distorted"]
