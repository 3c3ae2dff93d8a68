"""Fill in the tables of answers.md and answers.zh.md.

python docs/worksheets/answers.py [TASK ...]     (needs the extra `dev` and a Chromium)

A row names a task, where the answer comes from, and the answer. It comes from a link of the worksheets, which
is opened and read; from a command; or from arithmetic in Python.
"""

import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Page, sync_playwright
from site_page import make_worksheet_page

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
LINK = re.compile(r"^\[([1-8][a-z])\]: page\.html#(\S+)$", re.MULTILINE)
ROW = re.compile(r"^\| ([1-8]\.\d) \| (.+?) \| (.*) \|$", re.MULTILINE)
NONE = "–"  # the answer of a network that rejects
EXAMPLE = ((255, 255, 255, 255, 0), (0, 0, 100, 255, 0), (0, 0, 255, 80, 0), (0, 80, 255, 0, 0),
           (0, 255, 100, 0, 0))  # fmt: skip  # the image of task 1.2
SQUARES = ((0, 4, 8, 0), (1, 1, 1, 1), (0, 0, 0, 2), (6, 2, 0, 4))  # of task 3.1


def read_links(language: str = "en") -> dict[str, str]:
    """The addresses of the prepared states, without "#", by their labels such as 2a."""
    pages = sorted(FOLDER.glob("[1-8]-*.md"))
    chosen = [page for page in pages if page.name.endswith(".zh.md") == (language == "zh")]
    return {label: address for page in chosen for label, address in LINK.findall(page.read_text("utf-8"))}


class Screen:
    """The page of the worksheets in a browser."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.goto(address)
        page.wait_for_selector("body[data-ready=yes]")

    def open(self, state: str) -> None:
        """Show a state, and wait until it has been drawn."""
        self.forget_count()
        self.page.evaluate(
            """state => {
                document.body.dataset.ready = "no";
                if (location.hash === `#${state}`) window.lenet.restore(location.hash);
                else location.hash = state;
            }""",
            state,
        )
        self.page.wait_for_selector("body[data-ready=yes]")

    def forget_count(self) -> None:
        """End a count that is under way, so that the next text is that of the next state."""
        self.page.evaluate("window.lenet.score.stop()")
        self.page.locator("#accuracy").evaluate("text => { text.textContent = ''; }")

    def text(self, place: str) -> str:
        return str(self.page.locator(place).inner_text())

    def shares(self, place: str) -> list[str]:
        return re.findall(r"[\d.]+ %", self.text(place))

    def reading(self) -> str:
        """What is read, and how surely: `3, 99.8 %`."""
        return ", ".join([self.text("#reading") or NONE, *self.shares("#verdict")])

    def framings(self) -> str:
        """The readings without and with framing."""
        off = self.reading()
        self.page.locator("#framing").check()
        self.page.wait_for_selector("body[data-ready=yes]")
        return f"{off}; {self.reading()}"

    def guesses(self) -> str:
        """The reading and the second guess."""
        second = re.findall(r"[:：] ?(\w+)[,，]", self.text("#second"))
        return f"{self.reading()}; {', '.join([*second, *self.shares('#second')])}"

    def both(self) -> str:
        """The readings of two networks side by side."""
        second = self.page.evaluate("window.lenet.answers[1].decision")
        return f"{self.text('#reading') or NONE}; {second['text']}, {100 * second['confidence']:.1f} %"

    def value(self) -> str:
        """The pinned number."""
        return self.text("#unit .value")

    def sum(self) -> str:
        """How the pinned number was computed, without words."""
        return re.sub(r"^Σ = |(?:bias|偏置) ", "", self.text("#unit .sum"))

    def products(self) -> str:
        """The largest product of the pinned output, and its sum."""
        largest = self.page.locator("#unit .units tr").first.inner_text()
        return f"{largest.rpartition('= ')[2].strip()}; {self.sum()}"

    def row(self) -> str:
        """Columns 11 to 18 in the row of the pinned number."""
        values = self.page.evaluate(
            """() => {
                const { answers, state: { pin } } = window.lenet;
                const first = pin.index - (pin.index % 28);
                return [...answers[0].result.outputs.get(pin.layer).slice(first + 10, first + 18)];
            }"""
        )
        return write(values)

    def count(self) -> str:
        """The reading of the drawing, and how many stored images are read right."""
        self.page.locator("#accuracy", has_text=re.compile(r"\d")).wait_for()
        return f"{self.text('#reading') or NONE}; {self.text('#accuracy').split()[0]}"

    def two_muted(self) -> str:
        """The reading and the count after maps 2 and 3 of pool1 were muted."""
        self.forget_count()
        self.page.evaluate("['pool1.1', 'pool1.2'].forEach(map => window.lenet.toggleMuted(map))")
        return self.count()

    def line(self) -> str:
        """The reading of the line network, and what the other network takes the drawing for."""
        bars = [row.split("\n") for row in self.page.locator("#bars li").all_inner_texts()]
        best = max(bars, key=lambda bar: float(bar[-1].rstrip(" %")))
        return f"{self.reading()}; {best[-1]}"


LOOKS: dict[str, Callable[[Screen], str]] = {
    "1.3": Screen.value, "1.4": Screen.framings, "1.5": Screen.reading, "2.2": Screen.value,
    "2.3": Screen.row, "2.4": Screen.value, "2.6": Screen.sum, "3.3": Screen.sum, "3.4": Screen.sum,
    "3.6": Screen.reading, "4.2": Screen.guesses, "4.3": Screen.products, "4.4": Screen.value,
    "4.6": Screen.reading, "5.2": Screen.count, "5.5": Screen.two_muted, "6.1": Screen.both,
    "6.3": Screen.both, "8.1": Screen.line, "8.4": Screen.reading, "8.6": Screen.reading,
}  # fmt: skip


def run_command(command: str) -> str:
    """The answer that a command gives in an empty folder."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to(ROOT / "examples")
        words = [sys.executable, "-m", *list_words(command)]
        done = subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True)
        return read_answer(done.stdout, Path(folder))


