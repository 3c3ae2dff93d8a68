"""The adapter to torch: what exports, transforms, tracers and modes see of a fused operator."""

import warnings
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from lenet.kernels import convolution, dense
from lenet.kernels.convolution import explain_backend, run_convolutions
from lenet.kernels.dense import run_dense
from lenet.kernels.operators import Backend, KernelPlan, Operator, find_activation, halve

built = pytest.mark.skipif(
    explain_backend().name in ("torch", "baseline"), reason="the dense layers are left to PyTorch here"
)


# PyTorch's own forward derivatives use torch.jit.script, which PyTorch deprecates.
forward_derivatives = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


class Case(nn.Module):
    """Layers with a fused operator over them, and with its reference, and inputs for both."""

    def __init__(self, shape: tuple[int, ...], weights: list[Tensor]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.shape = shape
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList([torch.randn(len(w), generator=generator) for w in weights])

    def inputs(self, batch: int) -> Tensor:
        generator = torch.Generator("cpu").manual_seed(batch)  # whatever the defaults are
        return torch.randn(batch, *self.shape, generator=generator, device="cpu", dtype=torch.float32)


class Convolutions(Case):
    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        shapes = [(4, 1, 3, 3), (3, 4, 3, 3)]
        super().__init__((1, 12, 12), [torch.randn(shape, generator=generator) / 6 for shape in shapes])

    def forward(self, images: Tensor) -> Tensor:
        layers = list(zip(self.weights, self.biases, strict=True))
        return run_convolutions(images, layers, padding=1, activation="tanh", pooling="avg")

    def reference(self, images: Tensor) -> Tensor:
        weights, biases = list(self.weights), list(self.biases)
        return convolution.convolve_reference(images, weights, biases, 1, "tanh", "avg")


class Dense(Case):
    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        widths = (9, 7, 5)
        super().__init__((9,), [torch.randn(o, i, generator=generator) / 3 for i, o in pairwise(widths)])

    def forward(self, features: Tensor) -> Tensor:
        return run_dense(features, list(zip(self.weights, self.biases, strict=True)), activation="sigmoid")

    def reference(self, features: Tensor) -> Tensor:
        return dense.dense_reference(features, list(self.weights), list(self.biases), "sigmoid")


@pytest.fixture(params=[Convolutions, Dense])
def case(request: pytest.FixtureRequest) -> Case:
    return request.param()


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def compute(case: Case) -> list[Tensor]:
    """Value and gradients of one normal call, all of them the kernel's where there is one."""
    inputs = case.inputs(40).requires_grad_()
    result = case(inputs)
    return [result.detach(), *torch.autograd.grad(result.square().sum(), [inputs, *case.parameters()])]


def assert_undisturbed(case: Case, before: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(compute(case), before, strict=True))


# ---- export and tracing: PyTorch's operators, for every size of a batch ------------------------------------


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("example", [3, 40])
def test_an_exported_graph_takes_batches_of_every_size(case: Case, example: int, strict: bool):
    before = compute(case)
    dynamic = ({0: torch.export.Dim("batch", min=1, max=1000)},)
    program = torch.export.export(case.eval(), (case.inputs(example),), dynamic_shapes=dynamic, strict=strict)
    assert "lenet" not in str(program.graph)
    for batch in (1, 5, 17, 100):
        close(program.module()(case.inputs(batch)), case.reference(case.inputs(batch)))
    assert_undisturbed(case, before)


@pytest.mark.parametrize("example", [2, 40])
def test_a_traced_graph_takes_batches_of_every_size(case: Case, example: int):
    before = compute(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that tracing is deprecated, and that shapes are fixed
        traced = torch.jit.trace(case, case.inputs(example))
    assert "lenet::" not in str(traced.inlined_graph)
    for batch in (1, 5, 17, 100):
        close(traced(case.inputs(batch)), case.reference(case.inputs(batch)))
    assert_undisturbed(case, before)


# ---- transforms: PyTorch's operators --------------------------------------------------------------------


def test_vmap(case: Case):
    many = torch.stack([case.inputs(20), case.inputs(21)[:20]])
    close(torch.func.vmap(case)(many), torch.stack([case.reference(inputs) for inputs in many]))
    one = torch.func.vmap(lambda inputs: case(inputs[None])[0])
    close(one(case.inputs(20)), case.reference(case.inputs(20)))


def test_vmap_over_weights(case: Case):
    names = dict(case.named_parameters())
    many = {name: torch.stack([value, value + 0.1]) for name, value in names.items()}
    inputs = case.inputs(20)
    ours = torch.func.vmap(lambda values: torch.func.functional_call(case, values, (inputs,)))(many)
    for number in range(2):
        one = {name: value[number] for name, value in many.items()}
        close(ours[number], torch.func.functional_call(case, one, (inputs,)))


@forward_derivatives
@pytest.mark.parametrize("transform", [torch.func.jacrev, torch.func.jacfwd])
def test_jacobians(case: Case, transform):
    inputs = case.inputs(20)
    ours, theirs = transform(lambda x: case(x).sum(0)), transform(lambda x: case.reference(x).sum(0))
    close(ours(inputs), theirs(inputs))


@forward_derivatives
def test_jvp(case: Case):
    inputs, tangent = case.inputs(20), case.inputs(21)[:20]
    ours, theirs = (torch.func.jvp(f, (inputs,), (tangent,)) for f in (case, case.reference))
    close(ours[0], theirs[0])
    close(ours[1], theirs[1])


@forward_derivatives
def test_dual_numbers(case: Case):
    with forward_ad.dual_level(), torch.no_grad():
        dual = forward_ad.make_dual(case.inputs(20), case.inputs(21)[:20])
        ours, theirs = (forward_ad.unpack_dual(f(dual)).tangent for f in (case, case.reference))
    assert ours is not None
    close(ours, theirs)


def test_gradients_of_each_image(case: Case):
    def loss(values: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return torch.func.functional_call(case, values, (inputs[None],)).square().sum()

    values = {name: value.detach() for name, value in case.named_parameters()}
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(values, case.inputs(20))
    theirs = torch.autograd.grad(case.reference(case.inputs(20)).square().sum(), list(case.parameters()))
    for our, their in zip(each.values(), theirs, strict=True):
        torch.testing.assert_close(our.sum(0), their, rtol=1e-4, atol=1e-4)


def test_many_gradients_at_once(case: Case):
    inputs = case.inputs(20).requires_grad_()
    results = [case(inputs), case.reference(inputs)]
    many = torch.randn(3, *results[0].shape, generator=torch.Generator().manual_seed(2))
    leaves = [inputs, *case.parameters()]
    ours, theirs = (torch.autograd.grad(r, leaves, many, is_grads_batched=True) for r in results)
    for our, their in zip(ours, theirs, strict=True):
        close(our, their)


# ---- compilers and modes: the operator ------------------------------------------------------------------


class Record(TorchDispatchMode):
    """The names of all operators that torch runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        self.names.add(function.__name__.partition(".")[0])
        return function(*arguments, **(keywords or {}))


@built
def test_a_compiled_model_runs_both_operators(case: Case):
    graphs = []

    def keep(graph, _):
        graphs.append(graph.code)
        return make_boxed_func(graph)

    before, backend = compute(case), aot_autograd(fw_compiler=keep, bw_compiler=keep)
    compiled = torch.compile(case, backend=backend, fullgraph=True)
    inputs = case.inputs(40).requires_grad_()
    result = compiled(inputs)
    result.square().sum().backward()
    name = type(case).__name__.lower()
    assert [f"lenet.{name}_forward" in graph for graph in graphs] == [True, False]
    assert [f"lenet.{name}_backward" in graph for graph in graphs] == [False, True]
    ours = [result.detach(), inputs.grad, *[parameter.grad for parameter in case.parameters()]]
    assert all(torch.equal(a, b) for a, b in zip(ours, before, strict=True))


def test_a_compiled_transform(case: Case):
    compiled = torch.compile(lambda x: torch.func.vmap(case)(x), backend="aot_eager")
    many = torch.stack([case.inputs(20), case.inputs(21)[:20]])
    close(compiled(many), torch.stack([case.reference(inputs) for inputs in many]))


@built
def test_a_mode_sees_the_operators(case: Case):
    before, name = compute(case), type(case).__name__.lower()
    with Record() as record:
        assert_undisturbed(case, before)
    assert {f"{name}_forward", f"{name}_backward"} <= record.names


@built
def test_a_graph_of_real_tensors_holds_the_operator(case: Case):
    with torch.no_grad():
        graph = make_fx(case)(case.inputs(20))
        assert f"{type(case).__name__.lower()}_forward" in graph.code
        close(graph(case.inputs(20)), case.reference(case.inputs(20)))


def test_nothing_of_fake_tensors_stays(case: Case):
    before = compute(case)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        for inputs in (mode.from_tensor(case.inputs(40)), case.inputs(40)):
            result = case(inputs.requires_grad_())
            assert result.shape == before[0].shape
            result.sum().backward()
    case.zero_grad()
    assert_undisturbed(case, before)


def test_nothing_of_meta_tensors_stays(case: Case):
    before = compute(case)
    with torch.device("meta"):
        assert_undisturbed(case, before)  # what torch makes by default is on another device now
    copy = type(case)().to("meta")
    assert copy(case.inputs(40).to("meta")).shape == before[0].shape
    assert_undisturbed(case, before)


@built
def test_other_default_types_do_not_matter(case: Case):
    before = compute(case)
    torch.set_default_dtype(torch.float64)
    try:
        assert_undisturbed(case, before)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_undisturbed(case, before)


# ---- the seam -------------------------------------------------------------------------------------------


def test_a_backend_is_three_functions():
    """Scaled linear layers by a backend that is written here: the adapter does the rest."""
    calls = []

    def reference(inputs: Tensor, weights: list[Tensor], biases: list[Tensor], factor: int) -> Tensor:
        for weight, bias in zip(weights, biases, strict=True):
            inputs = factor * nn.functional.linear(inputs, weight, bias)
        return inputs

    def supports(sizes, settings):
        return KernelPlan((sizes[0][0], sizes[1][0]), (sizes[0],), settings[0]) if len(sizes) == 3 else None

    def forward(plan, inputs, parameters, keep):
        calls.append("forward")
        (weight,), (bias,) = halve(parameters)
        result = plan.details * (inputs @ weight.T + bias)
        return [result, inputs.clone()] if keep else [result]

    def backward(plan, gradient, inputs, parameters, kept, gradients):
        calls.append("backward")
        if gradients[0].numel():
            torch.mm(plan.details * gradient, parameters[0], out=gradients[0])
        torch.mm(plan.details * gradient.T, kept[0], out=gradients[1])
        torch.sum(plan.details * gradient, 0, out=gradients[2])

    operator = Operator(
        "scaled", "int factor", reference, [Backend("cpu", supports, forward, backward)], (2, 1)
    )
    inputs, weight, bias = torch.randn(5, 3), torch.randn(4, 3), torch.randn(4)
    leaves = [tensor.requires_grad_() for tensor in (inputs, weight, bias)]
    results = [operator(inputs, [weight], [bias], 3), reference(inputs, [weight], [bias], 3)]
    assert calls == ["forward"]
    close(*results)
    for ours, theirs in zip(*[torch.autograd.grad(r.square().sum(), leaves) for r in results], strict=True):
        close(ours, theirs)
    assert calls == ["forward", "backward"]
    close(
        operator(inputs, [weight, torch.ones(2, 4)], [bias, bias[:2]], 3)[:, 0],
        results[0].sum(1) * 3 + 3 * bias[0],
    )
    with torch.no_grad():
        operator(inputs[:1], [weight], [bias], 3)
    assert calls == ["forward", "backward"], "two layers and a batch of one are the reference's"
    torch.library.opcheck(torch.ops.lenet.scaled_forward.default, (inputs, [weight, bias], 3, True))


def test_activations_are_found_by_name():
    assert find_activation("leaky-relu") is nn.functional.leaky_relu
    assert find_activation("identity")(torch.ones(1)) == 1
    with pytest.raises(ValueError, match="PyTorch has no activation 'nonsense'"):
        find_activation("nonsense")
