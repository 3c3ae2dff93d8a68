"""Decodes a picture of any supported kind to pixels, upright, opaque and of bounded size.

Pictures are untrusted: only the formats listed here are tried, the sizes of file and picture and the number
of scans are checked before any pixel is decoded, the processor time is limited, and every failure is a
PictureError of one line.
"""

import os
import re
import stat
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lenet.errors import PictureError
from lenet.phrases import Phrase

Picture: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[Any]
)
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 50_000_000
MAX_WEBP_PIXELS = 30_000_000  # its decoder holds the picture four times
MAX_SIDE = 30_000  # pixels
MAX_BYTES = 64 * 2**20
MAX_SECONDS = 4.0  # of processor time, for decoding one file
MAX_SCANS = 100  # of a progressive JPEG, which encoders write with 3 to 20
MAX_SCANNED_PIXELS = 1_500_000_000  # pixels times scans: about a second
WORKING_SIDE = 512  # pixels; larger pictures are reduced while decoding, which bounds memory and time
_BAND_PIXELS = 1_000_000
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
# As `warnings.filterwarnings("ignore", module=r"PIL\.")` installs it.
_PILLOW_FILTER: Any = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """Pixels (h, w, 3) uint8, upright, opaque, at most WORKING_SIDE a side. `width` and `height` are those of
    the upright original, in pixels; `reason` describes the original and the reduction."""

    pixels: NDArray[np.uint8]
    width: int
    height: int
    reason: str


def decode(picture: Picture) -> DecodedPicture:
    """Decode a path, the bytes of a file, an open binary file, a Pillow image or an array.

    Arrays are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): unsigned integers, booleans, or floats in 0..1 or
    0..255. Of an animation the first frame is decoded. Raises PictureError with one line.
    """
    name = name_picture(picture)
    try:
        _ignore_warnings()
        image = _open(picture, name)
        _check_size(image, name)
        return _reduce(image, is_own=image is not picture)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError(f"{name}: not enough memory to decode it; save it smaller") from error
    except Exception as error:  # decoders of hostile files can raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{name}: damaged or truncated ({reason[:120]}); save it again as PNG") from error


def name_picture(picture: object) -> str:
    """The name of a picture in messages: its path if it has one, else 'picture'."""
    if isinstance(picture, str | os.PathLike):
        return " ".join(str(picture).split()) or "picture"
    name = getattr(picture, "filename", None) or getattr(picture, "name", None)
    return " ".join(name.split()) if isinstance(name, str) and name.strip() else "picture"


def _open(picture: Picture, name: str) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, np.ndarray):
        return _image_of_array(picture, name)
    content = _read_content(picture, name)
    if not content:
        raise PictureError(f"{name}: the file is empty")
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS:
        raise PictureError(f"{name}: HEIC pictures are not supported; export it as JPEG or PNG")
    try:
        image = Image.open(_TimedFile(content, name), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureError(_too_large(name)) from error
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise PictureError(f"{name}: not a picture in a known format; save it as one of {known}") from error
    if image.format == "JPEG":
        scans = content.count(b"\xff\xda")  # the marker cannot occur inside a scan
        if scans > MAX_SCANS or scans * image.width * image.height > MAX_SCANNED_PIXELS:
            raise PictureError(f"{name}: a JPEG of {scans} scans, which decodes too slowly; save it as PNG")
    return image


class _TimedFile(BytesIO):
    """The bytes of a file; reading them raises PictureError once the thread has used MAX_SECONDS.

    Pillow reads headers, metadata and compressed pixels in small pieces, so that this ends slow decoding.
    Processor time, unlike time, does not depend on what else the machine does.
    """

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self._name = name
        self._end = time.thread_time() + MAX_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end:
            raise PictureError(f"{self._name}: takes more than {MAX_SECONDS:g} s to decode; save it as PNG")
        return super().read(size)


def _ignore_warnings() -> None:
    """Ignore the warnings of Pillow, which are about damaged metadata.

    The filter stays: `warnings.catch_warnings` changes a list that all threads share, so that it would need
    a lock during the decoding.
    """
    if _PILLOW_FILTER not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _read_content(picture: object, name: str) -> bytes:
    """The bytes of a picture's file; at most MAX_BYTES + 1 are read."""
    if isinstance(picture, bytes | bytearray | memoryview):
        content = bytes(picture[: MAX_BYTES + 1])
    elif isinstance(picture, str | os.PathLike):
        try:
            mode = Path(picture).stat().st_mode
            if stat.S_ISDIR(mode):
                raise PictureError(
                    f"{name}: is a directory; `lenet predict FOLDER --out results.csv` reads all in it"
                )
            if not stat.S_ISREG(mode):
                raise PictureError(
                    f"{name}: a pipe or a device, which may never end; give a file, or '-' for stdin"
                )
            with Path(picture).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not a valid path"
            raise PictureError(f"{name}: cannot be opened ({why.lower()}); check the path") from error
    elif hasattr(picture, "read"):
        content = picture.read(MAX_BYTES + 1)
        if not isinstance(content, bytes):
            raise PictureError(f"{name}: opened as text; open it in binary mode")
    else:
        kinds = "a path, bytes, a binary file, a Pillow image or an array"
        raise PictureError(f"{name}: {type(picture).__name__} is not a picture; give {kinds}")
    if len(content) > MAX_BYTES:
        raise PictureError(f"{name}: larger than {MAX_BYTES // 2**20} MiB; save it smaller")
    return content


def _image_of_array(array: NDArray[Any], name: str) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or array.size == 0:
        raise PictureError(f"{name}: an array of shape {array.shape}; give (H, W), (H, W, 3) or (H, W, 4)")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise PictureError(_too_large(name))
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise PictureError(f"{name}: the array holds values that are not finite numbers")
        if array.min() < 0 or array.max() > 255:
            raise PictureError(f"{name}: the array's values are outside 0..1 and 0..255; scale them first")
        array = np.rint(array * (255 if array.max() <= 1 else 1)).astype(np.uint8)
    elif array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8) if array.max() > 255 else array.astype(np.uint8)
    elif np.issubdtype(array.dtype, np.integer) and array.min() >= 0 and array.max() <= 255:
        array = array.astype(np.uint8)
    else:
        raise PictureError(f"{name}: an array of {array.dtype} outside 0..255; give uint8, or floats in 0..1")
    return Image.fromarray(np.ascontiguousarray(array))


