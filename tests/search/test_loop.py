from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost import data
from zerocost.base.errors import InputError
from zerocost.base.workers import Workers
from zerocost.predict import Features
from zerocost.search.accuracy import DataSplit
from zerocost.search.follow import Follower
from zerocost.search.loop import train_by_learning
from zerocost.search.pipeline import Pipeline, SearchInterrupted, SearchResult, search
from zerocost.search.plan import make_plan
from zerocost.search.stages import explore_and_refine, follows
from zerocost.statistics.pareto import hypervolume
from zerocost.store import Store
from zerocost.tasks import classification, regression
from zerocost.train.run import Epoch, Run

FIRST = 5


def space(choose):
    width, extra = choose.int("width", 1, 40), choose.int("extra", 0, 9)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10 + extra))


def choices(name):
    return {key: int(value) for key, value in (part.split("=") for part in name.split(","))}


def accuracy(name):
    """Best at width 24 and extra 0, which size does not tell."""
    return 0.9 - abs(choices(name)["width"] - 24) / 100 - choices(name)["extra"] / 50


def loop(metric=accuracy, task=classification, **settings) -> tuple[SearchResult, list[list[str]]]:
    """A search whose trainings are looked up: its result, and what was trained in each round."""
    pipeline = Pipeline(space, proxies="params", **{"candidates": 40, "trainings": 15} | settings)
    rounds: list[list[str]] = []

    def train(names):
        rounds.append(list(names))
        runs = []
        for name in names:
            found = metric(name)
            values = found if isinstance(found, list) else [found]
            for seed, value in enumerate(values):
                epochs = [] if value is None else [Epoch(1, 1.0, 1.0, value, 0.1)]
                failure = "it diverged" if value is None else None
                runs.append(Run.of(name, seed, epochs, failure=failure, higher_is_better=task.higher_is_better))
        return runs

    with ExitStack() as stack:
        fitting, validation = data.split(data.load("digits:8"), 0.2, seed=0)
        store = stack.enter_context(Store(None))
        plan = make_plan(pipeline, DataSplit(fitting, validation, None, task), store, stack)
        result, explored = explore_and_refine(plan, None, lambda *_: None)
        follower = Follower(explored, result) if follows(plan, None) else None
        train_by_learning(plan, result, train, follower)
    return result, rounds


def test_the_budget_is_spent_in_rounds_and_nothing_is_trained_twice():
    result, rounds = loop()
    assert [len(names) for names in rounds] == [FIRST] + [2] * 5
    trained = [name for names in rounds for name in names]
    assert len(set(trained)) == 15
    assert [one.name for one in result.expected] == trained
    assert all(one.mean is None and one.std is None for one in result.expected[:FIRST])
    assert all(0.3 < one.mean < 1.2 and one.std > 0 for one in result.expected[FIRST:])


@pytest.mark.parametrize(("size", "sizes"), [(1, [5] + [1] * 10), (4, [5, 4, 4, 2]), (8, [8, 7])])
def test_rounds_have_the_size_that_is_asked_for(size, sizes):
    assert [len(names) for names in loop(round_size=size)[1]] == sizes


@pytest.mark.parametrize("settings", [{"trainings": 5}, {"trainings": 8, "round_size": 9}])
def test_a_strategy_proposes_all_candidates_before_a_single_round(settings):
    result, rounds = loop(strategy="evolution", candidates=30, **settings)
    assert len(rounds) == 1
    assert len(result.table) == 30


def test_what_was_trained_is_kept_best_first_and_of_others_it_is_said_what_is_expected():
    result, rounds = loop()
    values = [accuracy(name) for name in result.kept.frame.index]
    assert set(result.kept.frame.index) == {name for names in rounds for name in names}
    assert all(a >= b for a, b in pairwise(values))
    assert set(result.kept.dropped) == set(result.table.frame.index) - set(result.kept.frame.index)
    assert all(why.startswith("not trained: expected ") for why in result.kept.dropped.values())


