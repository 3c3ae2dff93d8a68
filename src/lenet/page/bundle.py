"""The page as one HTML text that needs no other file: modules, texts, checkpoints and samples inside.

Each file is a zlib stream in base 85, the densest text that Python and a page read without a library. Weights
hardly compress, so their bytes are sorted first: see `pack_weights`.
"""

import base64
import html
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lenet.data.datasets import load
from lenet.data.imageset import ImageSet, spread
from lenet.errors import CheckpointError
from lenet.models.checkpoint import load_checkpoint
from lenet.models.line import load_line
from lenet.models.line_config import DIGITS
from lenet.models.stored import LINE_FORMAT, find_checkpoint, read_format
from lenet.training.runs import find_test_images

PAGE = Path(__file__).parent
MODULES = sorted(path.name for path in PAGE.glob("*.js") if path.name != "loader.js")
SAMPLES = 100  # images on which the page counts right answers
MAX_CHECKPOINTS = 4
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src {connect}; base-uri 'none'; form-action 'none'"
)


def make_page(checkpoints: Sequence[str | Path], *, language: str = "auto", api: bool = False) -> str:
    """The page for some checkpoints, as one HTML text.

    Args:
        checkpoints: 1 to 4 files, run folders or names of shipped weights. The first is shown. One more may
            be a line network: it reads the drawing where it holds several digits.
        language: `en`, `zh`, or `auto` for the reader's own.
        api: True where `lenet serve` delivers the page, so that it may send pictures to the server. Otherwise
            its content security policy lets nothing out.

    Raises CheckpointError where a checkpoint cannot be read.
    """
    lines = [one for one in checkpoints if read_format(find_checkpoint(one)) == LINE_FORMAT]
    checkpoints = [one for one in checkpoints if one not in lines]
    if lines and (len(lines) > 1 or not checkpoints):
        raise CheckpointError("a page takes one line network, beside one for single digits such as reader")
    if not 1 <= len(checkpoints) <= MAX_CHECKPOINTS:
        raise CheckpointError(f"{len(checkpoints)} checkpoints; a page takes 1 to {MAX_CHECKPOINTS}")
    files = {name: strip_comments((PAGE / name).read_text("utf-8")).encode() for name in MODULES}
    files["texts.json"] = json.dumps(json.loads((PAGE / "texts.json").read_bytes())).encode()
    names = name_checkpoints(checkpoints)
    for name, checkpoint in zip(names, checkpoints, strict=True):
        load_checkpoint(checkpoint)  # what is no checkpoint ends here, with its reason
        files[f"{name}.weights"] = pack_weights(find_checkpoint(checkpoint).read_bytes())
    for line in lines:
        load_line(line)
        files["line"] = find_checkpoint(line).read_bytes()
    samples = find_stored_images(checkpoints[0])
    if samples is not None:
        files["samples.bin"] = samples.images.numpy().tobytes()
        about = {"labels": samples.labels.tolist(), "classes": samples.classes}
        files["samples.json"] = json.dumps(about).encode()
    values = {
        "policy": POLICY.format(connect="'self'" if api else "'none'"),
        "style": (PAGE / "page.css").read_text("utf-8"),
        "api": "yes" if api else "no",
        "language": html.escape(language),
        "files": "\n".join(pack_file(name, content) for name, content in files.items()),
        "loader": (PAGE / "loader.js").read_text("utf-8"),
    }
    return fill((PAGE / "page.html").read_text("utf-8"), values)


def name_checkpoints(checkpoints: Sequence[str | Path]) -> list[str]:
    """A short name for each checkpoint, all different: that of the shipped weights, the file or the run."""
    names: list[str] = []
    for checkpoint in checkpoints:
        path = Path(checkpoint)
        own = (
            path.parent.name
            if path.stem in ("last", "best", "calibrated") and path.parent.name
            else path.stem
        )
        name = own
        while name in names:
            name = f"{own} ({names.count(own) + sum(each.startswith(f'{own} (') for each in names) + 1})"
        names.append(name)
    return names


def find_stored_images(checkpoint: str | Path) -> ImageSet | None:
    """Images to show and to count right answers on: SAMPLES test images, 28×28, with the same classes.

    They are of the checkpoint's own data where those are on this machine, otherwise scikit-learn's digits,
    which come with the installation. None where neither fits.
    """
    loaded = load_checkpoint(checkpoint)
    images = find_test_images(checkpoint, loaded, SAMPLES)
    if images is None and loaded.classes == DIGITS:
        digits = load("digits", "test")
        images = digits.subset(spread(len(digits), SAMPLES))
    return images if images is not None and images.images.shape[2:] == (28, 28) else None


def pack_weights(content: bytes) -> bytes:
    """A safetensors file with its numbers rounded and rearranged, so that they compress; for `weights.js`.

    The header stays. The numbers keep 20 significant bits of 24, which moves no logit by 1e-4. The 32 bits of
    each number are rotated by one, so that the sign comes last and the exponent is one byte; then the first
    bytes of all numbers follow one another, then the second, and so on.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    numbers = (np.frombuffer(content[start:], "<u4") + np.uint32(8)) & np.uint32(0xFFFFFFF0)
    rotated = ((numbers << 1) | (numbers >> 31)).astype(">u4")
    return content[:start] + rotated.view(np.uint8).reshape(-1, 4).T.tobytes()


def strip_comments(source: str) -> str:
    """A module without the comments that stand on lines of their own, which are half of its bytes."""
    return re.sub(r"^[ \t]*(?://.*|/\*\*(?:(?!\*/)[\s\S])*\*/[ \t]*)\n", "", source, flags=re.MULTILINE)


def pack_file(name: str, content: bytes) -> str:
    """A file as an element of the page that is not run: zlib in base 85."""
    text = base64.b85encode(zlib.compress(content, 9)).decode()
    # A script ends at "</", and the alphabet has no slash; but "<!--" would begin a comment in it.
    text = text.replace("<!", "<\n!")
    return f'<script type="text/plain" data-file="{html.escape(name)}">{text}</script>'


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace each {{ name }} of a template by its value, as it is."""
    parts = template.split("{{ ")
    rest = (part.split(" }}", 1) for part in parts[1:])
    return parts[0] + "".join(values[name] + text for name, text in rest)
