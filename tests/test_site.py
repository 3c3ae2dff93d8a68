"""The site builds without a warning, and what is generated from the code agrees with the code."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]


def load_script(name: str) -> ModuleType:
    """A script of docs/, as a module."""
    specification = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says():
    page = (ROOT / "docs/reference.md").read_text("utf-8")
    assert page == load_script("generate").write_page(), "generate it again: make docs"
    for setting in SETTINGS:
        assert page.count(f"\n| `{setting}` |") >= 2
    for name in RECIPES:
        assert f"| `{name}` |" in page


def test_the_picture_of_the_readme_is_what_its_script_draws(tmp_path: Path):
    """Nearly the same pixels: processors and fonts change little, another reading or layout much."""
    load_script("draw_reading").main(tmp_path / "reading.webp")
    drawn, committed = (
        Image.open(folder / "reading.webp").convert("RGB") for folder in (tmp_path, ROOT / "docs")
    )
    assert drawn.size == committed.size
    assert drawn.width >= 1600  # sharp at 800 pixels on a screen with two pixels for each
    difference = np.abs(np.asarray(drawn, dtype=float) - np.asarray(committed, dtype=float))
    assert difference.mean() < 4
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "](docs/reading.webp)" in readme
    assert "](docs/page.webp)" in readme  # docs/draw_page.py draws it: every frame by a real browser


def test_the_site_is_built_without_a_warning(tmp_path: Path):
    pytest.importorskip("properdocs", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in (ROOT / "docs").glob("*.md"):
        assert (tmp_path / f"{page.stem}.html").exists()
    for page in tmp_path.glob("*.html"):  # nothing is fetched from elsewhere
        text = page.read_text("utf-8")
        assert 'src="http' not in text
        assert '<link href="http' not in text
