"""The fused dense layers against PyTorch's own operators."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet.kernels.convolution import explain_backend
from lenet.kernels.dense import dense_reference, run_dense

built = pytest.mark.skipif(
    explain_backend().name in ("torch", "baseline"), reason="dense layers are left to PyTorch here"
)


def make_case(batch=256, widths=(400, 120, 84, 10), seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, widths[0], generator=generator)
    pairs = list(pairwise(widths))
    weights = [torch.randn(o, i, generator=generator) / i**0.5 for i, o in pairs]
    return features, weights, [torch.randn(o, generator=generator) for _, o in pairs]


def fused(features, weights, biases, activation):
    return run_dense(features, list(zip(weights, biases, strict=True)), activation=activation)


def differentiate(function, features, weights, biases, activation):
    leaves = [t.clone().requires_grad_() for t in (features, *weights, *biases)]
    middle = 1 + len(weights)
    logits = function(leaves[0], leaves[1:middle], leaves[middle:], activation)
    logits.backward(torch.randn(logits.shape, generator=torch.Generator().manual_seed(1)))
    return [logits.detach(), *[leaf.grad for leaf in leaves]]


def assert_same(ours, theirs, tolerance=1e-5):
    for our, their in zip(ours, theirs, strict=True):
        assert our.shape == their.shape
        assert (our - their).abs().max() <= tolerance * max(1.0, float(their.abs().max()))


@built
@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(1, 70),
    widths=st.lists(st.integers(1, 70), min_size=2, max_size=5),
    activation=st.sampled_from(["relu", "tanh", "sigmoid", "identity"]),
    seed=st.integers(0, 99),
)
def test_value_and_gradients_agree_with_pytorch(batch, widths, activation, seed):
    case = (*make_case(batch, widths, seed), activation)
    assert_same(differentiate(fused, *case), differentiate(dense_reference, *case))


@built
def test_the_same_bits_whatever_the_threads_and_again(kernel_threads):
    case = (*make_case(), "relu")
    expected = differentiate(fused, *case)
    for threads in (2, 3, 5) * 5:
        with kernel_threads(threads):
            result = differentiate(fused, *case)
        assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))


@built
def test_python_threads_that_want_the_kernels_threads_at_once(kernel_threads):
    case = (*make_case(), "tanh")
    expected = differentiate(fused, *case)
    with kernel_threads(3), ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: differentiate(fused, *case), range(40)):
            assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))


@built
def test_torch_finds_the_operators_well_made():
    features, weights, biases = make_case(17, (9, 7, 5))
    torch.library.opcheck(
        torch.ops.lenet.dense_forward.default,
        (features, [*[weight.requires_grad_() for weight in weights], *biases], "tanh", True),
    )


@built
def test_compiled_models_keep_the_operator():
    case = (*make_case(20, (9, 7, 5)), "relu")
    compiled = torch.compile(fused, backend="aot_eager", fullgraph=True)
    assert_same(differentiate(compiled, *case), differentiate(dense_reference, *case))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_second_derivatives(dtype):
    features, weights, biases = make_case(17, (4, 3, 2))

    def penalty(function):
        inputs = features.to(dtype).requires_grad_()
        weight = [w.to(dtype).requires_grad_() for w in weights]
        logits = function(inputs, weight, [b.to(dtype) for b in biases], "tanh")
        (gradient,) = torch.autograd.grad(logits.square().sum(), inputs, create_graph=True)
        gradient.square().sum().backward()
        return [inputs.grad, *[w.grad for w in weight]]

    assert_same(penalty(fused), penalty(dense_reference))


@pytest.mark.parametrize("activation", ["elu", "gelu", "silu", "leaky-relu"])
def test_other_activations_are_left_to_pytorch(activation):
    case = (*make_case(17, (9, 7, 5)), activation)
    assert torch.equal(fused(*case), dense_reference(*case))


@pytest.mark.parametrize(
    ("features", "weight", "bias"),
    [((20, 4), (3, 5), (3,)), ((20, 4), (3, 4), (2,)), ((20, 4, 4), (3, 5), (3,)), ((20, 4), (3,), (3,))],
)
def test_shapes_that_do_not_fit_are_refused(features, weight, bias):
    inputs, weights, biases = torch.zeros(features), [torch.zeros(weight)], [torch.zeros(bias)]
    with pytest.raises((RuntimeError, ValueError)):
        fused(inputs, weights, biases, "relu")
    with pytest.raises(ValueError, match="no kernel computes dense of these shapes"):
        torch.ops.lenet.dense_forward.default(inputs, [*weights, *biases], "relu", True)