def test_it_finds_what_score_alone_does_not():
    """The largest networks come first by score; the best one has width 24."""
    result, _ = loop(candidates=100, trainings=20)
    best_scores = result.table.frame.index[:20]
    assert max(map(accuracy, result.kept.frame.index)) > max(map(accuracy, best_scores)) + 0.01
    assert max(map(accuracy, result.kept.frame.index)) == max(map(accuracy, result.table.frame.index))
    assert set(result.trust) == {"score", "params"}


def test_the_same_settings_give_the_same_trainings():
    assert loop()[1] == loop()[1]


def test_failed_trainings_come_last_and_are_avoided():
    result, rounds = loop(
        lambda name: None if choices(name)["width"] > 38 else accuracy(name), candidates=60, trainings=17
    )
    order = [name for names in rounds for name in names]
    learnt = [choices(name)["width"] > 38 for name in order[FIRST:]]
    assert sum(learnt) <= 1 <= sum(choices(name)["width"] > 38 for name in order[:FIRST])
    total = sum(choices(name)["width"] > 38 for name in result.kept.frame.index)
    assert all(choices(name)["width"] > 38 for name in result.kept.frame.index[len(result.kept) - total :])


def test_all_trainings_may_fail():
    result, rounds = loop(lambda name: None, trainings=7)
    assert [len(names) for names in rounds] == [5, 2]
    assert set(result.kept.dropped.values()) == {"not trained"}
    assert all(one.mean is None for one in result.expected)
    assert len(result.kept) == 7


def test_less_may_be_better():
    result, _ = loop(lambda name: 1 - accuracy(name), regression, candidates=100, trainings=20)
    values = [1 - accuracy(name) for name in result.kept.frame.index]
    assert values == sorted(values)
    assert values[0] == min(1 - accuracy(name) for name in result.table.frame.index)
    assert np.mean([abs(one.mean - 1 + accuracy(one.name)) for one in result.expected[5:]]) < 0.1


def test_a_budget_above_the_candidates_trains_them_all():
    result, rounds = loop(candidates=8, trainings=30)
    assert sum(map(len, rounds)) == len(result.kept) == 8
    assert not result.kept.dropped


def test_only_what_passes_the_filter_is_trained():
    result, rounds = loop(where="params < 4000", trainings=9)
    assert all(result.table.frame["params"][name] < 4000 for names in rounds for name in names)
    assert any("params" in why for why in result.rejected.values())


def test_no_further_round_begins_after_the_time_is_over():
    result, rounds = loop(trainings=None, training_seconds=1e-6)
    assert [len(names) for names in rounds] == [FIRST]
    assert len(result.kept) == FIRST


def test_seconds_of_training_are_those_of_the_runs_so_that_a_second_call_comes_to_the_same():
    """Each run took 0.1 s, now or before a break."""
    _, rounds = loop(trainings=None, training_seconds=0.85)
    assert [len(names) for names in rounds] == [FIRST, 2, 2]
    assert len(loop(trainings=7, training_seconds=0.85)[0].kept) == 7


def test_nothing_is_expected_before_two_trainings_differ():
    for metric, budget in ((accuracy, 1), (lambda _: 0.5, 9), (lambda _: None, 9)):
        result, _ = loop(metric, trainings=budget)
        assert set(result.kept.dropped.values()) == {"not trained"}
        assert all(one.mean is None for one in result.expected)
        assert result.trust == {}


def test_no_share_above_1_is_expected():
    """Accuracy rises so steeply with extra that a straight line goes beyond."""
    result, _ = loop(lambda name: min(1.0, 0.2 + choices(name)["extra"] / 5), trainings=12)
    assert max(one.mean for one in result.expected if one.mean is not None) <= 1


@pytest.mark.parametrize("metric", ["mean_squared_error", "loss"])
def test_no_error_below_0_is_expected(metric):
    """The error falls so steeply with extra that a straight line goes below."""
    task = replace(regression, metric=metric)
    result, _ = loop(lambda name: max(0.0, 0.8 - choices(name)["extra"] / 5), task, trainings=12)
    assert min(one.mean for one in result.expected if one.mean is not None) == 0
    assert not any("expected -" in why or "expected −" in why for why in result.kept.dropped.values())


