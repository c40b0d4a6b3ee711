from __future__ import annotations

import logging
import random
from collections import OrderedDict, deque

import numpy as np
import pytest
import torch
from torch import nn

from zerocost.engine.model.guard import Snapshot
from zerocost.testing.state import model_state


class Keeps(nn.Module):
    """Keeps one of everything that is restored."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("buffer", torch.zeros(2))
        self.count, self.text, self.nothing = 1, "a", None
        self.list, self.nested = [1, 2], {"a": [1, {"b": 2}]}
        self.deque, self.set, self.pair = deque([1]), {1}, ([1], 2)
        self.ordered = OrderedDict(a=1)
        self.tensor, self.array = torch.ones(2), np.ones(2)
        self.generators = [torch.Generator(), random.Random(0), np.random.default_rng(0)]
        self.unregistered = [nn.BatchNorm1d(2)]
        self.itself = [self]


def change_everything(model):
    model.count, model.text, model.nothing, model.added = 2, "b", [], 1
    del model.list[0]
    model.nested["a"][1]["b"] = 3
    model.nested["c"] = 4
    model.deque.append(2)
    model.set.add(2)
    model.pair[0].append(1)
    model.ordered["b"] = 2
    model.tensor.add_(1)
    model.array += 1
    torch.rand(1, generator=model.generators[0])
    model.generators[1].random()
    model.generators[2].random()
    model.unregistered[0](torch.rand(3, 2))
    model.buffer = torch.ones(2)
    model.layer.weight = nn.Parameter(torch.zeros(1))
    model.layer.register_forward_hook(print)
    model.extra = nn.Linear(1, 1)
    model.register_buffer("more", torch.ones(1))
    model.eval()


def test_everything_that_changed_is_put_back():
    model = Keeps()
    before, generators = (
        model_state(model),
        [str(model.generators[1].getstate()), str(model.generators[2].__getstate__())],
    )
    running = model.unregistered[0].running_mean.clone()
    snapshot = Snapshot(model)
    change_everything(model)
    assert model_state(model) != before
    snapshot.put_back()
    assert model_state(model) == before
    assert torch.equal(model.unregistered[0].running_mean, running)
    assert [str(model.generators[1].getstate()), str(model.generators[2].__getstate__())] == generators


def test_it_can_be_put_back_more_than_once():
    model = Keeps()
    before, snapshot = model_state(model), Snapshot(model)
    for _ in range(2):
        change_everything(model)
        snapshot.put_back()
        assert model_state(model) == before


def test_a_write_through_data_is_seen():
    model = Keeps()
    snapshot = Snapshot(model)
    model.tensor.data.add_(1)
    snapshot.put_back()
    assert torch.equal(model.tensor, torch.ones(2))


def test_an_unchanged_tensor_is_not_written_to():
    model = Keeps()
    snapshot, version = Snapshot(model), model.tensor._version
    used = model.tensor.requires_grad_() * 2
    snapshot.put_back()
    assert model.tensor._version == version
    used.sum().backward()


def test_tensors_that_cannot_be_copied_are_left_alone():
    model = nn.Module()
    model.meta, model.sparse = torch.ones(2, device="meta"), torch.eye(2).to_sparse()
    Snapshot(model).put_back()


@pytest.mark.parametrize("copied", [True, False])
def test_places_hold_every_occurrence_of_a_tensor(copied):
    model = Keeps()
    weight = model.layer.weight
    model.alias, model.tied = [weight], nn.Linear(2, 2)
    model.tied.weight = weight
    model.in_a_tuple = (weight,)
    own = frozenset(id(t) for t in (*model.parameters(), *model.buffers())) if copied else frozenset()
    places = [p for p in Snapshot(model, own).places if p.tensor is weight]
    assert len(places) == 3
    for place in places:
        place.holder[place.key] = None
    assert model.layer.weight is None and model.tied.weight is None and model.alias == [None]


class Cache:
    """A plain object with attributes, of which a class inherits slots."""

    __slots__ = ("key", "unset")

    def __init__(self):
        self.key = None


class Counting(Cache):
    def __init__(self):
        super().__init__()
        self.count, self.tensor = 0, torch.zeros(1)


def test_attributes_of_plain_objects_are_put_back():
    model = nn.Identity()
    model.cache = cache = Counting()
    snapshot = Snapshot(model)
    cache.key, cache.unset, cache.count, cache.added = torch.ones(1), 1, 1, 1
    cache.tensor += 1
    snapshot.put_back()
    assert (cache.key, cache.count, cache.tensor.item()) == (None, 0, 0)
    assert not hasattr(cache, "unset") and not hasattr(cache, "added")


def test_tensors_in_plain_objects_are_places():
    model = nn.Identity()
    model.cache = Counting()
    model.cache.key = torch.ones(1)
    assert {id(place.tensor) for place in Snapshot(model).places} == {id(model.cache.key), id(model.cache.tensor)}


def test_objects_of_libraries_are_not_looked_into():
    model = nn.Identity()
    model.logger = logging.getLogger("zerocost.tests.guard")
    snapshot = Snapshot(model)
    model.logger.seen = 1
    snapshot.put_back()
    assert model.logger.seen == 1
