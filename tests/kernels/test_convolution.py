"""The fused convolutions against PyTorch's own operators, by every route by which they are reached."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenet.kernels.convolution import (
    convolve_reference,
    explain_backend,
    run_convolutions,
    supports_convolutions,
)
from lenet.kernels.library import INSTRUCTION_SETS, load_library

built = pytest.mark.skipif(explain_backend().name == "torch", reason=explain_backend().reason)
ACTIVATIONS = ("relu", "tanh", "sigmoid", "identity")
POOLINGS = ("max", "avg", "none")


def make_case(images=(33, 1, 28, 28), channels=(6, 16), kernels=(5, 5), seed=0, steps=0):
    """Images and parameters; with `steps`, of few different values, so that many pixels are equally large."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(images, generator=generator)
    weights, biases, inputs = [], [], images[1]
    for outputs, size in zip(channels, kernels, strict=True):
        weight = torch.randn(outputs, inputs, size, size, generator=generator)
        weights.append(weight / (inputs * size**2) ** 0.5)
        biases.append(torch.randn(outputs, generator=generator))
        inputs = outputs
    if steps:  # powers of two: sums are exact, in any order
        pixels, weights = (pixels * steps).round() / steps, [(w * 4 * steps).round() / steps for w in weights]
        biases = [(b * steps).round() / steps for b in biases]
    return pixels, weights, biases


def differentiate(function, pixels, weights, biases, *plan):
    """Value and all gradients, for a gradient of the features that depends on their shape only."""
    leaves = [t.clone().requires_grad_() for t in (pixels, *weights, *biases)]
    images, middle = leaves[0], 1 + len(weights)
    features = function(images, leaves[1:middle], leaves[middle:], *plan)
    generator = torch.Generator().manual_seed(features.numel())
    features.backward(torch.randn(features.shape, generator=generator))
    return [features.detach(), *[leaf.grad for leaf in leaves]]


def fused(pixels, weights, biases, padding, activation, pooling):
    return run_convolutions(
        pixels,
        list(zip(weights, biases, strict=True)),
        padding=padding,
        activation=activation,
        pooling=pooling,
    )


def assert_same(ours, theirs, tolerance=2e-5):
    """Equal to rounding. Gradients of parameters are sums over all pixels: terms that nearly cancel leave
    rounding errors in proportion to what such a sum usually is, not to what is left of it."""
    terms = theirs[1].numel() if len(theirs) > 2 else 1
    for number, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        assert our.shape == their.shape
        usual = terms**0.5 if number > 1 else 1.0
        assert (our - their).abs().max() <= tolerance * max(usual, float(their.abs().max()))


@st.composite
def plans(draw):
    """Any networks that exist: one to three layers, kernels 1 to 11, sides that leave something over."""
    padding = draw(st.integers(0, 3))
    height, width = draw(st.integers(1, 22)), draw(st.integers(1, 22))
    pooling = draw(st.sampled_from(POOLINGS))
    batch = draw(st.sampled_from([1, 2, 7, 15, 16, 17, 33]))
    images = (batch, draw(st.integers(1, 3)), height, width)
    height, width = height + 2 * padding, width + 2 * padding
    channels, kernels = [], []
    for _ in range(draw(st.integers(1, 3))):
        size = draw(st.one_of(st.sampled_from([3, 5, 7]), st.integers(1, 11)))
        size = min(size, height, width)
        channels.append(draw(st.integers(1, 10)))
        kernels.append(size)
        height, width = height - size + 1, width - size + 1
        if pooling != "none" and min(height, width) > 1:
            height, width = height // 2, width // 2
    case = make_case(images, tuple(channels), tuple(kernels), draw(st.integers(0, 99)))
    return *case, padding, draw(st.sampled_from(ACTIVATIONS)), pooling


@built
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans())
def test_value_and_gradients_agree_with_pytorch(plan):
    assert_same(differentiate(fused, *plan), differentiate(convolve_reference, *plan))


@built
@pytest.mark.parametrize("choice", INSTRUCTION_SETS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_instruction_set_agrees(choice, activation, pooling):
    library = load_library()[0]
    number = INSTRUCTION_SETS.index(choice)
    if library.lenet_choose(number) != number:
        pytest.skip(f"this machine has no {choice}")
    supports_convolutions.cache_clear()  # what is saved depends on the width of the vectors
    try:
        for size in (3, 5, 7):
            plan = (*make_case((17, 2, 20, 23), (6, 5), (size, 3)), 2, activation, pooling)
            assert_same(differentiate(fused, *plan), differentiate(convolve_reference, *plan))
    finally:
        library.lenet_choose(-1)
        supports_convolutions.cache_clear()


@built
@pytest.mark.parametrize("batch", [1, 15, 16, 17, 33, 256])
def test_lenet_itself_in_every_batch(batch):
    plan = (*make_case((batch, 1, 28, 28)), 2, "relu", "max")
    assert_same(differentiate(fused, *plan), differentiate(convolve_reference, *plan))


@built
@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_of_equal_pixels_the_first_gets_the_gradient(activation):
    for seed in range(5):
        plan = (*make_case((16, 1, 12, 12), (4, 5), (3, 3), seed, steps=2), 1, activation, "max")
        assert_same(differentiate(fused, *plan), differentiate(convolve_reference, *plan), tolerance=1e-6)


@built
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_is_not_a_number_stays_so(activation, pooling):
    pixels, weights, biases = make_case((16, 1, 12, 12), (4, 5), (3, 3))
    pixels[3, 0, 5, 5] = torch.nan
    pixels[4, 0, 2, 2] = torch.inf
    pixels[5, 0, 2, 2] = 1e30
    ours = fused(pixels, weights, biases, 1, activation, pooling)
    theirs = convolve_reference(pixels, weights, biases, 1, activation, pooling)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, equal_nan=True)


