from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure, InputError
from zerocost.base.seeding import generator_state, seeded
from zerocost.scoring.candidates import initialise
from zerocost.testing.state import global_state


def draw():
    return torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random()


def test_what_is_imported_late_draws_no_number_of_pythons():
    script = (
        "import random; before = random.getstate(); import zerocost; zerocost.data.load('digits:8'); "
        "assert random.getstate() == before"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_seed_holds_inside_and_nothing_outside_notices():
    before = global_state()
    with seeded(3):
        first = draw()
    assert global_state() == before
    draw()
    with seeded(3):
        assert draw() == first
    with seeded(4):
        assert draw() != first


def test_generators_are_given_back_when_something_raises():
    before = global_state()
    with pytest.raises(KeyboardInterrupt), seeded(0):
        draw()
        raise KeyboardInterrupt
    assert global_state() == before


@pytest.mark.parametrize("seed", [0, -1, 2**40])
def test_seeds_of_any_size(seed):
    with seeded(seed):
        first = draw()
    with seeded(seed):
        assert draw() == first


def test_nested_seeds():
    with seeded(0):
        draw()
        with seeded(1):
            inner = draw()
        after = draw()
    with seeded(0):
        draw()
        assert draw() == after
    with seeded(1):
        assert draw() == inner


def test_the_generator_state_tells_whether_a_number_was_drawn():
    cpu = torch.device("cpu")
    before = generator_state(cpu)
    torch.ones(3) + 1
    assert generator_state(cpu) == before
    torch.rand(1)
    assert generator_state(cpu) != before


def test_initial_weights_depend_on_the_seed_alone():
    one, two, other = (initialise(lambda: nn.Linear(3, 3), seed).weight for seed in (5, 5, 6))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_a_finished_module_is_returned_as_it_is():
    model = nn.Linear(2, 2)
    assert initialise(model, 3) is model


def test_a_builder_that_raises_is_a_failure_and_one_that_builds_no_module_an_input_error():
    def broken():
        raise ZeroDivisionError("by zero")

    with pytest.raises(Failure, match="building the network raised ZeroDivisionError: by zero"):
        initialise(broken)
    with pytest.raises(InputError, match=r"must build a torch.nn.Module, but got dict"):
        initialise(dict)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "a", True, None])
def test_a_seed_out_of_range_is_refused(seed):
    batch = torch.zeros(4, 2), torch.zeros(4, dtype=torch.long)
    for call in (zc.score, lambda model, data, proxies, seed: zc.rank([model], data, proxies, batch=4, seed=seed)):
        with pytest.raises(zc.InputError, match="seed must be a whole number from 0"):
            call(torch.nn.Linear(2, 2), batch, "params", seed=seed)
    with pytest.raises(zc.InputError, match="seed must be"):
        zc.data.draw(batch, 2, seed=seed)
