"""Space `pit`: pooling vision transformers."""

from __future__ import annotations

import re
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zerocost.base.errors import InputError
from zerocost.base.fidelity import Fidelity
from zerocost.spaces.attention import PreNormBlock
from zerocost.spaces.base import check_sizes
from zerocost.spaces.choose import Choose
from zerocost.spaces.coded import Choices, Code, CodedSpace
from zerocost.spaces.vit import PATCH, check_resolution

_STRIDE = 8
_BASES = (16, 24, 32, 40)
_DEPTHS = ((1, 2, 3), (4, 6, 8), (2, 4, 6))
_HEADS = (2, 4, 8)
_RATIOS = (2, 4, 6, 8)
_STAGES = (1, 2, 3)


class _Spec(NamedTuple):
    """The choices of one network."""

    base: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    ratio: int


class Stage(nn.Module):
    """Layers on the class token and the pixels of a map together."""

    def __init__(self, width: int, heads: int, depth: int, hidden: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*[PreNormBlock(width, heads, width // heads, hidden) for _ in range(depth)])

    def forward(self, maps: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.blocks(torch.cat((token, maps.flatten(2).transpose(1, 2)), dim=1))
        return tokens[:, 1:].transpose(1, 2).reshape(maps.shape), tokens[:, :1]


class Pooling(nn.Module):
    """A strided convolution of each channel that halves the map, and a linear layer for the class token."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, groups=inputs)
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, maps: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(maps), self.linear(token)


class PoolingTransformer(nn.Module):
    """Images of `resolution` pixels a side to logits N × `classes`, read from the class token."""

    def __init__(self, spec: _Spec, fidelity: Fidelity, classes: int, in_channels: int, resolution: int) -> None:
        super().__init__()
        base = fidelity.channels(spec.base)
        widths = [base * heads for heads in spec.heads]
        side = (resolution - PATCH) // _STRIDE + 1
        self.patches = nn.Conv2d(in_channels, widths[0], PATCH, stride=_STRIDE)
        self.positions = nn.Parameter(torch.empty(1, widths[0], side, side))
        self.class_token = nn.Parameter(torch.empty(1, 1, widths[0]))
        depths = map(fidelity.layers, spec.depths)
        self.stages = nn.ModuleList(
            [
                Stage(width, heads, depth, spec.ratio * width)
                for width, heads, depth in zip(widths, spec.heads, depths, strict=True)
            ]
        )
        self.poolings = nn.ModuleList([Pooling(*pair) for pair in pairwise(widths)])
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.classifier = nn.Linear(widths[-1], classes)
        for table in (self.class_token, self.positions):
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.patches(images) + self.positions
        token = self.class_token.expand(maps.shape[0], -1, -1)
        maps, token = self.stages[0](maps, token)
        for pooling, stage in zip(self.poolings, self.stages[1:], strict=True):
            maps, token = stage(*pooling(maps, token))
        logits: Tensor = self.classifier(self.norm(token)[:, 0])
        return logits


def space(classes: int = 100, in_channels: int = 3, resolution: int = 224) -> CodedSpace:
    """PiT-Ti (Heo et al., ICCV 2021), as Auto-Prox varied it: pooling vision transformers, `32:2-6-4:2-4-8:4`.

    The parts are the features of a head (16, 24, 32 or 40), the layers of the three stages (1 to 3; 4, 6 or 8; 2, 4 or
    6), their heads (2, 4 or 8, never fewer than in the stage before) and the ratio of the perceptrons to the width
    (2, 4, 6 or 8): 4,320 architectures. A stage is as wide as its heads together; between stages a strided
    convolution halves the map. Dropout is left out. No two architectures are twins.

    A fidelity's `width` scales the size of a head, its `depth` the layers of each stage; with its `resolution` the
    network takes images of that size.

    Args:
        classes: number of outputs.
        in_channels: of the images.
        resolution: pixels a side, at least 16.

    Raises:
        InputError: fewer than one class or channel, or images smaller than a patch.

    >>> pit = space(classes=1000)
    >>> pit.size, sum(p.numel() for p in pit.build(pit.parse("32:2-6-4:2-4-8:4")).parameters())
    (4320, 4847272)
    """
    check_sizes("pit", classes, in_channels)
    check_resolution("pit", resolution)
    build = partial(_build, classes=classes, in_channels=in_channels, resolution=resolution)
    growing = sum(a <= b <= c for a in _HEADS for b in _HEADS for c in _HEADS)
    size = len(_BASES) * 3**3 * growing * len(_RATIOS)
    return CodedSpace("pit", _choose, build, size, Code(_write, _read))


def _choose(choose: Choose) -> _Spec:
    base = choose.one_of("base", _BASES)
    depths = tuple([choose.one_of(f"depth{i}", options) for i, options in zip(_STAGES, _DEPTHS, strict=True)])
    heads = [choose.one_of("heads1", _HEADS)]
    for i in _STAGES[1:]:
        heads.append(choose.one_of(f"heads{i}", [option for option in _HEADS if option >= heads[-1]]))
    return _Spec(base, depths, tuple(heads), choose.one_of("ratio", _RATIOS))


def _build(choose: Choose, fidelity: Fidelity, classes: int, in_channels: int, resolution: int) -> PoolingTransformer:
    check_resolution("pit", fidelity.resolution or resolution)
    return PoolingTransformer(_choose(choose), fidelity, classes, in_channels, fidelity.resolution or resolution)


def _write(choices: Choices) -> str:
    chosen = dict(choices)
    depths, heads = ["-".join([str(chosen[f"{name}{i}"]) for i in _STAGES]) for name in ("depth", "heads")]
    return f"{chosen['base']}:{depths}:{heads}:{chosen['ratio']}"


def _read(text: str) -> Choices:
    match = re.fullmatch(r"(16|24|32|40):([123])-([468])-([246]):([248])-([248])-([248]):([2468])", text)
    if not match or not match[5] <= match[6] <= match[7]:
        raise InputError(
            "an architecture of space pit reads BASE:DEPTHS:HEADS:RATIO, such as '32:2-6-4:2-4-8:4', with 16, 24, 32 "
            "or 40, layers of three stages (1 to 3, 4 to 8 and 2 to 6, the last two even), heads of 2, 4 or 8 that do "
            f"not fall, and 2, 4, 6 or 8, but got {text!r}"
        )
    names = ("base", *[f"depth{i}" for i in _STAGES], *[f"heads{i}" for i in _STAGES], "ratio")
    return tuple(zip(names, map(int, match.groups()), strict=True))
