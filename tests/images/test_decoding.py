"""Hostile and unusual pictures: bounded upright pixels come out, or one PictureError of one line."""

import io
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from lenet.errors import PictureError
from lenet.images import decoding as decode_module
from lenet.images.decoding import FORMATS, MAX_BYTES, WORKING_SIDE, decode

TILE = np.full((40, 60, 3), 255, dtype=np.uint8)
TILE[10:30, 25:30] = (20, 30, 160)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def complaint(picture: object) -> str:
    with pytest.raises(PictureError) as caught:
        decode(picture)
    message = str(caught.value)
    assert "\n" not in message
    assert 10 < len(message) < 400
    return message


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_allowed_format_decodes_from_every_kind_of_source(kind: str, tmp_path: Path) -> None:
    content = encode(Image.fromarray(TILE), kind)
    path = tmp_path / "tile.dat"  # the content decides, not the name
    path.write_bytes(content)
    with path.open("rb") as file:
        decoded = [decode(source).pixels for source in (content, bytearray(content), path, str(path), file)]
    decoded.append(decode(Image.open(io.BytesIO(content))).pixels)
    for pixels in decoded:
        assert pixels.shape == (40, 60, 3)
        assert pixels.dtype == np.uint8
        assert np.array_equal(pixels, decoded[0])
        assert np.abs(pixels.astype(int) - TILE).mean() < 8  # GIF and JPEG lose a little


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"]
)
def test_every_mode_keeps_dark_ink_dark(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(TILE.min(axis=2).astype(np.uint16) * 200)
    elif mode == "PA":
        image = Image.fromarray(TILE).convert("RGBA").convert("PA")
    else:
        image = Image.fromarray(TILE).convert(mode)
    pixels = decode(image).pixels.astype(int)
    assert pixels.shape == (40, 60, 3)
    assert pixels[20, 5].min() > 240
    assert pixels[20, 27].min() < 120


def test_sixteen_bit_pictures_use_their_own_range() -> None:
    deep = np.full((30, 30), 2000, dtype=np.uint16)
    deep[10:20, 14:16] = 300  # a twelve-bit camera: nowhere near 65,535
    pixels = decode(encode(Image.fromarray(deep))).pixels
    assert pixels[0, 0, 0] == 255
    assert pixels[15, 15, 0] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_followed(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(TILE)
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    decoded = decode(encode(stored, exif=exif))
    assert np.array_equal(decoded.pixels, TILE)
    assert (decoded.width, decoded.height) == (60, 40)


def test_large_pictures_are_reduced_and_keep_their_size_in_mind() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "JPEG"):
        decoded = decode(encode(Image.new("RGB", (3000, 1800), "white"), kind, exif=exif))
        assert (decoded.width, decoded.height) == (1800, 3000)
        assert max(decoded.pixels.shape) == WORKING_SIDE


@pytest.mark.parametrize("side", [700, 1280, 2600, 5000])
def test_a_photograph_is_reduced_alike_from_its_file_and_from_its_pixels(side: int) -> None:
    image = Image.new("RGB", (side, 3 * side // 4), (220, 225, 210))
    brush = ImageDraw.Draw(image)
    for number in range(1, 30):  # lines of about a pixel after reducing
        brush.line((0, 23 * number, side, 31 * number), fill=(30, 40, 90), width=max(1, side // 512))
    file = encode(image, "JPEG", quality=95)
    with Image.open(io.BytesIO(file)) as opened:
        apart = decode(file).pixels.astype(int) - decode(np.asarray(opened)).pixels
    assert np.abs(apart).mean() < 1.5


@pytest.mark.parametrize("size", [(1, 1), (30_000, 2), (2, 30_000), (1, 5)])
def test_odd_shapes_decode(size: tuple[int, int]) -> None:
    decoded = decode(encode(Image.new("L", size, 200)))
    assert (decoded.width, decoded.height) == size
    assert min(decoded.pixels.shape) >= 1


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (255, 0)])
def test_transparent_ink_is_laid_on_its_opposite(ink: int, ground: int) -> None:
    layers = np.zeros((40, 40, 4), dtype=np.uint8)
    layers[10:30, 18:22] = (ink, ink, ink, 255)
    pixels = decode(encode(Image.fromarray(layers))).pixels
    assert pixels[0, 0, 0] == ground
    assert pixels[20, 20, 0] == ink


def test_cut_out_paper_is_continued() -> None:
    layers = np.zeros((40, 40, 4), dtype=np.uint8)
    layers[3:37, 3:37] = (230, 220, 180, 255)
    layers[15:25, 18:22, :3] = 0
    assert tuple(decode(encode(Image.fromarray(layers))).pixels[0, 0]) == (230, 220, 180)


def test_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("L", (20, 20), level) for level in (10, 120, 250)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        content = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert abs(int(decode(content).pixels.mean()) - 10) <= 1


def test_the_callers_image_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (2000, 1500), "white").save(path)
    with Image.open(path) as image:
        decode(image)
        assert image.size == (2000, 1500)


@pytest.mark.parametrize(
    "array",
    [
        TILE,
        TILE[:, :, 0],
        TILE[:, :, :1],
        TILE[:, :, 0].astype(np.float64) / 255,
        TILE[:, :, 0].astype(np.float32),
        TILE[:, :, 0].astype(np.uint16) * 257,
        TILE[:, :, 0].astype(np.int64),
        TILE[:, :, 0] > 100,
        TILE[:, ::-1, ::-1][:, ::-1],
    ],
)
def test_arrays_of_every_number_type(array: np.ndarray) -> None:
    pixels = decode(array).pixels
    assert pixels.shape == (40, 60, 3)
    assert pixels[0, 0].min() == 255
    assert pixels[20, 27].min() <= 20


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 5)),
        np.zeros(5),
        np.zeros((2, 2, 2)),
        np.zeros((2, 2, 2, 3)),
        np.array([[np.nan, 0.5]]),
        np.array([[np.inf, 0.5]]),
        np.array([[-1.0, 0.5]]),
        np.array([[300, 2]]),
        np.array([["a", "b"]]),
        np.array([[1 + 2j, 0]]),
        np.broadcast_to(np.uint8(0), (10_000, 10_000)),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray) -> None:
    complaint(array)


