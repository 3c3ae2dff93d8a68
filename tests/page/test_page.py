"""The page in a real Chromium, opened from a file: draw, look, break, teach, share."""

import contextlib
import io
import json
import re
import runpy
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import lenet
from lenet.models.stored import find_checkpoint
from lenet.page.bundle import PAGE, make_page, strip_comments

Stroke = list[tuple[int, int]]
THREE: list[Stroke] = [
    [(88, 66), (128, 46), (172, 58), (184, 92), (164, 122), (126, 136), (168, 142), (194, 172), (188, 212),
     (150, 236), (106, 230), (84, 212)]
]  # fmt: skip
SEVEN: list[Stroke] = [[(82, 62), (194, 62), (168, 118), (140, 178), (122, 238)]]
SCRIBBLE: list[Stroke] = [
    [
        (60, 60),
        (220, 200),
        (70, 210),
        (215, 70),
        (140, 50),
        (140, 230),
        (60, 140),
        (220, 140),
        (80, 90),
        (200, 230),
    ]
]
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(make_page(["reader", "d2l"]), encoding="utf-8")
    return path


@pytest.fixture
def open_page(chromium: Any, page_file: Path) -> Iterator[Open]:
    """Opens the page; afterwards nothing was complained about and no request was made."""
    complaints: list[str] = []
    contexts: list[Any] = []

    def opened(address: str = "", file: Path = page_file, **options: Any) -> Any:
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US"} | options
        context = chromium.new_context(accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda request: complaints.append(request.url) if is_foreign(request.url) else None
        )
        page.goto(f"{file.as_uri()}{address}")
        page.wait_for_selector("body[data-ready=yes]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def is_foreign(address: str) -> bool:
    return not address.startswith(("file:", "data:", "blob:"))


def draw(page: Any, strokes: Sequence[Stroke]) -> None:
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    left, top = box["x"] + 1, box["y"] + 1  # the border
    for stroke in strokes:
        page.mouse.move(left + stroke[0][0], top + stroke[0][1])
        page.mouse.down()
        for x, y in stroke:
            page.mouse.move(left + x, top + y)
        page.mouse.up()
    page.wait_for_selector("body[data-ready=yes]")


def settle(page: Any) -> None:
    """Wait for what the page does while the pen rests."""
    page.evaluate("new Promise(done => setTimeout(done, 120))")
    page.wait_for_selector("body[data-ready=yes]")


def read(page: Any) -> str:
    return str(page.locator("#reading").inner_text())


def text(page: Any, place: str) -> str:
    return str(page.locator(place).inner_text())


def test_one_file_of_moderate_size(page_file: Path):
    assert page_file.stat().st_size <= 600_000
    assert "default-src 'none'" in page_file.read_text("utf-8")


def test_it_reads_what_is_drawn(open_page: Open):
    page = open_page()
    assert read(page) == ""
    draw(page, THREE)
    assert read(page) == "3"
    page.locator("#clear").click()
    assert read(page) == ""
    draw(page, SEVEN)
    assert read(page) == "7"


def test_it_reads_the_strokes_of_five_writers(open_page: Open, writers: dict[str, dict[str, list[Stroke]]]):
    page, wrong = open_page(), []
    assert len(writers) == 5
    for number, (writer, digits) in enumerate(writers.items()):
        for label, strokes in sorted(digits.items())[number % 2 :: 2]:  # every digit of some of them
            draw(page, strokes)
            if read(page) != label:
                wrong.append((writer, label, read(page)))
            page.locator("#clear").click()
    assert len(wrong) <= 2, wrong


def test_what_is_no_digit_is_rejected(open_page: Open):
    page = open_page()
    assert text(page, "#verdict") == "Draw a digit."
    draw(page, SCRIBBLE)
    assert read(page) == ""
    assert "I don't know" in text(page, "#verdict")


def test_undo_erase_clear(open_page: Open):
    page = open_page()
    draw(page, SEVEN)
    draw(page, [[(100, 150), (190, 150)]])
    barred = page.evaluate("location.hash")
    page.locator("#undo").click()
    settle(page)
    assert page.evaluate("location.hash") != barred
    assert read(page) == "7"
    page.locator("#eraser").click()
    assert page.locator("#eraser").get_attribute("aria-pressed") == "true"
    draw(page, [[(80, 62), (150, 62), (200, 62)]])
    assert (
        page.evaluate("document.querySelector('#image').getContext('2d').getImageData(14, 4, 1, 1).data[0]")
        < 255
    )
    page.locator("#clear").click()
    settle(page)
    assert "ink" not in page.evaluate("location.hash")
    page.keyboard.press("Control+z")
    settle(page)
    assert "ink" in page.evaluate("location.hash")


def test_drawing_by_keyboard(open_page: Open):
    page = open_page()
    page.locator("#pad").focus()
    for key, times in (("ArrowUp", 12), ("Space", 1), ("ArrowDown", 24), ("Space", 1)):
        for _ in range(times):
            page.keyboard.press(key)
    settle(page)
    assert read(page) == "1"


def test_every_layer_follows_the_pen(open_page: Open):
    page = open_page()
    names = page.evaluate("[...document.querySelectorAll('[data-layer]')].map(e => e.dataset.layer)")
    assert names == [
        "input", "conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "dense1", "relu3", "dense2",
        "relu4", "output",
    ]  # fmt: skip
    pixels = "[...document.querySelectorAll('[data-layer] canvas')].map(c => c.toDataURL())"
    page.mouse.move(*corner(page, 90, 60))
    page.mouse.down()
    page.mouse.move(*corner(page, 190, 60), steps=3)
    before = page.evaluate(pixels)
    page.mouse.move(*corner(page, 120, 230), steps=3)
    after = page.evaluate(pixels)  # the button is still down
    page.mouse.up()
    assert all(one != other for one, other in zip(before, after, strict=True))


def corner(page: Any, x: float, y: float) -> tuple[float, float]:
    box = page.locator("#pad").bounding_box()
    return box["x"] + x, box["y"] + y


def test_hover_shows_where_a_number_comes_from(open_page: Open):
    page = open_page()
    draw(page, THREE)
    maps = page.locator('[data-layer="conv2"] .maps')
    box = maps.bounding_box()
    maps.hover(position={"x": box["width"] * 0.1, "y": box["height"] * 0.12})
    settle(page)
    assert text(page, "#unit").startswith("conv2 map 1, row")
    assert page.locator('[data-layer="pool1"] rect.window').count() == 6
    field = page.locator('[data-layer="input"] rect.field')
    assert float(field.get_attribute("width")) <= 14
    total, bias, value = map(
        number, re.search(r"Σ = (\S+) \+ bias (\S+) = (\S+)", text(page, "#unit")).groups()
    )
    assert total + bias == pytest.approx(value, abs=0.02)
    page.mouse.move(5, 5)
    settle(page)
    assert "Point at a number" in text(page, "#unit")


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_click_pins_and_a_weight_can_be_changed(open_page: Open):
    page = open_page()
    draw(page, THREE)
    page.locator('[data-layer="output"] .maps').click(position={"x": 0.35 * 600, "y": 10})
    page.mouse.move(5, 5)
    settle(page)
    assert "pin=output.3" in page.evaluate("location.hash")
    before = number(text(page, "#unit .value"))
    weight = page.locator("#unit input").first
    weight.fill("-3")
    settle(page)
    assert number(text(page, "#unit .value")) != before
    assert "edit=output.weight" in page.evaluate("location.hash")
    page.locator("#reset").click()
    settle(page)
    assert number(text(page, "#unit .value")) == before


def test_the_window_slides(open_page: Open):
    page = open_page()
    draw(page, THREE)
    page.locator('[data-layer="pool2"] .maps').click(position={"x": 8, "y": 8})
    page.locator("#unit [data-key=slide]").click()
    places, deadline = set(), time.monotonic() + 30  # a busy machine slides slowly
    while len(places) <= 5 and time.monotonic() < deadline:
        page.evaluate("new Promise(done => setTimeout(done, 50))")
        places.add(text(page, "#unit .unit").partition(" = ")[0])
    assert len(places) > 5


def test_language_switch(open_page: Open):
    page = open_page()
    page.locator("#language").click()
    settle(page)
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert text(page, "#drawing-title") == "手写"
    assert "language=zh" in page.evaluate("location.hash")
    untranslated = page.evaluate(
        "[...document.querySelectorAll('[data-text]')].filter(e => e.textContent === e.dataset.text).length"
    )
    assert untranslated == 0
    page.locator("#language").click()
    assert text(page, "#drawing-title") == "Draw"
    chinese = open_page(locale="zh-CN")
    assert chinese.evaluate("document.documentElement.lang") == "zh-CN"


def test_the_address_holds_the_state(open_page: Open):
    page = open_page()
    draw(page, THREE)
    page.locator("#compare").select_option("d2l")
    page.locator("#scale").select_option("network")
    page.locator("#biases").check()
    page.locator('[data-layer="pool1"] .maps').first.click(position={"x": 10, "y": 10})
    page.locator("#unit [data-key=mute]").click()
    settle(page)
    address = page.evaluate("location.hash")
    again = open_page(address)
    settle(again)
    assert again.evaluate("location.hash") == address
    pixels = "[...document.querySelectorAll('[data-layer] canvas')].map(c => c.toDataURL())"
    assert again.evaluate(pixels) == page.evaluate(pixels)
    assert read(again) == read(page)
    assert again.locator("rect.muted").count() == 2  # in both networks


def test_a_button_of_the_pinned_number_stays_while_the_pointer_comes(open_page: Open):
    page = open_page()
    draw(page, THREE)
    page.locator('[data-layer="pool1"] .maps').first.click(position={"x": 10, "y": 10})
    settle(page)
    button = page.locator("#unit [data-key=mute]").element_handle()
    button.hover()  # leaves the map
    settle(page)
    assert button.evaluate("button => button.isConnected")


def test_an_address_that_makes_no_sense_is_the_empty_page(open_page: Open):
    page = open_page(
        "#model=nobody&ink=%%%&image=AAAA&pin=conv9.5&mute=conv1.99,x&edit=a.b.c&noise=-7&scale=9"
    )
    assert page.locator("#model").input_value() == "reader"
    assert text(page, "#verdict") == "Draw a digit."


def test_break_it_counts_what_is_still_read(open_page: Open):
    page = open_page()
    intact = wait_for_count(page)
    assert intact >= 90
    page.locator("#weight-noise").fill("1.5")
    broken = wait_for_count(page)
    assert broken < intact - 20
    page.locator("#reset").click()
    assert wait_for_count(page) == intact


def wait_for_count(page: Any) -> int:
    page.evaluate("new Promise(done => setTimeout(done, 1500))")
    return int(text(page, "#accuracy").split()[0])


def test_two_networks_side_by_side(open_page: Open):
    page = open_page("#beside=d2l")
    draw(page, THREE)
    assert page.locator('[data-layer="conv1"]').count() == 2
    assert page.locator('[data-layer="sigmoid1"]').count() == 1
    assert page.locator("#bars i.best").count() == 2


def test_a_dropped_checkpoint_runs(open_page: Open, tmp_path: Path):
    page = open_page()
    draw(page, THREE)
    config = lenet.LeNetConfig(channels=(3, 5), hidden=(20,), activation="tanh", pooling="avg")
    torch.manual_seed(0)
    own = tmp_path / "my run.safetensors"
    lenet.save(lenet.LeNet(config), own)
    page.locator("#file").set_input_files(own)
    page.wait_for_selector('[data-layer="tanh1"]')
    assert page.locator("#model").input_value() == "my run"
    assert "my run was loaded" in text(page, "#message")
    for name, content, said in (
        ("weights.pt", b"PK\x03\x04" + bytes(60), "pickle"),
        ("cut.safetensors", own.read_bytes()[:500], "not a whole safetensors file"),
    ):
        bad = tmp_path / name
        bad.write_bytes(content)
        page.locator("#file").set_input_files(bad)
        page.locator("#message", has_text=said).wait_for()


def test_a_picture_is_read_and_its_limits_are_told(open_page: Open, tmp_path: Path):
    picture = Image.new("RGB", (400, 300), (240, 230, 200))
    ImageDraw.Draw(picture).line([(120 + x * 0.5, y) for x, y in THREE[0]], (40, 40, 90), 16, "curve")
    picture.save(tmp_path / "three.png")
    page = open_page()
    page.locator("#file").set_input_files(tmp_path / "three.png")
    page.locator("#reading", has_text="3").wait_for()
    assert "lenet serve" in text(page, "#message")
    (tmp_path / "no.png").write_bytes(b"no picture")
    page.locator("#file").set_input_files(tmp_path / "no.png")
    page.locator("#message", has_text="no.png is no picture").wait_for()


def test_corrections_become_class_folders(open_page: Open, tmp_path: Path):
    page = open_page()
    draw(page, THREE)
    page.locator("#teach summary").click()
    page.get_by_role("button", name="This is 8").click()
    page.get_by_role("button", name="This is 3").click()
    with page.expect_download() as download:
        page.locator("#download").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["corrections/3/0002.png", "corrections/8/0001.png"]
        archive.extractall(tmp_path)
    with Image.open(tmp_path / "corrections" / "8" / "0001.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    shown = page.evaluate(
        "[...document.querySelector('#image').getContext('2d').getImageData(0, 0, 28, 28).data]"
    )
    assert pixels.ravel().tolist() == shown[::4]


def test_the_copied_program_gives_the_same_probabilities(open_page: Open):
    page = open_page()
    draw(page, THREE)
    page.locator("#python").click()
    program = page.locator("#code textarea").input_value()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "copied", "exec"), {})
    shares = dict(line.split() for line in printed.getvalue().splitlines())
    rows = page.locator("#bars li").all_inner_texts()
    shown = {row.split()[0]: row.split()[1] for row in rows if row[0].isdigit()}
    assert shown == {name: share.rstrip("%") for name, share in shares.items()}
    page.locator("#code form button").last.click()
    page.locator("#curl").click()
    page.locator("#code-title", has_text="server").wait_for()
    assert "curl --form" in page.locator("#code textarea").input_value()


