"""The operations of DARTS cells: pooling, separable and dilated convolutions, and the halving of an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ReLUConvNorm(nn.Sequential):
    """ReLU, a convolution without bias, batch normalisation; the image keeps its size at stride 1."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )


class DepthwiseConvNorm(nn.Sequential):
    """ReLU, a convolution of each channel alone, a 1×1 convolution across them, batch normalisation."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )


class FactorizedReduce(nn.Module):
    """Halve the image with two 1×1 convolutions: one sees the even pixels, one the odd, for half the channels each."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs - outputs // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        height, width = x.shape[2:]
        shifted = F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]
        halves: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], dim=1))
        return halves


class Zero(nn.Module):
    """Zeros of the shape the other operations give."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        height, width = (-(-side // self.stride) for side in x.shape[2:])
        return x.new_zeros(x.shape[0], self.channels, height, width)


def _separable(channels: int, kernel: int, stride: int) -> nn.Module:
    """The depthwise block twice; the first one strides."""
    return nn.Sequential(DepthwiseConvNorm(channels, kernel, stride), DepthwiseConvNorm(channels, kernel, 1))


OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "max_pool_3x3": lambda channels, stride: nn.MaxPool2d(3, stride, padding=1),
    "avg_pool_3x3": lambda channels, stride: nn.AvgPool2d(3, stride, padding=1, count_include_pad=False),
    "skip_connect": lambda channels, stride: nn.Identity() if stride == 1 else FactorizedReduce(channels, channels),
    "sep_conv_3x3": lambda channels, stride: _separable(channels, 3, stride),
    "sep_conv_5x5": lambda channels, stride: _separable(channels, 5, stride),
    "dil_conv_3x3": lambda channels, stride: DepthwiseConvNorm(channels, 3, stride, dilation=2),
    "dil_conv_5x5": lambda channels, stride: DepthwiseConvNorm(channels, 5, stride, dilation=2),
}
"""By name: `operation(channels, stride)` builds one. The seven of NAS-Bench-301; `"none"` is `Zero`."""
