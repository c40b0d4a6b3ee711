"""Two small networks, a batch, and every proxy that can be asked of any network, for tests of behaviour."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import zerocost as zc
from zerocost.scoring.candidates import initialise

ALL = [zc.proxies.get(name) for name in zc.proxies.names() if name != "swap_regularised"]
ALL += zc.proxies.resolve("swap_regularised(mu=5, sigma=9)")
TRANSFORMERS = {"dss", "head_confidence", "w_pca"}  # need attention
MAPS = {"apd", "meco", "meco_modules", "meco_opt"}  # need images
BLOCKS = {"az_progressivity", "az_trainability"}  # need two blocks


def images(samples: int = 8) -> Tensor:
    return torch.randn(samples, 3, 8, 8, generator=torch.Generator().manual_seed(3))


def batch(samples: int = 8) -> tuple[Tensor, Tensor]:
    return images(samples), torch.arange(samples) % 4


def seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    return initialise(build, seed)


def cnn(activation: nn.Module | None = None) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), activation or nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4)),
    )


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
