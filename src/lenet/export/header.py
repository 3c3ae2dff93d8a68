"""A network in whole numbers as one C99 header: the template `network.h.jinja`, filled with its numbers."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np

import lenet
from lenet.export.integer import (
    CONTRAST_BITS,
    GAIN_BITS,
    SCORE_BITS,
    SQUARE_BITS,
    WEIGHT_BITS,
    Array,
    IntegerNetwork,
)
from lenet.models.layers import POOL

WIDTH = 110  # of the lines of numbers
FRAMED = tuple("0123456789")  # the classes whose images are framed as MNIST's


@dataclass(frozen=True)
class Header:
    """The text, and the memory that its arrays take."""

    text: str
    rom_bytes: int
    """Constants, without the code."""
    ram_bytes: int
    """Static buffers, without the stack."""


def write_header(
    network: IntegerNetwork, name: str, classes: Sequence[str], *, reject: bool, golden: Array
) -> Header:
    """The header of `network`.

    Args:
        network: what it computes.
        name: of the checkpoint, for the comment at the head.
        classes: the name of each class, in the order of the scores.
        reject: whether the network has a reject class.
        golden: uint8 (N, height, width), images that the header's own test reads; N may be 0.
    """
    preparation = network.preparation
    arrays, layers, buffers = _list_arrays(network), *_list_layers(network)
    contrast, resized = preparation.contrast, preparation.rows is not None
    plane = 0  # side of the buffer for weighted sums
    if resized:
        plane = max(preparation.side, preparation.height, preparation.width)
    elif contrast:
        plane = preparation.side
    rom = sum(array["bytes"] for array in arrays)
    ram = sum(buffers) + 4 * plane**2 + (2 * preparation.side**2 if contrast else 0)
    scores = network.compute_scores(golden) if len(golden) else ()
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("lenet.export").joinpath("network.h.jinja").read_text("utf-8"))
    text = template.render(
        version=lenet.__version__,
        name=_as_comment(name),
        parameters=sum(layer.weights.size + layer.biases.size for layer in network.layers),
        classes=classes,
        class_lines=textwrap.wrap(_as_comment(", ".join(map(json.dumps, classes))), WIDTH - 13),
        digits=tuple(classes) == FRAMED,
        height=preparation.height,
        width=preparation.width,
        p=preparation,
        reject=reject,
        average=any(layer.pooling == "avg" for layer in network.layers),
        resized=resized,
        plane=plane,
        arrays=arrays,
        layers=layers,
        even=buffers[0],
        odd=buffers[1],
        rom=rom,
        ram=ram,
        score_one=1 << SCORE_BITS,
        weight_bits=WEIGHT_BITS,
        contrast_bits=CONTRAST_BITS,
        square_bits=SQUARE_BITS,
        gain_bits=GAIN_BITS,
        golden=[
            {"image": _write_numbers(image, "        "), "scores": ", ".join(map(str, row))}
            for image, row in zip(golden, scores, strict=True)
        ],
    )
    return Header(text, rom, ram)


def _list_arrays(network: IntegerNetwork) -> list[dict[str, Any]]:
    """Every constant array: name, type in C, count, bytes and numbers."""
    found: list[tuple[str, Array]] = []
    preparation = network.preparation
    if preparation.rows is not None and preparation.columns is not None:
        found += [("rows", preparation.rows), ("columns", preparation.columns)]
    if preparation.contrast is not None:
        found.append(("gaussian", preparation.contrast.weights))
    for layer in network.layers:
        for part in ("weights", "biases", "multipliers", "shifts", "table"):
            values = getattr(layer, part)
            if values is not None:
                found.append((f"{layer.name}_{part}", values))
    return [
        {
            "name": name,
            "type": f"{values.dtype}_t",
            "count": values.size,
            "bytes": values.nbytes,
            "body": _write_numbers(values),
        }
        for name, values in found
    ]


def _list_layers(network: IntegerNetwork) -> tuple[list[dict[str, Any]], list[int]]:
    """The layers, each with its shape and buffers; and the bytes of the two buffers, which take turns."""
    side, layers, sizes = network.preparation.padded_side, [], [network.preparation.padded_side**2, 1]
    for number, layer in enumerate(network.layers):
        outputs, inputs, kernel, _ = layer.weights.shape
        pool = 1 if layer.pooling is None else POOL
        layers.append(
            {
                "name": layer.name,
                "has_table": layer.table is not None,
                "inputs": inputs,
                "side": side,
                "outputs": outputs,
                "kernel": kernel,
                "pool": pool,
                "source": ("lenet_even", "lenet_odd")[number % 2],
                "target": ("lenet_odd", "lenet_even")[number % 2],
            }
        )
        side = (side - kernel + 1) // pool
        if number < len(network.layers) - 1:
            sizes[(number + 1) % 2] = max(sizes[(number + 1) % 2], outputs * side**2)
    return layers, sizes


def _write_numbers(values: Array, indent: str = "    ") -> str:
    # -2147483648 is no constant of C; nothing here reaches it.
    numbers = ", ".join(map(str, np.asarray(values).ravel().tolist()))
    return textwrap.fill(numbers, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _as_comment(text: str) -> str:
    """Text that can neither end a comment of C nor begin one, in ASCII."""
    plain = text.encode("ascii", "backslashreplace").decode()
    return " ".join(plain.replace("*/", "* /").replace("/*", "/ *").split())
