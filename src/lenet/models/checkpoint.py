"""A network and its card, to and from one `.safetensors` file, and from those of other programs.

`lenet.models.stored` says what is in the file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from lenet.errors import CheckpointError
from lenet.files import write_bytes
from lenet.models.config import LeNetConfig
from lenet.models.line_config import DIGITS
from lenet.models.network import LeNet
from lenet.models.stored import (
    FORMAT,
    StoredCheckpoint,
    check_fit,
    compute_digest,
    read_safetensors,
    read_stored,
)


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
    def reads_lines(self) -> bool:
        """False: it names single images."""
        return False

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

    Raises CheckpointError when the classes are not known, or not as many as the network has, and when the
    weights are pruned, parametrised, in half precision or not finite, as `load` would not take them.
    """
    model, card = (network.model, network.card) if isinstance(network, Checkpoint) else (network, {})
    if classes is None and not card:
        if model.config.classes != len(DIGITS):
            raise CheckpointError(
                f"the network has {model.config.classes} classes and they have no names; give `classes`"
            )
        classes = DIGITS
    tensors = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    try:
        check_fit(Path(path), tensors, model.config.find_shapes())
    except CheckpointError as error:
        raise CheckpointError(f"{error}; make the weights plain first: prune.remove, .float()") from None
    save_checkpoint(Path(path), model, card if classes is None else {**card, "classes": list(classes)})


def load_checkpoint(name: Path | str, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a network that `save_checkpoint` wrote: a file, a run folder's, or weights that are shipped.

    Raises CheckpointError, one line, when the file is missing, damaged, foreign, of other shapes than its
    card says, or holds a number that is not finite.
    """
    stored = read_stored(name, FORMAT)
    return Checkpoint(restore_lenet(stored).to(device), stored.card)


def restore_lenet(stored: StoredCheckpoint) -> LeNet:
    """The network of a stored checkpoint, in evaluation mode."""
    assert isinstance(stored.network, LeNetConfig)
    with torch.device("meta"):
        model = LeNet(stored.network)
    tensors = {name: torch.from_numpy(values) for name, values in stored.tensors.items()}
    model.load_state_dict(tensors, assign=True)
    return model.eval()


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
    tensors, _ = read_safetensors(path, "pt")
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


def write_tensors(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write named tensors and a JSON card as one safetensors file, whole or not at all."""
    detached = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    plain = json.loads(json.dumps(card))
    signed = {**plain, "sha256": compute_digest(detached, plain)}
    # One metadata key: safetensors writes several in no fixed order, and equal files shall be equal. ASCII,
    # because the name of a class may hold what is no character.
    write_bytes(path, save(detached, metadata={"card": json.dumps(signed, sort_keys=True)}))
