from __future__ import annotations

import numpy as np
import pytest

import zerocost as zc
from zerocost.base.errors import InputError
from zerocost.spaces import distinct, from_function
from zerocost.tuning.trained import accuracies


def network(choose):
    from torch import nn

    width = choose.int("width", 4, 40, step=4)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))


def test_a_table_over_a_space_of_ones_own_is_evaluated_like_any_benchmark(tmp_path):
    space = from_function(network)
    texts = [str(arch) for arch in distinct(space, 10, np.random.default_rng(0))]
    lines = [f"{text},{50 + int(text.split('=')[1])}" for text in texts]
    (tmp_path / "mine.csv").write_text("\n".join(["arch,accuracy", *lines]))
    mine = zc.benchmarks.read(tmp_path / "mine.csv", space, dataset="small digits", epochs=3, data="digits:8")
    assert mine.query("width=8", **mine.default._asdict()) == 58
    found = zc.evaluate(mine, "snip", n=10, seeds=1, k=3, resamples=20)
    assert found.table.loc["params", "spearman"] == pytest.approx(1)
    assert (found.settings["benchmark"], found.settings["data"]) == ("network", "digits:8")


def test_what_is_no_architecture_of_the_space_is_named_by_its_line(tmp_path):
    (tmp_path / "mine.csv").write_text("arch,accuracy\nwidth=5,60\n")
    with pytest.raises(InputError, match=r"line 2 of .*width=5"):
        zc.benchmarks.read(tmp_path / "mine.csv", from_function(network), dataset="digits", epochs=3)


def test_where_a_name_does_not_tell_the_direction_read_is_told(tmp_path):
    space = from_function(network)
    lines = [f"width={width},{width},{100 - width}" for width in range(4, 41, 4)]
    (tmp_path / "mine.csv").write_text("\n".join(["arch,defects,loss_of_weight", *lines]))
    known = {"dataset": "digits", "epochs": 3, "data": "digits:8"}
    mine = zc.benchmarks.read(tmp_path / "mine.csv", space, **known, less_is_better="defects")
    assert mine.less_is_better == ("defects",)
    found = zc.evaluate(mine, "params", n=10, seeds=1, k=3, resamples=5)
    assert found.table.loc["params", "kendall"] == pytest.approx(-1)
    assert "defects on digits after 3 epochs, seed mean, less is better" in repr(found)
    found.save(tmp_path / "found.json")
    assert not zc.Evaluation.load(tmp_path / "found.json").higher_is_better
    assert zc.benchmarks.read(tmp_path / "mine.csv", space, **known).less_is_better == ("loss_of_weight",)
    assert accuracies(mine, space).max() == -4
    with pytest.raises(InputError, match=r"defect.*did you mean 'defects'"):
        zc.benchmarks.read(tmp_path / "mine.csv", space, **known, less_is_better=["defect"])


def test_the_space_may_be_a_function_and_nothing_else(tmp_path):
    (tmp_path / "mine.csv").write_text("arch,accuracy\nwidth=4,60\n")
    mine = zc.benchmarks.read(tmp_path / "mine.csv", network, dataset="digits", epochs=3)
    assert mine.name == "network" and mine.query("width=4") == 60
    with pytest.raises(InputError, match=r"space must be a SearchSpace, .*, or a function of choices, but got 'cnn'"):
        zc.benchmarks.read(tmp_path / "mine.csv", "cnn", dataset="digits", epochs=3)
