"""Folders give their pictures in one order, and nothing that would hang, repeat or surprise."""

import os
from pathlib import Path

import pytest

from lenet.batch.folders import find_pictures

posix = pytest.mark.skipif(os.name != "posix", reason="names and links as POSIX has them")


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def found(*given: object) -> list[str]:
    return [name for name, _ in find_pictures(map(str, given))]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_level_is_sorted_and_walked_in_place(here: Path):
    make(here, "p/b.png", "p/a/2.png", "p/a/10.png", "p/c.png", "p/B.png", "p/a.png")
    assert found("p") == ["p/B.png", "p/a/10.png", "p/a/2.png", "p/a.png", "p/b.png", "p/c.png"]
    assert found("p") == [str(path) for _, path in find_pictures(["p"])]


def test_a_folder_has_one_name_however_it_is_given(here: Path):
    make(here, "p/a.png")
    assert found("p") == found("p/") == found("./p") == ["p/a.png"]
    assert found(here / "p") == [(here / "p/a.png").as_posix()]


def test_files_are_yielded_as_given_and_in_the_order_given(here: Path):
    make(here, "p/a.png", "b.csv", ".hidden.png")
    assert found("b.csv", "p", ".hidden.png", "./missing.png") == [
        "b.csv",
        "p/a.png",
        ".hidden.png",
        "./missing.png",
    ]


def test_hidden_things_and_descriptions_are_left_out(here: Path):
    make(here, "p/.a.png", "p/.git/b.png", "p/results.csv", "p/results.JSONL", "p/readme.md", "p/labels.txt")
    make(here, "p/page.pdf", "p/vector.svg", "p/no-suffix", "p/IMG.JPEG", "p/photo.png.part")
    assert found("p") == ["p/IMG.JPEG", "p/no-suffix", "p/page.pdf", "p/photo.png.part", "p/vector.svg"]


@posix
def test_links_are_followed_but_not_in_circles(here: Path):
    make(here, "p/inner/a.png", "q/b.png")
    (here / "p/again").symlink_to(here / "p")
    (here / "p/inner/up").symlink_to("..")
    (here / "p/itself").symlink_to("itself")
    (here / "p/dangling.png").symlink_to("nowhere.png")
    (here / "p/other").symlink_to(here / "q")
    (here / "p/link.png").symlink_to(here / "q/b.png")
    assert found("p") == ["p/inner/a.png", "p/link.png", "p/other/b.png"]


@posix
@pytest.mark.timeout(10)
def test_what_is_no_file_is_never_opened(here: Path):
    make(here, "p/a.png")
    os.mkfifo(here / "p/pipe.png")
    assert found("p") == ["p/a.png"]


@posix
def test_any_name_the_system_allows(here: Path):
    (here / "p").mkdir()
    names = [
        b"new\nline.png",
        b"\xff\xfe.png",
        b'quote".png',
        "数.png".encode(),
        b"=1+1.png",
        b"back\\slash.png",
    ]
    for name in names:
        (here / "p" / os.fsdecode(name)).touch()
    listed = [os.fsencode(path) for _, path in find_pictures(["p"])]
    assert sorted(listed) == sorted(b"p/" + name for name in names)


def test_deeper_than_python_s_frames(here: Path):
    folder = here
    for _ in range(1200):
        folder = folder / "d"
        try:
            folder.mkdir()
        except OSError:
            pytest.skip("paths cannot be so long here")
    make(folder, "a.png")
    assert len(found(here)) == 1
    (folder / "a.png").unlink()  # pytest, which recurses, could not clear it away
    while folder != here:
        folder.rmdir()
        folder = folder.parent


def test_a_folder_that_cannot_be_listed_is_named(here: Path, monkeypatch: pytest.MonkeyPatch):
    make(here, "p/a.png", "p/closed/b.png", "p/d.png")
    scan = os.scandir

    def refuse(folder: object) -> object:  # root, who may run the tests, may list everything
        if os.fspath(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert found("p") == ["p/a.png", "p/closed", "p/d.png"]
    assert found("p/closed") == ["p/closed"]


def test_a_folder_is_opened_when_its_turn_comes(here: Path):
    make(here, "p/a/1.png", "p/b/2.png")
    walk = find_pictures(["p"])
    assert next(walk)[0] == "p/a/1.png"
    make(here, "p/b/3.png")
    assert [name for name, _ in walk] == ["p/b/2.png", "p/b/3.png"]
