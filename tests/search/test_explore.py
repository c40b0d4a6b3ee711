from __future__ import annotations

import optuna
import pytest
from torch import nn

from zerocost.base.errors import InputError
from zerocost.samplers import EvolutionSampler, RandomSampler
from zerocost.samplers.base import SCORES
from zerocost.samplers.suggest import REJECTED
from zerocost.search.explore import IDLE, TOGETHER, Explored, Stop, explore
from zerocost.search.measure import Judged
from zerocost.search.objectives import Objectives
from zerocost.search.shared_study import TWIN
from zerocost.spaces import from_function

WIDTH = Objectives(("width",))
SPACE = from_function(lambda choose: nn.Linear(choose.int("width", 1, 40), 1), "linear")


class Mirrored(type(SPACE)):
    """Its architectures have twins: widths w and 41 - w."""

    def canonical(self, arch):
        width = self.width(arch)
        return str(min(width, 41 - width))

    def width(self, arch):
        return dict(arch.choices)["width"]


def mirrored():
    space = Mirrored.__new__(Mirrored)
    space.__dict__.update(vars(SPACE))
    return space


class Counting:
    """A judge that keeps what it was asked; widths in `failing` have no score."""

    def __init__(self, failing=()):
        self.asked, self.failing = [], failing

    def __call__(self, archs):
        for arch in archs:
            self.asked.append(str(arch))
            width = dict(arch.choices)["width"]
            yield Judged({}, {"width": "broken"}) if width in self.failing else Judged({"width": width}, {})


def study(sampler=None, objectives=WIDTH):
    sampler = sampler or RandomSampler(SPACE)
    return optuna.create_study(sampler=sampler, directions=objectives.directions)


def test_as_many_as_asked_are_judged_each_once():
    judge, made = Counting(), study()
    found = explore(SPACE, made, judge, WIDTH, candidates=20)
    assert list(found.judged) == judge.asked
    assert len(set(judge.asked)) == found.proposals == 20
    assert found.stopped == "20 architectures were judged"
    assert [trial.values for trial in made.trials] == [[judged.scores["width"]] for judged in found.judged.values()]
    assert made.trials[3].user_attrs[SCORES] == found.judged[judge.asked[3]].scores


def test_what_is_over_a_limit_is_refused_and_never_judged():
    judge, made = Counting(), study()
    limit = lambda arch: "too wide" if dict(arch.choices)["width"] > 10 else None  # noqa: E731
    found = explore(SPACE, made, judge, WIDTH, candidates=100, limit=limit)
    assert sorted(judge.asked) == sorted(f"width={n}" for n in range(1, 11))
    assert len(found.rejected) == 30
    assert set(found.rejected.values()) == {"too wide"}
    assert found.stopped == "the space is exhausted"
    pruned = [trial for trial in made.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert [trial.user_attrs[REJECTED] for trial in pruned] == ["too wide"] * 30


def test_twins_are_judged_once_and_cost_nothing():
    judge, made, space = Counting(), study(optuna.samplers.RandomSampler(seed=0)), mirrored()
    found = explore(space, made, judge, WIDTH, candidates=20)
    assert len(judge.asked) == len({space.canonical(space.parse(text)) for text in judge.asked}) == len(found.judged)
    twins = [trial for trial in made.trials if TWIN in trial.user_attrs]
    assert found.repeats == len(twins) == len(made.trials) - len(found.judged) > 0
    assert all(t.values == [found.judged[t.user_attrs[TWIN]].scores["width"]] for t in twins)


def test_optunas_samplers_too_end_with_the_space():
    space = from_function(lambda choose: nn.Linear(choose.int("width", 1, 4), 1), "small")
    found = explore(space, study(optuna.samplers.RandomSampler(seed=0)), Counting(), WIDTH, candidates=50)
    assert (len(found.judged), found.stopped) == (4, "the space is exhausted")


def test_proposals_that_bring_nothing_new_end_it():
    class Stubborn(optuna.samplers.BaseSampler):
        def infer_relative_search_space(self, study, trial):
            return {}

        def sample_relative(self, study, trial, space):
            return {}

        def sample_independent(self, study, trial, name, distribution):
            return 7

    found = explore(SPACE, study(Stubborn()), Counting(), WIDTH, candidates=2)
    assert list(found.judged) == ["width=7"]
    assert found.proposals == IDLE + 1
    assert found.stopped == "1,000 proposals in a row were known or over a limit"


def test_one_without_a_value_is_judged_told_as_pruned_and_not_judged_again():
    judge, made = Counting(failing=(3, 4)), study()
    found = explore(SPACE, made, judge, WIDTH, candidates=40)
    assert len(judge.asked) == len(found.judged) == 40
    pruned = [trial for trial in made.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert {trial.params["width"] for trial in pruned} == {3, 4}
    assert {trial.user_attrs[REJECTED] for trial in pruned} == {"broken"}


def test_trials_bound_the_proposals():
    found = explore(SPACE, study(), Counting(), WIDTH, candidates=40, stop=Stop(trials=13))
    assert (found.proposals, len(found.judged), found.stopped) == (13, 13, "13 proposals were made")


def test_seconds_end_it_after_the_round():
    found = explore(SPACE, study(), Counting(), WIDTH, candidates=40, stop=Stop(seconds=0))
    assert (len(found.judged), found.stopped) == (TOGETHER, "0 seconds are over")


def test_patience_ends_it_when_the_front_stands_still():
    class Falling(RandomSampler):
        def propose(self, history, rng):
            return SPACE.parse(f"width={40 - len(history.tried)}")

    found = explore(SPACE, study(Falling(SPACE)), Counting(), WIDTH, candidates=40, stop=Stop(patience=10))
    assert found.stopped == "the last 16 brought nothing better"
    assert len(found.judged) == 3 * TOGETHER


def test_several_objectives_are_told_in_their_own_directions():
    wanted = Objectives(("width", "params"))

    def judge(archs):
        for arch in archs:
            width = dict(arch.choices)["width"]
            yield Judged({"width": width, "params": 2.0 * width}, {})

    made = study(EvolutionSampler(SPACE, population=8, tournament=3), wanted)
    found = explore(SPACE, made, judge, wanted, candidates=16)
    assert made.trials[0].values == [*found.judged[made.trials[0].user_attrs["architecture"]].scores.values()]
    assert len(made.best_trials) == len(wanted.front(found.frame)) == 16


def test_what_was_judged_before_ctrl_c_is_in_what_was_given():
    found = Explored()

    def stop(done, _):
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore(SPACE, study(), Counting(), WIDTH, candidates=20, progress=stop, found=found)
    assert len(found.judged) == 11
    assert found.stopped == ""


class Even(type(SPACE)):
    """A space whose choices do not always make an architecture."""

    def choose(self, choose):
        arch = super().choose(choose)
        if dict(arch.choices)["width"] % 2:
            raise InputError("an odd width")
        return arch


def test_answers_that_make_no_architecture_are_refused():
    space = Even.__new__(Even)
    space.__dict__.update(vars(SPACE))
    made = study(optuna.samplers.RandomSampler(seed=0))
    found = explore(space, made, Counting(), WIDTH, candidates=40, stop=Stop(trials=60))
    assert found.proposals == 60 == len(found.judged) + found.repeats + len(found.rejected)
    assert all(dict(space.parse(text).choices)["width"] % 2 == 0 for text in found.judged)
    assert set(found.rejected.values()) == {"an odd width"}
