"""Pictures of any kind come to one form, and hostile ones to one line."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lenet.data.custom import load_picture
from lenet.errors import DataError
from lenet.images.framing import remove_background


def seven(side: int = 28) -> np.ndarray:
    """A seven, white on black, strokes of an eighth of the side."""
    image = np.zeros((side, side), dtype=np.uint8)
    unit = side // 14
    image[3 * unit : 5 * unit, 4 * unit : 10 * unit] = 255
    image[3 * unit : 11 * unit, 8 * unit : 10 * unit] = 255
    return image


def save(picture: Image.Image, path: Path, **how: object) -> Path:
    picture.save(path, **how)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tiff"])
def test_an_image_in_our_form_comes_out_unchanged(tmp_path: Path, suffix: str) -> None:
    path = save(Image.fromarray(seven()), tmp_path / f"seven.{suffix}")
    assert np.array_equal(load_picture(path), seven())


@given(st.integers(0, 2**32 - 1))
def test_any_grey_image_with_a_black_border_and_its_negative(seed: int) -> None:
    image = np.zeros((28, 28), dtype=np.uint8)
    image[4:24, 4:24] = np.random.default_rng(seed).integers(0, 256, (20, 20))
    assert np.array_equal(remove_background(image), image)
    assert np.array_equal(remove_background(255 - image), image)


@pytest.mark.parametrize("paper", [255, 200, 120])
def test_dark_ink_on_paper(tmp_path: Path, paper: int) -> None:
    picture = np.where(seven(140) > 0, 0, paper).astype(np.uint8)
    path = save(Image.fromarray(picture).convert("RGB"), tmp_path / "seven.jpg", quality=95)
    image = load_picture(path)
    assert image.shape == (28, 28)
    assert np.abs(image.astype(int) - seven()).mean() < 8
    assert image[0, 0] < 5


def test_wide_picture_is_padded_to_a_square(tmp_path: Path) -> None:
    path = save(Image.fromarray(255 - np.full((20, 200), 255, dtype=np.uint8)), tmp_path / "black.png")
    assert load_picture(path).max() == 0
    stroke = np.full((56, 280), 255, dtype=np.uint8)
    stroke[:, 130:150] = 0
    image = load_picture(save(Image.fromarray(stroke), tmp_path / "stroke.png"))
    rows, columns = np.nonzero(image)
    assert 11 <= rows.min() < rows.max() <= 16
    assert np.all(np.abs(columns - 13.5) <= 1.5)


def test_transparent_ground(tmp_path: Path) -> None:
    for ink in (0, 255):
        picture = np.zeros((28, 28, 4), dtype=np.uint8)
        picture[..., :3] = ink
        picture[..., 3] = seven()
        path = save(Image.fromarray(picture), tmp_path / f"ink{ink}.png")
        assert np.array_equal(load_picture(path), seven())


def test_camera_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    lying = Image.fromarray(np.rot90(seven()))
    path = save(lying, tmp_path / "phone.png", exif=exif)
    assert np.array_equal(load_picture(path), seven())


def test_sixteen_bits_and_one_bit(tmp_path: Path) -> None:
    deep = Image.fromarray(seven().astype(np.uint16) * 257)
    assert np.array_equal(load_picture(save(deep, tmp_path / "deep.png")), seven())
    flat = Image.fromarray(seven() > 0)
    assert np.array_equal(load_picture(save(flat, tmp_path / "flat.png")), seven())


@pytest.mark.parametrize("level", [0, 77, 255])
def test_blank_picture_is_all_background(tmp_path: Path, level: int) -> None:
    path = save(Image.new("L", (40, 30), level), tmp_path / "blank.png")
    assert load_picture(path).max() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2)])
def test_smallest_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    assert load_picture(save(Image.new("RGB", size), tmp_path / "small.png")).shape == (28, 28)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and whose data is a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("size", [(5_001, 5_000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 1)])
def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_claiming(*size))
    with pytest.raises(DataError) as caught:
        load_picture(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["EPS", "PPM", "ICO", "PCX", "PDF"])
def test_other_formats_are_not_even_tried(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(seven(56)).convert("RGB").save(path, format=kind)
    with pytest.raises(DataError, match="not a picture in a known format"):
        load_picture(path)


@pytest.mark.parametrize("content", [b"", b"hello", png_claiming(28, 28)], ids=["empty", "text", "cut"])
def test_broken_picture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_picture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(seven(56)).convert("RGB").save(buffer, format=kind)
    return buffer.getvalue()


@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"]), data=st.data())
def test_flipped_bytes_give_an_image_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    content = bytearray(encoded(kind))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) // 2, len(content))) :]
    path = tmp_path_factory.mktemp("fuzz") / "picture"
    path.write_bytes(content)
    try:
        image = load_picture(path)
    except DataError:
        return
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
