"""Read a CSV of pictures (columns file,label,kind,half) and say how well, how steadily and how fast.

    python benchmarks/pictures.py digits.csv
    python benchmarks/pictures.py digits.csv --weights mnist --transformations inverted,turned

Three answers come out: the share read right of each kind, in all and in both halves; for each transformation
that leaves the digit what it is, the share of pictures whose reading changes; milliseconds a picture. Each
transformation's parameters are drawn anew for each picture, from a seed. Results go to
benchmarks/results/pictures-WEIGHTS.json; which pictures they were is told on standard error only, and never
of the half `blind`.
"""

import argparse
import csv
import io
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from halves import BLIND, Answer, sum_up_kinds
from lenet.bench.machine import describe_machine
from lenet.images.decoding import MAX_PIXELS, Picture, decode
from lenet.reading.reader import Reader
from lenet.reading.reading import Reading

RESULTS = Path(__file__).parent / "results"
PHOTOGRAPH = 1280, 960  # pixels: what the time of one photograph is measured on
TINY = 12  # pixels: in a digit less high a stroke is about a pixel wide, and holes close

Random = np.random.Generator
Transformation = Callable[[Image.Image, Random], Picture]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--weights", default="line")
    parser.add_argument("--transformations", default=",".join(TRANSFORMATIONS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the pictures lie; default: beside the table")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with given.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    folder = given.folder or find_folder(given.table, rows[0]["file"])
    reader = Reader(given.weights)

    readings = [reader.read(folder / row["file"]) for row in rows]
    texts = [reading.text for reading in readings]
    chosen = [name for name in given.transformations.split(",") if name]
    result = {
        "what": "pictures",
        "weights": given.weights,
        "command": shlex.join(["python", "benchmarks/pictures.py", given.table.name, *sys.argv[2:]]),
        "accuracy": sum_up_kinds(
            [
                Answer(row["kind"], row.get("half", ""), text == row["label"], reading)
                for row, text, reading in zip(rows, texts, readings, strict=True)
            ]
        ),
        "changed": {name: changed(reader, name, rows, readings, folder, given.seed) for name in chosen},
        "milliseconds": milliseconds(reader, [folder / row["file"] for row in rows]),
        "machine": describe_machine(),
    }
    for row, text in zip(rows, texts, strict=True):
        if text != row["label"] and row.get("half") != BLIND:
            print(f"{row['file']}: {row['label']} read as {text or 'nothing'}", file=sys.stderr)
    RESULTS.mkdir(exist_ok=True)
    out = RESULTS / f"pictures-{Path(given.weights).stem}.json"
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(out, json.dumps({name: result[name] for name in ("accuracy", "changed", "milliseconds")}, indent=1))


def find_folder(table: Path, name: str) -> Path:
    """The folder of the pictures: the table's own, or the one of its name beside it."""
    here = table.parent
    return here if (here / name).exists() else here / table.stem


def changed(
    reader: Reader, name: str, rows: list[dict[str, str]], readings: list[Reading], folder: Path, seed: int
) -> dict[str, object]:
    """The share of readings that the transformation changes, and the share where no digit becomes TINY."""
    factor = float(name.partition("-")[2] or 1)
    lost, tiny = [], set()
    for place, (row, before) in enumerate(zip(rows, readings, strict=True)):
        picture = TRANSFORMATIONS[name](
            open_upright(folder / row["file"]), np.random.default_rng([seed, place])
        )
        if any(factor * max(digit.box[2:]) < TINY for digit in before.digits):
            tiny.add(row["file"])
        if reader.read(picture).text != before.text:
            lost.append(row["file"])
            if row.get("half") != BLIND:
                print(f"{name}: {row['file']}", file=sys.stderr)
    return {
        "count": len(rows),
        "changed": len(lost),
        "share": round(len(lost) / len(rows), 5),
        "tiny": len(tiny),
        "share_without_tiny": round(len(set(lost) - tiny) / max(1, len(rows) - len(tiny)), 5),
    }


def open_upright(path: Path) -> Image.Image:
    """The picture as a person sees it, as RGB or RGBA."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        return upright.convert("RGBA" if upright.has_transparency_data else "RGB")


def inverted(image: Image.Image, random: Random) -> Picture:
    if image.mode == "RGB":
        return ImageOps.invert(image)
    layers = image.split()
    return Image.merge("RGBA", (*(ImageOps.invert(layer) for layer in layers[:3]), layers[3]))


def turned(image: Image.Image, random: Random) -> Picture:
    """Stored lying on its side or head, with the EXIF mark that says so."""
    orientation, undo = [
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
    ][random.integers(3)]
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.transpose(undo).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def scaled(factor: float) -> Transformation:
    def scale(image: Image.Image, random: Random) -> Picture:
        within = min(factor, (0.9 * MAX_PIXELS / (image.width * image.height)) ** 0.5)
        size = max(1, round(image.width * within)), max(1, round(image.height * within))
        return image.resize(size, Image.Resampling.BICUBIC)

    return scale


def paper_of(image: Image.Image) -> tuple[int, ...]:
    """The median colour along the picture's border, one pixel deep."""
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return tuple(int(level) for level in np.median(border, axis=0))


def bordered(image: Image.Image, random: Random) -> Picture:
    """With 5 to 50 % more paper on all sides."""
    width = max(1, round(max(image.size) * random.uniform(0.05, 0.5)))
    return ImageOps.expand(image, width, paper_of(image))


def framed(image: Image.Image, random: Random) -> Picture:
    """In a plain frame, 3 to 20 % wide, black, white, grey or coloured."""
    colour = [(0, 0, 0), (255, 255, 255), (128, 128, 128), tuple(random.integers(0, 256, 3).tolist())]
    width = max(1, round(max(image.size) * random.uniform(0.03, 0.2)))
    flat = Image.fromarray(decode(image).pixels) if image.mode == "RGBA" else image
    return ImageOps.expand(flat, width, colour[random.integers(4)])


def moved(image: Image.Image, random: Random) -> Picture:
    """Up to 30 % of the longest side to any side, over paper of its own colour; the sheet grows as needed."""
    most = max(1, round(0.3 * max(image.size)))
    across, down = random.integers(0, most + 1, 2)
    sheet = Image.new(image.mode, (image.width + most, image.height + most), paper_of(image))
    sheet.paste(image, (int(across), int(down)))
    return sheet


def rotated(degrees: float) -> Transformation:
    """Turned by up to so many degrees; the corners have the usual colour of the border."""

    def rotate(image: Image.Image, random: Random) -> Picture:
        pixels = np.asarray(image.convert("RGB"))
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        colour = tuple(int(value) for value in np.median(border, axis=0))
        angle = float(random.uniform(-degrees, degrees))
        return Image.fromarray(pixels).rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=colour)

    return rotate


TRANSFORMATIONS: dict[str, Transformation] = {
    "inverted": inverted,
    "turned": turned,
    **{f"scaled-{factor:g}": scaled(factor) for factor in (0.3, 0.5, 0.8, 1.5, 2, 3, 4)},
    **{f"rotated-{degrees}": rotated(degrees) for degrees in (15, 30)},
    "bordered": bordered,
    "framed": framed,
    "moved": moved,
}


def milliseconds(reader: Reader, paths: list[Path]) -> dict[str, float]:
    """Decoding and network together, picture after picture, and a large photograph again and again."""
    contents = [path.read_bytes() for path in paths]
    reader.read(contents[0])
    times = []
    for content in contents:
        begin = time.perf_counter()
        reader.read(content)
        times.append(1000 * (time.perf_counter() - begin))
    photograph = as_photograph(contents[0])
    large = []
    for _ in range(20):
        begin = time.perf_counter()
        reader.read(photograph)
        large.append(1000 * (time.perf_counter() - begin))
    return {
        "mean": round(float(np.mean(times)), 2),
        "median": round(float(np.median(times)), 2),
        "largest": round(max(times), 2),
        f"photograph of {PHOTOGRAPH[0]} pixels": round(float(np.median(large)), 2),
    }


def as_photograph(content: bytes) -> bytes:
    """A JPEG of PHOTOGRAPH's size: the picture in a corner of uneven, grainy paper."""
    random = np.random.default_rng(0)
    width, height = PHOTOGRAPH
    light = np.linspace(0.6, 1, width)[None, :, None] * np.linspace(0.85, 1, height)[:, None, None]
    paper = light * (225, 220, 205) + random.normal(0, 3, (height, width, 1))
    ink = Image.fromarray(decode(content).pixels).convert("L").resize((300, 300))
    paper[200:500, 300:600] *= np.asarray(ink)[:, :, None] / 255
    buffer = io.BytesIO()
    Image.fromarray(paper.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
