"""Random shapes through the operators: the values of PyTorch's own operators, or an error; never a wild read.

The adapter's duty is that pointers and buffers are as many and as long as the numbers say that the kernel
gets; the kernel's own duty, the numbers, is in sanitize.cpp.
"""

import random
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from lenet.kernels.convolution import convolve_reference
from lenet.kernels.dense import dense_reference
from lenet.kernels.library import load_library

pytestmark = pytest.mark.skipif(load_library()[0] is None, reason="the kernel was not built")
ROUNDS = 300
SIZES = (0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 33)


def distort(shape: list[int], source: random.Random) -> list[int]:
    """Another size in one place, or another number of dimensions."""
    changed = shape.copy()
    match source.randrange(4):
        case 0:
            changed.pop(source.randrange(len(changed)))
        case 1:
            changed.insert(source.randrange(len(changed) + 1), 1)
        case _:
            changed[source.randrange(len(changed))] = source.choice(SIZES)
    return changed


def make(shape: list[int], source: random.Random) -> Tensor:
    """Numbers of a shape, whose memory is not always in one piece."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(source.randrange(1 << 30)))
    return values.mT if len(shape) > 1 and shape[-1] == shape[-2] and source.random() < 0.3 else values


def check(
    operator: str, reference: object, tensors: list[Tensor], settings: tuple[object, ...], halves: int
) -> bool:
    """True where the kernel computed; the reference must compute the same then."""
    try:
        found = getattr(torch.ops.lenet, operator)(tensors[0], tensors[1:], *settings, False)[0]
    except (ValueError, RuntimeError):
        return False
    weights, biases = tensors[1 : 1 + halves], tensors[1 + halves :]
    expected = reference(tensors[0], weights, biases, *settings)  # type: ignore[operator]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    return True


def spoil(shapes: list[list[int]], source: random.Random) -> list[list[int]]:
    """Shapes that fit together; in three of four rounds not any more, or one more, or one less."""
    match source.randrange(4):
        case 0:
            return shapes
        case 1:
            number = source.randrange(len(shapes))
            return [distort(shape, source) if n == number else shape for n, shape in enumerate(shapes)]
        case 2:
            return shapes[:-1]
        case _:
            return [*shapes, shapes[-1]]


def test_convolutions() -> None:
    source, computed = random.Random(0), 0
    for _ in range(ROUNDS):
        channels, side, outputs = source.randint(1, 3), source.randint(1, 17), source.choices(SIZES[1:7], k=2)
        kernels = [source.randint(1, 5), source.randint(1, 3)]
        images = [source.choice(SIZES), channels, side, source.randint(1, 17)]
        weights = [
            [outputs[0], channels, kernels[0], kernels[0]],
            [outputs[1], outputs[0], kernels[1], kernels[1]],
        ]
        shapes = spoil([images, *weights, [outputs[0]], [outputs[1]]], source)
        settings = (
            source.choice([0, 1, 2, -1, 1 << 40]),
            source.choice(["relu", "tanh"]),
            source.choice(["max", "none"]),
        )
        computed += check(
            "convolutions_forward", convolve_reference, [make(s, source) for s in shapes], settings, 2
        )
    assert ROUNDS / 20 < computed < ROUNDS / 2


def test_dense_layers() -> None:
    source, computed = random.Random(0), 0
    for _ in range(ROUNDS):
        widths = [source.choice(SIZES[1:]) for _ in range(4)]
        weights = [[after, before] for before, after in pairwise(widths)]
        shapes = spoil(
            [[source.choice(SIZES), widths[0]], *weights, *([width] for width in widths[1:])], source
        )
        settings = (source.choice(["relu", "sigmoid", "identity"]),)
        computed += check("dense_forward", dense_reference, [make(s, source) for s in shapes], settings, 3)
    if load_library()[1] == "baseline":  # left to PyTorch
        assert computed == 0
    else:
        assert ROUNDS / 20 < computed < ROUNDS / 2
