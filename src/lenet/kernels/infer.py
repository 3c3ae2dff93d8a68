"""Inference in one call: from pixels through every layer to the results, with weights packed once; no torch.

    network = pack_network([NetworkLayer(weight1, bias1, padding=(2, 2), activation="relu", pooling="max",
                                         window=(2, 2)), …, NetworkLayer(weight, bias, dense=True)])
    results = network.run(images)                                            # (N, rows, columns, channels)

One image is spread over the channels of each layer, so it needs no others beside it to be fast. What is
computed of an image is the same bits alone, in a batch, and with any number of threads.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lenet.kernels.library import ACTIVATIONS, POOLINGS, check, integers, load_library
from lenet.processes import count_cores

GROUP = 8  # images of a task, as in tiles.inc: so few are computed by the calling thread
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NetworkLayer:
    """A convolution with stride 1, and the activation and pooling after it; or a dense layer.

    weight (outputs, inputs, rows, columns) and bias (outputs,) are floats. The kernel of a dense layer is as
    large as its input. `padding` are the zeros above and below, and on either side; `window` is what is
    pooled: (1, 1), (2, 1) or (2, 2); odd last rows and columns are dropped.
    """

    weight: NDArray[Any]
    bias: NDArray[Any]
    padding: tuple[int, int] = (0, 0)
    activation: str = "identity"
    pooling: str = "none"
    window: tuple[int, int] = (1, 1)
    dense: bool = False

    def numbers(self) -> list[int]:
        """The layer as C takes it; see network.h."""
        kinds = [ACTIVATIONS.index(self.activation), POOLINGS.index(self.pooling)]
        return [*self.weight.shape, *self.padding, *kinds, *self.window, int(self.dense)]


class PackedNetwork:
    """A network that the kernel runs; it is never changed, so threads may share it. See `pack_network`."""

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self._library, self._handle = library, handle
        self._shapes: dict[tuple[int, ...], tuple[int, int, int]] = {}
        weakref.finalize(self, library.lenet_network_free, handle).atexit = False

    def __reduce__(self) -> NoReturn:
        raise TypeError("a packed network is neither copied nor pickled: pack it again")

    def find_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Rows, columns and channels of the result for an image. Raises ValueError where it has no room."""
        shape = self._shapes.get((height, width))
        if shape is None:
            found = integers([0, 0, 0])
            self._library.lenet_network_shape(self._handle, height, width, found)
            if found[0] < 0:
                raise ValueError(f"the network does not fit on images of {height}×{width}")
            shape = self._shapes[height, width] = found[0], found[1], found[2]
        return shape

    def run(self, images: NDArray[np.uint8] | Floats, threads: int | None = None) -> Floats:
        """The results (N, rows, columns, channels) of images (N, 1, H, W), bytes 0..255 or floats 0..1.

        `threads` are by default as many as PyTorch's where that is imported, else one for each core. Raises
        ValueError on images of other shapes and types.
        """
        if images.ndim != 4 or images.shape[1] != 1 or images.dtype not in (np.uint8, np.float32):
            raise ValueError(
                f"images are {images.dtype} {images.shape}; uint8 or float32 (N, 1, H, W) is needed"
            )
        count, _, height, width = images.shape
        results = np.empty((count, *self.find_shape(height, width)), np.float32)
        pixels: NDArray[Any] = np.ascontiguousarray(images)
        code = self._library.lenet_network_run(
            self._handle,
            count,
            height,
            width,
            pixels.__array_interface__["data"][0],
            pixels.dtype == np.uint8,
            results.__array_interface__["data"][0],
            1 if count <= GROUP else threads or count_threads(),
        )
        check(code)
        return results


def pack_network(
    layers: Sequence[NetworkLayer],
    *,
    mean: float = 0.0,
    deviation: float = 1.0,
    gaussian: Floats | None = None,
    minimum_contrast: float = 0.0,
) -> PackedNetwork | None:
    """Pack the weights of a network; None where the compiled kernel is missing or cannot compute it.

    Args:
        layers: convolutions, then dense layers; the first takes one channel.
        mean, deviation: what is subtracted from pixels scaled to 0..1, and what they are divided by then.
        gaussian: the weights (side, side) of local contrast normalisation, which comes before; None: none.
        minimum_contrast: the smallest standard deviation that it divides by.
    """
    library = load_library()[0]
    if library is None or not all(
        layer.activation in ACTIVATIONS and layer.bias.shape == layer.weight.shape[:1] for layer in layers
    ):
        return None
    weights, biases = ([_floats(getattr(layer, part)) for layer in layers] for part in ("weight", "bias"))
    side = None if gaussian is None else _floats(gaussian)
    numbers = [len(layers), 0 if side is None else len(side)]
    handle = library.lenet_network_pack(
        integers(numbers + [number for layer in layers for number in layer.numbers()]),
        _addresses(weights),
        _addresses(biases),
        (ctypes.c_float * 3)(mean, deviation, minimum_contrast),
        None if side is None else side.ctypes.data_as(ctypes.c_void_p),
    )
    return PackedNetwork(library, handle) if handle else None


def count_threads() -> int:
    """As many as PyTorch uses where it is imported; else OMP_NUM_THREADS, or one for each core."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(asked)) if asked.isdecimal() else count_cores()


def _floats(values: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(values, np.float32)


def _addresses(arrays: Sequence[Floats]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])
