"""Objectives: what is wanted, as numbers, a front and an order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import zerocost as zc
from zerocost.base.errors import InputError
from zerocost.combine import as_combination
from zerocost.search.objectives import Objectives, read_objectives
from zerocost.tasks.metrics import minimised

JUDGED = pd.DataFrame(
    {"snip": [1.0, 3.0, 2.0, np.nan], "naswot": [1.0, 2.0, 3.0, np.nan], "params": [10.0, 30.0, 30.0, 5.0]},
    index=["a", "b", "c", "d"],
)


def test_the_score_is_the_log_rank_sum_within_all_that_was_measured():
    wanted = Objectives(("score",), as_combination("snip,naswot"))
    few, all_ = wanted.values(JUDGED.loc[["a", "b"]]), wanted.values(JUDGED)
    assert few.loc["b", "score"] == 0 > few.loc["a", "score"]
    assert all_.loc["b", "score"] < 0
    assert np.isnan(all_.loc["d", "score"])


def test_one_that_lacks_an_objective_has_no_fitness_and_is_on_no_front():
    for names in (("score",), ("score", "params")):
        wanted = Objectives(names, as_combination("snip"))
        assert np.isnan(wanted.fitness(JUDGED)["d"])
        assert "d" not in wanted.front(JUDGED)
    assert Objectives(("score", "params"), as_combination("snip")).front(JUDGED) == ["a", "b"]


@pytest.mark.parametrize("name", ["params", "flops", "latency", "raspi4_latency", "edgegpu_energy", "memory"])
def test_sizes_latencies_and_energies_are_made_small(name):
    assert minimised(name)
    assert Objectives((name, "snip")).directions == ["minimize", "maximize"]


@pytest.mark.parametrize("wrong", [3, object(), ["params"], None])
def test_what_is_no_name_and_no_function_is_no_objective(wrong):
    with pytest.raises(InputError, match="objectives are names and functions"):
        read_objectives(["score", wrong])
    with pytest.raises(InputError, match="objectives are names and functions of an architecture, but got 3"):
        read_objectives(3)


def test_names_are_read_from_a_text_or_a_sequence_each_once():
    for given in ("score, params,score", ["score", "params"]):
        assert list(read_objectives(given)) == ["score", "params"]


def test_a_proxy_with_options_is_one_name_however_it_is_written():
    for given in ("score,zico(mode=eval, parts=4)", ["score", "zico( parts = 4,mode=eval)"]):
        assert list(read_objectives(given)) == ["score", "zico(mode=eval, parts=4)"]


def test_a_decorated_function_is_its_proxy(registries):
    @zc.proxy(paper="none")
    def all_weights(weights):
        return sum(weight.sum() for weight in weights)

    assert read_objectives(["score", all_weights]) == {"score": "score", "all_weights": "all_weights"}
    assert read_objectives(all_weights) == {"all_weights": "all_weights"}