def test_the_last_fidelity_has_as_many_candidates_as_are_to_be_trained():
    result, rounds = loop(fidelity="batch=8 > batch=16", candidates=20, trainings=9, keep=2)
    assert sum(map(len, rounds)) == 9 <= len(result.table)


def test_limits_of_proposing_hold_between_the_rounds():
    every = loop(strategy="evolution", candidates=30)[0]
    some = loop(strategy="evolution", candidates=30, trials=20)[0]
    halted = loop(strategy="evolution", candidates=30, trials=9)[0]
    assert len(every.table) == 30 and len(some.table) <= 20 and len(halted.table) <= 9


def test_with_seconds_alone_proposals_keep_up_with_the_trainings():
    """Half of the candidates are proposed while about as many are trained as the time allows."""
    result, rounds = loop(strategy="evolution", candidates=40, trainings=None, training_seconds=0.95)
    assert len(result.table) == 40 and sum(map(len, rounds)) == 10


def test_with_several_objectives_it_trains_for_the_front():
    """Accuracy rises with width up to 24, and with fewer extras, so the small ones without extras are on the front."""
    settings = {"candidates": 100, "trainings": 24}
    result, rounds = loop(objectives="score,params", strategy="evolution", **settings)
    alone, _ = loop(strategy="evolution", where="params > 0", **settings)
    trained = [name for names in rounds for name in names]
    sizes = result.table.frame["params"]
    points = {name: (accuracy(name), -sizes[name]) for name in trained}
    values = np.array(list(points.values()))
    beaten = [((values >= one).all(1) & (values > one).any(1)).any() for one in values]
    assert set(result.front) == {name for name, worse in zip(points, beaten, strict=True) if not worse}
    assert len(result.front) >= 8
    assert result.kept.frame.index[0] == max(trained, key=accuracy)

    def covered(names):
        return hypervolume([[accuracy(name), -sizes[name]] for name in names if name in sizes], [0.4, -sizes.max()])

    assert covered(trained) > 1.02 * covered(sizes.index[:24])
    assert covered(trained) > 1.02 * covered(alone.kept.frame.index)


def test_of_several_objectives_all_trainings_may_fail():
    result, rounds = loop(lambda name: None, objectives="score,params", trainings=7)
    assert [len(names) for names in rounds] == [5, 2]
    assert result.front == []


@pytest.mark.parametrize("strategy", ["evolution", "local", "reinforce", "tpe"])
def test_a_strategy_goes_on_by_what_is_expected(strategy):
    result, rounds = loop(strategy=strategy, candidates=48, trainings=15)
    assert len(result.table) == len(result.order) == len(set(result.order)) == 48
    later = [name for names in rounds[1:] for name in names if name in result.order[24:]]
    assert later
    if strategy in ("evolution", "local"):
        mean = {
            part: np.mean([accuracy(name) for name in names])
            for part, names in {"before": result.order[:24], "after": result.order[24:]}.items()
        }
        assert mean["after"] > mean["before"]


def test_repeated_trainings_say_how_much_is_luck():
    result, _ = loop(lambda name: [accuracy(name) - 0.05, accuracy(name) + 0.05], trainings=15)
    quiet, _ = loop(lambda name: [accuracy(name)] * 2, trainings=15)
    assert np.mean([one.std for one in result.expected[5:]]) > np.mean([one.std for one in quiet.expected[5:]])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trainings": 0}, "trainings must be at least 1, but got 0"),
        ({"trainings": 5, "epochs": 0}, "a budget of trainings needs epochs >= 1"),
        ({"training_seconds": 0}, "training_seconds must be above 0, but got 0"),
        ({"trainings": 5, "halving": True}, "halving compares candidates of one round"),
        ({"trainings": 5, "objectives": "snip,params"}, "but got objectives snip, params; name score among them"),
        ({"trainings": 5, "objectives": "accuracy"}, "leave out accuracy, which trainings are judged by"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        Pipeline(space, **settings)


def test_a_search_goes_on_where_it_was_interrupted_and_trains_nothing_twice(tmp_path):
    settings = {"candidates": 10, "keep": 2, "trainings": 7, "epochs": 1, "proxies": "params", "batch": 16}
    places = {"store": tmp_path / "scores.db", "workdir": tmp_path / "runs"}

    def stop(stage, done, _):
        if (stage, done) == ("train", 6):
            raise KeyboardInterrupt

    with pytest.raises(SearchInterrupted) as stopped:
        search(space, "digits:8", progress=stop, **places, **settings)
    assert len(stopped.value.result.survivors) == 5
    assert len(stopped.value.result.kept) == 5
    finished = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("run.json")}
    resumed = search(space, "digits:8", **places, **settings)
    whole = zc.search(space, "digits:8", **settings)
    assert resumed.expected == whole.expected
    assert [run.metric for run in resumed.survivors + resumed.random] == [
        run.metric for run in whole.survivors + whole.random
    ]
    assert all(file.stat().st_mtime_ns == when for file, when in finished.items())
    assert len(whole.survivors) == 7
    assert len(whole.random) == 2
    assert SearchResult.from_dict(whole.to_dict()).expected == whole.expected


