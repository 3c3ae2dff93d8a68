"""A checkpoint as it is stored: a card and named arrays in one `.safetensors` file. No pickle, and no torch.

The card is JSON in the file's header: the configuration (with the pixel scaling), the names of the classes,
and what the writer adds, such as the recipe. It holds no times and no paths, so that equal trainings give
equal files. Its SHA-256 over card and weights shows a bit that changed since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from lenet.errors import CheckpointError, ModelError
from lenet.models.config import LeNetConfig
from lenet.models.line_config import CONVOLUTIONS, DIGITS, MAX_CHANNELS, find_line_shapes

FORMAT = "lenet/1"
LINE_FORMAT = "lenet-line/1"  # of `lenet.models.line`
WEIGHTS = Path(__file__).parents[1] / "weights"
SAVE = 'safetensors.torch.save_file(net.state_dict(), "net.safetensors")'
LARGEST_FILE = 1 << 30  # bytes; the largest network that a configuration allows takes a fifth of it
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class StoredCheckpoint:
    """A network as it is stored: weights and biases by name, float32, and its card."""

    network: LeNetConfig | tuple[int, ...]
    """The configuration of a LeNet, or the channels of a line network."""
    tensors: Mapping[str, NDArray[np.float32]]
    card: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return tuple(self.card["classes"]) if isinstance(self.network, LeNetConfig) else DIGITS

    @property
    def reads_lines(self) -> bool:
        """True for a line network."""
        return not isinstance(self.network, LeNetConfig)

    @property
    def reads_whole_pictures(self) -> bool:
        """True when it learnt from whole pictures (your own, clothes), not from signs cut out of them."""
        return self.card.get("whole_pictures") is True


def read_stored(name: Path | str, wanted: str | None = None) -> StoredCheckpoint:
    """Read a checkpoint of the format `wanted`, FORMAT or LINE_FORMAT; None: of either.

    Raises CheckpointError, one line, when the file is missing, damaged, foreign, of other shapes than its
    card says, or holds a number that is not finite.
    """
    path = find_checkpoint(name)
    if wanted is None:
        wanted = LINE_FORMAT if read_format(path) == LINE_FORMAT else FORMAT
    tensors, card = read_tensors(path, wanted, "np")
    if wanted == LINE_FORMAT:
        channels = read_channels(path, card)
        network: LeNetConfig | tuple[int, ...] = channels
        shapes: Shapes = find_line_shapes(channels)
        tensors = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    else:
        network = config = read_config(path, card)
        shapes = config.find_shapes()
    check_fit(path, tensors, shapes)
    return StoredCheckpoint(network, tensors, card)


def read_config(path: Path, card: Mapping[str, Any]) -> LeNetConfig:
    """The configuration on a card. Raises CheckpointError where it describes no network, or other classes."""
    if not isinstance(card.get("config"), dict):
        raise CheckpointError(f"{path}: the card has no configuration; is it a LeNet checkpoint?")
    try:
        config = LeNetConfig.from_dict(card["config"])
    except (ModelError, TypeError) as error:
        raise CheckpointError(f"{path}: the card describes no network: {error}") from None
    classes = card.get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise CheckpointError(f"{path}: the card names no classes")
    if len(classes) != config.classes:
        raise CheckpointError(f"{path}: the card names {len(classes)} classes for {config.classes} logits")
    return config


def read_channels(path: Path, card: Mapping[str, Any]) -> tuple[int, ...]:
    """The channels of the line network on a card. Raises CheckpointError where it describes none."""
    channels = card.get("channels")
    if (
        not isinstance(channels, list)
        or len(channels) != len(CONVOLUTIONS)
        or not all(isinstance(width, int) and 0 < width <= MAX_CHANNELS for width in channels)
    ):
        raise CheckpointError(f"{path}: the card describes no line network")
    return tuple(channels)


def find_checkpoint(name: str | Path) -> Path:
    """The file that `name` means: a file, a run folder's calibrated, best or last one, or shipped weights.

    Raises CheckpointError when it means none.
    """
    path = Path(name)
    kept = [path / f"{kind}.safetensors" for kind in ("calibrated", "best", "last", "line")]
    for candidate in (path, *kept, WEIGHTS / f"{name}.safetensors"):
        if candidate.is_file():
            return candidate
    shipped = ", ".join(sorted(file.stem for file in WEIGHTS.glob("*.safetensors"))) or "none"
    raise CheckpointError(f"{name}: no such checkpoint or run folder; shipped weights: {shipped}")


def read_format(path: Path) -> str | None:
    """The format that the card of a safetensors file names. Raises CheckpointError for any other file."""
    _, card = read_safetensors(path, None)
    return card.get("format") if isinstance(card, dict) else None


def read_tensors(
    path: Path, expected_format: str, framework: str = "pt"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and the card of a file of ours. Raises CheckpointError on any other file.

    `framework` is "pt" for PyTorch's tensors, "np" for arrays.
    """
    _, card = read_safetensors(path, None)
    if isinstance(card, dict) and card.get("format") == LINE_FORMAT != expected_format:
        raise CheckpointError(f"{path}: a line network, which reads whole lines; `lenet predict` takes it")
    if not isinstance(card, dict) or card.get("format") != expected_format:
        raise CheckpointError(
            f"{path}: a safetensors file, but none of format {expected_format}; train one, or bring in the "
            f"weights of another program with: lenet import {path} --model d2l"
        )
    tensors, card = read_safetensors(path, framework)
    # What other programs write need not have it.
    if "sha256" in card and card.pop("sha256") != compute_digest(tensors, card):
        raise CheckpointError(f"{path}: damaged (its checksum does not match); train or copy it again")
    return tensors, card


