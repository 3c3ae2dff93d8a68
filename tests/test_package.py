"""The package as others import it."""

import ast
import compileall
import multiprocessing
import os
import re
import resource
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
import torch

import lenet
from lenet import errors

ROOT = Path(__file__).parents[1]
SOURCE = Path(lenet.__file__).parent
HEAVY = ("torch", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "safetensors", "pooch")


@pytest.mark.parametrize("name", lenet.__all__)
def test_public_names_are_there(name: str):
    thing = getattr(lenet, name)
    assert thing is not None
    assert callable(thing) or name == "RECIPES"
    assert name in dir(lenet)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = lenet.nonsense


def test_the_version_is_said_once_and_the_same_twice():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == lenet.__version__


def test_the_package_tells_type_checkers_that_it_is_typed():
    assert (Path(lenet.__file__).parent / "py.typed").exists()


def test_the_stub_has_the_public_names_and_each_is_the_one_at_run_time():
    """The stub only imports, so what a type checker sees of a name is what Python calls."""
    tree = ast.parse((SOURCE / "__init__.pyi").read_text("utf-8"))
    named = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            module = import_module(node.module or "")
            named |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert sorted(named) == sorted(listed) == lenet.__all__
    for name, thing in named.items():
        assert getattr(lenet, name) is thing


USER_SCRIPT = """
from pathlib import Path
from typing import assert_type

import torch

import lenet

train, test = lenet.load_data("digits", "train"), lenet.load_data("digits", "test")
assert_type(train, lenet.ImageSet)
assert_type(train.images, torch.Tensor)
rest, held_out = lenet.split_stratified(train.labels, 200, seed=0)
validation = train.subset(held_out)
recipe = lenet.RECIPES["quick"].override({"epochs": 2})
assert_type(recipe, lenet.Recipe)
assert_type(lenet.find_recipe("d2l").model, lenet.LeNetConfig)
model = lenet.make_model(recipe, seed=0)
assert_type(model, lenet.LeNet)
for epoch in lenet.show_progress(lenet.train(model, train.subset(rest), recipe, validation=validation)):
    assert_type(epoch, lenet.Epoch)
    assert_type(epoch.train_loss, float)
evaluation = lenet.evaluate(model, test)
assert_type(evaluation, lenet.Evaluation)
assert_type(evaluation.accuracy, float)
lenet.draw_confusion(evaluation, Path("confusion.png"))
lenet.save(model, "digits.safetensors", classes=test.classes)
checkpoint = lenet.load("digits.safetensors")
assert_type(checkpoint, lenet.Checkpoint)
assert_type(checkpoint.classes, tuple[str, ...])
reading = lenet.Reader(checkpoint, max_error=None).read("picture.png")
assert_type(reading, lenet.Reading)
assert_type(reading.text, str)
maps = lenet.trace_maps(model, test.images[:1])
assert_type(maps, dict[str, torch.Tensor])
assert_type(lenet.compute_attribution(model, test.images[0]).predicted, int)
for name, path in lenet.find_pictures(["pictures"]):
    assert_type((name, path), tuple[str, Path])
run = lenet.begin_run(recipe)
assert_type([epoch.epochs for epoch in lenet.run_training(run)], list[int])
assert_type(lenet.summarise_run(run).test_accuracy, float | None)
assert_type(lenet.__version__, str)
"""
MISTAKES = """
import lenet

lenet.make_modle
lenet.evaluate("mnist")
lenet.load("mnist").clases
"""


