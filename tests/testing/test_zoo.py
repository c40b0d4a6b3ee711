from __future__ import annotations

import pytest
import torch
from torch import nn

from zerocost.scoring.candidates import initialise
from zerocost.testing.state import model_state
from zerocost.testing.zoo import CLASSES, ZOO, CNNModel

RAISE_OR_OVERFLOW = {"raises", "overflows"}


@pytest.mark.parametrize("label", ZOO)
def test_each_network_takes_its_batch(label):
    specimen = ZOO[label]
    inputs, labels = specimen.batch(5, seed=0)
    again, other = specimen.batch(5, seed=0)[0], specimen.batch(5, seed=1)[0]
    assert repr(again) == repr(inputs) != repr(other)
    assert labels.tolist() == [0, 1, 2, 3, 0] and labels.max() < CLASSES
    model = initialise(specimen.build)
    assert isinstance(model, nn.Module) and initialise(specimen.build) is not model
    if label not in RAISE_OR_OVERFLOW:
        given = inputs if isinstance(inputs, tuple) else ((), inputs) if isinstance(inputs, dict) else (inputs,)
        outputs = model(**inputs) if isinstance(inputs, dict) else model(*given)
        outputs = outputs["out"] if isinstance(outputs, dict) else getattr(outputs, "logits", outputs)
        assert len(outputs) == 5 and outputs.shape[1] >= CLASSES and bool(outputs.isfinite().all())


def test_the_difficult_ones_are_as_difficult_as_they_say():
    x = ZOO["raises"].batch(3, seed=0)[0]
    with pytest.raises(ValueError, match="no use for"):
        ZOO["raises"].build()(x)
    assert not ZOO["overflows"].build().double()(x.double()).isfinite().all()
    images = ZOO["dead"].batch(3, seed=0)[0]
    dead = ZOO["dead"].build()
    assert torch.equal(dead(images), dead(images * 2))
    model = ZOO["stateful"].build()
    before = model_state(model)
    model(x)
    assert model_state(model) != before


def test_the_plain_cnn_is_the_one_of_the_example():
    model = CNNModel(channels=8, classes=10)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if p.ndim > 1}
    assert shapes == {
        "conv1.weight": (8, 3, 3, 3),
        "conv2.weight": (16, 8, 3, 3),
        "fc1.weight": (128, 16 * 32 * 32),
        "fc2.weight": (10, 128),
    }
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)
