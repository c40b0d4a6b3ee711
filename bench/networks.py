"""The networks that the benchmarks run on."""

from __future__ import annotations

from torch import Tensor, nn


def relu_conv_bn(c_in: int, c_out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(), nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(c_out)
    )


class Cell(nn.Module):
    """The best NAS-Bench-201 cell on CIFAR-10: 3×3 convolutions on all edges but the skip from input to output."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(relu_conv_bn(channels, channels) for _ in range(5))

    def forward(self, x: Tensor) -> Tensor:
        a, b, c, d, e = self.edges
        first = a(x)
        second = b(x) + c(first)
        return x + d(first) + e(second)


class Reduction(nn.Module):
    """A residual block that halves the image and doubles the channels."""

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.body = nn.Sequential(relu_conv_bn(c_in, 2 * c_in, stride=2), relu_conv_bn(2 * c_in, 2 * c_in))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(c_in, 2 * c_in, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


def nasbench201(channels: int = 16, cells: int = 5) -> nn.Module:
    """A NAS-Bench-201 network of three stages, by default at the size the benchmark trained."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)]
    for stage in range(3):
        layers += [Reduction(channels << (stage - 1))] if stage else []
        layers += [Cell(channels << stage) for _ in range(cells)]
    width = channels << 2
    pooling = [nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *pooling, nn.Linear(width, 10))
