"""The site builds without a warning, and the page that is made from the code says what the code says."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]


def generate() -> str:
    specification = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    page: str = module.write_page()
    return page


def test_the_page_to_look_up_is_what_the_code_says():
    page = (ROOT / "docs/look-up.md").read_text("utf-8")
    assert page == generate(), "make it again: make docs"
    for setting in SETTINGS:
        assert page.count(f"\n| `{setting}` |") >= 2
    for name in RECIPES:
        assert f"| `{name}` |" in page


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