@pytest.mark.parametrize(
    "question", ["four", "map", "pooling", "centre", "doubt", "units", "mute", "sigmoid"]
)
def test_questions_prepare_the_page(open_page: Open, question: str):
    page = open_page()
    page.locator(f"[data-key=question-{question}]").click()
    settle(page)
    assert page.locator("#question-list p").count() == 1
    expected = {
        "four": "4",
        "map": "7",
        "pooling": "1",
        "doubt": "",
        "units": "3",
        "mute": "8",
        "sigmoid": "3",
    }
    if question == "centre":
        assert read(page) != "3"
        page.locator("#framing").check()
        settle(page)
        assert read(page) == "3"
    else:
        assert read(page) == expected[question]
    if question == "four":
        assert "9" in text(page, "#second")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180), (1280, 800)])
def test_nothing_is_wider_than_the_screen(open_page: Open, width: int, height: int):
    page = open_page("#beside=d2l", viewport={"width": width, "height": height}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#pad").bounding_box()
    assert (box["width"], box["height"]) == (282, 282)  # 280, and a border
    page.touchscreen.tap(box["x"] + 140, box["y"] + 140)
    settle(page)
    assert page.evaluate("location.hash").count("ink=") == 1


@pytest.mark.parametrize(
    "options", [{}, {"color_scheme": "dark"}, {"locale": "zh-CN"}], ids=["light", "dark", "zh"]
)
def test_no_serious_fault_of_accessibility(open_page: Open, options: dict[str, Any]):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(**options)
    draw(page, THREE)
    page.locator('[data-layer="conv2"] .maps').click(position={"x": 20, "y": 20})
    page.locator("[data-key=question-four]").click()
    faults = [
        (fault["id"], node["html"])
        for fault in axe.Axe().run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert faults == []


def test_the_pen_is_followed_at_once(open_page: Open):
    page = open_page()
    benchmark = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "page.py"))
    times = page.evaluate(benchmark["FOLLOW"], THREE[0])
    assert float(np.median(times)) < 40  # ms; benchmarks/page.py measures it on a quiet machine


