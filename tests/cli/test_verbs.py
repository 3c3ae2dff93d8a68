"""Every verb: exit code, what goes to standard output and what to standard error, and the promised keys."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lenet as package
from lenet.cli.app import name_flags, register_verbs
from lenet.cli.flags import ELSEWHERE, FIRST, describe_setting, read_setting
from lenet.cli.tables import write_setting
from lenet.data.imageset import ImageSet
from lenet.models.config import MODELS
from lenet.training.recipe import SETTINGS

app = register_verbs()

Lenet = Callable[..., Any]
GOLDEN = Path(__file__).parents[1] / "golden"
VERBS = [
    (), ("train",), ("evaluate",), ("predict",), ("explain",), ("report",), ("recipes",), ("models",),
    ("summary",), ("runs",),
    ("runs", "plot"), ("bench",), ("env",), ("completion",), ("doctor",), ("study",), ("data",),
    ("data", "list"), ("data", "fetch"),
    ("data", "import"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("trian",), 'Unknown command "trian". Did you mean "train"?; `lenet --help` shows what there is'),
        (
            ("train", "--lr", "x"),
            'Invalid value for --lr: unable to convert "x" into float; `lenet train --help`',
        ),
        (("runs", "plott"), "unexpected argument 'plott'; `lenet runs --help` shows what there is"),
    ],
)
def test_misuse_is_sent_to_the_help_that_says_it(lenet: Lenet, words: tuple[str, ...], line: str):
    outcome = lenet(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"lenet: {line}")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A short run on digits, made by the real command: its folder, its JSON, its standard error."""
    folder = tmp_path_factory.mktemp("trained")
    command = [
        sys.executable, "-m", "lenet", "train", "quick", "--epochs", "4", "--device", "cpu", "--json",
        "--runs-dir", str(folder / "runs"),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    summary = json.loads(result.stdout)
    return Path(summary["run"]), summary, result.stderr


@pytest.fixture
def pictures(workplace: Path, digits_test: ImageSet) -> list[Path]:
    """Three digits as a person may save them: white on black, black on white, and larger."""
    paths = []
    for number, image in enumerate(digits_test.images[:3, 0].numpy()):
        path = workplace / f"digit {number}.png"
        picture = Image.fromarray(image if number == 0 else 255 - image)
        (picture.resize((140, 140)) if number == 2 else picture).save(path)
        paths.append(path)
    return paths


def test_summary_prints_the_table(lenet: Lenet):
    outcome = lenet("summary", "d2l")
    assert outcome.out == (GOLDEN / "summary_d2l.txt").read_text("utf-8")
    assert (outcome.code, outcome.err) == (0, "")
    assert lenet("summary", "lenet5-sigmoid").out == outcome.out


def test_summary_for_programs(lenet: Lenet):
    summary = lenet("summary", "d2l", "--json").json
    assert (summary["parameters"], summary["multiply_adds"]) == (61_706, 416_520)
    assert [layer["parameters"] for layer in summary["layers"] if layer["parameters"]] == [
        156, 2_416, 48_120, 10_164, 850,
    ]  # fmt: skip
    assert summary["layers"][0].items() >= {
        "name": "conv1", "kind": "Conv2d", "output_shape": [6, 28, 28], "parameters": 156,
    }.items()  # fmt: skip
    kinds = [(layer["kind"], layer["output_shape"]) for layer in summary["layers"]]
    assert kinds == [
        ("Conv2d", [6, 28, 28]), ("Sigmoid", [6, 28, 28]), ("AvgPool2d", [6, 14, 14]),
        ("Conv2d", [16, 10, 10]), ("Sigmoid", [16, 10, 10]), ("AvgPool2d", [16, 5, 5]), ("Flatten", [400]),
        ("Linear", [120]), ("Sigmoid", [120]), ("Linear", [84]), ("Sigmoid", [84]), ("Linear", [10]),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [*package.RECIPES, "lenet5-tanh", "lenet5-textbook"])
def test_every_network_has_a_summary(lenet: Lenet, name: str):
    counts = {"lenet-1989": "9,760", "lenet1-1998": "2,578", "lenet4-1998": "50,698", "lenet5-1998": "60,000"}
    counts["tiny"] = "7,676"
    count = counts.get(name, "61,706")
    assert count in lenet("summary", name).out.splitlines()[-1]


def test_the_network_of_1998_has_the_papers_connections(lenet: Lenet):
    summary = lenet("summary", "lenet5-1998", "--json").json
    assert (summary["parameters"], summary["connections"]) == (60_000, 340_908)
    counts = [layer["connections"] for layer in summary["layers"] if layer["connections"]]
    assert counts == [122_304, 5_880, 151_600, 2_000, 48_120, 10_164, 840]
    assert lenet("summary", "lenet5-1998").out.splitlines()[-1].split() == [
        "total", "60,000", "328,096", "340,908",
    ]  # fmt: skip


def test_the_network_of_1989_has_the_papers_counts(lenet: Lenet):
    summary = lenet("summary", "lenet-1989", "--json").json
    assert (summary["parameters"], summary["connections"]) == (9_760, 64_660)
    counts = [(row["parameters"], row["connections"]) for row in summary["layers"] if row["connections"]]
    assert counts == [(1_068, 19_968), (2_592, 38_592), (5_790, 5_790), (310, 310)]


def test_recipes(lenet: Lenet):
    rows = lenet("recipes", "--json").json
    assert {row["name"] for row in rows} >= {"d2l", "d2l-relu", "lab3", "lenet5-tanh", "classic-sigmoid"}
    for row in rows:
        assert {"name", "model", "data", "epochs", "source"} <= set(row)
    text = lenet("recipes").out
    assert all(row["name"] in text and row["source"] in text for row in rows)


def test_the_recipe_of_a_tutorial_names_its_pages(lenet: Lenet):
    pages = {row["name"]: row["page"] for row in lenet("recipes", "--json").json if row["page"]}
    assert list(pages) == ["d2l", "d2l-relu", "lab3", "lenet5-tanh", "classic-sigmoid"]
    for name, page in pages.items():
        last = lenet("recipes", name).out.splitlines()[-1]
        assert last == f"Tutorial: {page}, in Chinese docs/tutorials/{name}.zh.md"


def test_models(lenet: Lenet):
    rows = lenet("models", "--json").json
    today = {row["name"]: row["parameters"] for row in rows if not MODELS[row["name"]].is_classic}
    assert today.pop("tiny") == 7_676
    assert list(today.values()) == [61_706] * 5
    assert "lenet5-tanh" in lenet("models").out


def test_train_for_programs(trained: tuple[Path, dict[str, Any], str]):
    run, summary, progress = trained
    assert set(summary) >= {
        "run", "checkpoint", "epochs", "train_loss", "train_accuracy", "test_accuracy", "seconds",
        "examples_per_second",
    }  # fmt: skip
    assert summary["epochs"] == 4
    assert summary["test_accuracy"] > 0.8
    assert summary["examples_per_second"] > 0
    assert run.name == "quick-digits-0"
    assert Path(summary["checkpoint"]).is_file()
    place, *lines = progress.splitlines()
    assert re.fullmatch(
        r"lenet: training on cpu, \d+ threads?, (the compiled kernel|PyTorch's operators).*", place
    )
    assert [line.split()[1] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    assert all("examples/s" in line and "test" in line for line in lines)


def test_train_for_people(lenet: Lenet, bars_folder: Path):
    flags = ["--input-size", "12", "--epochs", "2", "--seed", "3", "--validation", "30", "--device", "cpu"]
    outcome = lenet("train", "quick", "--data", bars_folder, *flags)
    assert outcome.code == 0
    assert re.search(r"quick-bars\d*-3: 2 epochs in [\d.]+ s of training, [\d,]+ examples/s\n", outcome.out)
    assert re.search(r"best validation accuracy [\d.]+% \(epoch [12] of 2\)\n", outcome.out)
    assert "test accuracy" in outcome.out
    assert outcome.err.count("epoch") == 2
    again = lenet("train", "quick", "--data", bars_folder, *flags, "--quiet")
    assert again.err == ""
    assert "quick-bars" in lenet("runs").out
    assert [run["is_finished"] for run in lenet("runs", "--json").json] == [True, True]


def test_one_command_twice_gives_the_same_file(lenet: Lenet, bars_folder: Path, workplace: Path):
    command = [
        "train",
        "quick",
        "--data",
        bars_folder,
        "--input-size",
        "12",
        "--epochs",
        "1",
        "--device",
        "cpu",
    ]
    files = [Path(lenet(*command, "--json").json["checkpoint"]).read_bytes() for _ in range(2)]
    assert files[0] == files[1]


def test_the_help_of_train_explains_what_people_change_first_and_names_the_rest(lenet: Lenet):
    text = lenet("train", "--help").out
    assert len(text.splitlines()) < 90
    explained, _, more = text.partition("More settings")
    for name in SETTINGS:
        flag = rf"--{name.replace('_', '-')}(?![\w-])"
        assert bool(re.search(flag, explained)) == (name in FIRST | ELSEWHERE), name
        assert bool(re.search(flag, more)) == (name not in FIRST | ELSEWHERE), name
    for word in ("Training", "Network", "Distortions"):
        assert word in explained
    assert 20 <= len(FIRST) <= 24
    assert set(SETTINGS) > FIRST


def test_the_settings_of_a_recipe_are_explained(lenet: Lenet):
    rows = {line.split()[0]: line for line in lenet("recipes", "best").out.splitlines()[1:]}
    assert set(rows) == set(SETTINGS)
    for name, line in rows.items():
        value = write_setting(read_setting(package.RECIPES["best"], name))
        assert line.split(maxsplit=1)[1].startswith(value)
        assert line.endswith(describe_setting(name))
    (row,) = lenet("recipes", "best", "--json").json
    assert (row["name"], row["page"]) == ("best", None)
    assert "did you mean 'best'?" in lenet("recipes", "bets").err


def test_the_machine_is_described(lenet: Lenet):
    values = lenet("env", "--json").json
    assert set(values) >= {
        "lenet", "python", "torch", "numpy", "processor", "cores", "threads", "kernel", "kernel_reason",
        "instruction_set", "gpu", "system", "commit",
    }  # fmt: skip
    assert values["lenet"] == package.__version__
    assert values["kernel"] in ("compiled", "torch")
    assert (values["kernel"] == "compiled") == (values["instruction_set"] is not None)
    text = lenet("env").out
    for key in ("lenet", "processor", "kernel_reason"):
        assert re.search(rf"^{key.replace('_', ' ')} +{re.escape(values[key])}$", text, re.MULTILINE)


def test_the_machine_is_described_without_the_kernel(tmp_path: Path):
    result = run_for_real("env", "--json", env={**os.environ, "LENET_KERNEL": "off"}, cwd=tmp_path)
    values = json.loads(result.stdout)
    assert (values["kernel"], values["instruction_set"]) == ("torch", None)
    assert "LENET_KERNEL=off" in values["kernel_reason"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_shells_complete_verbs_and_flags(lenet: Lenet, shell: str):
    script = lenet("completion", shell).out
    assert "evaluate" in script
    assert "batch-size" in script
    if shell == "bash" and shutil.which("bash"):
        check = f'{script}\nCOMP_WORDS=(lenet tra); COMP_CWORD=1; _lenet; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["train"]


@pytest.mark.parametrize(
    ("words", "said", "written"),
    [
        (["train"], "lower `lr`, or take `clip_norm=1`", "lower --lr, or take --clip-norm 1"),
        (["train", "d2l"], "batch_size is 0; give more", "--batch-size is 0; give more"),
        (["train"], "mine.txt: batch_size is 0", "mine.txt: batch_size is 0"),
        (["train"], "take `shuffle=True`, not `flip=False`", "take --shuffle, not --no-flip"),
        (["train"], "`lenet runs` lists the `unknown`", "`lenet runs` lists the `unknown`"),
        (["evaluate", "x"], "take `lr=1`; name it with `data`", "take `lr=1`; name it with --data"),
        (["study", "--over", "lr=1:2"], "say so with `trials=50`", "say so with --trials 50"),
        (["runs", "plot"], "give `runs_dir`, `names`", "give --runs-dir, `names`"),
        (["bench"], "batch_size is 0", "--batch-size is 0"),
    ],
)
def test_the_library_names_settings_and_the_command_flags(words: list[str], said: str, written: str):
    assert name_flags(said, words) == written


def test_flags_reach_the_plan(lenet: Lenet, bars_folder: Path, workplace: Path):
    outcome = lenet(
        "train", "d2l", "--data", bars_folder, "--epochs", 1, "--channels", "2,3", "--hidden", "5",
        "--no-shuffle", "--class-weights", "1,2,3", "--optimizer", "adamw", "--lr", "1e-3",
        "--kernel-size", 3, "--input-size", 12, "--degrees", 5, "--keep-every-epoch", "--device", "cpu",
        "--json",
    )  # fmt: skip
    plan = json.loads((workplace / outcome.json["run"] / "recipe.json").read_text())["recipe"]
    assert plan["model"]["channels"] == [2, 3]
    assert plan["model"]["hidden"] == [5]
    assert plan["model"]["classes"] == 3
    assert plan["class_weights"] == [1, 2, 3]
    assert (plan["shuffle"], plan["optimizer"], plan["lr"], plan["keep_every_epoch"]) == (
        False,
        "adamw",
        1e-3,
        True,
    )
    assert plan["distortions"]["degrees"] == 5
    assert (workplace / outcome.json["run"] / "epoch-001.safetensors").exists()


def test_resuming_goes_on(lenet: Lenet, bars_folder: Path, workplace: Path):
    command = ["train", "d2l", "--data", bars_folder, "--input-size", 12, "--device", "cpu", "--json"]
    short = lenet(*command, "--epochs", 1).json
    resumed = lenet("train", "--resume", short["run"], "--seed", 0, "--epochs", 3, "--json").json
    assert (resumed["run"], resumed["epochs"]) == (short["run"], 3)
    long = lenet(*command, "--epochs", 3).json
    assert Path(resumed["checkpoint"]).read_bytes() == Path(long["checkpoint"]).read_bytes()


def test_evaluate_for_programs(lenet: Lenet, trained: tuple[Path, dict[str, Any], str]):
    run, summary, _ = trained
    evaluation = lenet("evaluate", run, "--json").json
    assert set(evaluation) >= {"count", "accuracy", "loss", "per_class", "confusion"}
    assert evaluation["count"] == 360
    assert evaluation["accuracy"] == summary["test_accuracy"]
    assert sum(map(sum, evaluation["confusion"])) == 360
    assert lenet("evaluate", summary["checkpoint"], "--data", "digits", "--json").json == evaluation
    assert lenet("evaluate", run, "--split", "train", "--json").json["count"] == 1437


def test_data_of_ones_own_are_found_from_anywhere(
    lenet: Lenet, bars_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    command = (
        "train",
        "quick",
        "--data",
        bars_folder,
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--json",
        "--quiet",
    )
    summary = lenet(*command, "--runs-dir", tmp_path / "runs").json
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for checkpoint in (summary["run"], summary["checkpoint"]):
        assert lenet("evaluate", checkpoint, "--json").json["accuracy"] == summary["test_accuracy"]
    assert lenet("predict", "--sample", "2", "--checkpoint", summary["run"], "--json").json["count"] == 2


def test_a_word_that_is_no_command_gets_a_whole_sentence(lenet: Lenet):
    assert lenet("trian").err.count(",;") == 0


def test_evaluate_for_people(lenet: Lenet, trained: tuple[Path, dict[str, Any], str], workplace: Path):
    outcome = lenet("evaluate", trained[0], "--out", "figures")
    assert outcome.out.startswith("360 images: accuracy ")
    for word in ("precision", "true \\ read as", "hardest"):
        assert word in outcome.out
    for name in ("confusion.png", "hardest.png"):
        with Image.open(workplace / "figures" / name) as picture:
            assert min(picture.size) > 100
    assert outcome.err == ""


def test_predict_for_programs(lenet: Lenet, trained: tuple[Path, dict[str, Any], str], pictures: list[Path]):
    outcome = lenet("predict", *pictures, "--checkpoint", trained[0], "--json")
    assert (outcome.code, outcome.err) == (0, "")
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert [row["picture"] for row in rows] == [str(path) for path in pictures]
    for row, path in zip(rows, pictures, strict=True):
        assert set(row) >= {"picture", "text", "confidence", "rejected", "digits"}
        assert 0 < row["confidence"] <= 1
        (digit,) = row["digits"]
        assert set(digit) >= {"digit", "probability", "box"}
        assert row["text"] == str(digit["digit"])
        left, top, width, height = digit["box"]
        with Image.open(path) as picture:
            assert 0 <= left < left + width <= picture.width
            assert 0 <= top < top + height <= picture.height


def test_predict_reads_what_it_is_shown(
    lenet: Lenet, trained: tuple[Path, dict[str, Any], str], pictures: list[Path], digits_test: ImageSet
):
    outcome = lenet("predict", *pictures, "--checkpoint", trained[0])
    lines = outcome.out.splitlines()
    assert len(lines) == 3
    right = sum(
        f"{path}: {label} (" in line
        for path, label, line in zip(pictures, digits_test.labels[:3].tolist(), lines, strict=True)
    )
    assert right >= 2  # four epochs make no master


def test_predict_goes_on_after_a_bad_picture(
    lenet: Lenet, trained: tuple[Path, dict[str, Any], str], pictures: list[Path], workplace: Path
):
    bad = workplace / "bad.png"
    bad.write_bytes(b"no picture")
    given = [pictures[0], bad, workplace / "missing.png", pictures[1]]
    outcome = lenet("predict", *given, "--checkpoint", trained[0], "--json")
    assert outcome.code == 1
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert [row["picture"] for row in rows] == [str(path) for path in given]
    assert ["error" in row for row in rows] == [False, True, True, False]
    assert set(rows[1]) == {"picture", "error"}

    outcome = lenet("predict", *given, "--checkpoint", trained[0])
    assert outcome.code == 1
    assert len(outcome.out.splitlines()) == 2
    assert [line.startswith("lenet: ") for line in outcome.err.splitlines()] == [True, True]


def test_predict_explains_itself(
    lenet: Lenet, trained: tuple[Path, dict[str, Any], str], pictures: list[Path], workplace: Path
):
    outcome = lenet("predict", pictures[2], "--checkpoint", trained[0], "--explain", "steps.png")
    assert outcome.code == 0
    with Image.open(workplace / "steps.png") as steps:
        assert 1000 <= steps.width <= 1200  # it is read at the width of a page


def test_predict_on_blank_paper(lenet: Lenet, trained: tuple[Path, dict[str, Any], str], workplace: Path):
    Image.new("L", (60, 60), 255).save(workplace / "blank.png")
    row = lenet("predict", "blank.png", "--checkpoint", trained[0], "--json").json
    assert (row["text"], row["rejected"], row["digits"]) == ("", True, [])


def test_predict_on_a_sample(lenet: Lenet, trained: tuple[Path, dict[str, Any], str], workplace: Path):
    result = lenet("predict", "--sample", 12, "--checkpoint", trained[0], "--out", "grid.png", "--json").json
    assert (result["picture"], result["count"]) == ("grid.png", 12)
    assert 0 <= result["errors"] <= 12
    with Image.open(workplace / "grid.png") as grid:
        assert grid.width > 300


def run_for_real(*arguments: object, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "lenet", *map(str, arguments)], capture_output=True, check=False, **more
    )


def test_predict_reads_standard_input(
    trained: tuple[Path, dict[str, Any], str], pictures: list[Path], workplace: Path
):
    result = run_for_real(
        "predict", "-", "--checkpoint", trained[0], "--json", input=pictures[0].read_bytes(), cwd=workplace
    )
    assert (result.returncode, result.stderr) == (0, b"")
    row = json.loads(result.stdout)
    assert row["picture"] == "-"
    assert len(row["digits"]) == 1


def test_data_list(lenet: Lenet, workplace: Path):
    rows = {row["name"]: row for row in lenet("data", "list", "--json").json}
    assert rows["digits"]["found"] == "install"
    assert rows["mnist"]["found"] == "missing"
    assert rows["mnist"]["licence"] == "CC BY-SA 3.0"
    assert "Fashion" not in lenet("data", "list").err


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_and_an_example_that_parses(lenet: Lenet, verb: tuple[str, ...]):
    outcome = lenet(*verb, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("Usage: lenet")
    if verb in ((), ("data",)):
        return
    examples = re.findall(r"^Example: (lenet .*)$", outcome.out, flags=re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[1 : 1 + len(verb)] == list(verb)
        app.parse_args(words[1:], exit_on_error=False, print_error=False)


def test_version_and_no_arguments(lenet: Lenet):
    assert lenet("--version").out == f"lenet {package.__version__}\n"
    outcome = lenet()
    assert outcome.code == 0
    assert "train" in outcome.out


@pytest.mark.parametrize("words", [["recipes", "--json"], ["summary", "d2l"]])
def test_a_reader_that_stops_reading_is_no_mistake(words: list[str]):
    process = subprocess.Popen(
        [sys.executable, "-m", "lenet", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["recipes", "--json"], ["summary", "d2l"]])
def test_a_result_that_cannot_be_written_is_a_mistake(words: list[str]):
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "lenet", *words], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert result.returncode == 2
    assert result.stderr.decode().count("\n") == 1
    assert "No space left" in result.stderr.decode()


def test_a_terminal_that_knows_no_such_letters(tmp_path: Path):
    """Python would end with an error at the first ×."""
    result = run_for_real("summary", "d2l", env={**os.environ, "PYTHONIOENCODING": "ascii"}, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"61,706" in result.stdout


def test_a_picture_whose_name_is_no_text(
    lenet: Lenet, trained: tuple[Path, dict[str, Any], str], workplace: Path, pictures: list[Path]
):
    name = b"\xff.png"
    try:
        (workplace / name.decode("utf-8", "surrogateescape")).write_bytes(pictures[0].read_bytes())
    except OSError:
        pytest.skip("this system takes no such names")
    result = subprocess.run(
        [sys.executable, "-m", "lenet", "predict", name, "--checkpoint", trained[0]],
        capture_output=True, check=False, cwd=workplace,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.count(b"\n") == 1


def test_mnist_from_the_folder_that_the_user_names(
    lenet: Lenet, mnist_test: ImageSet, monkeypatch: Any, request: Any
):
    """The data of the tests are found by name, without a network."""
    assert len(mnist_test) == 10_000
    assert np.asarray(mnist_test.labels[:5]).tolist() == [7, 2, 1, 0, 4]
