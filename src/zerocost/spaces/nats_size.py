"""Space `nats_size`: the size space of NATS-Bench, one cell with 32,768 choices of channels."""

from __future__ import annotations

import re
from functools import partial

from zerocost.base.errors import InputError
from zerocost.base.fidelity import Fidelity
from zerocost.spaces.base import check_sizes
from zerocost.spaces.choose import Choose
from zerocost.spaces.coded import Choices, Code, CodedSpace
from zerocost.spaces.nasbench201 import CellNetwork

_CELL = ("nor_conv_3x3", "nor_conv_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_3x3", "nor_conv_3x3")
"""The operations of every cell: the NAS-Bench-201 cell that was best on CIFAR-100."""
_CHANNELS = range(8, 65, 8)
_LAYERS = ("cell1", "reduction1", "cell2", "reduction2", "cell3")


def space(classes: int = 10, in_channels: int = 3, resolution: int = 32) -> CodedSpace:
    """The size space of NATS-Bench (Dong et al., TPAMI 2021): 32,768 networks, written as five channel counts.

    The network is that of NAS-Bench-201 with one cell a stage, always the same, so that it has five layers: cell,
    reduction, cell, reduction, cell. Each has 8, 16 … or 64 channels; the stem has those of the first. `8:16:32:48:64`
    is one of them. Iteration follows the benchmark's index. At full fidelity `build` gives the network the benchmark
    trained: 11,714 to 713,674 parameters for 10 classes. No two architectures are twins.

    A fidelity's `width` scales channels; its `depth` changes nothing, as a stage has only one cell. The network takes
    images of any size; `resolution` is not used.

    Raises:
        InputError: fewer than one class or channel.

    >>> nats = space()
    >>> nats.size, sum(p.numel() for p in nats.build(nats.parse("8:8:16:40:40")).parameters())
    (32768, 107826)
    """
    check_sizes("nats_size", classes, in_channels)
    build = partial(_build, classes=classes, in_channels=in_channels)
    return CodedSpace("nats_size", _choose, build, len(_CHANNELS) ** len(_LAYERS), Code(_write, _read))


def _choose(choose: Choose) -> list[int]:
    return [choose.int(layer, _CHANNELS[0], _CHANNELS[-1], _CHANNELS.step) for layer in _LAYERS]


def _build(choose: Choose, fidelity: Fidelity, classes: int, in_channels: int) -> CellNetwork:
    channels = [fidelity.channels(full) for full in _choose(choose)]
    return CellNetwork(_CELL, channels, in_channels, classes)


def _write(choices: Choices) -> str:
    return ":".join([str(channels) for _, channels in choices])


def _read(text: str) -> Choices:
    if not re.fullmatch(":".join([f"({'|'.join(map(str, _CHANNELS))})"] * len(_LAYERS)), text):
        raise InputError(
            f"an architecture of space nats_size is {len(_LAYERS)} of {', '.join(map(str, _CHANNELS))} "
            f"joined by colons, such as '8:16:32:48:64', but got {text!r}"
        )
    return tuple(zip(_LAYERS, map(int, text.split(":")), strict=True))