def test_weights_of_the_page_are_those_of_the_checkpoint(modules: Any):
    content = find_checkpoint("reader").read_bytes()
    from lenet.page.bundle import pack_weights

    unpacked = modules.run(
        'async ({ packed }) => (await import("lenet/weights.js")).unpackWeights(packed)',
        packed=pack_weights(content),
    ).tobytes()
    start = 8 + int.from_bytes(content[:8], "little")
    assert unpacked[:start] == content[:start]
    ours, theirs = (np.frombuffer(each[start:], "<f4") for each in (content, unpacked))
    assert np.abs(theirs - ours).max() <= np.abs(ours).max() * 2**-20
    assert np.all(np.abs(theirs - ours) <= np.abs(ours) * 2**-20)


def test_the_page_carries_its_modules_without_comments():
    source = (PAGE / "line.js").read_text("utf-8")
    code = strip_comments(source)
    assert len(code) < 0.8 * len(source)
    assert "@param" not in code.replace("/** @type", "")
    assert [line for line in code.splitlines() if line.lstrip().startswith("//")] == []
    kept = [line for line in source.splitlines() if not re.match(r"\s*(//|/?\*)", line)]
    assert set(kept) <= set(code.splitlines())


def test_both_languages_have_every_text():
    catalogue = json.loads((PAGE / "texts.json").read_text("utf-8"))
    english, chinese = catalogue["en"], catalogue["zh"]
    assert english.keys() == chinese.keys()
    for key, value in english.items():
        assert set(re.findall(r"\{\w+\}", value)) == set(re.findall(r"\{\w+\}", chinese[key])), key
    html = (PAGE / "page.html").read_text("utf-8")
    modules = "".join(module.read_text("utf-8") for module in PAGE.glob("*.js"))
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', html))
    used |= set(re.findall(r'(?:texts\.get|describe)\("([\w.-]+)"', modules))
    assert used <= english.keys()
    # Those with a dot are put together, such as kind.ReLU; the others stand somewhere as they are.
    assert [
        key for key in english if "." not in key and not re.search(rf"[\"'`]{key}[\"'`]", html + modules)
    ] == []


