from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import zerocost as zc
from zerocost.base.errors import Failure, InputError
from zerocost.data import Batch
from zerocost.scoring.candidates import initialise
from zerocost.scoring.memory import memory_by_layer
from zerocost.testing.zoo import ZOO

NAMES = [name + ending for name in ("peak_memory", "flash") for ending in ("", "_fp16", "_int8")]


@pytest.mark.parametrize("name", ["residual", "squeeze-excite", "weight-norm", "vit", "lstm"])
def test_layers_make_up_the_whole(name: str) -> None:
    model, inputs = initialise(ZOO[name].build), ZOO[name].batch(2, seed=0)[0]
    card, layers = zc.score(model, Batch(inputs, None), NAMES), memory_by_layer(model, inputs)
    assert {n: layers[n].max() if n.startswith("peak") else layers[n].sum() for n in NAMES} == dict(card.scores)


def test_each_layer_has_what_is_alive_and_what_it_reads_first() -> None:
    """Shapes 3×8×8, 4×8×8, 4×8×8 in place, 4×4×4, 10; the convolution has 112 weights, the last layer 650."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))
    found = memory_by_layer(net, torch.zeros(1, 3, 8, 8))
    assert list(found["layer"]) == ["0", "1", "2", "4"]
    assert list(found["peak_memory_int8"]) == [192 + 256, 256, 256 + 64, 64 + 10]
    assert list(found["flash_int8"]) == [112, 0, 0, 650]


def test_what_cannot_be_measured_is_named() -> None:
    with pytest.raises(InputError, match=r"takes a torch\.nn\.Module, but got str"):
        memory_by_layer("net", torch.zeros(1, 4))  # type: ignore[arg-type]
    with pytest.raises(Failure, match="the network raised"):
        memory_by_layer(_Broken(), torch.zeros(1, 4))


class _Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no")


class Nested(nn.Module):
    """Runs an operation of its own between those of its parts; a part that raises is got over."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.pool, self.broken = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.MaxPool1d(2), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        try:
            self.broken(x)
        except RuntimeError:
            x = x * 2
        return self.pool(self.body(x) + x)


def test_an_operation_without_weights_has_the_module_that_runs_it() -> None:
    found = memory_by_layer(Nested(), torch.zeros(1, 4))
    assert list(found["layer"]) == ["", "body.0", "body.1", "", "pool"]
