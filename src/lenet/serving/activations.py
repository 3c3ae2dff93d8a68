"""What leaves each layer of the served network for one image, as the rows of /v1/activations."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import torch

from lenet.insight.activations import describe_layers, trace_maps
from lenet.models.checkpoint import restore_lenet
from lenet.models.network import LeNet
from lenet.serving.limits import Refusal
from lenet.serving.served import Served
from lenet.serving.tensor_lane import Images

DIGITS = 6  # significant ones of a value


def describe_activations(
    served: Served, image: Images, wanted: Sequence[str] | None, most: int
) -> list[dict[str, Any]]:
    """Name, kind, shape, summary and values of the layers called `wanted`, all for None, in order.

    `image` is uint8 (1, 1, H, W). Raises Refusal 422 for a name of no layer, where the layers have more
    than `most` values, and where a value is not finite.
    """
    config = served.network.config
    kinds = {row.name: row for row in config.layers()}
    shapes = {"input": (1, config.input_size, config.input_size)} | {
        name: row.output_shape for name, row in kinds.items()
    }
    unknown = [name for name in wanted or () if name not in shapes]
    if unknown:
        raise Refusal(422, f"no layer is called {unknown[0][:80]!r}; the layers are {', '.join(shapes)}")
    names = [name for name in shapes if not wanted or name in wanted]
    count = sum(prod(shapes[name]) for name in names)
    if count > most:
        raise Refusal(
            422, f"the layers have {count:,} values, of which one answer has {most:,}; name a layer"
        )
    traced = trace_maps(_restore(served), torch.from_numpy(image))
    maps = {name: traced[name] for name in names}
    if not all(values.isfinite().all() for values in maps.values()):
        raise Refusal(422, "the network computes no finite numbers for this image")
    return [
        {
            "name": row["name"],
            "kind": kinds[row["name"]].kind if row["name"] in kinds else "Input",
            **{key: row[key] for key in ("shape", "minimum", "maximum", "mean", "zeros")},
            "values": _round(values[0]),
        }
        for row, values in zip(describe_layers(maps, 0), maps.values(), strict=True)
    ]


@lru_cache(maxsize=1)
def _restore(served: Served) -> LeNet:
    return restore_lenet(served.checkpoint)


def _round(values: torch.Tensor) -> Any:
    """Nested lists of numbers with six significant digits: half as long as all digits of a double."""
    exponents = values.abs().double().clamp(min=1e-30).log10().floor()
    scale = 10.0 ** (DIGITS - 1 - exponents)
    return ((values.double() * scale).round() / scale).tolist()
