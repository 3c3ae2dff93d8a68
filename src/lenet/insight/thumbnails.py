"""Small pictures that travel inside a page: arrays as PNG in `data:` URIs."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lenet.insight.colours import NOTHING, Colours


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
