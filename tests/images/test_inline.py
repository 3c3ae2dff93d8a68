"""What notebooks show of results: tables and images inside the page, every name escaped."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from lenet.data.imageset import ImageSet
from lenet.images.inline import embed_image, write_table
from lenet.models.checkpoint import load_checkpoint
from lenet.reading.reader import Reader
from lenet.reading.reading import Digit, Reading
from lenet.training.evaluation import evaluate

HOSTILE = tuple(f"<b onclick=alert({number})>\"'&" for number in range(10))


def read_cells(html: str) -> list[list[str]]:
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


def decode(address: str) -> np.ndarray:
    prefix, _, content = address.partition(",")
    assert prefix == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (5, 3, 3)])
def test_an_image_travels_unchanged(shape: tuple[int, ...]):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert (decode(embed_image(pixels)) == pixels).all()


def test_a_table_escapes_its_cells():
    html = write_table("<i>", ["<th>"], [["<script>"], [7]])
    assert read_cells(html) == [["&lt;th&gt;"], ["&lt;script&gt;"], ["7"]]
    assert html.startswith("<p>&lt;i&gt;</p><table>")
    assert type(html) is str  # what is put beside it is not escaped again


def test_an_image_set_shows_counts_and_images_of_each_class(digits_test: ImageSet):
    few = digits_test.subset((digits_test.labels != 3).nonzero().flatten())
    header, counts, images = read_cells(few._repr_html_())
    assert header == list("0123456789")
    assert [int(count) for count in counts] == few.labels.bincount(minlength=10).tolist()
    assert images[3] == ""  # there is none
    shown = decode(images[7].partition('src="')[2].partition('"')[0])
    first = few.images[few.labels == 7][0, 0].numpy()
    assert (shown[: 2 * len(first) : 2, ::2] == first).all()
    assert len(few._repr_html_()) < 60_000


def test_many_classes_are_cut(digits_test: ImageSet):
    many = replace(digits_test, classes=tuple(map(str, range(200))))
    assert len(read_cells(many._repr_html_())[0]) == 20
    assert "200 classes" in many._repr_html_()


def test_an_evaluation_shows_its_classes(digits_test: ImageSet):
    evaluation = evaluate(load_checkpoint("mnist"), digits_test)
    html = evaluation._repr_html_()
    low, high = evaluation.interval
    assert low < evaluation.accuracy < high
    assert f"accuracy {evaluation.accuracy:.2%} of 360 images (95 % interval {low:.2%} to {high:.2%})" in html
    header, *rows = read_cells(html)
    assert header[-1] == "most often confused with"
    for number, (row, one) in enumerate(zip(rows, evaluation.per_class, strict=True)):
        assert row[:5] == [
            one.name, str(one.count), f"{one.precision:.2%}", f"{one.recall:.2%}", f"{one.f1:.2%}",
        ]  # fmt: skip
        wrong = [count for place, count in enumerate(evaluation.confusion[number]) if place != number]
        assert row[5].endswith(f"({max(wrong)})") if max(wrong) else row[5] == ""
    assert sum(row[number] for number, row in enumerate(evaluation.confusion)) == evaluation.count_right


def test_a_reading_shows_its_digits():
    page = np.full((80, 60), 240, np.uint8)
    page[20:60, 28:33] = 20
    reading = Reader("mnist").read(page)
    header, row = read_cells(reading._repr_html_())
    (digit,) = reading.digits
    assert header[0] == "digit"
    assert row == [str(digit.digit), f"{digit.probability:.1%}", ", ".join(map(str, digit.box))]
    assert f"{reading.confidence:.1%}" in reading._repr_html_()
    blank = Reader("mnist").read(np.full((80, 60), 240, np.uint8))
    assert "nothing (0.0%), rejected: no ink was found" in blank._repr_html_()


def test_names_are_text(digits_test: ImageSet):
    data = replace(digits_test.subset(torch.arange(50)), classes=HOSTILE, name=HOSTILE[0])
    evaluation = evaluate(load_checkpoint("mnist").model, data)
    reading = Reading(HOSTILE[1], 0.5, True, HOSTILE[2], (Digit(1, 0.5, (0, 0, 1, 1), ()),))
    for html in (data._repr_html_(), evaluation._repr_html_(), reading._repr_html_()):
        assert "<b" not in html
        assert "&lt;b" in html
        assert set(re.findall(r"<(\w+)", html)) <= {
            "p", "table", "thead", "tbody", "tr", "th", "td", "img",
        }  # fmt: skip
