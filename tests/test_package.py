"""The package as others import it."""

import os
import re
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lenet
from lenet import errors

ROOT = Path(__file__).parents[1]
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


def test_the_tree_of_exceptions_is_the_one_that_is_drawn():
    drawn = re.findall(r"^([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", flags=re.MULTILINE)
    parents: list[str] = []
    for branch, name in drawn:
        depth = len(branch) // 4
        parents[depth:] = [name]
        parent = getattr(errors, parents[depth - 1]) if depth else Exception
        assert getattr(errors, name).__bases__ == (parent,)
    assert {name for _, name in drawn} == {name for name in vars(errors) if name.endswith("Error")}


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


def test_help_answers_in_under_three_tenths_of_a_second():
    """Processor time of the process, not time on the wall: this machine may have other work."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "lenet", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime)
    assert min(times) < 0.3


def test_the_command_is_installed():
    command = Path(sys.executable).with_name("lenet")
    if not command.exists():
        pytest.skip("the package is on the path, not installed")
    result = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"lenet {lenet.__version__}\n"
