"""A checkpoint as a file for other programs: the suffix says which kind."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lenet.errors import ExportError
from lenet.export.agreement import Agreement, Samples, find_samples, measure_agreement
from lenet.export.header import write_header
from lenet.export.integer import SCORE_BITS
from lenet.export.line_file import check_line, compose_samples, make_line_onnx
from lenet.export.onnx_file import Session, check_installed, check_onnx, make_onnx
from lenet.export.onnx_int8 import quantise_onnx
from lenet.export.quantisation import quantise
from lenet.files import write_bytes, write_text
from lenet.models.checkpoint import Checkpoint
from lenet.models.line import LineCheckpoint, open_checkpoint

PROMISED = ("file", "bytes", "images", "largest_difference", "accuracy")  # also where they are None
GOLDEN = 10  # images in a C header


@dataclass(frozen=True)
class Export:
    """A file that was written, and how it compares with the checkpoint's own network.

    Values that do not apply to the kind of file are None.
    """

    file: str
    bytes: int
    images: int = 0
    """How many images were compared."""
    largest_difference: float | None = None
    """Of a logit."""
    accuracy: float | None = None
    """On those images; None where they show none of the network's classes."""
    data: str | None = None
    """Where the images come from."""
    float_accuracy: float | None = None
    float_bytes: int | None = None
    milliseconds: float | None = None
    """For one image by itself in onnxruntime, with one thread."""
    float_milliseconds: float | None = None
    rom_bytes: int | None = None
    ram_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without those that do not apply."""
        return {key: value for key, value in asdict(self).items() if value is not None or key in PROMISED}


def export_network(
    checkpoint: str | Path | LineCheckpoint | Sequence[str | Path], path: str | Path, *, int8: bool = False
) -> Export:
    """Write a checkpoint for another program, whole or not at all, and compare the two.

    Args:
        checkpoint: a .safetensors file, a run folder or the name of shipped weights; several for a page. A
            line network, also a loaded one, is written as `.onnx`, or is beside another one on a page.
        path: the file to write. `.onnx`: bytes of pixels in, `logits` and `probabilities` out, any batch
            size, the card in the metadata; of a line network, strips of any length in and the logits of every
            frame out. `.h`: integer C99 for microcontrollers. `.html`: the page on which one draws, in one
            file.
        int8: for `.onnx`, weights and activations of 8 bits.

    The comparison takes up to 1,000 test images of the data that the checkpoint was trained on, where those
    are on this machine, otherwise scikit-learn's digits; for a line network, 200 composed lines. Raises
    ExportError where onnxruntime's logits or probabilities differ by more than 1e-4, where a C header cannot
    express the network, and for an unknown suffix or a missing extra.
    """
    checkpoints = [checkpoint] if isinstance(checkpoint, str | Path | LineCheckpoint) else [*checkpoint]
    path = Path(path)
    if path.suffix not in (".onnx", ".h", ".html"):
        raise ExportError(f"{path}: the suffix says what to write; choose .onnx, .h or .html")
    if int8 and path.suffix != ".onnx":
        raise ExportError("`int8` is for .onnx files; a C header always has 8 bits")
    if not checkpoints or (len(checkpoints) > 1 and path.suffix != ".html"):
        raise ExportError(f"{path}: holds one network; name one checkpoint, or write an .html file")
    if path.suffix == ".html":
        files = [one for one in checkpoints if not isinstance(one, LineCheckpoint)]
        if len(files) < len(checkpoints):
            raise ExportError(f"{path}: a page is made from files; name the file of the line network")
        return _export_page(files, path)
    if path.suffix == ".onnx":
        check_installed()
    first = checkpoints[0]
    loaded = first if isinstance(first, LineCheckpoint) else open_checkpoint(first)
    if isinstance(loaded, LineCheckpoint):
        if path.suffix == ".h" or int8:
            raise ExportError(f"{path}: a line network is written as .onnx, in floats, or on an .html page")
        return _export_line(loaded, path)
    name = str(first)
    samples = find_samples(name, loaded)
    if path.suffix == ".h":
        return _export_header(Path(name).stem, loaded, samples, path)
    return _export_onnx(loaded, samples, path, int8)


def _export_page(checkpoints: Sequence[str | Path], path: Path) -> Export:
    from lenet.page.bundle import make_page

    content = make_page(checkpoints).encode()
    write_bytes(path, content)
    return Export(str(path), len(content))


def _export_onnx(checkpoint: Checkpoint, samples: Samples, path: Path, int8: bool) -> Export:
    images = samples.test.images
    content = make_onnx(checkpoint, *images.shape[2:])
    session = Session(content)
    check_onnx(session, checkpoint, images)
    extra: dict[str, Any] = {}
    if int8:
        extra = {
            "float_bytes": len(content),
            "float_milliseconds": session.measure_milliseconds(images.numpy()),
        }
        content = quantise_onnx(content, checkpoint, samples.calibration.numpy())
        session = Session(content)
    agreement = measure_agreement(checkpoint, samples, lambda images: session.run(images)[0])
    milliseconds = session.measure_milliseconds(images.numpy())
    write_bytes(path, content)
    return _describe(path, len(content), samples, agreement, milliseconds=milliseconds, **extra)


def _export_line(checkpoint: LineCheckpoint, path: Path) -> Export:
    content, samples = make_line_onnx(checkpoint), compose_samples()
    agreement = check_line(Session(content), checkpoint, samples)
    write_bytes(path, content)
    return Export(str(path), len(content), **asdict(agreement), data=samples.title)


def _export_header(name: str, checkpoint: Checkpoint, samples: Samples, path: Path) -> Export:
    network = quantise(checkpoint.model, samples.calibration)
    agreement = measure_agreement(
        checkpoint,
        samples,
        lambda images: network.compute_scores(images[:, 0]).astype(np.float32) / (1 << SCORE_BITS),
    )
    places = torch.linspace(0, len(samples.test) - 1, min(GOLDEN, len(samples.test))).long()
    header = write_header(
        network,
        name,
        checkpoint.classes,
        reject=checkpoint.model.config.reject_class,
        golden=samples.test.images[places, 0].numpy(),
    )
    write_text(path, header.text)
    memory = {"rom_bytes": header.rom_bytes, "ram_bytes": header.ram_bytes}
    return _describe(path, len(header.text), samples, agreement, **memory)


def _describe(path: Path, size: int, samples: Samples, agreement: Agreement, **extra: Any) -> Export:
    return Export(str(path), size, **asdict(agreement), data=samples.title, **extra)