def test_in_a_notebook_the_page_runs_in_a_frame(chromium: Any, tmp_path: Path):
    torch.manual_seed(0)
    shown = lenet.show(lenet.LeNet(lenet.LeNetConfig(activation="sigmoid")))
    frame = tmp_path / "notebook.html"
    frame.write_text(f"<!doctype html><body>{shown._repr_html_()}", encoding="utf-8")
    page = chromium.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(frame.as_uri())
    inner = page.frame_locator("iframe")
    inner.locator('[data-layer="sigmoid4"]').wait_for()
    inner.locator("#samples button").nth(3).click()
    inner.locator("#verdict", has_text="sure").wait_for()
    page.close()
    assert complaints == []


def test_corrections_survive_whatever_else_changes(open_page: Open):
    page = open_page()
    draw(page, THREE)
    page.locator("#teach summary").click()
    page.get_by_role("button", name="This is 8").click()
    page.locator("#biases").check()
    page.locator("#language").click()
    page.locator("#labels button").nth(3).click()
    with page.expect_download() as download:
        page.locator("#download").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == ["corrections/3/0002.png", "corrections/8/0001.png"]


def test_the_keyboard_stays_where_it_is(open_page: Open):
    """What is built anew after a press of a key keeps the focus."""
    page = open_page()
    draw(page, THREE)
    for place in ("[data-key=question-units]", "#unit [data-key=mute]", "#muted button"):
        page.locator(place).press("Enter")
        settle(page)
        name = place.rpartition("=")[2].rstrip("]")
        if name != "#muted button":  # the button of a map that was restored is gone
            assert page.evaluate("document.activeElement.dataset.key") == name


