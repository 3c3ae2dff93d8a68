"""An ONNX file read by other programs: onnxruntime and onnx's own reference, with any batch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenet
from lenet.data.datasets import load
from lenet.errors import ExportError
from lenet.export.network import export_network
from lenet.export.onnx_file import Session, check_onnx
from lenet.export.onnx_int8 import quantise_onnx
from lenet.models.checkpoint import Checkpoint
from lenet.models.config import LeNetConfig

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

PICTURE = Path(__file__).parents[2] / "examples/pictures/7-blue-ink.png"


@pytest.fixture(scope="module")
def reader() -> Checkpoint:
    return lenet.load("reader")


@pytest.fixture(scope="module")
def images(all_digits: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return all_digits[0][:100]


@pytest.fixture(scope="module")
def exported(no_data: None, reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The file of the shipped `reader`, what was said of it, and whether the process reads as before."""
    path = tmp_path_factory.mktemp("onnx") / "reader.onnx"
    before = lenet.Reader(reader).read(PICTURE)
    done = export_network("reader", path)
    after = lenet.Reader(reader).read(PICTURE)
    assert (after.text, after.confidence, after.digits) == (before.text, before.confidence, before.digits)
    return path, done


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_onnxruntime_gives_the_same_outputs_for_any_batch(
    exported: Any, reader: Checkpoint, images: torch.Tensor, batch: int
) -> None:
    session = onnxruntime.InferenceSession(exported[0])
    logits, probabilities = session.run(["logits", "probabilities"], {"images": images[:batch].numpy()})
    expected = list(reader.model.trace(images[:batch]).values())[-1].detach()  # layer by layer
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)
    together = np.pad(expected.numpy(), ((0, 0), (0, 1)))  # and the reject class
    shares = np.exp(together) / np.exp(together).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, shares[:, :10], atol=1e-5, rtol=0)


def test_another_reading_of_the_standard_gives_the_same(
    exported: Any, reader: Checkpoint, images: torch.Tensor
) -> None:
    from onnx.reference import ReferenceEvaluator

    logits, _ = ReferenceEvaluator(str(exported[0])).run(None, {"images": images[:3].numpy()})
    np.testing.assert_allclose(logits, reader.model(images[:3]).detach().numpy(), atol=1e-4, rtol=0)


def test_the_file_is_standard_whole_and_free_of_this_machine(exported: Any, reader: Checkpoint) -> None:
    path, done = exported
    file = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(file, full_check=True)
    assert [(domain.domain, domain.version) for domain in file.opset_import] == [("", 20)]
    assert {node.domain for node in file.graph.node} == {""}
    assert not any(onnx.external_data_helper.uses_external_data(tensor) for tensor in file.graph.initializer)
    assert list(path.parent.iterdir()) == [path]
    (given,) = file.graph.input
    assert given.name == "images"
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim] == [
        "batch",
        1,
        28,
        28,
    ]
    assert [value.name for value in file.graph.output] == ["logits", "probabilities"]
    content = path.read_bytes()
    assert str(Path(lenet.__file__).parent).encode() not in content
    assert b".py" not in content
    assert done.bytes == len(content)


def test_the_card_travels_along(exported: Any, reader: Checkpoint) -> None:
    found = {part.key: json.loads(part.value) for part in onnx.load(exported[0]).metadata_props}
    assert found["classes"] == list("0123456789")
    assert LeNetConfig.from_dict(found["config"]) == reader.model.config
    for key in ("temperature", "rejection", "reading_rejection", "epoch", "recipe"):
        assert found[key] == reader.card[key]


def test_what_is_said_of_it_is_so(exported: Any, reader: Checkpoint) -> None:
    """The digits' test images are compared: the others may be what it was trained on."""
    done, test = exported[1], load("digits", "test")
    right = (reader.model(test.images).argmax(dim=1) == test.labels).double().mean().item()
    assert (done.images, done.data, done.float_accuracy) == (360, "scikit-learn's digits", right)
    assert done.accuracy == pytest.approx(right, abs=0.003)
    assert 0 <= done.largest_difference < 1e-4


def test_another_network_does_not_agree(exported: Any, images: torch.Tensor) -> None:
    with pytest.raises(ExportError, match="nothing was written"):
        check_onnx(Session(exported[0].read_bytes()), lenet.load("mnist"), images)


def test_eight_bits_are_smaller_and_nearly_as_good(
    exported: Any, reader: Checkpoint, all_digits: Any
) -> None:
    content = exported[0].read_bytes()
    images, labels = all_digits
    small = quantise_onnx(content, reader, images[1000:1200].numpy())
    assert len(small) < 0.5 * len(content)
    file = onnx.load_from_string(small)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in file.graph.node}
    weights = [
        part
        for part in file.graph.initializer
        if part.data_type == onnx.TensorProto.INT8 and len(part.dims) > 1
    ]
    assert sum(np.prod(part.dims) for part in weights) == 61_470 - 840  # all weights but the last layer's
    assert {part.key for part in file.metadata_props} >= {"classes", "config", "temperature"}
    session = onnxruntime.InferenceSession(small)
    logits, probabilities = session.run(None, {"images": images[:1000].numpy()})
    right = float((logits.argmax(axis=1) == labels[:1000].numpy()).mean())
    assert right == pytest.approx(exported[1].accuracy, abs=0.01)
    assert probabilities.sum(axis=1).max() < 1 + 1e-5
