"""A network in one `.safetensors` file: its weights and its card. No pickle, no second way in.

The card is JSON in the file's header: the configuration (with the pixel scaling), the names of the classes,
and what the writer adds, such as the recipe. It holds no times and no paths, so that equal trainings give
equal files. Its SHA-256 over card and weights shows a bit that changed since.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lenet.errors import CheckpointError, ModelError
from lenet.files import write_bytes
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet

FORMAT = "lenet/1"
LINE_FORMAT = "lenet-line/1"  # of `lenet.models.line`
WEIGHTS = Path(__file__).parents[1] / "weights"
DIGITS = tuple("0123456789")
SAVE = 'safetensors.torch.save_file(net.state_dict(), "net.safetensors")'
LARGEST_FILE = 1 << 30  # bytes; the largest network that a configuration allows takes a fifth of it


@dataclass(frozen=True)
class Checkpoint:
    """A loaded network, in evaluation mode, and its card."""

    model: LeNet
    card: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return tuple(self.card["classes"])

    @property
    def reads_whole_pictures(self) -> bool:
        """True when it learnt from whole pictures (your own, clothes), not from signs cut out of them."""
        return self.card.get("whole_pictures") is True

    @property
    def data(self) -> str:
        """The data set it was trained on. Raises CheckpointError when the card does not say."""
        recipe = self.card.get("recipe")
        if not isinstance(recipe, dict) or not isinstance(recipe.get("data"), str):
            raise CheckpointError("the checkpoint does not say what it was trained on; give `data`")
        return str(recipe["data"])


def save_checkpoint(path: Path, model: LeNet, card: Mapping[str, Any]) -> None:
    """Write `model` to `path`, whole or not at all.

    `card` must hold "classes", one name a logit; configuration and format are added. Equal weights and
    cards give equal bytes. Raises CheckpointError on a card that does not fit.
    """
    classes = [str(name) for name in card["classes"]]
    if len(classes) != model.config.classes:
        raise CheckpointError(
            f"the card names {len(classes)} classes, the network has {model.config.classes}"
        )
    content = {**card, "format": FORMAT, "config": model.config.to_dict(), "classes": classes}
    write_tensors(path, model.state_dict(), content)


def save_network(
    network: LeNet | Checkpoint, path: Path | str, *, classes: Sequence[str] | None = None
) -> None:
    """Write a network to `path`, whole or not at all; `load` reads it back.

    Args:
        network: a model, or a loaded checkpoint, which keeps its card.
        path: the file, such as digits.safetensors.
        classes: the name of each class, in the order of the logits. By default those of the checkpoint, or
            "0" to "9" for a model with ten outputs.

    Raises CheckpointError when the classes are not known, or not as many as the network has.
    """
    model, card = (network.model, network.card) if isinstance(network, Checkpoint) else (network, {})
    if classes is None and not card:
        if model.config.classes != len(DIGITS):
            raise CheckpointError(
                f"the network has {model.config.classes} classes and they have no names; give `classes`"
            )
        classes = DIGITS
    save_checkpoint(Path(path), model, card if classes is None else {**card, "classes": list(classes)})


def load_checkpoint(name: Path | str, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a network that `save_checkpoint` wrote: a file, a run folder's, or weights that are shipped.

    Raises CheckpointError, one line, when the file is missing, damaged, foreign, of other shapes than its
    card says, or holds a number that is not finite.
    """
    path = find_checkpoint(name)
    tensors, card = read_tensors(path, FORMAT)
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
    with torch.device("meta"):
        model = LeNet(config)
    check_fit(path, tensors, {name: value.shape for name, value in model.state_dict().items()})
    model.load_state_dict(tensors, assign=True)
    return Checkpoint(model.to(device).eval(), card)


