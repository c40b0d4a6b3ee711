"""Space `bert`: the encoders of FlexiBERT."""

from __future__ import annotations

import re
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zerocost.base.errors import InputError
from zerocost.base.fidelity import Fidelity
from zerocost.spaces.attention import initialise_normal
from zerocost.spaces.bert_operations import OPERATIONS, Transform
from zerocost.spaces.choose import Choose
from zerocost.spaces.coded import Choices, Code, CodedSpace

_EMBEDDING = 128
_POSITIONS = 512
_WIDTHS = (128, 256)
_DEPTHS = (2, 4)
_HEADS = (2, 4)
_PERCEPTRONS = ("512x1", "512x3", "1024x1", "1024x3")


class _Layer(NamedTuple):
    """The choices of one layer."""

    operation: str
    heads: int
    perceptron: str


class Perceptron(nn.Module):
    """`count` linear layers of `hidden` features, each with an activation, and one back; with a skip and a norm."""

    def __init__(self, width: int, hidden: int, count: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for inputs in [width, *[hidden] * (count - 1)]:
            self.layers.append(nn.Linear(inputs, hidden))
            self.layers.append(nn.GELU())
        self.layers.append(nn.Linear(hidden, width))
        self.norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x + self.layers(x))
        return y


class Mixed(nn.Module):
    """An operation and a linear layer, with a skip and a norm."""

    def __init__(self, operation: nn.Module, width: int) -> None:
        super().__init__()
        self.operation = operation
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x + self.output(self.operation(x)))
        return y


class Encoder(nn.Module):
    """Token ids N × T to logits N × `classes`, read from the first token."""

    def __init__(self, width: int, layers: list[_Layer], fidelity: Fidelity, vocabulary: int, classes: int) -> None:
        super().__init__()
        embedding, width = fidelity.channels(_EMBEDDING, multiple=8), fidelity.channels(width, multiple=8)
        self.tokens = nn.Embedding(vocabulary, embedding)
        self.positions = nn.Embedding(_POSITIONS, embedding)
        self.segments = nn.Embedding(2, embedding)
        self.norm = nn.LayerNorm(embedding, eps=1e-12)
        self.projection = nn.Identity() if embedding == width else nn.Linear(embedding, width)
        self.layers = nn.Sequential()
        for layer in layers[: fidelity.layers(len(layers))]:
            operation = OPERATIONS[layer.operation](width, layer.heads)
            self.layers.append(operation if isinstance(operation, Transform) else Mixed(operation, width))
            hidden, count = map(int, layer.perceptron.split("x"))
            self.layers.append(Perceptron(width, fidelity.channels(hidden), count))
        self.classifier = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, classes))
        initialise_normal(self)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.tokens(tokens) + self.positions(places) + self.segments(torch.zeros_like(places))
        logits: Tensor = self.classifier(self.layers(self.projection(self.norm(x)))[:, 0])
        return logits


def space(vocabulary: int = 30_522, classes: int = 2) -> CodedSpace:
    """FlexiBERT (Tuli et al., 2022) as in NAS-Bench-BERT (Serianni and Kalita, ACL 2023): 10,621,440 encoders.

    They are written as in the benchmark, `128|LT:DFT:4:512x1|SA:SDP:2:1024x3`: the width (128 or 256), and for each of
    two or four layers the operation, its heads (2 or 4) and the perceptron's features (512 or 1024) × its linear layers
    (1 or 3).

    ==================  =============================================================
    operation           meaning
    ==================  =============================================================
    `SA:SDP`, `SA:WMA`  self-attention, scaled dot product or weighted multiplicative
    `LT:DFT`, `LT:DCT`  linear layer and Fourier or cosine transform, without skip
    `DSC:5`, `DSC:9`    half attention, half dynamic span convolution of this kernel
    ==================  =============================================================

    The network is the authors' PyTorch one, with ELECTRA's embedding and head for classification: token ids N×T, with T
    at most 512, to logits N × `classes`. Dropout is left out. No two architectures are twins.

    A fidelity's `width` scales all features, its `depth` removes the last layers; the length is that of the data.

    Args:
        vocabulary: number of different tokens.
        classes: number of outputs.

    Raises:
        InputError: no token or class.

    >>> bert = space(vocabulary=100)
    >>> arch = bert.parse("128|LT:DFT:4:512x1|SA:SDP:2:1024x3")
    >>> bert.size, bert.build(arch)(torch.zeros(2, 16, dtype=torch.long)).shape
    (10621440, torch.Size([2, 2]))
    """
    if min(vocabulary, classes) < 1:
        raise InputError(
            f"space bert needs vocabulary >= 1 and classes >= 1, but got vocabulary={vocabulary}, classes={classes}"
        )
    build = partial(_build, vocabulary=vocabulary, classes=classes)
    layers = len(OPERATIONS) * len(_HEADS) * len(_PERCEPTRONS)
    size = len(_WIDTHS) * sum(layers**depth for depth in _DEPTHS)
    return CodedSpace("bert", _choose, build, size, Code(_write, _read))


def _choose(choose: Choose) -> tuple[int, list[_Layer]]:
    width = choose.one_of("width", _WIDTHS)
    return width, [
        _Layer(
            choose.one_of(f"operation{i}", tuple(OPERATIONS)),
            choose.one_of(f"heads{i}", _HEADS),
            choose.one_of(f"perceptron{i}", _PERCEPTRONS),
        )
        for i in range(1, choose.one_of("layers", _DEPTHS) + 1)
    ]


def _build(choose: Choose, fidelity: Fidelity, vocabulary: int, classes: int) -> Encoder:
    return Encoder(*_choose(choose), fidelity, vocabulary, classes)


def _write(choices: Choices) -> str:
    chosen = {name: str(value) for name, value in choices}
    layers = range(1, int(chosen["layers"]) + 1)
    names = ("operation", "heads", "perceptron")
    return "|".join([chosen["width"], *[":".join([chosen[f"{name}{i}"] for name in names]) for i in layers]])


def _read(text: str) -> Choices:
    width, *layers = text.split("|")
    form = f"({'|'.join(OPERATIONS)}):([24]):({'|'.join(_PERCEPTRONS)})"
    matches = [re.fullmatch(form, layer) for layer in layers]
    if width not in map(str, _WIDTHS) or len(layers) not in _DEPTHS or None in matches:
        raise InputError(
            "an architecture of space bert reads WIDTH|LAYER|…, such as '128|LT:DFT:4:512x1|SA:SDP:2:1024x3', with 128 "
            "or 256 and two or four layers OPERATION:HEADS:FEATURESxLAYERS; operations are "
            f"{', '.join(OPERATIONS)}, heads 2 or 4, perceptrons {', '.join(_PERCEPTRONS)}; but got {text!r}"
        )
    each = [
        choice
        for i, match in enumerate(matches, start=1)
        if match
        for choice in ((f"operation{i}", match[1]), (f"heads{i}", int(match[2])), (f"perceptron{i}", match[3]))
    ]
    return (("width", int(width)), ("layers", len(layers)), *each)