def test_an_edit_is_of_one_network(open_page: Open):
    page = open_page("#beside=d2l&pin=output.3")
    draw(page, THREE)
    second = page.locator('[data-layer="output"] canvas').nth(1)
    before = second.evaluate("canvas => canvas.toDataURL()")
    page.locator("#unit input").first.fill("-3")
    settle(page)
    assert second.evaluate("canvas => canvas.toDataURL()") == before
    page.locator('[data-layer="output"] .maps').nth(1).click(position={"x": 20, "y": 10})
    page.mouse.move(5, 5)
    settle(page)
    assert page.locator("#unit input").count() == 0  # only the first network can be changed


def test_a_link_to_a_broken_network_tells_the_intact_count(open_page: Open):
    page = open_page("#biases=zero")
    wait_for_count(page)
    assert int(re.search(r"intact: (\d+)", text(page, "#accuracy"))[1]) >= 90


def test_stored_images_of_other_classes_count_nothing(open_page: Open, tmp_path: Path):
    config = lenet.LeNetConfig(classes=3)
    lenet.save(lenet.LeNet(config), tmp_path / "own.safetensors", classes=["a", "b", "c"])
    page = open_page()
    page.locator("#file").set_input_files(tmp_path / "own.safetensors")
    page.locator("#accuracy", has_text="no stored images of these classes").wait_for()
