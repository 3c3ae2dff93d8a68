"""Small pictures that travel inside a page: arrays as PNG in `data:` URIs."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

SIGNED, UNSIGNED = "RdBu_r", "magma"
NOTHING = (0.62, 0.68, 0.76)  # blue-grey, where no pixel is

Array = NDArray[np.floating]
Colours = tuple[str, float, float]  # the map's name, and the values at its ends


def find_colours(values: Array, signed: bool = False) -> Colours:
    """Red above zero and blue below where there is anything below zero, else from dark to bright."""
    least, most = float(np.nanmin(values)), float(np.nanmax(values))
    if signed or least < 0:
        most = max(abs(least), abs(most)) or 1.0
        return SIGNED, -most, most
    return UNSIGNED, least, most if most > least else least + 1


def encode_image(image: Tensor) -> str:
    """An image, uint8 (1, H, W), as it is."""
    return _encode(image[0].numpy())


def encode_patch(patch: Tensor) -> str:
    """A patch (h, w) of 0..1; NaN, beyond the image, comes out blue-grey."""
    values = patch.numpy()
    pixels = np.repeat(values.clip(0, 1)[..., None], 3, axis=2)
    pixels[np.isnan(values)] = NOTHING
    return _encode(np.rint(pixels * 255).astype(np.uint8))


def encode_map(values: Tensor, colours: Colours) -> str:
    """A map (h, w), a pixel a value."""
    import matplotlib

    name, least, most = colours
    shares = (values.detach().double().numpy() - least) / (most - least)
    return _encode(matplotlib.colormaps[name](shares, bytes=True)[..., :3])


def encode_scale(colours: Colours) -> str:
    """The bar that belongs to the colours, from the least value on the left to the most."""
    import matplotlib

    return _encode(matplotlib.colormaps[colours[0]](np.linspace(0, 1, 64)[None], bytes=True)[..., :3])


def _encode(pixels: NDArray[np.uint8]) -> str:
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"
