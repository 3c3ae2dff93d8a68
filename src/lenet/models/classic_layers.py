"""The layers of 1989 to 1998 as PyTorch's modules. N is the batch, C channels, H and W rows and columns."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lenet.models.classic import AMPLITUDE, BORDER, MARGIN, SCALE, SLOPE, read_bitmaps
from lenet.models.layers import POOL


class ScaledTanh(nn.Module):
    """The squashing function of 1998: 1.7159 · tanh(2/3 · a)."""

    def forward(self, sums: Tensor) -> Tensor:
        """Values of the same shape, between -1.7159 and 1.7159."""
        return AMPLITUDE * torch.tanh(SLOPE * sums)


class Subsampling(nn.Module):
    """Subsampling: the sum of 2×2 inputs, times a coefficient of the map, plus its bias; not yet squashed.

    `weight` (maps,) holds the coefficients, `bias` (maps,) the biases. `copies` maps follow each input map.
    """

    def __init__(self, channels: int, copies: int = 1) -> None:
        super().__init__()
        self.copies = copies
        self.weight = nn.Parameter(torch.ones(channels * copies))
        self.bias = nn.Parameter(torch.zeros(channels * copies))

    def sum_windows(self, maps: Tensor) -> Tensor:
        """What the coefficients multiply: (N, C · copies, H // 2, W // 2) from (N, C, H, W)."""
        sums = functional.avg_pool2d(maps, POOL) * POOL**2
        return sums if self.copies == 1 else sums.repeat_interleave(self.copies, dim=1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C · copies, H // 2, W // 2) from (N, C, H, W)."""
        return self.sum_windows(maps) * self.weight[:, None, None] + self.bias[:, None, None]


class PartialConv2d(nn.Module):
    """A convolution whose output maps see some of the input maps only.

    `weight` (links, K, K) has one kernel for each pair of an output and an input that it sees, in the order
    of `links`, which lists the inputs of each output; `bias` is (outputs,).
    """

    def __init__(
        self, inputs: int, links: Sequence[Sequence[int]], kernel_size: int, padding: int = 0
    ) -> None:
        super().__init__()
        self.inputs, self.links, self.padding = inputs, links, padding
        count = sum(map(len, links))
        self.weight = nn.Parameter(torch.zeros(count, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(len(links)))
        places = iter(range(count))
        dense = [[next(places) if number in row else count for number in range(inputs)] for row in links]
        # No buffer: it is no weight, and has values also where the network is made without any.
        self._places = torch.tensor(dense, device="cpu")

    @property
    def dense_weight(self) -> Tensor:
        """The kernels as `Conv2d` has them, (outputs, inputs, K, K); 0 where there is no link."""
        return functional.pad(self.weight, (0, 0, 0, 0, 0, 1))[self._places.to(self.weight.device)]

    def fill(self, weight: Tensor) -> None:
        """Take the kernels of the links from a weight as `dense_weight` has it."""
        outputs = [number for number, row in enumerate(self.links) for _ in row]
        self.weight.copy_(weight[outputs, [number for row in self.links for number in sorted(row)]])

    def forward(self, maps: Tensor) -> Tensor:
        """(N, outputs, H - K + 1, W - K + 1) from (N, inputs, H, W), without padding."""
        return functional.conv2d(maps, self.dense_weight, self.bias, padding=self.padding)


class StridedConv2d(PartialConv2d):
    """A convolution of 1989: in steps of 2, with -1 around its input, and with a bias for each unit.

    `weight` and `links` are those of `PartialConv2d`; `bias` is (outputs, side, side).
    """

    def __init__(
        self, inputs: int, links: Sequence[Sequence[int]], kernel_size: int, padding: int, side: int
    ) -> None:
        super().__init__(inputs, links, kernel_size, padding)
        self.bias = nn.Parameter(torch.zeros(len(links), side, side))

    def forward(self, maps: Tensor, border: float = BORDER) -> Tensor:
        """(N, outputs, side, side) from (N, inputs, H, H), with side = (H + 2 · padding - K) // 2 + 1."""
        framed = functional.pad(maps, (self.padding,) * 4, value=border)
        return functional.conv2d(framed, self.dense_weight, stride=POOL) + self.bias


class RadialBasis(nn.Module):
    """The output of 1998: how far the input is from the bitmap of each class; nothing of it is trained.

    Logits are bias - scale · (squared distance), so that the nearest bitmap has the highest. With the bias j
    and a further logit of 0, the cross-entropy is the loss of the paper's equation 9. `weight` (classes, 84)
    holds the bitmaps; `bias` and `scale` are (classes,), and calibration changes them.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(read_bitmaps(classes), dtype=torch.float32))
        self.register_buffer("bias", torch.full((classes,), MARGIN))
        self.register_buffer("scale", torch.full((classes,), SCALE))

    def forward(self, codes: Tensor) -> Tensor:
        """Logits (N, classes) of codes (N, 84)."""
        distances = (codes[:, None] - self.weight).square().sum(dim=2)
        return self.bias - self.scale * distances