def import_state(path: Path | str, config: LeNetConfig, card: Mapping[str, Any] | None = None) -> Checkpoint:
    """A network from the plain state dict of another program, such as a tutorial's `nn.Sequential`.

    Args:
        path: what `safetensors.torch.save_file(net.state_dict(), …)` wrote.
        config: the network that the weights belong to, with the pixel scaling that they were trained with.
        card: what the checkpoint's card shall hold, such as "classes", the name of each class; by default
            "0" to "9".

    Layers are told apart by the shapes of their weights, those of one shape by their order; the card's
    "imported" says which tensor became which. Raises CheckpointError when a layer is missing, left over or
    of another shape, when a number is not finite, and on a file that is no safetensors file.
    """
    path = Path(path)
    tensors, _ = _read_safetensors(path)
    own, layers = _gather_layers(tensors), _gather_layers(LeNet(config).state_dict())
    imported: dict[str, str] = {}
    left = sorted(own, key=_natural)
    for name, shapes in layers.items():
        fitting = [prefix for prefix in left if own[prefix] == shapes]
        if not fitting:
            raise CheckpointError(
                f"{path}: no layer fits {name} of the network; the file has {_write_layers(own)}; "
                f"the network has {_write_layers(layers)}"
            )
        left.remove(fitting[0])
        imported |= {f"{name}.{part}": _join(fitting[0], part) for part in shapes}
    if left:
        raise CheckpointError(
            f"{path}: the network has no layer for {', '.join(left)}; the file has {_write_layers(own)}; "
            f"the network has {_write_layers(layers)}"
        )
    model = LeNet(replace(config, initialisation="default"))
    weights = {
        name: tensors[source].float() if tensors[source].is_floating_point() else tensors[source]
        for name, source in imported.items()
    }
    check_fit(path, weights, {name: value.shape for name, value in model.state_dict().items()})
    model.load_state_dict(weights)
    return Checkpoint(model.eval(), {"classes": list(DIGITS), **(card or {}), "imported": imported})


def _gather_layers(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of each layer's tensors: {"0": {"weight": (6, 1, 5, 5), "bias": (6,)}, …}."""
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in tensors.items():
        prefix, _, part = name.rpartition(".")
        layers.setdefault(prefix, {})[part] = tuple(tensor.shape)
    return layers


def _join(prefix: str, part: str) -> str:
    return f"{prefix}.{part}" if prefix else part


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their value: safetensors keeps no order."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _write_layers(layers: Mapping[str, Mapping[str, tuple[int, ...]]]) -> str:
    parts = []
    for name in sorted(layers, key=_natural)[:12]:
        shapes = (f"{part} {'×'.join(map(str, shape))}" for part, shape in sorted(layers[name].items())[::-1])
        parts.append(f"{name} ({', '.join(shapes)})")
    return ", ".join(parts) + ", …" * (len(layers) > 12)


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


def write_tensors(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write named tensors and a JSON card as one safetensors file, whole or not at all."""
    detached = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    plain = json.loads(json.dumps(card))
    signed = {**plain, "sha256": _digest(detached, plain)}
    # One metadata key: safetensors writes several in no fixed order, and equal files shall be equal. ASCII,
    # because the name of a class may hold what is no character.
    write_bytes(path, save(detached, metadata={"card": json.dumps(signed, sort_keys=True)}))


def read_format(path: Path) -> str | None:
    """The format that the card of a safetensors file names. Raises CheckpointError for any other file."""
    _, card = _read_safetensors(path)
    return card.get("format") if isinstance(card, dict) else None


def read_tensors(path: Path, expected_format: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the card of a file of ours. Raises CheckpointError on any other file."""
    tensors, card = _read_safetensors(path)
    if isinstance(card, dict) and card.get("format") == LINE_FORMAT != expected_format:
        raise CheckpointError(f"{path}: a line network, which reads whole lines; `lenet predict` takes it")
    if not isinstance(card, dict) or card.get("format") != expected_format:
        raise CheckpointError(
            f"{path}: a safetensors file, but none of format {expected_format}; train one, or bring in the "
            f"weights of another program with: lenet import {path} --model d2l"
        )
    # What other programs write need not have it.
    if "sha256" in card and card.pop("sha256") != _digest(tensors, card):
        raise CheckpointError(f"{path}: damaged (its checksum does not match); train or copy it again")
    return tensors, card


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors of a safetensors file, and its card, None where it has none. Raises CheckpointError."""
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
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "null"))
            # Cloned, because the file is mapped into memory and may be replaced under us.
            return {name: file.get_tensor(name).clone() for name in file.keys()}, card  # noqa: SIM118
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


def _digest(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> str:
    """SHA-256 over the card and every tensor with its name, type and shape."""
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def check_fit(path: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    """Raise CheckpointError unless `tensors` are finite floats with exactly these names and shapes."""
    if tensors.keys() != shapes.keys():
        odd = sorted(tensors.keys() ^ shapes.keys())
        raise CheckpointError(f"{path}: the tensors are not those of its network ({', '.join(odd[:3])} …)")
    for name, tensor in tensors.items():
        if tensor.shape != shapes[name] or tensor.dtype != torch.float32:
            raise CheckpointError(
                f"{path}: {name} is {tensor.dtype} {tuple(tensor.shape)}; "
                f"the card says float32 {tuple(shapes[name])}"
            )
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path}: {name} holds numbers that are not finite; the training diverged")
