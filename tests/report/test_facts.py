from __future__ import annotations

from dataclasses import replace

import pytest

from zerocost.report import frames
from zerocost.report.facts import Fact, search_facts
from zerocost.report.times import Power


def energy(result) -> Fact:
    """The fact on energy, at 3.6 MW: 1 kWh a second."""
    trained = frames.trained_table(frames.run_table(result))
    facts = search_facts(result, frames.ranking_table(result), trained, Power.of(3.6e6, None))
    return next(fact for fact in facts if fact.label == "Energy saved")


@pytest.fixture
def picked(make):
    """Twenty measured, three trained in 12 s and two random picks in 8 s; the scoring took 3 s."""
    return replace(make.budgeted([0.5, 0.6, 0.7], [0.5, 0.6]), order=list(map(str, range(20))))


def test_what_a_search_saved_counts_its_random_picks(picked):
    fact = energy(picked)
    assert fact.value.replace("\N{NO-BREAK SPACE}", " ") == "57 kWh"
    assert "the search, its random picks counted, took 57.0" in fact.note and "training all 20" in fact.note
    alone = energy(replace(picked, random=[]))
    assert alone.value.startswith("65") and "random" not in alone.note


def test_a_search_that_took_longer_saved_nothing(picked):
    stages = [replace(stage, seconds=90.0) for stage in picked.stages if stage.name != "train"]
    fact = energy(replace(picked, stages=stages[:1]))
    assert fact.value == "none" and "more than training all 20" in fact.note


def test_energy_of_nothing_trained_is_said_to_be_unknown(make):
    assert energy(make.ranked_only(3, ["snip"])).value == "unknown"


def test_energy_where_everything_was_trained_is_said_to_be_none(picked):
    assert energy(replace(picked, order=["a", "b", "c"])).note == "every candidate was trained"
