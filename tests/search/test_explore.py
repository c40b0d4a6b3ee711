from __future__ import annotations

import optuna
import pytest
from torch import nn

from zerocost.base.errors import InputError
from zerocost.samplers import EvolutionSampler, RandomSampler
from zerocost.samplers.base import SCORES
from zerocost.samplers.suggest import REJECTED
from zerocost.search.explore import MOST_IDLE, ROUND_SIZE, Exploration, Proposer, explore
from zerocost.search.limits import Limits
from zerocost.search.measure import Measurement
from zerocost.search.objectives import Objectives
from zerocost.search.settings import Stopping
from zerocost.search.shared_storage import TWIN
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
    """A measurement that keeps what it was asked for; widths in `failing` have no score."""

    def __init__(self, failing=()):
        self.asked, self.failing = [], failing

    def __call__(self, archs):
        for arch in archs:
            self.asked.append(str(arch))
            width = dict(arch.choices)["width"]
            yield Measurement({}, {"width": "broken"}) if width in self.failing else Measurement({"width": width}, {})


def study(sampler=None, objectives=WIDTH):
    sampler = sampler or RandomSampler(SPACE)
    return optuna.create_study(sampler=sampler, directions=objectives.directions)


def test_as_many_as_asked_are_measured_each_once():
    measure, made = Counting(), study()
    found = explore(Proposer(SPACE, made, WIDTH, Stopping(candidates=20)), measure)
    assert list(found.measured) == measure.asked
    assert len(set(measure.asked)) == found.proposals == 20
    assert found.stopped == "20 architectures were measured"
    assert [trial.values for trial in made.trials] == [
        [measurement.scores["width"]] for measurement in found.measured.values()
    ]
    assert made.trials[3].user_attrs[SCORES] == found.measured[measure.asked[3]].scores


