"""A line network as an ONNX file: strips of any length, in batches of any size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenet.errors import ExportError
from lenet.export.line_file import check_line, compose_samples
from lenet.export.network import export_network
from lenet.export.onnx_file import Session
from lenet.models.line import LineCheckpoint, LineNetwork, fold_normalisation, load_line, save_line

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def exported(no_data: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    path = tmp_path_factory.mktemp("onnx") / "line.onnx"
    return path, export_network(load_line(), path)


@pytest.fixture(scope="module")
def other() -> LineCheckpoint:
    """A small line network with random weights."""
    torch.manual_seed(0)
    return LineCheckpoint(fold_normalisation(LineNetwork((2, 3, 4, 5, 6, 7))), {"seed": 0})


@pytest.mark.parametrize(("count", "columns"), [(1, 4), (3, 100), (2, 516)])
def test_strips_of_any_length_give_pytorchs_logits(exported: Any, count: int, columns: int) -> None:
    random = np.random.default_rng(columns)
    strips = random.integers(0, 256, (count, 1, 32, columns), dtype=np.uint8)
    (logits,) = onnxruntime.InferenceSession(exported[0]).run(["logits"], {"strips": strips})
    expected = load_line().network(torch.from_numpy(strips))
    assert logits.shape == (count, columns // 2, 11)
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)


def test_the_file_is_standard_and_whole_with_its_card(exported: Any) -> None:
    path, done = exported
    file = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(file, full_check=True)
    assert [(domain.domain, domain.version) for domain in file.opset_import] == [("", 20)]
    (given,), (logits,) = file.graph.input, file.graph.output
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (given, logits)
    ]
    assert shapes == [["batch", 1, 32, "4*steps"], ["batch", "frames", 11]]
    assert list(path.parent.iterdir()) == [path]
    assert done.bytes == path.stat().st_size
    card = {part.key: json.loads(part.value) for part in file.metadata_props}
    assert card["classes"] == [*"0123456789", "blank"]
    assert card["channels"] == list(load_line().network.channels)


def test_what_is_said_of_it_is_so(exported: Any) -> None:
    done = exported[1].to_dict()
    assert {"file", "bytes", "images", "largest_difference", "accuracy"} <= done.keys()
    assert 150 <= done["images"] <= 200
    assert done["data"] == "lines of digits test"
    assert done["accuracy"] == done["float_accuracy"] > 0.5
    assert 0 < done["largest_difference"] < 1e-4


def test_another_network_does_not_agree(exported: Any) -> None:
    checkpoint = load_line()
    checkpoint.network.output.bias.data += 2e-4
    with pytest.raises(ExportError, match="nothing was written"):
        check_line(Session(exported[0].read_bytes()), checkpoint, compose_samples(5))


def test_other_forms_are_refused_in_one_line(lenet: Any, other: LineCheckpoint, workplace: Path) -> None:
    save_line(workplace / "own.safetensors", other.network, other.card)
    for arguments in (("own.h", "own.safetensors"), ("own.onnx", "own.safetensors", "--int8")):
        done = lenet("export", *arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\n") == 1
        assert "a line network is written as .onnx" in done.err
    done = lenet("export", "own.html", "own.safetensors")
    assert done.code == 2
    assert "beside" in done.err
    assert [path.name for path in workplace.iterdir()] == ["own.safetensors"]
