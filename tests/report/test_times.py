from __future__ import annotations

from dataclasses import replace

import pytest

from zerocost.base.errors import InputError
from zerocost.report.times import Power, Times


def test_training_everything_takes_what_the_trained_took_and_the_mean_epoch_of_random_picks_for_the_others(make):
    result = make.budgeted([0.5, 0.6, 0.7], [0.5, 0.6])
    slow = [replace(run, seconds=10.0) for run in result.survivors]
    stages = [replace(stage, seconds=38.0 if stage.name == "train" else stage.seconds) for stage in result.stages]
    times = Times.of(replace(result, survivors=slow, stages=stages))
    assert (times.scoring, times.survivors, times.random) == (3.0, 30.0, 8.0)
    assert (times.everything, times.source) == (30.0 + 8.0 + 15 * 4.0, "random picks")
    settings = {"epochs": 6, "training_seeds": 2}
    alone = Times.of(replace(result, survivors=slow, random=[], settings=settings, stages=stages[:-1]))
    assert (alone.random, alone.source) == (0, "survivors")
    assert alone.everything == 30.0 + (20 * 2 * 6 - 6) * 5.0


def test_training_everything_never_takes_less_than_a_part_of_it_took(make):
    result = make.budgeted([0.5, 0.6, 0.7], [0.5])
    slow = [replace(run, seconds=100.0) for run in result.survivors]
    times = Times.of(replace(result, survivors=slow))
    assert times.everything == 300.0 + 4.0 + 16 * 4.0


def test_random_picks_that_are_no_candidates_are_no_part_of_training_everything(make):
    result = make.budgeted([0.5, 0.6], [0.5])
    outside = replace(result, random=[replace(run, name="elsewhere") for run in result.random])
    assert Times.of(result).everything == 20 * 4.0
    assert Times.of(outside).everything == 20 * 4.0
    slow = replace(outside, random=[replace(run, seconds=8.0) for run in outside.random])
    assert Times.of(slow).everything == 2 * 4.0 + 18 * 8.0


def test_a_training_that_failed_is_not_done_again_to_train_everything(make):
    result = make.budgeted([0.5, 0.6], [0.5])
    failed = replace(result.survivors[0], epochs=(), seconds=0.0, failure="out of memory")
    times = Times.of(replace(result, survivors=[failed, result.survivors[1]], stages=result.stages[:-1]))
    assert times.everything == 4.0 + 4.0 + 17 * 4.0


def test_times_of_training_are_wall_time_where_it_is_known(make):
    result = make.budgeted([0.5, 0.6, 0.7], [0.5])
    times = Times.of(replace(result, stages=[replace(stage, seconds=32.0) for stage in result.stages[-1:]]))
    assert (times.survivors, times.random, times.everything) == (24.0, 8.0, 32.0 + 16 * 2 * 2.0)
    assert times.summary.replace("\N{NO-BREAK SPACE}", " ").endswith("trained in 24.0 s")


def test_where_epochs_took_longer_than_this_call_they_are_added_up(make):
    result = make.budgeted([0.5, 0.6, 0.7], [0.5])
    times = Times.of(replace(result, stages=[replace(stage, seconds=1.0) for stage in result.stages[-1:]]))
    assert (times.survivors, times.random, times.everything) == (12.0, 4.0, 80.0)
    assert times.summary.replace("\N{NO-BREAK SPACE}", " ").endswith("trained in 12.0 s, its epochs added up")


def test_a_random_pick_that_survived_is_not_counted_twice(make):
    result = make.budgeted([0.5, 0.6], [0.5])
    times = Times.of(replace(result, random=[*result.random, result.survivors[0]]))
    assert (times.survivors, times.random) == (8.0, 4.0)


def test_nothing_trained_takes_no_time(make):
    times = Times.of(make.ranked_only(3, ["snip"]))
    assert (times.everything, times.note) == (None, "")


def test_energy_and_co2_are_those_of_the_stated_power(make):
    result = make.searched()
    times = Times.of(replace(result, earlier=[], survivors=make.searched().survivors[:1], random=[]))
    assert times.saved == times.everything - times.scoring - times.survivors
    hour = Power.of(500.0, 3000.0).drawn(7200.0)
    assert hour.replace("\N{NO-BREAK SPACE}", " ") == "1 kWh, 3 kg of CO₂"
    assert Power.of(500.0, None).drawn(3600.0).replace("\N{NO-BREAK SPACE}", " ") == "0.5 kWh"
    assert Power.of(200.0, None).drawn(18.0).replace("\N{NO-BREAK SPACE}", " ") == "1 Wh"
    assert Power.of(None, None) is None


@pytest.mark.parametrize(
    ("given", "message"), [((None, 4.0), "give watts"), ((-1.0, None), "watts must be"), ((1.0, 0.0), "grams_per_kwh")]
)
def test_power_that_cannot_be_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Power.of(*given)