def test_what_was_trained_before_an_interruption_is_kept_in_the_first_round_too():
    settings = {"candidates": 8, "keep": 1, "trainings": 6, "epochs": 1, "proxies": "params", "batch": 16}

    def stop(stage, done, _):
        if (stage, done) == ("train", 3):
            raise KeyboardInterrupt

    with pytest.raises(SearchInterrupted) as stopped:
        search(space, "digits:8", progress=stop, objectives="score,params", **settings)
    result = stopped.value.result
    trained = {run.name for run in result.survivors}
    assert len(trained) >= 2
    assert set(result.kept.frame.index) == trained
    assert result.front and set(result.front) <= trained


def test_interrupted_before_the_first_training_keeps_the_scores(monkeypatch):
    encode, calls = Features.fit_transform, []

    def stop(features, scores):
        calls.append(scores)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return encode(features, scores)

    monkeypatch.setattr(Features, "fit_transform", stop)
    with pytest.raises(SearchInterrupted) as stopped:
        search(space, "digits:8", candidates=8, keep=1, trainings=6, epochs=1, proxies="params", batch=16)
    assert stopped.value.result.table.frame["params"].notna().all()


def test_of_equally_good_networks_the_best_is_on_the_front():
    result, _ = loop(lambda name: 0.5, objectives="score,params", trainings=9)
    runs = [Run.of(name, 0, [Epoch(1, 1.0, 1.0, 0.5, 0.1)]) for name in result.kept.frame.index]
    assert len(result.front) == 1
    assert replace(result, survivors=runs).best in result.front
    assert replace(result, survivors=runs[::-1]).best in result.front


def test_more_random_picks_than_candidates_are_as_many_as_there_are():
    small = {"candidates": 2, "trainings": 2, "epochs": 1, "proxies": "params", "batch": 16}
    assert len(search(space, "digits:8", keep=5, **small).random) == 2


@pytest.mark.parametrize(("device", "workers"), [("cpu", 3), ("cuda", None)])
def test_several_processes_train_a_round_on_the_cpu(monkeypatch, device, workers):
    asked = []

    def train(candidates, *, workers, **_):
        asked.append(workers)
        return [Run.of(name, 0, [Epoch(1, 1.0, 1.0, accuracy(name), 0.1)]) for name in candidates]

    monkeypatch.setattr(import_module("zerocost.train"), "train", train)
    plan, training = import_module("zerocost.search.plan"), import_module("zerocost.search.training")
    monkeypatch.setattr(training, "resolve_device", lambda _: torch.device(device))
    monkeypatch.setattr(plan, "Workers", lambda *_: Workers(1))
    found = search(space, "digits:8", proxies="params", candidates=8, trainings=7, keep=1, epochs=1, workers=3)
    assert len(asked) >= 2 and set(asked) == {workers}
    rounds, length = "survivors in rounds of 5, then 2, and 1 random pick", "1 epoch, 1 seed"
    assert found.stages[-1].detail == f"{rounds}, 1 run for both, {length}"
