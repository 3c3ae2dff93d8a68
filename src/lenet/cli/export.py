"""The verb `lenet export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lenet.cli.app import Json, app, check_output, write_json

if TYPE_CHECKING:
    from lenet.export.network import Export


@app.command
def export(
    out: Annotated[Path, Parameter(help="The file to write; its suffix (.onnx, .h, .html) says what.")],
    /,
    *checkpoint: Annotated[
        str, Parameter(help="A .safetensors file, a run folder or the name of shipped weights.")
    ],
    int8: Annotated[
        bool, Parameter(negative=(), help="For .onnx: weights and activations of 8 bits, a smaller file.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a network for another program, and compare the two on up to 1,000 test images.

    .onnx: bytes of pixels in, logits and probabilities out, any batch, the card in the metadata.
    .h: integer C99 for microcontrollers, in one header.
    .html: the page on which one draws, in one file, for one checkpoint or several. With the line network
    beside another, the page also reads several digits in a row.

    Example: lenet export reader.onnx reader
    Example: lenet export reader.h reader
    Example: lenet export line.onnx line
    Example: lenet export page.html reader mnist
    Example: lenet export page.html reader line
    """
    from lenet.export.network import export_network

    check_output(out, checkpoint)
    done = export_network(checkpoint, out, int8=int8)
    print(write_json(done.to_dict()) if json else show_export(done))


def show_export(done: Export) -> str:
    """What was written and how it compares, in lines."""
    lines = [f"{done.file}: {done.bytes:,} bytes"]
    if done.rom_bytes is not None:
        lines.append(f"memory: {done.rom_bytes:,} bytes of constants, {done.ram_bytes:,} bytes of buffers")
    if done.images:
        lines.append(
            f"compared on {done.images:,} images ({done.data}): largest difference of a logit "
            f"{done.largest_difference:.2g}"
        )
    if done.accuracy is not None:
        lines.append(f"accuracy: {done.accuracy:.2%}; the checkpoint's own: {done.float_accuracy:.2%}")
    if done.milliseconds is not None:
        lines.append(f"one image in onnxruntime: {done.milliseconds:.3f} ms")
    if done.float_bytes is not None and done.milliseconds is not None and done.float_milliseconds is not None:
        size, time = done.bytes / done.float_bytes, done.milliseconds / done.float_milliseconds
        lines.append(
            f"beside float ({done.float_bytes:,} bytes, {done.float_milliseconds:.3f} ms): "
            f"{size:.0%} of the bytes, {time:.1f} times the time"
        )
    return "\n".join(lines)
