"""What every test may use: one thread, small data, the command line in this process and in others."""

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lenet.cli.app import main
from lenet.data.datasets import load, load_digits
from lenet.data.idx import write_idx
from lenet.data.imageset import ImageSet
from lenet.models.config import LeNetConfig
from lenet.synthesis.hands import gather_material
from lenet.synthesis.lines import LineStrip, compose_line
from lenet.training.line_bank import write_bank
from lenet.training.line_recipe import LineRecipe
from lenet.training.line_run import begin_line_run
from lenet.training.recipe import Recipe
from lenet.training.run_folder import RunFolder

torch.set_num_threads(1)
os.environ["LENET_LANGUAGE"] = "en"  # whatever the locale; tests of Chinese ask for it

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
SMALL = LeNetConfig(input_size=12, channels=(2, 3), kernel_size=3, padding=1, hidden=(8,), classes=3)


def make_bars(count: int, seed: int = 0, side: int = 12) -> ImageSet:
    """Rows, columns and diagonals with noise on them: three classes that a small network learns at once."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 60, (count, 1, side, side), generator=generator)
    places = torch.randint(1, side - 1, (count,), generator=generator)
    for image, label, place in zip(images, labels.tolist(), places.tolist(), strict=True):
        if label == 0:
            image[0, place] = 255
        elif label == 1:
            image[0, :, place] = 255
        else:
            image[0].fill_diagonal_(255)
    return ImageSet(images.byte(), labels, ("row", "column", "diagonal"), "bars")


@pytest.fixture(scope="session")
def bars() -> ImageSet:
    return make_bars(90)


@pytest.fixture(scope="session")
def more_bars() -> ImageSet:
    return make_bars(45, seed=1)


@pytest.fixture(scope="session")
def bars_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bars as a folder of IDX files, as `--data` takes it."""
    folder = tmp_path_factory.mktemp("bars")
    for prefix, data in (("train", make_bars(90)), ("t10k", make_bars(45, seed=1))):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", data.images[:, 0])
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", data.labels.byte())
    return folder


@pytest.fixture(scope="session")
def small() -> LeNetConfig:
    """A network for the bars: 12×12 pixels, three classes, a few hundred weights."""
    return SMALL


@pytest.fixture(scope="session")
def recipe(small: LeNetConfig) -> Recipe:
    return Recipe(name="bars", model=small, data="bars", epochs=3, batch_size=20, optimizer="adam", lr=0.01)


@pytest.fixture(scope="session")
def varied(recipe: Recipe) -> Recipe:
    """Everything that is random, and everything that has to be remembered."""
    changes = {"dropout": 0.2, "degrees": 10.0, "shift": 0.1, "elastic": 1.0, "reject_class": True}
    changes |= {"aspect": 0.1, "pen": 1.0, "blur": 0.5, "coarseness": 0.3, "noise": 0.1, "cover": 0.1}
    changes |= {"fading": 0.2, "negatives": 0.2, "calibrate": True}
    return replace(recipe, ema_decay=0.9, label_smoothing=0.1, clip_norm=1.0, validation=30).override(changes)


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    return load("digits", "train")


@pytest.fixture(scope="session")
def digits_test() -> ImageSet:
    return load("digits", "test")


def load_or_skip(name: str, split: str) -> ImageSet:
    folder = Path(os.environ.get("LENET_DATA", "")) / name
    if "LENET_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"LENET_DATA holds no {name}")
    return load(name, split)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def mnist_test() -> ImageSet:
    """MNIST's 10,000 test images; the test is skipped where LENET_DATA does not hold them."""
    return load_or_skip("mnist", "test")


@pytest.fixture(scope="session")
def fashion() -> tuple[ImageSet, ImageSet]:
    """Fashion-MNIST: training and test images."""
    return load_or_skip("fashion-mnist", "train"), load_or_skip("fashion-mnist", "test")


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def strips() -> list[LineStrip]:
    """Lines of scikit-learn's digits and drawn ones, without any font."""
    images, labels = load_digits()
    material = gather_material(images[:, 0].numpy(), labels.numpy())
    lines = (compose_line(material, 0, "test", number) for number in range(170))
    return [line for line in lines if line is not None][:150]


