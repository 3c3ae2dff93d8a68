"""Whatever is given: one line that begins with `lenet: `, exit code 2, no traceback, nothing left behind."""

import gzip
import io
import json
import pickle
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lenet.data.idx import encode_idx
from lenet.errors import DataError, DivergedError
from lenet.models.checkpoint import save_checkpoint, write_tensors
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet, initialise
from lenet.models.stored import FORMAT
from lenet.training.recipes import RECIPES
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training

Case = Callable[[Path], list[object]]
CASES: list[Any] = []
TINY = LeNetConfig(input_size=8, channels=(2,), kernel_size=3, hidden=(3,), classes=10)
QUICK = ["train", "quick", "--epochs", 1, "--device", "cpu", "--quiet"]
MODEL = "model.safetensors"


def case(expected: str, name: str = "") -> Callable[[Case], Case]:
    """A bad input: prepares the working folder and returns the command; `expected` is in the message."""

    def add(prepare: Case) -> Case:
        CASES.append(pytest.param(prepare, expected, id=name or prepare.__name__))
        return prepare

    return add


def cases(expected: str, **commands: list[object]) -> None:
    """Bad inputs that need no files."""
    for name, command in commands.items():
        CASES.append(pytest.param(lambda _, command=command: command, expected, id=name))


def png(width: int, height: int, content: bytes = b"") -> bytes:
    """A PNG by hand, whose header may say what it likes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def make_model(folder: Path) -> LeNet:
    model = LeNet(TINY)
    initialise(model, "default", torch.Generator().manual_seed(0))
    save_checkpoint(folder / MODEL, model, {"classes": list("0123456789"), "recipe": {"data": "digits"}})
    return model


# ---- data in IDX files


def idx_folder(folder: Path, **replaced: bytes) -> Path:
    data = folder / "own"
    data.mkdir()
    images, labels = torch.zeros(20, 9, 9, dtype=torch.uint8), (torch.arange(20) % 2).byte()
    for prefix in ("train", "t10k"):
        (data / f"{prefix}-images-idx3-ubyte").write_bytes(encode_idx(images))
        (data / f"{prefix}-labels-idx1-ubyte").write_bytes(encode_idx(labels))
    for name, content in replaced.items():
        kind = "images-idx3" if "images" in name else "labels-idx1"
        (data / f"{name.split('_')[0]}-{kind}-ubyte").write_bytes(content)
    return data


WHOLE = encode_idx(torch.zeros(20, 9, 9, dtype=torch.uint8))
IDX = {
    "idx_wrong_magic": (b"\x01\x00" + WHOLE[2:], "not an IDX file"),
    "idx_floats": (WHOLE[:2] + b"\x0d" + WHOLE[3:], "type 0x0d"),
    "idx_no_dimensions": (WHOLE[:3] + b"\x00" + WHOLE[4:], "has 0 dimensions"),
    "idx_too_many_dimensions": (WHOLE[:3] + b"\xff" + WHOLE[4:], "has 255 dimensions"),
    "idx_other_rank": (encode_idx(torch.zeros(20, 81, dtype=torch.uint8)), "(20, 81)"),
    "idx_integers": (encode_idx(torch.zeros(20, 9, 9, dtype=torch.int32)), "must be bytes"),
    "idx_cut_short": (WHOLE[:-1], "is cut short"),
    "idx_cut_in_header": (WHOLE[:9], "ends inside its header"),
    "idx_trailing": (WHOLE + b"\x00", "foreign bytes at its end"),
    "idx_empty": (b"", "not an IDX file"),
    "idx_absurd_sizes": (WHOLE[:4] + b"\xff" * 12, "memory can address"),
    "idx_large_sizes": (WHOLE[:4] + b"\x00\x00\xff\xff" * 3, "promises"),
    "idx_no_images": (encode_idx(torch.zeros(0, 9, 9, dtype=torch.uint8)), "own"),
    "idx_counts_differ": (encode_idx(torch.zeros(19, 9, 9, dtype=torch.uint8)), "labels must be"),
    "idx_gzip_cut_short": (gzip.compress(WHOLE)[:-5], "cut short"),
    "idx_gzip_damaged": (b"\x1f\x8b\x08" + b"\xff" * 30, "its gzip stream is"),
    "idx_gzip_bomb": (gzip.compress(WHOLE + bytes(50_000_000), 1), "foreign bytes at its end"),
}
for name, (content, phrase) in IDX.items():
    CASES.append(
        pytest.param(
            lambda folder, content=content: [*QUICK, "--data", idx_folder(folder, train_images=content)],
            phrase,
            id=name,
        )
    )


@case("label lies outside")
def idx_label_out_of_range(folder: Path) -> list[object]:
    labels = torch.full((20,), 77, dtype=torch.uint8)
    return [*QUICK, "--data", idx_folder(folder, t10k_labels=encode_idx(labels))]


@case("its images have 1 × 600 pixels; at most 512")
def idx_wide_images(folder: Path) -> list[object]:
    wide = encode_idx(torch.zeros(20, 1, 600, dtype=torch.uint8))
    return [*QUICK, "--data", idx_folder(folder, train_images=wide)]


@case("a label is 2147483647; at most 10,000 classes")
def idx_label_of_the_largest_integer(folder: Path) -> list[object]:
    labels = torch.full((20,), 2**31 - 1, dtype=torch.int32)
    return [*QUICK, "--data", idx_folder(folder, train_labels=encode_idx(labels))]


@case("too many for a file of")
def idx_promises_a_gigabyte(folder: Path) -> list[object]:
    promised = gzip.compress(WHOLE[:4] + struct.pack(">III", 1_000_000, 28, 28) + bytes(1_000_000))
    return [*QUICK, "--data", idx_folder(folder, train_images=promised)]


@case("there is no train-labels IDX file")
def idx_without_labels(folder: Path) -> list[object]:
    (idx_folder(folder) / "train-labels-idx1-ubyte").unlink()
    return [*QUICK, "--data", "own"]


# ---- pictures


def picture(content: bytes, name: str = "picture.png") -> Case:
    def prepare(folder: Path) -> list[object]:
        make_model(folder)
        (folder / name).write_bytes(content)
        return ["predict", name, "--checkpoint", MODEL]

    return prepare


def whole_png() -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "PNG")
    return buffer.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
JPEG = io.BytesIO()
Image.linear_gradient("L").resize((64, 64)).save(JPEG, "JPEG", progressive=True)
LAST_SCAN = JPEG.getvalue().rindex(b"\xff\xda")
PICTURES = {
    "png_of_50_million_rows": (png(1, 50_000_000), "picture.png", "more than 30,000 pixels wide or high"),
    "jpeg_of_3000_scans": (
        JPEG.getvalue()[:LAST_SCAN] + JPEG.getvalue()[LAST_SCAN:-2] * 3000 + b"\xff\xd9",
        "picture.jpg",
        "a JPEG of 3005 scans",
    ),
    "png_cut_short": (whole_png()[:200], "picture.png", "damaged or truncated"),
    "png_bomb": (png(60_000, 60_000), "picture.png", "megapixels"),
    "png_without_pixels": (png(28, 28), "picture.png", "picture.png: "),
    "png_of_no_size": (png(0, 0), "picture.png", "picture.png: "),
    "text_named_png": (b"seven\n", "picture.png", "not a picture in a known format"),
    "svg": (SVG, "picture.svg", "not a picture in a known format"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a.eps", "not a picture in a known"),
    "empty_picture": (b"", "picture.png", "the file is empty"),
    "heic": (b"\x00\x00\x00\x18ftypheic" + bytes(99), "picture.heic", "export it as JPEG or PNG"),
    "jpeg_of_noise": (b"\xff\xd8\xff\xe0" + b"\x5a" * 500, "picture.jpg", "picture.jpg: "),
    "tiff_of_noise": (b"II*\x00\xff\xff\xff\xff" + bytes(50), "picture.tif", "picture.tif: "),
    "name_with_a_line_break": (b"text", "pic\nture.png", "pic ture.png"),
}
for name, (content, file_name, phrase) in PICTURES.items():
    CASES.append(pytest.param(picture(content, file_name), phrase, id=name))


def draw_specks(every: int, size: int) -> Image.Image:
    """Squares that touch here and there, at random."""
    source = random.Random(0)
    picture = Image.new("L", (512, 512), 255)
    for top in range(1, 512 - size, every):
        for left in range(1, 512 - size, every):
            x, y = left + source.randint(-1, 1), top + source.randint(-1, 1)
            picture.paste(0, (x, y, x + size, y + size))
    return picture


@case("too much to read")
def specks(folder: Path) -> list[object]:
    make_model(folder)
    draw_specks(4, 3).save(folder / "specks.png")
    return ["predict", "specks.png", "--checkpoint", MODEL]


@case("cannot be opened (no such file or directory)")
def missing_picture(folder: Path) -> list[object]:
    make_model(folder)
    return ["predict", "missing.png", "--checkpoint", MODEL]


@case("is a directory; `lenet predict FOLDER --out results.csv` reads all in it")
def folder_for_a_picture(folder: Path) -> list[object]:
    make_model(folder)
    (folder / "folder.png").mkdir()
    return ["predict", "folder.png", "--checkpoint", MODEL]


@case("no picture was given")
def no_picture(folder: Path) -> list[object]:
    make_model(folder)
    return ["predict", "--checkpoint", MODEL]


@case("give one picture")
def two_pictures_explained(folder: Path) -> list[object]:
    make_model(folder)
    return ["predict", "a.png", "b.png", "--checkpoint", MODEL, "--explain", "steps.png"]


@case("unknown option --bogus")
def unknown_flag_of_predict(folder: Path) -> list[object]:
    make_model(folder)
    return ["predict", "--bogus", "--checkpoint", MODEL]


for name, flags, phrase in (
    ("sample_negative", ["--sample", -5], "sample is -5"),
    ("sample_huge", ["--sample", 10**9], "sample is 1000000000"),
    ("sample_seed", ["--sample", 5, "--seed", 2**64], "seed is 18446744073709551616"),
    ("sample_other_classes", ["--sample", 5, "--data", "own"], "own"),
    ("sample_length", ["--sample", 5, "--length", 2], "leave --length out"),
    ("sample_max_error", ["--sample", 5, "--max-error", "1%"], "leave --max-error out"),
    ("sample_turned", ["--sample", 5, "--turned"], "leave --turned out"),
    ("sample_workers", ["--sample", 5, "--out", "grid.png", "--workers", 2], "leave --workers out"),
    ("data_alone", ["picture.png", "--data", "digits"], "leave --data out"),
    ("seed_alone", ["picture.png", "--seed", 0], "leave --seed out"),
):

    def _sample(folder: Path, flags: Any = flags) -> list[object]:
        make_model(folder)
        own = idx_folder(folder)
        labels = torch.full((20,), 12, dtype=torch.uint8)
        for prefix in ("train", "t10k"):
            (own / f"{prefix}-labels-idx1-ubyte").write_bytes(encode_idx(labels))
        return ["predict", "--checkpoint", MODEL, *flags]

    CASES.append(pytest.param(_sample, phrase, id=name))


# ---- checkpoints


def checkpoint(write: Callable[[Path], object]) -> Case:
    def prepare(folder: Path) -> list[object]:
        write(folder / MODEL)
        return ["evaluate", MODEL, "--data", "digits"]

    return prepare


def write_model(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    tensors = dict(make_model(path.parent).state_dict())
    card = {"format": FORMAT, "config": TINY.to_dict(), "classes": list("0123456789")}
    change(tensors, card)
    write_tensors(path, tensors, card)


CHECKPOINTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "checkpoint_missing": (lambda path: None, "no such checkpoint or run folder"),
    "checkpoint_empty": (lambda path: path.touch(), "not a whole safetensors file"),
    "checkpoint_folder": (lambda path: path.mkdir(), "no such checkpoint or run folder"),
    "checkpoint_text": (lambda path: path.write_text("weights"), "not a whole safetensors file"),
    "checkpoint_pickle": (lambda path: path.write_bytes(pickle.dumps([1])), "a pickle, which can run"),
    "checkpoint_torch": (lambda path: torch.save({"a": torch.ones(2)}, path), "a pickle, which can run"),
    "checkpoint_foreign": (lambda path: save_file({"a": torch.ones(2)}, path), "none of format lenet/1"),
    "checkpoint_huge_header": (lambda path: path.write_bytes(b"\xff" * 8 + b"{}"), "not a whole safetensors"),
    "checkpoint_cut_short": (
        lambda path: (make_model(path.parent), path.write_bytes(path.read_bytes()[:-9])),
        "not a whole safetensors file",
    ),
    "checkpoint_changed_bit": (
        lambda path: (
            make_model(path.parent),
            path.write_bytes(path.read_bytes()[:-9] + b"\x01" + path.read_bytes()[-8:]),
        ),
        "its checksum does not match",
    ),
    "checkpoint_nan": (
        lambda path: write_model(path, lambda t, c: t.update({"output.bias": torch.full((10,), torch.nan)})),
        "not finite",
    ),
    "checkpoint_other_shape": (
        lambda path: write_model(path, lambda t, c: t.update({"output.bias": torch.zeros(9)})),
        "output.bias is torch.float32 (9,)",
    ),
    "checkpoint_other_type": (
        lambda path: write_model(path, lambda t, c: t.update({"output.bias": torch.zeros(10).half()})),
        "torch.float16",
    ),
    "checkpoint_without_a_tensor": (
        lambda path: write_model(path, lambda t, c: t.pop("output.bias")),
        "output.bias",
    ),
    "checkpoint_enormous": (
        lambda path: write_model(path, lambda t, c: c.update(config={"hidden": [8192] * 9})),
        "parameters; at most",
    ),
    "checkpoint_unknown_setting": (
        lambda path: write_model(path, lambda t, c: c.update(config={"kernelsize": 3})),
        "did you mean 'kernel_size'?",
    ),
    "checkpoint_without_classes": (
        lambda path: write_model(path, lambda t, c: c.pop("classes")),
        "names no classes",
    ),
    "checkpoint_state": (
        lambda path: write_model(path, lambda t, c: c.update(format="lenet-state/1")),
        "none of format lenet/1",
    ),
}  # fmt: skip
for name, (write, phrase) in CHECKPOINTS.items():
    CASES.append(pytest.param(checkpoint(write), phrase, id=name))


@case("does not say what it was trained on")
def checkpoint_without_data(folder: Path) -> list[object]:
    write_model(folder / MODEL, lambda t, c: None)
    return ["evaluate", MODEL]


@case("taken")
def figures_into_a_file(folder: Path) -> list[object]:
    make_model(folder)
    (folder / "taken").touch()
    return ["evaluate", MODEL, "--out", "taken"]


# ---- flags

cases("did you mean", verb=["trian"], recipe=["train", "quik"], model=["summary", "lenet5-tnah"])
cases("did you mean 'mnist'?", data=["train", "d2l", "--data", "mnits"])
cases("Unknown option", flag=["train", "--bogus", "1"], flag_nearly=["train", "--epoch", "1"])
cases("zzz", no_such_model=["summary", "zzz"], no_such_recipe=["train", "zzz"], no_such_verb=["zzz"])
cases("", no_such_data_verb=["data", "zzz"], summary_of_nothing=["summary"], evaluate_of_nothing=["evaluate"])
cases("epochs", epochs_text=["train", "--epochs", "many"], epochs_zero=["train", "--epochs", "0"])
cases("'1.5' is not a whole number", seed_fraction=["train", "--seed", "1.5"])
cases("epochs", epochs_negative=["train", "--epochs", "-3"], epochs_fraction=["train", "--epochs", "1.5"])
cases("epochs", epochs_huge=["train", "--epochs", "9" * 30], epochs_nothing=["train", "--epochs"])
cases("--batch-size is 0", batch_size_zero=[*QUICK, "--batch-size", "0"])
cases("seed is -1", seed_negative=[*QUICK, "--seed", "-1"])
cases("seed is", seed_huge=[*QUICK, "--seed", str(2**64), "--validation", "100"])
cases(
    "lr", lr_zero=[*QUICK, "--lr", "0"], lr_nan=[*QUICK, "--lr", "nan"], lr_infinite=[*QUICK, "--lr", "inf"]
)
cases("degrees", degrees_nan=[*QUICK, "--degrees", "nan"], degrees_negative=[*QUICK, "--degrees", "-1"])
cases("--channels is 'six'", channels_words=[*QUICK, "--channels", "six"])
cases("channels is 0", channels_zero=[*QUICK, "--channels", "0,4"])
cases("channels is empty", channels_empty=[*QUICK, "--channels", ","])
cases("more than 100 layers", channels_many=[*QUICK, "--channels", ",".join(["1"] * 200)])
cases("conv1: a 99×99 kernel does not fit", kernel_large=[*QUICK, "--kernel-size", "99"])
cases("parameters; at most", hidden_huge=[*QUICK, "--hidden", "8192,8192"])
cases("activation", activation=[*QUICK, "--activation", "swish"])
cases("optimizer", optimizer=[*QUICK, "--optimizer", "rmsprop"])
cases("dropout", dropout_one=[*QUICK, "--dropout", "1"])
cases("a number above 0", class_weights_negative=[*QUICK, "--class-weights=-1,2"])
cases("digits has 10 classes", class_weights_few=[*QUICK, "--class-weights", "1,2"])
cases("--class-weights is 'heavy'", class_weights_word=[*QUICK, "--class-weights", "heavy"])
cases("--flip makes no sense on digits", flip=[*QUICK, "--flip"])
cases("hold out", validation_all=[*QUICK, "--validation", "1437"])
cases(
    "--patience needs images to judge by; give --validation too", patience_alone=[*QUICK, "--patience", "3"]
)
cases(
    "this machine has no cuda:99; take --device auto or cpu",
    gpu_missing=["train", "quick", "--device", "cuda:99"],
)
cases("no device is called", device=["train", "quick", "--device", "gpu"])
cases("split", split=["evaluate", MODEL, "--split", "validation"])
cases("--mnist", data_verb_flag=["data", "fetch", "--mnist"])
if not torch.cuda.is_available():
    cases("this machine has no cuda", no_gpu=["train", "quick", "--device", "cuda"])


@case("File exists")
def runs_dir_is_a_file(folder: Path) -> list[object]:
    (folder / "taken").touch()
    return [*QUICK, "--runs-dir", "taken"]


@case("Not a directory")
def runs_dir_in_a_file(folder: Path) -> list[object]:
    (folder / "taken").touch()
    return [*QUICK, "--runs-dir", "taken/runs"]


# ---- data of one's own


def class_folders(folder: Path, **classes: int) -> Path:
    for name, count in classes.items():
        (folder / "own" / name).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (9, 9), 255).save(folder / "own" / name / f"{number}.png")
    return folder / "own"


def own_folder(prepare: Callable[[Path], object]) -> Case:
    def command(folder: Path) -> list[object]:
        prepare(folder)
        return [*QUICK, "--data", "./own"]

    return command


def own_csv(content: str | bytes) -> Case:
    def command(folder: Path) -> list[object]:
        Image.new("L", (9, 9), 255).save(folder / "a.png")
        (folder / "own.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        return [*QUICK, "--data", "own.csv"]

    return command


OWN: dict[str, tuple[Case, str]] = {
    "own_missing": (own_folder(lambda folder: None), "there is no such folder or CSV"),
    "own_empty": (own_folder(lambda folder: (folder / "own").mkdir()), "has no class folders"),
    "own_empty_class": (
        own_folder(lambda folder: class_folders(folder, a=3, b=0)),
        "the class has no picture",
    ),
    "own_one_class": (own_folder(lambda folder: class_folders(folder, a=3)), "1 class"),
    "own_broken_picture": (
        own_folder(lambda folder: (class_folders(folder, a=9, b=9) / "a" / "3.png").write_bytes(b"broken")),
        "3.png: not a picture",
    ),
    "own_bomb": (
        own_folder(
            lambda folder: (class_folders(folder, a=9, b=9) / "a" / "3.png").write_bytes(png(60_000, 60_000))
        ),
        "3.png: ",
    ),
    "own_folder_in_class": (
        own_folder(lambda folder: (class_folders(folder, a=2, b=2) / "a" / "deep").mkdir()),
        "not a picture",
    ),
    "own_only_train": (own_folder(lambda folder: class_folders(folder, train=2)), "no test/"),
    "own_file": (own_folder(lambda folder: (folder / "own").write_text("x")), "neither a folder nor a .csv"),
    "csv_without_columns": (own_csv("name;class\na.png;1\n"), "needs a header"),
    "csv_empty": (own_csv(""), "needs a header"),
    "csv_to_missing_file": (own_csv("file,label\nmissing.png,1\n"), "line 2: there is no file missing.png"),
    "csv_outside": (own_csv("file,label\n../../../etc/passwd,1\n"), "lies outside the folder"),
    "csv_without_label": (own_csv("file,label\na.png,\n"), "label is empty"),
    "csv_binary": (own_csv(b"\xff\xfe\x00file,label"), "cannot be read as a CSV"),
    "csv_odd_split": (own_csv("file,label,split\na.png,1,maybe\n"), "must be train or test"),
}
for name, (prepare, phrase) in OWN.items():
    CASES.append(pytest.param(prepare, phrase, id=name))


# ---- names that a script left empty: nothing takes the place of what was asked for

cases(
    "is empty",
    empty_data=["train", "quick", "--data", "", "--epochs", "1"],
    empty_data_to_evaluate=["evaluate", "mnist", "--data", ""],
    empty_data_to_sample=["predict", "--sample", "5", "--data", ""],
)
cases("no recipe is called ''", empty_recipe=["train", ""])
cases("no device is called ''", empty_device=["train", "quick", "--device", ""])


# ---- requests that contradict themselves

cases(
    "--sample draws from a data set",
    sample_and_picture=["predict", "--sample", "5", "7.png"],
    sample_and_explain=["predict", "--sample", "5", "--explain", "steps.png"],
)
cases("is a directory", grid_over_a_folder=["predict", "--sample", "5", "--data", "digits", "--out", "."])


# ---- data sets that are not there, and no network

cases("no mirror gave it", no_network=["train", "d2l"], no_network_fetch=["data", "fetch", "mnist"])
cases("no mirror gave it", no_network_bundle=["train", "quick", "--data", "emnist-letters"])
cases("did you mean 'kmnist'?", fetch_unknown=["data", "fetch", "kmnsit"])
cases("neither a folder nor a file", import_without_end=["data", "import", "/dev/zero"])
cases("there is no such file", import_missing=["data", "import", "missing.zip"])


@case("holds no file of")
def import_foreign(folder: Path) -> list[object]:
    (folder / "some.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    return ["data", "import", "some.zip"]


@case("wrong checksum")
def mnist_replaced(folder: Path) -> list[object]:
    """LENET_DATA points at the folder beside the working folder."""
    own = folder.parent / "nothing" / "mnist"
    own.mkdir(parents=True)
    (own / "train-images-idx3-ubyte").write_bytes(encode_idx(torch.zeros(60_000, 28, 28, dtype=torch.uint8)))
    return ["train", "lab3"]


# ---- runs


def make_run(folder: Path) -> RunFolder:
    data = idx_folder(folder)
    recipe = RECIPES["d2l"].override(
        {"data": str(data), "epochs": 1, "channels": (1,), "hidden": (), "input_size": 9}
    )
    run = RunFolder(begin_run(recipe, device="cpu", runs_dir=folder).path.rename(folder / "run"))
    for _ in run_training(run):
        pass
    return run


def damaged_run(name: str, content: bytes, *flags: str) -> Case:
    def prepare(folder: Path) -> list[object]:
        (make_run(folder).path / name).write_bytes(content)
        return ["train", "--resume", "run", "--quiet", *flags]

    return prepare


MORE = ("--epochs", "3")
RUNS: dict[str, tuple[Case, str]] = {
    "run_missing": (lambda folder: ["train", "--resume", "nowhere"], "is no run folder"),
    "run_plan_broken": (damaged_run("recipe.json", b"{"), "recipe.json: cannot be read"),
    "run_plan_foreign": (damaged_run("recipe.json", b'{"a": 1}'), "not a plan of this version"),
    "run_plan_list": (damaged_run("recipe.json", b"[]"), "recipe.json"),
    "run_state_broken": (
        damaged_run("state.safetensors", b"broken"),
        "state.safetensors: not a whole",
    ),
    "run_history_broken": (damaged_run("history.jsonl", b"{}\n", *MORE), "history.jsonl: damaged"),
    "run_history_noise": (damaged_run("history.jsonl", b"\xff\xfe", *MORE), "history.jsonl: damaged"),
    "run_environment_missing": (
        lambda folder: ((make_run(folder).path / "environment.json").unlink(), ["train", "--resume", "run"])[
            1
        ],
        "environment.json",
    ),
}
for name, (prepare, phrase) in RUNS.items():
    CASES.append(pytest.param(prepare, phrase, id=name))


def resume_with(*words: str) -> Case:
    def prepare(folder: Path) -> list[object]:
        make_run(folder)
        return ["train", *words, "--resume", "run"]

    return prepare


for words in (
    ["lab3"],
    ["--lr", "0.1"],
    ["--data", "digits"],
    ["--seed", "3"],
    ["--device", "mps"],
    ["--no-shuffle"],
):
    CASES.append(pytest.param(resume_with(*words), "was not so", id=f"resume_with_{words[0].strip('-')}"))


@case("schedule was laid out for 1 epochs; begin a new run")
def resume_with_more_of_one_cycle(folder: Path) -> list[object]:
    run = make_run(folder)
    plan = json.loads((run.path / "recipe.json").read_text())
    plan["recipe"]["schedule"] = "one-cycle"
    (run.path / "recipe.json").write_text(json.dumps(plan))
    return ["train", "--resume", "run", "--epochs", "9"]


@case("the loss is not finite in epoch 1")
def divergence(folder: Path) -> list[object]:
    idx_folder(folder)
    changes = {"data": str(folder / "own"), "lr": 1000.0, "loss": "mean-squared-error", "batch_size": 1}
    begun = begin_run(RECIPES["d2l"].override(changes), device="cpu", runs_dir=folder)
    with pytest.raises(DivergedError):  # the run folder says so from then on, for the doctor
        list(run_training(begun))
    assert (begun.path / "diverged.txt").is_file()
    return ["train", "--resume", begun.path, "--quiet"]


def check(code: int, out: str, err: str, expected: str) -> None:
    assert err.startswith("lenet: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    assert expected.lower() in err.lower()
    assert out == ""
    assert code == 2


@pytest.mark.parametrize(("prepare", "expected"), CASES)
def test_one_line_and_nothing_left(
    prepare: Case, expected: str, lenet: Callable[..., Any], workplace: Path, tree: Callable[[Path], Any]
):
    command = prepare(workplace)
    before = tree(workplace)
    outcome = lenet(*command)
    check(outcome.code, outcome.out, outcome.err, expected)
    assert tree(workplace) == before


def test_an_error_is_one_line_whatever_it_quotes():
    assert str(DataError("a class 'row\n7' is missing; add it")) == "a class 'row 7' is missing; add it"


def test_that_the_corpus_is_not_small():
    assert len(CASES) >= 120
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    "words",
    [
        ["trian"],
        ["train", "--epochs", "many"],
        ["summary", "zzz"],
        ["predict", "missing.png", "--checkpoint", "missing"],
        ["train", "d2l"],
    ],
    ids=" ".join,
)
def test_the_real_command_does_the_same(words: list[str], workplace: Path, tree: Callable[[Path], Any]):
    result = subprocess.run(
        [sys.executable, "-m", "lenet", *words], capture_output=True, text=True, check=False, timeout=60
    )
    check(result.returncode, result.stdout, result.stderr, "")
    assert tree(workplace) == {}


@pytest.mark.parametrize("room", [0, 100, 3_000, 100_000])
def test_a_full_disk(
    room: int, lenet: Callable[..., Any], workplace: Path, full_disk: Callable[[int], Any], digits: object
):
    """However much fits: one line, no part of a file, and what there is can be loaded."""
    with full_disk(room):
        outcome = lenet(*QUICK)
    check(outcome.code, outcome.out, outcome.err, "too large")
    assert not list(workplace.rglob(".*"))
    for file in workplace.rglob("*.safetensors"):
        pytest.fail(f"{file} cannot have fitted")
    if room < 1000:
        assert not list(workplace.rglob("*.*"))


def test_a_full_disk_for_figures(
    lenet: Callable[..., Any], workplace: Path, full_disk: Callable[[int], Any], tree: Callable[[Path], Any]
):
    make_model(workplace)
    before = tree(workplace)
    with full_disk(500):
        outcome = lenet("predict", "--sample", 4, "--checkpoint", MODEL, "--data", "digits")
    check(outcome.code, outcome.out, outcome.err, "too large")
    assert tree(workplace) == before


def test_one_pixel_is_a_picture(lenet: Callable[..., Any], workplace: Path):
    make_model(workplace)
    Image.new("L", (1, 1), 128).save(workplace / "pixel.png")
    outcome = lenet("predict", "pixel.png", "--checkpoint", MODEL, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json["text"] == ""