def test_what_is_over_a_limit_is_refused_and_never_measured():
    measure, made = Counting(), study()
    limit = lambda arch: "too wide" if dict(arch.choices)["width"] > 10 else None  # noqa: E731
    found = explore(Proposer(SPACE, made, WIDTH, Stopping(candidates=100), limit=limit), measure)
    assert sorted(measure.asked) == sorted(f"width={n}" for n in range(1, 11))
    assert len(found.rejected) == 30
    assert set(found.rejected.values()) == {"too wide"}
    assert found.stopped == "the space is exhausted"
    pruned = [trial for trial in made.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert [trial.user_attrs[REJECTED] for trial in pruned] == ["too wide"] * 30


def test_twins_are_measured_once_and_cost_nothing():
    measure, made, space = Counting(), study(optuna.samplers.RandomSampler(seed=0)), mirrored()
    found = explore(Proposer(space, made, WIDTH, Stopping(candidates=20)), measure)
    assert (
        len(measure.asked) == len({space.canonical(space.parse(text)) for text in measure.asked}) == len(found.measured)
    )
    twins = [trial for trial in made.trials if TWIN in trial.user_attrs]
    assert found.repeats == len(twins) == len(made.trials) - len(found.measured) > 0
    assert all(t.values == [found.measured[t.user_attrs[TWIN]].scores["width"]] for t in twins)


def test_optunas_samplers_too_end_with_the_space():
    space = from_function(lambda choose: nn.Linear(choose.int("width", 1, 4), 1), "small")
    found = explore(
        Proposer(space, study(optuna.samplers.RandomSampler(seed=0)), WIDTH, Stopping(candidates=50)), Counting()
    )
    assert (len(found.measured), found.stopped) == (4, "the space is exhausted")


def test_proposals_that_bring_nothing_new_end_it():
    class Stubborn(optuna.samplers.BaseSampler):
        def infer_relative_search_space(self, study, trial):
            return {}

        def sample_relative(self, study, trial, space):
            return {}

        def sample_independent(self, study, trial, name, distribution):
            return 7

    found = explore(Proposer(SPACE, study(Stubborn()), WIDTH, Stopping(candidates=2)), Counting())
    assert list(found.measured) == ["width=7"]
    assert found.proposals == MOST_IDLE + 1
    assert found.stopped == "1,000 proposals in a row were known or over a limit"


def test_one_without_a_value_is_measured_told_as_pruned_and_not_measured_again():
    measure, made = Counting(failing=(3, 4)), study()
    found = explore(Proposer(SPACE, made, WIDTH, Stopping(candidates=40)), measure)
    assert len(measure.asked) == len(found.measured) == 40
    pruned = [trial for trial in made.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert {trial.params["width"] for trial in pruned} == {3, 4}
    assert {trial.user_attrs[REJECTED] for trial in pruned} == {"broken"}


def test_trials_bound_the_proposals():
    found = explore(Proposer(SPACE, study(), WIDTH, Stopping(candidates=40, trials=13)), Counting())
    assert (found.proposals, len(found.measured), found.stopped) == (13, 13, "13 proposals were made")


def test_seconds_end_it_after_the_round():
    found = explore(Proposer(SPACE, study(), WIDTH, Stopping(candidates=40, seconds=1e-9)), Counting())
    assert (len(found.measured), found.stopped) == (ROUND_SIZE, "1e-09 seconds are over")


def test_patience_ends_it_when_the_front_stands_still():
    class Falling(RandomSampler):
        def propose(self, history, rng):
            return SPACE.parse(f"width={40 - len(history.tried)}")

    found = explore(Proposer(SPACE, study(Falling(SPACE)), WIDTH, Stopping(candidates=40, patience=10)), Counting())
    assert found.stopped == "the last 16 brought nothing better"
    assert len(found.measured) == 3 * ROUND_SIZE


def test_several_objectives_are_told_in_their_own_directions():
    wanted = Objectives(("width", "params"))

    def measure(archs):
        for arch in archs:
            width = dict(arch.choices)["width"]
            yield Measurement({"width": width, "params": 2.0 * width}, {})

    made = study(EvolutionSampler(SPACE, population=8, tournament=3), wanted)
    found = explore(Proposer(SPACE, made, wanted, Stopping(candidates=16)), measure)
    assert made.trials[0].values == [*found.measured[made.trials[0].user_attrs["architecture"]].scores.values()]
    assert len(made.best_trials) == len(wanted.front(found.frame)) == 16


def test_what_was_measured_before_ctrl_c_is_in_what_was_given():
    found = Exploration()

    def stop(done, _):
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore(Proposer(SPACE, study(), WIDTH, Stopping(candidates=20), found=found), Counting(), stop)
    assert len(found.measured) == 11
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
    found = explore(Proposer(space, made, WIDTH, Stopping(candidates=40, trials=60)), Counting())
    assert found.proposals == 60 == len(found.measured) + found.repeats + len(found.rejected)
    assert all(dict(space.parse(text).choices)["width"] % 2 == 0 for text in found.measured)
    assert set(found.rejected.values()) == {"an odd width"}


def test_where_one_of_ten_thousand_keeps_to_a_limit_all_that_are_wanted_are_found():
    names = [f"size{i}" for i in range(4)]
    space = from_function(lambda choose: nn.Linear(sum(choose.int(name, 1, 100) for name in names), 1), "sums")
    asked = []

    def total(arch):
        asked.append(arch)
        return float(sum(size for _, size in arch.choices))

    def measure(archs):
        for arch in archs:
            yield Measurement({"width": total(arch)}, {})

    limits = Limits("total < 24", {"total": total})  # 8,855 of 10⁸ do
    made = study(EvolutionSampler(space, seed=0))
    found = explore(Proposer(space, made, WIDTH, Stopping(candidates=25), limits.check, limits.repair), measure)
    assert len(found.measured) == 25 and all(one.scores["width"] < 24 for one in found.measured.values())
    assert len(asked) < 20_000  # drawn at random, 25 take 280,000


def test_where_half_keeps_to_a_limit_no_proposal_is_moved():
    limits = Limits("width < 20", {"width": lambda arch: float(dict(arch.choices)["width"])})
    plain, moving = (
        explore(Proposer(SPACE, study(), WIDTH, Stopping(candidates=12), limits.check, repair), Counting())
        for repair in (None, limits.repair)
    )
    assert list(plain.measured) == list(moving.measured)


def test_random_search_finds_the_same_however_many_are_proposed_at_a_time():
    """Also where proposals are moved towards a limit, of which few keep to it."""
    space = from_function(lambda choose: nn.Linear(*(choose.int(name, 1, 100) for name in "ab")), "linear")
    limits = Limits("a < 4", {"a": lambda arch: float(dict(arch.choices)["a"])})

    def measure(archs):
        yield from [Measurement({"width": float(dict(arch.choices)["b"])}, {}) for arch in archs]

    def searched(round_size):
        until, sampler = Stopping(candidates=30), study(RandomSampler(space, seed=1))
        checks = limits.check, limits.repair
        return explore(Proposer(space, sampler, WIDTH, until, *checks, round_size=round_size), measure)

    few, many = searched(ROUND_SIZE), searched(30)
    assert list(few.measured) == list(many.measured)
    assert few.rejected == many.rejected and len(few.rejected) > 40
