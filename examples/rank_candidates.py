"""Rank networks on the data of a DataLoader, and keep the best of the small ones."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import zerocost as zc


def network(width: int, depth: int) -> nn.Module:
    """Convolutions with BatchNorm, global average pooling, a linear classifier."""
    layers: list[nn.Module] = []
    channels = 3
    for _ in range(depth):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def candidates() -> dict[str, Callable[[], nn.Module]]:
    """Functions that build a network, by name; one of them is broken on purpose."""
    builders = {
        f"width={width},depth={depth}": lambda width=width, depth=depth: network(width, depth)
        for width in (8, 16, 32)
        for depth in (1, 2, 4)
    }
    return builders | {"broken": lambda: nn.Linear(3, 10)}


generator = torch.Generator().manual_seed(0)
images = torch.rand(500, 3, 16, 16, generator=generator)
loader = DataLoader(TensorDataset(images, torch.arange(500) % 10), batch_size=50)

table = zc.rank(candidates(), loader, "jacob_cov,log_synflow,naswot", batch=40, balanced=True)
print(table, "\n")
for failure in table.failures.drop_duplicates("candidate").itertuples():
    print(f"{failure.candidate} failed: {failure.reason}\n")

kept = zc.select(table, "params < 10000", top=3)
print("kept:", *kept.frame.index)
for name, reason in kept.dropped.items():
    print(f"dropped {name}: {reason}")
