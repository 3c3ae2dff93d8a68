"""The house as it is drawn: rooms import only upwards, and each duty has one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lenet

SOURCE = Path(lenet.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
ROOMS = (
    "kernels", "models", "images", "uncertainty", "data", "synthesis", "training", "reading", "insight",
    "experiments", "page", "export", "batch", "serving", "bench", "cli",
)  # fmt: skip
FORBIDDEN = {
    *(("images", room) for room in ("kernels", "models")),
    *(("uncertainty", room) for room in ("kernels", "models", "images")),
    *(("data", room) for room in ("kernels", "models", "uncertainty")),
    *(("synthesis", room) for room in ("kernels", "models", "uncertainty")),
    *(("reading", room) for room in ("data", "synthesis", "training")),
}
FOR_ALL = ("errors", "files", "processes", "phrases")  # each may import those before it
NETWORK = {"urllib.request", "http", "socket", "ssl", "ftplib", "requests", "httpx", "asyncio"}
LISTENING = {"socket", "asyncio"}
FETCHING = (".retrieve", "urlopen", "urlretrieve")
CONNECTING = (".connect", ".connect_ex", "create_connection", "open_connection", ".sendto")
PICKLES = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of all imported modules, and of names imported from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


every_module = pytest.mark.parametrize("path", MODULES, ids=name)


def test_that_there_is_something_to_check():
    assert {"cli", "models", "data", "training", "reading"} <= {room(path) for path in MODULES}


@every_module
def test_rooms_import_only_upwards(path: Path):
    here = room(path)
    for module in imported(parse(path)):
        if not module.startswith("lenet."):
            continue
        there = module.split(".")[1]
        if there == here or module == "lenet.__version__":
            continue
        if here in FOR_ALL:
            assert there in FOR_ALL[: FOR_ALL.index(here)], (
                f"{name(path)} imports {module}: all import {here}"
            )
            continue
        if there in FOR_ALL:
            continue
        if here in ("__main__", "__init__"):
            assert there == "cli", f"{name(path)} imports {module}"
            continue
        assert there in ROOMS, f"{name(path)} imports {module}, which is no room"
        assert ROOMS.index(there) < ROOMS.index(here), f"{name(path)} imports {module}: that is downwards"
        assert (here, there) not in FORBIDDEN, f"{name(path)} imports {module}"


@every_module
def test_no_place_for_odds_and_ends(path: Path):
    words = {part.removesuffix(".py").strip("_") for part in path.relative_to(SOURCE).parts}
    assert not words & {"utils", "util", "common", "helpers", "helper", "misc", "shared", "tools"}


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name == "__init__.py" and p.parent != SOURCE], ids=name
)
def test_a_folder_has_a_docstring_and_nothing_else(path: Path):
    tree = parse(path)
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


@every_module
def test_only_the_command_line_prints(path: Path):
    if room(path) == "cli":
        return
    for function, _ in calls(parse(path)):
        assert function not in ("print", "sys.stdout.write", "sys.stderr.write", "breakpoint"), name(path)


@every_module
def test_only_download_fetches(path: Path):
    """The server listens: `serving` may import sockets and the event loop, but nothing in it connects."""
    if name(path) == str(Path("data/download.py")):
        return
    tree = parse(path)
    listens = room(path) == "serving"
    for module in imported(tree):
        network = NETWORK - LISTENING if listens else NETWORK
        assert not any(module == n or module.startswith(f"{n}.") for n in network), f"{name(path)}: {module}"
    for function, _ in calls(tree):
        fetching = FETCHING + CONNECTING if listens else FETCHING
        assert not function.endswith(fetching), f"{name(path)}: {function}"


@every_module
def test_a_cluster_and_buckets_have_one_door_each(path: Path):
    doors = {"ray": Path("batch/cluster.py"), "s3fs": Path("batch/buckets.py"), "fsspec": None}
    for module in imported(parse(path)):
        package = module.split(".")[0]
        if package in doors:
            assert name(path) == str(doors[package]), f"{name(path)} imports {module}"


@every_module
def test_nothing_stored_is_executed(path: Path):
    tree = parse(path)
    assert not {module.split(".")[0] for module in imported(tree)} & PICKLES
    for function, call in calls(tree):
        assert function not in ("torch.load", "torch.save", "eval", "exec", "np.load"), f"{name(path)}"
        assert not any(keyword.arg == "allow_pickle" for keyword in call.keywords)


def test_a_public_name_is_defined_once():
    places: dict[str, list[str]] = {}
    for path in MODULES:
        if room(path) == "cli":  # verbs are called as the functions that they call
            continue
        for node in parse(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name(path))
    assert {public: where for public, where in places.items() if len(where) > 1} == {}


@every_module
def test_modules_are_small(path: Path):
    assert len(path.read_text("utf-8").splitlines()) <= 300


@every_module
def test_every_module_and_every_public_function_is_explained(path: Path):
    tree = parse(path)
    if path != SOURCE / "__init__.py":
        assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name(path)}: {node.name}"


def test_the_tests_mirror_the_rooms():
    here = Path(__file__).parent
    for folder in {path.parent for path in MODULES} - {SOURCE}:
        if (folder / "__init__.py").exists():
            assert list((here / folder.relative_to(SOURCE)).rglob("test_*.py")), f"no tests for {folder.name}"