def _check_size(image: Image.Image, name: str) -> None:
    max_pixels = MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_PIXELS
    if image.width * image.height > max_pixels:
        raise PictureError(_too_large(name, max_pixels))
    if max(image.size) > MAX_SIDE:
        raise PictureError(f"{name}: more than {MAX_SIDE:,} pixels wide or high; save it smaller")
    if min(image.size) < 1:
        raise PictureError(f"{name}: the picture has no pixels")


def _too_large(name: str, max_pixels: int = MAX_PIXELS) -> str:
    return f"{name}: more than {max_pixels // 1_000_000} megapixels; save it smaller"


def _reduce(image: Image.Image, is_own: bool) -> DecodedPicture:
    width, height = image.size
    shrink = min(1.0, WORKING_SIDE / max(width, height))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    halved = next(
        factor for factor in (8, 4, 2, 1) if factor <= max(1, min(width // size[0], height // size[1]))
    )
    if halved > 1 and is_own and image.draft(None, size):  # libjpeg decodes at 1/2, 1/4 or 1/8 of the size
        halved = 1
    original = image.format or Phrase("pixels")
    reason = Phrase(
        "{original}, {width} × {height}, {mode}",
        original=original, width=width, height=height, mode=image.mode,
    )  # fmt: skip
    stored, upright = image.size, image
    if is_own:
        ImageOps.exif_transpose(image, in_place=True)  # copies nothing if the picture is upright
    else:
        upright = ImageOps.exif_transpose(image)
    if upright.size != stored:  # rotated by 90°
        width, height, size = height, width, size[::-1]
    upright = _eight_bit(upright)
    if shrink < 1:
        # Other formats are reduced by the same factor first, so that all formats give similar pixels.
        upright = upright.reduce(halved).resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        reason = Phrase(
            "{original}, reduced to {width} × {height}", original=reason, width=size[0], height=size[1]
        )
    return DecodedPicture(np.asarray(_flatten_alpha(upright)), width, height, reason)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Convert to mode L, RGB or RGBA. Deeper pictures are stretched from their own range to 0..255, since the
    file does not state the range."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        ends = [(float(levels.min()), float(levels.max())) for levels in _read_levels(image)]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        scale = 255 / max(high - low, 1e-6)
        bands = [np.rint((levels - low) * scale).astype(np.uint8) for levels in _read_levels(image)]
        return Image.fromarray(np.concatenate(bands))
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _read_levels(image: Image.Image) -> Iterator[NDArray[np.float32]]:
    """The pixels (rows, w) of a deep picture in bands, which bounds the memory; 0 for what is not finite."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield np.nan_to_num(np.asarray(band, dtype=np.float32), posinf=0.0, neginf=0.0)


def _flatten_alpha(image: Image.Image) -> Image.Image:
    """Composite a transparent picture over a contrasting background, a cut-out over its own colour."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    layers = np.asarray(image, dtype=np.float32)
    alpha = layers[:, :, 3] / 255
    ground = (255, 255, 255)
    if alpha.mean() > 0.5:
        red, green, blue = np.median(layers[alpha > 0.5][:, :3], axis=0)
        ground = (int(red), int(green), int(blue))
    elif alpha.any() and np.average(layers[:, :, :3].mean(axis=2), weights=alpha) > 127.5:
        ground = (0, 0, 0)
    return Image.alpha_composite(Image.new("RGBA", image.size, (*ground, 255)), image).convert("RGB")