@pytest.mark.slow
def test_a_type_checker_sees_the_public_face(tmp_path: Path):
    """Strict, and no expression whose type is or holds Any; what is wrong is found."""
    pytest.importorskip("mypy")
    for name, script in (("right", USER_SCRIPT), ("wrong", MISTAKES)):
        (tmp_path / f"{name}.py").write_text(script)
    # With the settings and the cache of `make lint`, which has checked torch and numpy: that takes 20 s.
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    stricter = '[[tool.mypy.overrides]]\nmodule = "right"\ndisallow_any_expr = true\n'
    (tmp_path / "pyproject.toml").write_text(f"{settings}\n{stricter}", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", tmp_path / "pyproject.toml", *tmp_path.glob("*.py")],
        cwd=ROOT, env=os.environ | {"MYPYPATH": "src"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.findall(r"^(?:.*/)?([^/]*)\.py:\d+: error: (.*)$", done.stdout, re.MULTILINE)
    assert {file for file, _ in found} == {"wrong"}, done.stdout
    mistakes = [text for _, text in found if re.search(r"make_modle|incompatible type|clases", text)]
    assert len(mistakes) == 3, done.stdout


def test_what_is_saved_is_loaded(tmp_path: Path):
    model = lenet.make_model(lenet.RECIPES["quick"], seed=1)
    lenet.save(model, tmp_path / "model.safetensors")
    loaded = lenet.load(tmp_path / "model.safetensors")
    assert loaded.classes == tuple("0123456789")
    assert loaded.model.config == model.config
    torch.testing.assert_close(loaded.model.state_dict(), model.state_dict(), rtol=0, atol=0)
    lenet.save(loaded, str(tmp_path / "again.safetensors"))
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_a_saved_checkpoint_keeps_its_card(tmp_path: Path):
    shipped = lenet.load("mnist")
    shipped.card["config"] = shipped.model.config.to_dict()  # older files spell some settings otherwise
    lenet.save(shipped, tmp_path / "copy.safetensors")
    assert lenet.load(tmp_path / "copy.safetensors").card == shipped.card
    lenet.save(shipped, tmp_path / "named.safetensors", classes=list("abcdefghij"))
    named = lenet.load(tmp_path / "named.safetensors")
    assert named.card == {**shipped.card, "classes": list("abcdefghij")}


def test_classes_that_are_not_known_or_do_not_fit(tmp_path: Path):
    model = lenet.LeNet(lenet.LeNetConfig(classes=3))
    with pytest.raises(lenet.LeNetError, match="3 classes and they have no names; give `classes`"):
        lenet.save(model, tmp_path / "model.safetensors")
    with pytest.raises(lenet.LeNetError, match="names 2 classes, the network has 3"):
        lenet.save(model, tmp_path / "model.safetensors", classes=("a", "b"))
    assert not list(tmp_path.iterdir())
    lenet.save(model, tmp_path / "model.safetensors", classes=("a", "b", "c"))
    assert lenet.load(tmp_path / "model.safetensors").classes == ("a", "b", "c")


def test_the_tree_of_exceptions_is_the_one_that_is_drawn():
    drawn = re.findall(r"^([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", flags=re.MULTILINE)
    parents: list[str] = []
    for branch, name in drawn:
        depth = len(branch) // 4
        parents[depth:] = [name]
        parent = getattr(errors, parents[depth - 1]) if depth else Exception
        assert getattr(errors, name).__bases__ == (parent,)
    assert {name for _, name in drawn} == {name for name in vars(errors) if name.endswith("Error")}


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error")])
def test_an_error_of_a_worker_process_reaches_its_parent(name: str):
    """As multiprocessing sends it; one that cannot be rebuilt there would count as a dead worker."""
    here, there = multiprocessing.Pipe()
    with here, there:
        here.send(getattr(errors, name)("what happened; what to do"))
        error = there.recv()
    assert (type(error).__name__, str(error)) == (name, "what happened; what to do")


def list_modules(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_the_package_costs_nothing():
    loaded = list_modules("import lenet; lenet.__all__")
    assert not loaded & {*HEAVY, "cyclopts", "rich"}


@pytest.mark.parametrize(("said", "heeded"), [(None, "1000"), ("7", "7")])
def test_waiting_threads_let_others_work(said: str | None, heeded: str):
    """What the OpenMP library is told before torch loads it; whoever says otherwise is heeded."""
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    code = "import lenet, os, sys; assert 'torch' not in sys.modules; print(os.environ['GOMP_SPINCOUNT'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | ({"GOMP_SPINCOUNT": said} if said else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == heeded


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["recipes"], ["summary", "d2l"]])
def test_quick_verbs_import_nothing_heavy(arguments: list[str]):
    loaded = list_modules(
        f"import sys; sys.argv = ['lenet', *{arguments}]\n"
        "from lenet.cli.app import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code"
    )
    assert not loaded & set(HEAVY)


def measure_seconds(command: list[str], folder: Path | None = None) -> float:
    """Processor time of the process, not time on the wall, and the least of seven: the work of others on the
    same cores and caches only adds to it.

    With bytecode, as an installation has it; the first run writes it where it is missing.
    """
    times = []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True, cwd=folder, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime)
    return min(times)


def test_help_answers_in_under_three_tenths_of_a_second():
    assert measure_seconds([sys.executable, "-m", "lenet", "--help"]) < 0.3


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a zip of compiled modules and data, without sources."""
    folder = tmp_path_factory.mktemp("zipped")
    shutil.copytree(SOURCE, folder / "lenet", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    assert compileall.compile_dir(folder / "lenet", quiet=1, legacy=True)
    with zipfile.ZipFile(folder / "lenet.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "lenet").rglob("*")):
            if path.suffix not in (".py", ".pyi", ".cpp", ".h"):
                archive.write(path, path.relative_to(folder))
    shutil.rmtree(folder / "lenet")
    return folder / "lenet.zip"


def call_zipped(zipped: Path, *words: str) -> list[str]:
    code = (
        f"import sys; sys.path.insert(0, {str(zipped)!r}); sys.argv = {['lenet', *words]}\n"
        f"import lenet; assert lenet.__file__.startswith({str(zipped)!r}), lenet.__file__\n"
        "from lenet.cli.app import main\n"
        "main()"
    )
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--help",), "Usage: lenet COMMAND"),
        (("train", "--help"), "Passes over the training images."),
        (("recipes",), "Dive into Deep Learning"),
        (("recipes", "quick"), "Passes over the training images."),
    ],
)
def test_an_installation_without_sources_answers(
    zipped: Path, words: tuple[str, ...], line: str, tmp_path: Path
):
    done = subprocess.run(call_zipped(zipped, *words), capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert line in done.stdout


def test_help_without_sources_is_as_fast(zipped: Path, tmp_path: Path):
    assert measure_seconds(call_zipped(zipped, "--help"), tmp_path) < 0.3


def test_the_command_is_installed():
    command = Path(sys.executable).with_name("lenet")
    if not command.exists():
        pytest.skip("the package is on the path, not installed")
    result = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"lenet {lenet.__version__}\n"
