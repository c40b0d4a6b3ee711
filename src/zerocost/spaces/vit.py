"""Space `vit`: the vision transformers of AutoFormer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zerocost.base.errors import InputError
from zerocost.base.fidelity import Fidelity
from zerocost.spaces.attention import PreNormBlock, initialise_normal
from zerocost.spaces.base import check_sizes
from zerocost.spaces.choose import Choose
from zerocost.spaces.coded import Choices, Code, CodedSpace

PATCH = 16
_HEAD_SIZE = 64
_WIDTHS = (192, 216, 240)
_DEPTHS = (12, 13, 14)
_HEADS = (3, 4)
_RATIOS = (3.5, 4.0)


class VisionSpec(NamedTuple):
    """The choices of one network."""

    width: int
    heads: Sequence[int]
    ratios: Sequence[float]


class VisionTransformer(nn.Module):
    """Images of `resolution` pixels a side to logits N × `classes`: patches, layers, the mean of the tokens."""

    def __init__(self, spec: VisionSpec, fidelity: Fidelity, classes: int, in_channels: int, resolution: int) -> None:
        super().__init__()
        width, head_size = fidelity.channels(spec.width), fidelity.channels(_HEAD_SIZE)
        self.patches = nn.Conv2d(in_channels, width, PATCH, stride=PATCH)
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + (resolution // PATCH) ** 2, width))
        self.blocks = nn.Sequential(
            *[
                PreNormBlock(width, spec.heads[i], head_size, int(spec.ratios[i] * width))
                for i in range(fidelity.layers(len(spec.heads)))
            ]
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.classifier = nn.Linear(width, classes)
        initialise_normal(self)
        for table in (self.class_token, self.positions):
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), dim=1) + self.positions
        logits: Tensor = self.classifier(self.norm(self.blocks(x))[:, 1:].mean(1))
        return logits


def space(classes: int = 100, in_channels: int = 3, resolution: int = 224) -> CodedSpace:
    """AutoFormer-Ti (Chen et al., ICCV 2021), as Auto-Prox trained it: vision transformers, `192:3-4-…:3.5-4.0-…`.

    The parts are the width (192, 216 or 240), and for each of 12 to 14 layers the heads (3 or 4) and the ratio of the
    perceptron to the width (3.5 or 4.0). A head has 64 features at any width. Patches have 16 × 16 pixels; the class
    is read from the mean of the patches' tokens. AutoFormer's relative positions, which Auto-Prox left out, and
    dropout are left out. The networks that Auto-Prox trained alone divided the width among the heads.
    No two architectures are twins.

    A fidelity's `width` scales the width and the size of a head, its `depth` removes the last layers; with its
    `resolution` the network takes images of that size.

    Args:
        classes: number of outputs.
        in_channels: of the images.
        resolution: pixels a side, at least 16.

    Raises:
        InputError: fewer than one class or channel, or images smaller than a patch.

    >>> vit = space(classes=1000)
    >>> arch = vit.parse(f"192:{'-'.join(['3'] * 12)}:{'-'.join(['4.0'] * 12)}")
    >>> sum(p.numel() for p in vit.build(arch).parameters())
    5717416
    """
    check_sizes("vit", classes, in_channels)
    check_resolution("vit", resolution)
    build = partial(_build, classes=classes, in_channels=in_channels, resolution=resolution)
    layers = len(_HEADS) * len(_RATIOS)
    size = len(_WIDTHS) * sum(layers**depth for depth in _DEPTHS)
    return CodedSpace("vit", _choose, build, size, Code(_write, _read))


def check_resolution(name: str, resolution: int) -> None:
    """`InputError` for images smaller than the first layer's patches."""
    if resolution < PATCH:
        raise InputError(
            f"space {name} takes images of at least {PATCH} pixels a side, but got resolution={resolution}"
        )


def _choose(choose: Choose) -> VisionSpec:
    width = choose.one_of("width", _WIDTHS)
    layers = range(1, choose.one_of("depth", _DEPTHS) + 1)
    chosen = [(choose.one_of(f"heads{i}", _HEADS), choose.one_of(f"ratio{i}", _RATIOS)) for i in layers]
    heads, ratios = zip(*chosen, strict=True)
    return VisionSpec(width, heads, ratios)


def _build(choose: Choose, fidelity: Fidelity, classes: int, in_channels: int, resolution: int) -> VisionTransformer:
    check_resolution("vit", fidelity.resolution or resolution)
    return VisionTransformer(_choose(choose), fidelity, classes, in_channels, fidelity.resolution or resolution)


def _write(choices: Choices) -> str:
    chosen = dict(choices)
    layers = [str(i) for i in range(1, int(str(chosen["depth"])) + 1)]
    heads, ratios = ["-".join([str(chosen[name + i]) for i in layers]) for name in ("heads", "ratio")]
    return f"{chosen['width']}:{heads}:{ratios}"


def _read(text: str) -> Choices:
    widths = "|".join(map(str, _WIDTHS))
    match = re.fullmatch(rf"({widths}):([34](?:-[34])*):((?:3\.5|4\.0)(?:-(?:3\.5|4\.0))*)", text)
    depth = len(match[2].split("-")) if match else 0
    if not match or depth != len(match[3].split("-")) or depth not in _DEPTHS:
        raise InputError(
            "an architecture of space vit reads WIDTH:HEADS-…:RATIO-…, with 192, 216 or 240, 12 to 14 heads of 3 or 4, "
            f"and as many ratios of 3.5 or 4.0, but got {text!r}"
        )
    pairs = enumerate(zip(match[2].split("-"), match[3].split("-"), strict=True), start=1)
    each = [choice for i, (h, r) in pairs for choice in ((f"heads{i}", int(h)), (f"ratio{i}", float(r)))]
    return (("width", int(match[1])), ("depth", depth), *each)
