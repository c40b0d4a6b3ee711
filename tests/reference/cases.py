"""The reference networks, their weights and their batches: small, exact, and free of torch's random generator.

Modules nest as in the networks that the authors' code was run on, since MeCo counts every module.

    model = filled(build("mlp"), seed=1)
    inputs, labels = batch(11, 16, "mlp")

Make a float64 network in float64 (`build(name).double()`) before it is filled: weights are drawn in float64 and cast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ALL_1X1, ALL_3X3 = (f"nb201:|{op}~0|+|{op}~0|{op}~1|+|{op}~0|{op}~1|{op}~2|" for op in ("nor_conv_1x1", "nor_conv_3x3"))
NORMALISATION = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
CLASSES = 10


def filled(model: nn.Module, seed: int) -> nn.Module:
    """Overwrite every parameter with numbers of its own, and return the model; buffers stay as they are.

    Parameter i (in the order of `named_parameters`) is made of standard normal numbers z from
    `numpy.random.default_rng([seed, i])`: z·sqrt(2 / fan-in) for a weight matrix, 0.01·z for a bias, 1 + 0.1·z for the
    scale and 0.1·z for the shift of a normalisation layer.
    """
    of_norms = {id(p) for m in model.modules() if isinstance(m, NORMALISATION) for p in m.parameters(recurse=False)}
    with torch.no_grad():
        for index, (name, parameter) in enumerate(model.named_parameters()):
            values = np.random.default_rng([seed, index]).standard_normal(tuple(parameter.shape))
            if id(parameter) in of_norms:
                values = 0.1 * values + float(name.endswith("weight"))
            elif parameter.ndim == 1:
                values = 0.01 * values
            else:
                values = values * math.sqrt(2.0 / math.prod(parameter.shape[1:]))
            parameter.copy_(torch.from_numpy(values))
    return model


def batch(seed: int, samples: int, case: str) -> tuple[Tensor, Tensor]:
    """Standard normal inputs in float64, N×3×H×W, and labels 0, 1, …, 9, 0, 1, …"""
    shape = (samples, *IMAGE.get(case, (3, 32, 32)))
    inputs = np.random.default_rng(seed).standard_normal(shape)
    return torch.from_numpy(inputs), torch.arange(samples) % CLASSES


def signs(seed: int, draw: int, shape: tuple[int, ...]) -> Tensor:
    """±1 in float64, in place of the random signs drawn first (`draw` 0), second, …

    They are 2·b - 1 with bits b from `numpy.random.default_rng([seed, 1000 + draw])`.
    """
    bits = np.random.default_rng([seed, 1000 + draw]).integers(0, 2, size=shape)
    return torch.from_numpy(2.0 * bits - 1.0)


def build(case: str) -> nn.Module:
    """The network of a case: one of `PLAIN`, or "nb201:" and the string of a cell."""
    return nasbench201(case.removeprefix("nb201:")) if case.startswith("nb201:") else PLAIN[case]()


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=False)


def mlp() -> nn.Module:
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(3 * 8 * 8, 64), nn.ReLU()),
        *(nn.Linear(64, 64), nn.ReLU()),
        nn.Linear(64, CLASSES),
    )


def seed_cnn() -> nn.Module:
    """No normalisation, biases everywhere."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(32 * 32 * 32, 128), nn.ReLU()),
        nn.Linear(128, CLASSES),
    )


def conv_bn_relu(c_in: int, c_out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(conv(c_in, c_out, 3, stride), nn.BatchNorm2d(c_out), nn.ReLU())


def classifier(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


def plain_bn_cnn() -> nn.Module:
    return nn.Sequential(conv_bn_relu(3, 16), conv_bn_relu(16, 32, stride=2), conv_bn_relu(32, 32), *classifier(32))


class BasicBlock(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu1 = conv(c_in, c_out, 3, stride), nn.BatchNorm2d(c_out), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = conv(c_out, c_out, 3), nn.BatchNorm2d(c_out), nn.ReLU()
        if c_in != c_out:
            self.shortcut = nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + (self.shortcut(x) if hasattr(self, "shortcut") else x))


def resnet_tiny() -> nn.Module:
    blocks = [BasicBlock(16, 16), BasicBlock(16, 16), BasicBlock(16, 32, stride=2), BasicBlock(32, 32)]
    return nn.Sequential(conv_bn_relu(3, 16), *blocks, *classifier(32))


PLAIN: dict[str, Callable[[], nn.Module]] = {
    "seed-cnn-16": seed_cnn,
    "mlp": mlp,
    "plain-bn-cnn": plain_bn_cnn,
    "resnet-tiny": resnet_tiny,
}
IMAGE = {"mlp": (3, 8, 8), "plain-bn-cnn": (3, 16, 16)}


class Zero(nn.Module):
    """Zeros that stay in the graph, so that every parameter has a gradient (of zero)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


class Operation(nn.Module):
    """A module around the layers of an operation, as in the original network: MeCo counts both."""

    def __init__(self, op: nn.Module) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Any:
        return self.op(x)


def relu_conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Module:
    return Operation(nn.Sequential(nn.ReLU(), conv(c_in, c_out, kernel, stride), nn.BatchNorm2d(c_out)))


OPERATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda _: Zero(),
    "skip_connect": lambda _: nn.Identity(),
    "nor_conv_1x1": lambda channels: relu_conv_bn(channels, channels, 1),
    "nor_conv_3x3": lambda channels: relu_conv_bn(channels, channels, 3),
    "avg_pool_3x3": lambda _: Operation(nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)),
}


class Cell(nn.Module):
    """A NAS-Bench-201 cell "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|": nodes parted by "+", edges "op~source" by "|"."""

    def __init__(self, cell: str, channels: int) -> None:
        super().__init__()
        nodes = [[edge.split("~") for edge in node.strip("|").split("|")] for node in cell.split("+")]
        self.sources = [[int(source) for _, source in node] for node in nodes]
        self.edges = nn.ModuleList(OPERATIONS[operation](channels) for node in nodes for operation, _ in node)

    def forward(self, x: Tensor) -> Tensor:
        states, edges = [x], iter(self.edges)
        for sources in self.sources:
            states.append(sum(next(edges)(states[source]) for source in sources))
        return states[-1]


class Reduction(nn.Module):
    """Halves the image and doubles the channels; the convolutions run before the shortcut."""

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.first, self.second = relu_conv_bn(c_in, 2 * c_in, 3, stride=2), relu_conv_bn(2 * c_in, 2 * c_in, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), conv(c_in, 2 * c_in, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) + self.shortcut(x)


def nasbench201(cell: str, channels: int = 16, cells: int = 5) -> nn.Module:
    """The network NAS-Bench-201 trains: three stages of equal cells, a residual block between them."""
    layers: list[nn.Module] = [nn.Sequential(conv(3, channels, 3), nn.BatchNorm2d(channels))]
    for stage in range(3):
        layers += [Reduction(channels * 2 ** (stage - 1))] if stage else []
        layers += [Cell(cell, channels * 2**stage) for _ in range(cells)]
    width = 4 * channels
    last = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))
    return nn.Sequential(*layers, last, *classifier(width))