def test_heic_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(struct.pack(">I", 24) + b"ftypheic" + b"\0" * 40)
    message = complaint(path)
    assert "HEIC" in message
    assert "JPEG" in message
    assert "IMG_0001" in message


def test_bombs_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(Image.Image, "resize", forbidden)
    for side in (8_000, 10_000, 20_000, 2**31 - 1):
        assert "megapixels" in complaint(png_header(side, side))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no such file" in complaint(tmp_path / "missing.png")
    assert "directory" in complaint(tmp_path)
    assert "empty" in complaint(b"")
    assert "known format" in complaint(b"%PDF-1.7 not a picture")
    assert "known format" in complaint(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert "binary" in complaint(io.StringIO("text"))
    assert "NoneType" in complaint(None)
    complaint("nul\0byte.png")
    complaint(png_header(0, 5))
    odd = tmp_path / "two\nlines.png"
    odd.write_bytes(b"x")
    complaint(odd)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on this system")
def test_pipes_and_devices_are_refused_unopened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)  # opening it would wait for a writer for ever
    assert "pipe" in complaint(pipe)
    assert "device" in complaint("/dev/zero")


def claim(kind: str) -> bytes:
    """A picture of a few bytes whose header says that it has gigabytes of pixels."""
    small = encode(Image.new("L", (64, 64), 255), kind)
    if kind == "PNG":
        return png_header(60_000, 60_000)
    if kind == "GIF":
        return small[:6] + struct.pack("<HH", 65_535, 65_535) + small[10:]
    if kind == "BMP":
        return small[:18] + struct.pack("<ii", 60_000, 60_000) + small[26:]
    if kind == "JPEG":
        return small.replace(bytes([0, 64, 0, 64, 1]), bytes([255, 255, 255, 255, 1]))
    if kind == "WEBP":
        side = (16_382).to_bytes(3, "little")
        return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + side + side
    for tag in (256, 257):  # TIFF: width and height
        small = re.sub(
            re.escape(struct.pack("<H", tag)) + b"[\3\4]\0\1\0\0\0....",
            struct.pack("<HHII", tag, 4, 1, 60_000),
            small,
            flags=re.DOTALL,
        )
    return small


@pytest.mark.parametrize("kind", FORMATS)
def test_bombs_of_every_format_are_refused(kind: str) -> None:
    assert "megapixels" in complaint(claim(kind)) or kind == "WEBP"


