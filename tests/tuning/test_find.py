from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.combine.ranks import log_rank
from zerocost.tuning.find import find_recipe, kendall_tau

METHODS = ("log_rank", "rank_mean")


def test_the_setting_and_the_signs_that_tell_are_found(frames, accuracy, default):
    found = find_recipe(frames, accuracy, default, trials=60, methods=METHODS)
    assert found.setting.fidelity == "full"
    assert found.weights["good"] > 0.3
    assert found.weights.get("bad", 0) <= 0
    assert max(map(abs, found.weights.values())) == 1
    assert "dead" not in found.weights
    assert found.kendall > 0.6


def test_the_same_seed_finds_the_same(frames, accuracy, default):
    first, second = (find_recipe(frames, accuracy, default, trials=20, seed=3) for _ in range(2))
    assert first == second


def test_noise_does_not_talk_the_default_away(accuracy, default):
    rng = np.random.default_rng(4)
    names = ["noise", "good", *[f"proxy-{i}" for i in range(8)]]
    frame = pd.DataFrame(rng.normal(size=(12, 10)), accuracy.index[:12], names)
    frame["good"] = accuracy[:12]
    frame["noise"] = accuracy[:12] + rng.normal(0, 0.02, 12)
    found = find_recipe({default.setting: frame}, accuracy[:12], default, trials=50)
    others = sum(abs(w) for n, w in found.weights.items() if n not in default.weights)
    assert others < sum(found.weights[n] for n in default.weights)


def test_few_trials_start_at_the_default(frames, accuracy, default):
    found = find_recipe(frames, accuracy, default, trials=1)
    assert found.weights == pytest.approx(default.weights)
    values = log_rank(frames[default.setting][["noise", "good"]])
    assert found.kendall == pytest.approx(kendall_tau(values, accuracy))


def test_a_part_of_the_default_that_failed_everywhere_gets_no_weight(frames, accuracy, default):
    failing = default._replace(weights=default.weights | {"failed": 1.0})
    few = {setting: frame.assign(failed=np.nan) for setting, frame in frames.items()}
    assert find_recipe(few, accuracy, failing, trials=20) == find_recipe(frames, accuracy, default, trials=20)
    none = {setting: frame[["failed"]] for setting, frame in few.items()}
    assert find_recipe(none, accuracy, failing._replace(weights={"failed": 1.0}), trials=2).kendall == 0


def test_kendall_of_equal_values_is_none_and_of_equal_accuracies_unknown():
    some = pd.Series([1.0, 2.0, 3.0])
    assert kendall_tau(pd.Series([1.0, 1.0, 1.0]), some) == 0
    assert np.isnan(kendall_tau(some, pd.Series([1.0, 1.0, 1.0])))
    assert kendall_tau(pd.Series([np.nan, 2.0, 3.0]), some) == 1