def read_safetensors(path: Path, framework: str | None) -> tuple[dict[str, Any], Any]:
    """The tensors of a safetensors file, none without a framework, and its card, None where it has none.

    Raises CheckpointError.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; `lenet runs` lists the checkpoints there are")
    if path.stat().st_size > LARGEST_FILE:
        raise CheckpointError(f"{path}: {path.stat().st_size:,} bytes are too many for a LeNet checkpoint")
    try:
        with path.open("rb") as content:
            if _is_pickle(content.read(16)):
                raise CheckpointError(
                    f"{path}: a pickle, which can run any program, so it is never read; where it was made, "
                    f"save the weights with: {SAVE}"
                )
        with safe_open(path, framework=framework or "np") as file:
            card = json.loads((file.metadata() or {}).get("card", "null"))
            names = file.keys() if framework else []
            # Copied, because the file is mapped into memory and may be replaced under us.
            copy = "copy" if framework == "np" else "clone"
            return {name: getattr(file.get_tensor(name), copy)() for name in names}, card
    except TypeError as error:  # of numpy, which has fewer types than PyTorch
        raise CheckpointError(f"{path}: holds numbers of a type that no network has ({error})") from None
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({reason}); train or copy it again"
        ) from None


def _is_pickle(head: bytes) -> bool:
    """True for the beginning of what `torch.save` and `pickle.dump` write: a zip, or opcodes of pickle.

    A safetensors file begins with eight bytes of length and a brace; its length may look like anything.
    """
    if head[8:9] == b"{":
        return False
    return (
        head.startswith(b"PK\x03\x04")
        or (head[:1] == b"\x80" and head[1:2] <= b"\x05")
        or head[:1] in (b"(", b"c", b"]", b"}")
    )


def compute_digest(tensors: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    """SHA-256 over the card and every tensor or array with its name, type and shape."""
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        kind = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{name} torch.{kind} {tuple(tensor.shape)}".encode())
        digest.update(_as_bytes(tensor))
    return digest.hexdigest()


def _as_bytes(tensor: Any) -> bytes:
    if isinstance(tensor, np.ndarray):
        return tensor.tobytes()
    import torch  # which it is one of

    values: NDArray[np.uint8] = tensor.reshape(-1).view(torch.uint8).numpy()  # also of types numpy lacks
    return values.tobytes()


def check_fit(path: Path, tensors: Mapping[str, Any], shapes: Shapes) -> None:
    """Raise CheckpointError unless `tensors` are finite floats with exactly these names and shapes."""
    if tensors.keys() != shapes.keys():
        odd = sorted(tensors.keys() ^ shapes.keys())
        raise CheckpointError(f"{path}: the tensors are not those of its network ({', '.join(odd[:3])} …)")
    for name, tensor in tensors.items():
        kind, shape = str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)
        if shape != tuple(shapes[name]) or kind != "float32":
            raise CheckpointError(
                f"{path}: {name} is torch.{kind} {shape}; the card says float32 {tuple(shapes[name])}"
            )
        if not np.isfinite(tensor if isinstance(tensor, np.ndarray) else tensor.numpy()).all():
            raise CheckpointError(f"{path}: {name} holds numbers that are not finite; the training diverged")
