"""One picture file -> one 28×28 image, white ink on black, as the networks learn from."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lenet.errors import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""What is decoded; Pillow knows many more, and its rarer decoders are where its holes have been."""
MAX_PIXELS = 25_000_000
"""A larger picture is refused before it is decoded."""
SIDE = 28


def load_picture(path: Path) -> np.ndarray:
    """Decode a picture and bring it to (28, 28) uint8, white ink on black.

    The picture is turned upright as its camera says, transparency is laid on white, and the rest is padded
    to a square and resized. Which of light and dark is ink is decided for each picture by itself, so that
    the answer does not depend on what else is in the set: the background is the median of the border, and
    the ink is on the other side of it. The background becomes 0 and the furthest possible ink 255, so an
    image in the form of MNIST, and its negative, come out unchanged.
    Raises DataError, naming the file, when it cannot be decoded or has more than `MAX_PIXELS`.
    """
    return shrink(remove_background(_decode(path)))


def remove_background(grey: np.ndarray) -> np.ndarray:
    """Stretch (H, W) uint8 of any polarity so that the background is 0 and full ink 255."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    background = float(np.median(border))
    values = grey.astype(np.float32)
    if background > values.mean():  # dark ink on a light ground
        ink = (background - values) / background
    elif background < 255:
        ink = (values - background) / (255 - background)
    else:  # white all over
        ink = np.zeros_like(values)
    stretched: np.ndarray = np.rint(np.clip(ink, 0, 1) * 255).astype(np.uint8)
    return stretched


def shrink(ink: np.ndarray) -> np.ndarray:
    """Pad (H, W) uint8 with background to a square, and resize it to (28, 28)."""
    height, width = ink.shape
    side = max(height, width)
    square = np.zeros((side, side), dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = ink
    # Shrinking by averages keeps thin strokes in proportion; enlarging wants smooth edges.
    filter_ = Image.Resampling.BOX if side >= SIDE else Image.Resampling.BICUBIC
    small: np.ndarray = np.asarray(Image.fromarray(square).resize((SIDE, SIDE), filter_))
    return small


def _decode(path: Path) -> np.ndarray:
    """Grey levels (H, W) uint8 of a picture file, upright, transparency laid on white."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata; sizes are checked here
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise DataError(f"{path}: {width}×{height} pixels; resize it to {MAX_PIXELS} or fewer")
                picture.load()
                return _to_grey(ImageOps.exif_transpose(picture))
    except DataError:
        raise
    # A hostile file can make a decoder raise nearly anything; all of it means that the file is unreadable.
    except Exception as error:
        reason = " ".join(str(error).replace(str(path), "").split())[:120] or type(error).__name__
        raise DataError(
            f"{path}: cannot be read as a picture ({reason}); replace it by one of {', '.join(FORMATS)}"
        ) from error


def _to_grey(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        return (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
    if picture.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {picture.mode}, whose range nobody knows")
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    coloured = picture.convert("RGBA")
    on_white, on_black = (
        np.asarray(Image.alpha_composite(Image.new("RGBA", coloured.size, ground), coloured).convert("L"))
        for ground in ("white", "black")
    )
    # White ink on nothing would vanish on white.
    return on_black if np.ptp(on_white) == 0 else on_white