def list_words(command: str) -> list[str]:
    """The words of a command that is to print JSON."""
    return [*shlex.split(command), "--json"]


def read_answer(printed: str, folder: Path) -> str:
    """What a command in `folder` printed: parameters; a reading; or the test losses and the accuracy in %."""
    found = json.loads(printed)
    if "run" not in found:
        return write(found.get("text", found.get("parameters")))
    history = (folder / found["run"] / "history.jsonl").read_text("utf-8").splitlines()
    losses = [json.loads(line)["test_loss"] for line in history]
    return f"{', '.join(f'{loss:.2f}' for loss in losses)}; {100 * found['test_accuracy']:.0f} %"


def compute(expression: str) -> str:
    """The value of an expression of the answers, as the page writes numbers."""
    names = {"EXAMPLE": EXAMPLE, "SQUARES": SQUARES, "product": product, "read_frames": read_frames}
    return write(eval(expression, vars(math) | names))


def read_frames(frames: Iterable[str]) -> str:
    """The text of frames: without repeats, then without blanks."""
    return "".join(name for name, _ in groupby(frames) if name != NONE)


def write(value: Any) -> str:
    """Whole numbers as they are, others with three digits, lists with commas."""
    if isinstance(value, list | tuple):
        return ", ".join(map(write, value))
    if isinstance(value, float):
        value = f"{value:#.3g}" if value != round(value) else round(value)
    return str(value).replace("-", "−") or NONE


def answer(rows: list[tuple[str, str]], screen: Screen) -> Iterator[str]:
    """The answer to each row: a task and its source."""
    links = read_links()
    for task, source in rows:
        code = source.strip("`")
        if source in links:
            screen.open(links[source])
            yield LOOKS[task](screen)
        else:
            yield run_command(code) if code.startswith("lenet ") else compute(code)


def main() -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("no Chromium is installed (apt-get install chromium)")
    with TemporaryDirectory() as folder, sync_playwright() as engine:
        file = Path(folder) / "page.html"
        file.write_text(make_worksheet_page(), encoding="utf-8")
        browser = engine.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        screen = Screen(browser.new_page(), file.as_uri())
        rows = [row[:2] for row in ROW.findall((FOLDER / "answers.md").read_text("utf-8"))]
        rows = [row for row in rows if not sys.argv[1:] or row[0] in sys.argv[1:]]
        found = dict(zip(rows, answer(rows, screen), strict=True))
        browser.close()
    for page in (FOLDER / "answers.md", FOLDER / "answers.zh.md"):
        text = page.read_text("utf-8")
        text = ROW.sub(lambda row: f"| {row[1]} | {row[2]} | {found.get(row.group(1, 2), row[3])} |", text)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
