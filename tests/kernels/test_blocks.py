"""The fused blocks against PyTorch's own operators, by every route by which they are reached."""

import pytest
import torch

from lenet.kernels.blocks import explain_backend, reference, run_blocks


def make_case(images=(33, 1, 28, 28), channels=(6, 16), kernels=(5, 5), seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(images, generator=generator)
    blocks, inputs = [], images[1]
    for outputs, kernel in zip(channels, kernels, strict=True):
        weight = torch.randn(outputs, inputs, kernel, kernel, generator=generator)
        blocks.append((weight / (inputs * kernel**2) ** 0.5, torch.randn(outputs, generator=generator)))
        inputs = outputs
    return pixels, blocks


@pytest.mark.parametrize("pooling", ["max", "avg", "none"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "identity"])
def test_forward_agrees_with_pytorch(activation, pooling):
    images, blocks = make_case()
    ours = run_blocks(images, blocks, padding=2, activation=activation, pooling=pooling)
    theirs = reference(images, *map(list, zip(*blocks, strict=True)), 2, activation, pooling)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_backend_says_what_it_is_and_why():
    backend = explain_backend()
    assert backend.name in ("avx512", "avx2", "baseline", "torch")
    assert backend.reason
