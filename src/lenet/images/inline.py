"""Images and tables as HTML that needs no file beside it: for notebooks and reports. Text is escaped."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from io import BytesIO

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image


def embed_image(pixels: NDArray[np.uint8]) -> str:
    """Pixels (h, w) or (h, w, 3) as a PNG in a `data:` URI."""
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


def write_image(pixels: NDArray[np.uint8], description: str, scale: int = 1) -> Markup:
    """An HTML image of pixels (h, w), enlarged `scale` times with sharp edges."""
    enlarged = pixels.repeat(scale, 0).repeat(scale, 1)
    return Markup('<img src="{}" alt="{}">').format(embed_image(enlarged), description)


def write_table(summary: str, header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table below a line of text. Cells are escaped, save for what is `Markup` already."""
    heads = Markup("").join(Markup("<th>{}</th>").format(cell) for cell in header)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows
    )
    table = Markup("<p>{}</p><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>")
    return str(table.format(summary, heads, body))