@pytest.fixture(scope="session")
def banks(strips: list[LineStrip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the lines of a line network's run, as if it had composed them."""
    folder = tmp_path_factory.mktemp("banks")
    write_bank(folder / "train-lines.safetensors", strips[:120])
    write_bank(folder / "validation-lines.safetensors", strips[120:])
    return folder


@pytest.fixture(scope="session")
def begin_lines(banks: Path) -> Callable[..., RunFolder]:
    """Begins a short run of a small line network in a folder, with its lines composed."""

    def begin(runs_dir: Path, seed: int = 1, **changes: Any) -> RunFolder:
        recipe = LineRecipe(
            strips=120, validation=30, epochs=2, batch_size=24, lr=0.01, channels=(4, 6, 8, 8, 12, 12)
        )
        run = begin_line_run(replace(recipe, **changes), seed=seed, runs_dir=runs_dir)
        for file in banks.iterdir():
            shutil.copy(file, run.path)
        return run

    return begin


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with no data beside it and no way to a network."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LENET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LENET_DATA", str(tmp_path / "nothing"))
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setenv("COLUMNS", "100")
    return folder


@pytest.fixture
def lenet(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """The `lenet` command, in this process and in the empty working folder."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["lenet", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, captured.out, captured.err)

    return run


# Commands are lists of words, blocks of Python are strings. Each starts with nothing at hand but the folder.
# Of the cores they get one: a study takes a worker a core, and other tests run on the other cores.
RUN_ALL = """
import os, sys
from lenet.cli.app import main

os.chdir(folder)
os.environ.clear()
os.environ.update(environment)
for stream, path in ((1, "out"), (2, "err")):
    os.dup2(os.open(output / path, os.O_WRONLY | os.O_CREAT), stream)
if hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, [cores[worker % len(cores)]])
for step in steps:
    print("\\0", end="", flush=True)
    print(step, file=sys.stderr)
    if isinstance(step, str):
        exec(compile(step, "<block>", "exec"), {"__name__": "__main__"})
        continue
    sys.argv = step
    try:
        main()
    except SystemExit as end:
        assert not end.code
"""
SLOW_TO_IMPORT = [
    "lenet.cli.app",
    "lenet.training.runs",
    "lenet.insight.plots.canvas",
    "matplotlib.figure",
    "scipy.stats",
]


@pytest.fixture(scope="session")
def forks() -> Any:
    """Processes that are forked from one that has imported PyTorch and computed nothing."""
    kind = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(kind)
    with pytest.MonkeyPatch.context() as environment:
        for library in ("OMP", "OPENBLAS", "MKL"):  # a process with threads must not be forked
            environment.setenv(f"{library}_NUM_THREADS", "1")
        if kind == "forkserver":
            context.set_forkserver_preload(SLOW_TO_IMPORT)
        first = context.Process(target=int)
        first.start()
        first.join()
    return context


@pytest.fixture
def run_all(
    forks: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[list[str | list[str]], Path], list[str]]:
    """Run commands or blocks in a new process, in a folder; what each prints."""

    def run(steps: list[str | list[str]], folder: Path) -> list[str]:
        output = tmp_path_factory.mktemp("output")
        given = {"steps": steps, "folder": folder, "environment": dict(os.environ), "output": output}
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
        process = forks.Process(target=exec, args=(RUN_ALL, {**given, "worker": worker}))
        process.start()
        try:
            process.join()  # pytest limits the time
        finally:
            process.kill()
        assert process.exitcode == 0, (output / "err").read_text("utf-8")
        return (output / "out").read_text("utf-8").split("\0")[1:]

    return run


@pytest.fixture
def full_disk() -> Callable[[int], Any]:
    """A block in which no file can grow beyond some bytes: the system's own limit, as a full disk acts."""
    resource = pytest.importorskip("resource", reason="no such limit on this system")

    @contextmanager
    def limit(most_bytes: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


def list_tree(folder: Path) -> dict[str, bytes | None]:
    """Every path in a folder, and the content of the files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes | None]]:
    return list_tree


# Of a module, not of the session: while playwright runs, its event loop keeps other tests from starting one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser of playwright's; tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