@pytest.mark.parametrize("value", [0, 9, 65_535, "six", 6.5, b"\xff" * 40])
def test_absurd_orientations_are_upright(value: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    content = (
        encode(Image.fromarray(TILE), "TIFF") if value == 9 else encode(Image.fromarray(TILE), exif=exif)
    )
    image = Image.open(io.BytesIO(content))
    image.getexif()[0x0112] = value
    assert decode(image).pixels.shape == (40, 60, 3)


def test_metadata_that_points_at_itself() -> None:
    """An EXIF folder whose next folder and whose sub-folder are the folder itself."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    loop = b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 8)
    for kind in ("JPEG", "PNG", "WEBP"):
        assert decode(encode(Image.fromarray(TILE), kind, exif=loop)).pixels.shape == (40, 60, 3)
    looped = bytearray(encode(Image.fromarray(TILE), "TIFF"))
    first = struct.unpack_from("<I", looped, 4)[0]
    struct.pack_into("<I", looped, first + 2 + 12 * struct.unpack_from("<H", looped, first)[0], first)
    decodes_or_complains(bytes(looped))


def test_large_files_are_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            asked.append(size)
            return bytes(size)

    monkeypatch.setattr(decode_module, "MAX_BYTES", 1000)
    assert "larger" in complaint(Endless())
    assert asked == [1001]
    assert MAX_BYTES <= 2**27


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_files_never_crash(kind: str) -> None:
    noisy = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8))
    content = encode(noisy, kind)
    for length in np.linspace(1, len(content) - 1, 25).astype(int):
        decodes_or_complains(content[:length])


@given(st.binary(max_size=400))
def test_random_bytes_never_crash(content: bytes) -> None:
    decodes_or_complains(content)


def variants() -> list[bytes]:
    """Valid files of every format, in the shapes in which it is met."""
    colour, palette = Image.fromarray(TILE), Image.fromarray(TILE).convert("P")
    layers = Image.fromarray(np.dstack([TILE, TILE[:, :, 0]]))
    palette.info["transparency"] = 0
    return [
        *(encode(colour, kind) for kind in FORMATS),
        encode(layers),
        encode(palette),
        encode(palette, "GIF"),
        encode(colour.convert("CMYK"), "JPEG"),
        encode(colour.convert("L"), "JPEG", progressive=True),
        encode(Image.fromarray(TILE[:, :, 0].astype(np.uint16) * 257)),
        encode(colour, "TIFF", compression="tiff_lzw"),
        encode(colour.convert("1"), "TIFF", compression="group4"),
        encode(layers, "WEBP", lossless=True),
        encode(colour.convert("1"), "BMP"),
        encode(colour, "GIF", save_all=True, append_images=[layers.convert("RGB")]),
    ]


CONTENTS = variants()


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(CONTENTS), st.data())
def test_damaged_files_never_crash(content: bytes, data: st.DataObject) -> None:
    """Bytes flipped, put in and left out; Python's warnings are errors here, so none comes through either."""
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, max(0, min(len(damaged), 400) - 1)))
        change = data.draw(st.sampled_from(["flip", "insert", "delete"]))
        if change == "flip" and damaged:
            damaged[place] = data.draw(st.integers(0, 255))
        elif change == "insert":
            damaged[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            del damaged[place : place + data.draw(st.integers(1, 8))]
    decodes_or_complains(bytes(damaged))


def decodes_or_complains(content: bytes) -> None:
    message = ""
    try:
        pixels = decode(content).pixels
    except PictureError as error:
        message = str(error)
        pixels = np.zeros((1, 1, 3), dtype=np.uint8)
    assert "\n" not in message
    assert len(message) < 400
    assert max(pixels.shape) <= WORKING_SIDE
    assert pixels.dtype == np.uint8


def test_scans_of_a_jpeg_are_counted_before_decoding() -> None:
    content = encode(Image.new("L", (2000, 2000), 255), "JPEG", progressive=True)
    scan = content[content.rfind(b"\xff\xda") : -2]
    assert "scans" in complaint(content[:-2] + 3000 * scan + b"\xff\xd9")
    decode(content)


def test_a_side_is_limited_before_decoding() -> None:
    assert "wide or high" in complaint(png_header(1, 50_000_000))


def test_metadata_ends_with_the_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "MAX_SECONDS", 0.1)
    content = encode(Image.new("L", (8, 8)), "JPEG")
    assert "takes more than" in complaint(content[:2] + b"\xff\xfe\0\2" * 2_000_000 + content[2:])
