"""What the workers do with a picture: its row, as `lenet predict --json` prints it, and on demand the steps
of its reading. Workers import this module, so it imports no torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenet.batch.buckets import NamedContent
from lenet.batch.pool import Options, Row, make_row
from lenet.images.inline import embed_image
from lenet.reading.reader import Reader


def read_picture(reader: Reader, name: str, content: bytes, options: Options, step_side: int = 0) -> Row:
    """The row of a picture, or its error; with `step_side`, also the steps as images of at most that side."""
    picture = NamedContent(content, name)

    def read() -> dict[str, Any]:
        if not step_side:
            return reader.read(picture, **options).to_dict()
        reading, steps = reader.explain(picture, **options)
        rows = [
            {"name": step.name, "reason": step.reason, "image": embed_image(_reduce(step.image, step_side))}
            for step in steps
        ]
        return {**reading.to_dict(), "steps": rows}

    return make_row(name, read)


def read_pixels(reader: Reader, pixels: NDArray[np.uint8]) -> str:
    """The text that a reader reads in the pixels (H, W) of a picture."""
    return reader.read(pixels).text


def _reduce(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if max(pixels.shape[:2]) <= side:
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(image)
