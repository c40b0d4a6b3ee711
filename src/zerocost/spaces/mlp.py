"""Space `mlp`: perceptrons for tables, with embeddings of their categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from zerocost.base.errors import InputError
from zerocost.base.fidelity import Fidelity
from zerocost.spaces.choices import ChoiceSpace
from zerocost.spaces.choose import Choose
from zerocost.spaces.layers import ACTIVATIONS

_WIDTHS = (16, 32, 64, 128, 256)
_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}
_RATES = (0.0, 0.1, 0.3)
_EMBEDDINGS = (2, 8, 16)


@dataclass(frozen=True)
class Spec:
    """The choices of one network."""

    depth: int
    width: int
    taper: bool
    norm: str
    activation: str
    residual: bool
    dropout: float
    embedding: int


def _choose_spec(choose: Choose, categories: bool) -> Spec:
    """Ask for every choice of the space; `taper` only where there is a second layer, `embedding` with categories."""
    depth = choose.int("depth", 1, 6)
    return Spec(
        depth=depth,
        width=choose.one_of("width", _WIDTHS),
        taper=choose.bool("taper") if depth > 1 else False,
        norm=choose.one_of("norm", tuple(_NORMS)),
        activation=choose.one_of("activation", tuple(ACTIVATIONS)),
        residual=choose.bool("residual"),
        dropout=choose.one_of("dropout", _RATES),
        embedding=choose.one_of("embedding", _EMBEDDINGS) if categories else 0,
    )


class Block(nn.Module):
    """Linear layer, normalisation, activation, dropout; with a skip around them if residual."""

    def __init__(self, inputs: int, outputs: int, spec: Spec) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = _NORMS[spec.norm](outputs)
        self.activation = ACTIVATIONS[spec.activation]()
        self.dropout = nn.Dropout(spec.dropout) if spec.dropout else nn.Identity()
        self.skip: nn.Module | None = None
        if spec.residual:
            self.skip = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout(self.activation(self.norm(self.linear(x))))
        return y if self.skip is None else y + self.skip(x)


class Columns(nn.Module):
    """Numbers N×F and embeddings of categories N×G side by side, in one tensor of N × `width`."""

    def __init__(self, features: int, categories: Sequence[int], embedding: int) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(codes, embedding) for codes in categories)
        self.width = features + embedding * len(categories)

    def forward(self, *inputs: Tensor) -> Tensor:
        *numbers, codes = inputs
        embedded = [embed(codes[:, column]) for column, embed in enumerate(self.embeddings)]
        return torch.cat([*numbers, *embedded], 1)


class MLP(nn.Module):
    """Blocks of linear layers and a last one: numbers N × `features`, codes N×G or both to N × `outputs`."""

    def __init__(self, spec: Spec, fidelity: Fidelity, features: int, outputs: int, categories: Sequence[int]) -> None:
        super().__init__()
        self.columns = Columns(features, categories, spec.embedding) if categories else nn.Identity()
        width = self.columns.width if isinstance(self.columns, Columns) else features
        blocks: list[nn.Module] = []
        for i in range(fidelity.layers(spec.depth)):
            full = max(8, spec.width >> i) if spec.taper else spec.width
            blocks.append(Block(width, fidelity.channels(full), spec))
            width = fidelity.channels(full)
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Linear(width, outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.blocks(self.columns(*inputs)))
        return outputs


def space(features: int = 8, outputs: int = 1, categories: Sequence[int] = ()) -> ChoiceSpace:
    """Perceptrons of 1 to 6 hidden layers for the rows of a table: 3,960 of them, 11,880 with categories.

    They take N × `features` numbers, N×G codes of categories, or both as two arguments.

    ============  =======================  ==============================================================
    choice        options                  meaning
    ============  =======================  ==============================================================
    `depth`       1 … 6                    hidden layers
    `width`       16, 32, 64, 128, 256     units of the first
    `taper`       no, yes                  each layer has half the units of the one before, at least 8
    `norm`        none, batch, layer       after each linear layer
    `activation`  relu, leaky, gelu, silu  after the normalisation
    `residual`    no, yes                  a skip around each layer, a linear map where widths differ
    `dropout`     0, 0.1, 0.3              share of each layer's outputs left out in training
    `embedding`   2, 8, 16                 numbers that stand for a category; asked only with categories
    ============  =======================  ==============================================================

    No two architectures are twins. A fidelity's `width` scales all layers; its `depth` removes the last of them.

    Args:
        features: columns of numbers.
        outputs: numbers predicted for a row.
        categories: for each column of codes 0, 1, … how many codes there are.

    Raises:
        InputError: no column or output, or a category of less than one code.

    >>> network = space(features=10, outputs=1).build(space(10).parse(
    ...     "depth=2,width=32,taper=True,norm=layer,activation=gelu,residual=False,dropout=0.1"))
    >>> network(torch.zeros(4, 10)).shape
    torch.Size([4, 1])
    """
    if features < 0 or features + len(categories) < 1 or outputs < 1 or any(codes < 1 for codes in categories):
        raise InputError(
            "space mlp needs at least one feature or category, a code in each category and an output, but got "
            f"features={features}, categories={list(categories)}, outputs={outputs}"
        )
    asked = bool(categories)
    build = partial(_build, features=features, outputs=outputs, categories=tuple(categories))
    shapes = len(_WIDTHS) * (1 + 5 * 2)
    others = len(_NORMS) * len(ACTIVATIONS) * 2 * len(_RATES) * (len(_EMBEDDINGS) if asked else 1)
    return ChoiceSpace("mlp", partial(_choose_spec, categories=asked), build, size=shapes * others)


def _build(choose: Choose, fidelity: Fidelity, features: int, outputs: int, categories: Sequence[int]) -> MLP:
    return MLP(_choose_spec(choose, bool(categories)), fidelity, features, outputs, categories)
