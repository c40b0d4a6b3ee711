from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.base.errors import InputError
from zerocost.predict import learn, next_for_front
from zerocost.statistics.pareto import hypervolume


def known(count=40, trained=(3, 30), seed=0):
    """A belief about networks whose accuracy rises with size, and minus their size."""
    rng, names = np.random.default_rng(seed), [f"net{i}" for i in range(count)]
    size = pd.Series(np.arange(count, dtype=float), names)
    score = size + rng.normal(scale=5, size=count)
    accuracy = {names[i]: float(np.sqrt(size.iloc[i]) + rng.normal(scale=0.2)) for i in trained}
    features = pd.DataFrame({"count:size": size})
    return learn(features, score, accuracy), pd.DataFrame({"params": -size})


def test_the_first_is_the_one_that_promises_the_most_hypervolume():
    belief, others = known()
    promise = belief.hoped
    reference = [belief.mean.median(), others["params"].min() - 0.1 * 39]
    front = [[value, others["params"][name]] for name, value in belief.trained.items()]
    gains = {
        name: hypervolume([*front, [promise[name], others["params"][name]]], reference)
        for name in belief.mean.index.difference(belief.trained.index)
    }
    assert next_for_front(belief, others) == [max(gains, key=gains.get)]


def test_choices_spread_over_the_other_objective():
    belief, others = known(trained=())
    sizes = sorted(-others["params"][next_for_front(belief, others, 5)])
    assert sizes[-1] - sizes[0] > 10
    assert -others["params"][belief.next(5)].mean() > np.mean(sizes)


def test_nothing_is_chosen_twice_and_no_more_than_are_left():
    belief, others = known(count=6, trained=(0, 4))
    chosen = next_for_front(belief, others, 9)
    assert sorted(chosen) == ["net1", "net2", "net3", "net5"]


def test_the_unit_of_an_objective_does_not_matter():
    belief, others = known()
    assert next_for_front(belief, others, 6) == next_for_front(belief, 1000 * others - 7, 6)


def test_three_objectives():
    belief, others = known()
    more = others.assign(depth=np.random.default_rng(1).permutation(40))
    assert len(set(next_for_front(belief, more, 6))) == 6


@pytest.mark.parametrize(("k", "lost", "words"), [(0, 0, "k must be at least 1"), (2, 1, "'net39' lacks an objective")])
def test_what_cannot_be_chosen_is_refused(k, lost, words):
    belief, others = known()
    with pytest.raises(InputError, match=words):
        next_for_front(belief, others.iloc[: 40 - lost], k)
