"""The shipped networks read the pictures in examples/: the line network, and a LeNet that names digits."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from lenet.errors import CheckpointError, PictureError
from lenet.models.checkpoint import load_checkpoint
from lenet.models.stored import find_checkpoint
from lenet.reading.reader import Reader

PICTURES = sorted((Path(__file__).parents[2] / "examples" / "pictures").iterdir())


@pytest.fixture(scope="module", params=["line", "mnist"])
def reader(request: pytest.FixtureRequest) -> Reader:
    return Reader(find_checkpoint(request.param))


def test_the_example_pictures_are_read(reader: Reader) -> None:
    right = [path.name for path in PICTURES if reader.read(path).text == path.name[0]]
    assert len(PICTURES) == len(right) == 10, right


def test_a_reading_tells_what_where_and_how_sure(reader: Reader) -> None:
    reading = reader.read(PICTURES[3])
    (digit,) = reading.digits
    assert reading.text == str(digit.digit)
    assert not reading.rejected
    assert 0.8 < reading.confidence <= digit.probability == max(digit.probabilities) <= 1
    assert len(digit.probabilities) == 10
    assert sum(digit.probabilities) <= 1 + 1e-5
    record = json.loads(json.dumps(reading.to_dict()))
    assert record.keys() >= {"text", "confidence", "rejected", "digits"}
    assert record["digits"][0].keys() == {"digit", "probability", "box"}
    assert record["digits"][0]["box"] == list(digit.box)


def test_the_box_of_a_turned_photograph_is_upright(reader: Reader) -> None:
    turned = next(path for path in PICTURES if "sideways" in path.name)
    with Image.open(turned) as image:
        assert image.width > image.height
        upright = ImageOps.exif_transpose(image)
    left, top, width, height = reader.read(turned).digits[0].box
    assert height > width
    assert left + width <= upright.width
    assert top + height <= upright.height
    assert reader.read(upright).digits[0].digit == reader.read(turned).digits[0].digit


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_the_reading_depends_on_the_writing_alone(reader: Reader, path: Path) -> None:
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    plain = reader.read(upright)
    variants = [ImageOps.scale(upright, factor) for factor in (0.5, 2, 4)]
    if not upright.has_transparency_data:
        variants += [ImageOps.invert(upright), ImageOps.expand(upright, 40, "black")]
    assert [reading.text for reading in reader.read_many(variants)] == [plain.text] * len(variants)


def test_many_read_like_one_by_one(reader: Reader) -> None:
    empty = np.full((50, 50), 255, dtype=np.uint8)
    pictures = [PICTURES[0], empty, PICTURES[1].read_bytes(), empty, Image.open(PICTURES[2])]
    together = reader.read_many(iter(pictures))
    for reading, picture in zip(together, pictures, strict=True):
        alone = reader.read(picture)
        assert reading.text == alone.text
        assert reading.confidence == pytest.approx(alone.confidence, abs=1e-5)
    assert reader.read_many([]) == []
    pictures[-1].close()


def test_nothing_is_read_from_an_empty_picture(reader: Reader) -> None:
    reading = reader.read(Image.new("RGBA", (300, 300)))
    assert reading.text == ""
    assert reading.rejected
    assert reading.reason
    assert reading.confidence == 0
    assert reading.digits == ()


def test_pictures_that_cannot_be_read_say_so(reader: Reader, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(PICTURES[0].read_bytes()[:200])
    for picture in (broken, tmp_path / "missing.png", b"text"):
        with pytest.raises(PictureError):
            reader.read(picture)
    with pytest.raises(CheckpointError):
        Reader(tmp_path / "missing.safetensors")


def test_without_a_name_the_line_network_reads() -> None:
    assert Reader().read_many(PICTURES[:3]) == Reader("line").read_many(PICTURES[:3])


def test_networks_of_other_classes_name_the_components() -> None:
    checkpoint = load_checkpoint("mnist")
    checkpoint.card["classes"] = [f"class {digit}" for digit in range(10)]
    reader = Reader(checkpoint)
    assert reader.read(PICTURES[3]).text.startswith("class ")
    assert reader.read(PICTURES[3], length=1).text.startswith("class ")
    row = np.full((120, 300), 255, np.uint8)
    row[30:90, 50:60] = row[30:90, 140:150] = row[30:90, 230:240] = 0
    assert [digit.box for digit in reader.read(row).digits] == [
        (50, 30, 10, 60),
        (140, 30, 10, 60),
        (230, 30, 10, 60),
    ]
    for known in ({"length": 2}, {"pattern": "##-##"}):
        reading = reader.read(row, **known)
        assert (reading.text, reading.rejected, reading.digits) == ("", True, ())
    names = reader.read(row).text.split("class ")[1:]
    one, two, three = (f"class {name.strip()}" for name in names)
    assert reader.read(row, pattern="#-##").text == f"{one}-{two}{three}"


def test_threads_may_share_a_reader(reader: Reader) -> None:
    expected = [reader.read(path).text for path in PICTURES]
    results: dict[int, list[str]] = {}

    def work(number: int) -> None:
        results[number] = [reader.read(path).text for path in PICTURES]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [expected] * 4
