from __future__ import annotations

import pytest
from torch import nn

from zerocost.base.errors import InputError
from zerocost.samplers import EvolutionSampler
from zerocost.samplers.strategies import make_sampler, names
from zerocost.search.pipeline import search
from zerocost.spaces import Fidelity, from_function, get

SPACE = from_function(lambda choose: nn.Linear(choose.int("width", 1, 40), 1), "linear")
SETTINGS = {"candidates": 10, "proxies": "log_synflow", "keep": 1, "epochs": 0}
TINY = Fidelity(width=0.25, depth=0.1, resolution=8, batch=8)


@pytest.mark.parametrize("strategy", names())
def test_every_strategy_searches_and_is_deterministic(strategy):
    space = "nasbench201" if strategy == "gradient" else "cnn"
    first, second = (search(space, "digits:8", strategy=strategy, fidelity=TINY, **SETTINGS) for _ in range(2))
    assert len(first.order) == len(set(first.order)) == 10
    assert first.order == second.order
    assert first.table.frame.equals(second.table.frame)


def test_a_sampler_does_the_same_as_its_name():
    space = get("cnn", resolution=8)
    named = search(space, "digits:8", strategy="evolution", fidelity=TINY, seed=3, **SETTINGS)
    sampler = EvolutionSampler(space, seed=3, population=4, tournament=2)
    given = search(space, "digits:8", strategy=sampler, fidelity=TINY, **SETTINGS, seed=3)
    assert given.order == named.order


def test_evolution_has_children_within_a_small_budget():
    """With a population of 30 its first 30 proposals would be those of random search."""
    names = "evolution", "random"
    one, other = (search("cnn", "digits:8", strategy=name, fidelity=TINY, **SETTINGS).order for name in names)
    assert one != other


def test_strategies_that_cannot_do_what_is_asked_say_so():
    with pytest.raises(InputError, match="did you mean 'evolution'"):
        make_sampler("evolutoin", SPACE)
    with pytest.raises(InputError, match="has one objective, but got 2"):
        make_sampler("cmaes", SPACE, objectives=2)
    with pytest.raises(InputError, match="takes no warm-up"):
        make_sampler("tpe", SPACE, guide=len, warmup=5)
    with pytest.raises(InputError, match="a method mixture"):
        make_sampler("gradient", SPACE)
