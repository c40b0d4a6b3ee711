"""The image networks whose costs are measured: ResNet-18, VGG-11 and DenseNet-121, as their papers define them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Basic(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(c_out),
        )
        same = stride == 1 and c_in == c_out
        projection = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))
        self.shortcut = nn.Identity() if same else projection

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def stem() -> list[nn.Module]:
    convolution = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    return [convolution, nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]


def head(width: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]


def resnet18(classes: int = 1000) -> nn.Module:
    """He et al., CVPR 2016: 11.7 million parameters."""
    blocks, c_in = [], 64
    for c_out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [Basic(c_in, c_out, stride), Basic(c_out, c_out, 1)]
        c_in = c_out
    return nn.Sequential(*stem(), *blocks, *head(512, classes))


def vgg11(classes: int = 1000) -> nn.Module:
    """Simonyan and Zisserman, ICLR 2015: 132.9 million parameters."""
    layers: list[nn.Module] = []
    c_in = 3
    for stage in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
        for c_out in stage:
            layers += [nn.Conv2d(c_in, c_out, 3, 1, 1), nn.ReLU(inplace=True)]
            c_in = c_out
        layers.append(nn.MaxPool2d(2))
    hidden = (nn.ReLU(inplace=True), nn.Dropout())
    dense = [nn.Linear(512 * 49, 4096), *hidden, nn.Linear(4096, 4096), *hidden, nn.Linear(4096, classes)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), nn.Flatten(), *dense)


class Dense(nn.Module):
    """A 1×1 and a 3×3 convolution whose 32 channels are added to those they were made of."""

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(c_in),
            nn.ReLU(inplace=True),
            nn.Conv2d(c_in, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 32, 3, 1, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet121(classes: int = 1000) -> nn.Module:
    """Huang et al., CVPR 2017: 8.0 million parameters."""
    layers, width = stem(), 64
    for i, count in enumerate((6, 12, 24, 16)):
        if i:
            halved = nn.Conv2d(width, width // 2, 1, bias=False)
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True), halved, nn.AvgPool2d(2)]
            width //= 2
        layers += [Dense(width + 32 * j) for j in range(count)]
        width += 32 * count
    return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(inplace=True), *head(width, classes))


IMAGE_NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": resnet18,
    "vgg11": vgg11,
    "densenet121": densenet121,
}