@built
@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_same_bits_whatever_the_threads_and_again(kernel_threads, pooling):
    plan = (*make_case((100, 1, 28, 28)), 2, "relu", pooling)
    expected = differentiate(fused, *plan)
    for threads in (2, 3, 5) * 5:
        with kernel_threads(threads):
            result = differentiate(fused, *plan)
        assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))


@built
def test_the_kernel_has_threads_of_its_own():
    """Of the process as the system sees it: with three threads, two helpers come to the calling one."""
    code = """
import torch
from pathlib import Path
from lenet.kernels.convolution import run_convolutions
def count(): return len(list(Path("/proc/self/task").iterdir()))
images, layers = torch.rand(100, 1, 28, 28), [(torch.rand(6, 1, 5, 5), torch.rand(6))]
torch.set_num_threads(1)
run_convolutions(images, layers)
torch.set_num_threads(3)
alone = count()
run_convolutions(images, layers)
print(count() - alone)
"""
    if not Path("/proc/self/task").exists():
        pytest.skip("this system does not list threads")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, timeout=100, capture_output=True, text=True
    )
    assert done.stdout.strip() == "2"


@built
def test_a_forked_child_computes_too():
    code = """
import os, torch
from lenet.kernels.convolution import run_convolutions
torch.set_num_threads(2)
images, layers = torch.rand(64, 1, 28, 28), [(torch.rand(6, 1, 5, 5), torch.rand(6))]
expected = run_convolutions(images, layers)
child = os.fork()
if not child:
    features, tasks = run_convolutions(images, layers), "/proc/self/task"
    threads = len(os.listdir(tasks)) if os.path.exists(tasks) else 2  # a child begins with one
    os._exit(0 if threads == 2 and torch.equal(features, expected) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert torch.equal(run_convolutions(images, layers), expected)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=100)


@built
def test_python_threads_that_want_the_kernels_threads_at_once(kernel_threads):
    plan = (*make_case((64, 1, 28, 28)), 2, "relu", "max")
    expected = differentiate(fused, *plan)
    with kernel_threads(3), ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: differentiate(fused, *plan), range(40)):
            assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))


@built
def test_what_was_kept_belongs_to_one_call_alone():
    plan = (*make_case((40, 1, 28, 28)), 2, "sigmoid", "avg")
    other = (*make_case((40, 1, 28, 28), seed=1), 2, "sigmoid", "avg")
    expected = differentiate(fused, *plan)
    pixels, weights, biases = (torch.nn.ParameterList(part) for part in ([plan[0]], plan[1], plan[2]))
    features = fused(pixels[0], list(weights), list(biases), *plan[3:])
    for _ in range(5):
        differentiate(fused, *other)  # while the first call waits for its gradient
    generator = torch.Generator().manual_seed(features.numel())
    features.backward(torch.randn(features.shape, generator=generator))
    assert torch.equal(weights[0].grad, expected[2])


@built
@pytest.mark.parametrize("pooling", POOLINGS)
def test_torch_finds_the_operators_well_made(pooling):
    pixels, weights, biases = make_case((7, 1, 9, 9), (3, 4), (3, 2))
    operator = torch.ops.lenet.convolutions_forward.default
    torch.library.opcheck(operator, (pixels, [*weights, *biases], 1, "tanh", pooling, True))
    leaves = [weight.requires_grad_() for weight in weights]
    torch.library.opcheck(operator, (pixels, [*leaves, *biases], 1, "tanh", pooling, True))


@built
def test_compiled_models_keep_the_operator():
    plan = (*make_case((20, 1, 12, 12), (4, 5), (3, 3)), 1, "relu", "max")
    compiled = torch.compile(fused, backend="aot_eager", fullgraph=True)
    assert_same(differentiate(compiled, *plan), differentiate(convolve_reference, *plan))


def test_the_reference_differentiates_twice():
    pixels, weights, biases = make_case((2, 1, 6, 6), (2, 2), (3, 2))
    leaves = [t.double().requires_grad_() for t in (pixels, *weights, *biases)]

    def function(images, w1, w2, b1, b2):
        return run_convolutions(images, [(w1, b1), (w2, b2)], padding=1, activation="tanh", pooling="avg")

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


@built
def test_the_fused_kernel_hands_over_when_differentiated_twice():
    pixels, weights, biases = make_case((7, 1, 8, 8), (2,), (3,))

    def penalty(function):
        images = pixels.clone().requires_grad_()
        weight = weights[0].clone().requires_grad_()
        features = function(images, [weight], biases, 1, "tanh", "avg")
        (gradient,) = torch.autograd.grad(features.square().sum(), images, create_graph=True)
        gradient.square().sum().backward()
        return [images.grad, weight.grad]

    assert_same(penalty(fused), penalty(convolve_reference))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_are_left_to_pytorch(dtype):
    pixels, weights, biases = make_case((7, 1, 8, 8), (2,), (3,))
    case = [pixels.to(dtype), [weights[0].to(dtype)], [biases[0].to(dtype)], 1, "relu", "max"]
    assert torch.equal(fused(*case), convolve_reference(*case))


@pytest.mark.parametrize("activation", ["elu", "gelu", "silu", "leaky_relu", "leaky-relu"])
def test_other_activations_are_left_to_pytorch(activation):
    case = (*make_case((7, 1, 8, 8), (2,), (3,)), 1, activation, "max")
    assert torch.equal(fused(*case), convolve_reference(*case))


def test_layouts_do_not_matter():
    pixels, weights, biases = make_case((16, 3, 12, 12), (4,), (3,))
    expected = fused(pixels, weights, biases, 1, "relu", "max")
    turned = pixels.to(memory_format=torch.channels_last)
    assert torch.equal(fused(turned, weights, biases, 1, "relu", "max"), expected)
    wide = torch.randn(16, 3, 12, 24)
    assert torch.equal(
        fused(wide[..., ::2], weights, biases, 1, "relu", "max"),
        fused(wide[..., ::2].contiguous(), weights, biases, 1, "relu", "max"),
    )


@pytest.mark.parametrize(
    ("images", "weight", "bias", "padding"),
    [
        ((16, 2, 8, 8), (4, 1, 3, 3), (4,), 0),  # other channels
        ((16, 1, 8, 8), (4, 1, 9, 9), (4,), 0),  # larger than the images
        ((16, 1, 8, 8), (4, 1, 3, 3), (5,), 0),  # another bias
        ((16, 1, 8, 8), (4, 1, 3, 3), (4, 1), 0),
        ((16, 8), (4, 1, 3, 3), (4,), 0),
        ((16, 1, 8, 8), (4, 3, 3), (4,), 0),
        ((16, 1, 8, 8), (4, 1, 3, 3), (4,), -1),
    ],
)
def test_shapes_that_do_not_fit_are_refused(images, weight, bias, padding):
    with pytest.raises((RuntimeError, ValueError)):
        run_convolutions(torch.zeros(images), [(torch.zeros(weight), torch.zeros(bias))], padding=padding)
    parameters = [torch.zeros(weight), torch.zeros(bias)]
    with pytest.raises(ValueError, match="no kernel computes convolutions of these shapes"):
        torch.ops.lenet.convolutions_forward(torch.zeros(images), parameters, padding, "relu", "max", True)


@built
def test_gradients_and_memories_that_do_not_fit_are_refused():
    pixels, weights, biases = make_case((16, 1, 8, 8), (4,), (3,))
    parameters, plan = [*weights, *biases], (0, "relu", "max")
    features, saved = torch.ops.lenet.convolutions_forward(pixels, parameters, *plan, True)
    for gradient, memory in ((features[:8], saved), (features, saved[1:]), (features.double(), saved)):
        with pytest.raises(ValueError, match=r"the gradient, or what was kept"):
            torch.ops.lenet.convolutions_backward(gradient, pixels, parameters, [memory], *plan, True)


@built
def test_memory_that_begins_anywhere_is_read():
    pixels, weights, biases = make_case((16, 1, 8, 8), (4,), (3,))
    plan = (0, "relu", "max")
    parameters = [*weights, *biases]
    features, saved = torch.ops.lenet.convolutions_forward(pixels, parameters, *plan, True)
    moved = torch.cat([torch.zeros(1), saved])[1:]
    results = [
        torch.ops.lenet.convolutions_backward(features, pixels, parameters, [memory], *plan, True)
        for memory in (saved, moved)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_no_images_make_no_features():
    pixels, weights, biases = make_case((0, 1, 8, 8), (4,), (3,))
    assert fused(pixels, weights, biases, 0, "relu", "max").shape == (0, 4, 3, 3)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="it must be one of none, max, avg"):
        run_convolutions(torch.zeros(16, 1, 8, 8), [(torch.zeros(4, 1, 3, 3), torch.zeros(4))], pooling="min")


def test_the_backend_says_what_it_is_and_why():
    assert explain_backend().name in ("avx512", "avx2", "baseline", "torch")
    assert explain_backend(torch.zeros(1, 1, 8, 8)).name == "torch"
    assert explain_backend(torch.zeros(99, 1, 8, 8, dtype=torch.float64)).name == "torch"
