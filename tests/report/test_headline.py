from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import zerocost as zc
from zerocost.report import frames, headline
from zerocost.report.frames import RANDOM, SURVIVORS
from zerocost.report.sections import correlation_text
from zerocost.search.pipeline import Stage
from zerocost.statistics.association import Association


def trained(survivors: list[float], random: list[float], seed: int = 0) -> pd.DataFrame:
    rows = [(SURVIVORS, f"s{i}", a) for i, a in enumerate(survivors)] + [
        (RANDOM, f"r{i}", a) for i, a in enumerate(random)
    ]
    frame = pd.DataFrame(rows, columns=["group", "name", "metric"]).astype({"metric": float})
    return frame.assign(seed=seed, state="finished")


@pytest.mark.parametrize(
    ("survivors", "random", "said"),
    [
        ([0.80, 0.81, 0.82], [0.60, 0.61, 0.62], "trained better than random picks"),
        ([0.60, 0.61, 0.62], [0.80, 0.81, 0.82], "trained worse than random picks"),
        ([0.60, 0.80, 0.70], [0.61, 0.79, 0.69], "includes 0: this search does not show"),
        ([0.80], [0.60, 0.70], "Too few candidates to say"),
    ],
)
def test_verdict_says_what_the_interval_allows(survivors, random, said):
    text = headline.survivors_verdict(trained(survivors, random))
    assert said in text
    assert f"{len(survivors)} survivor{'s' * (len(survivors) > 1)} against {len(random)} random picks" in text


def test_verdict_names_a_random_pick_above_every_survivor():
    text = headline.survivors_verdict(trained([0.7, 0.72], [0.6, 0.75]))
    assert "A random pick, r1, reached 75.0\N{NO-BREAK SPACE}%, above every survivor." in text
    assert "above every survivor" not in headline.survivors_verdict(trained([0.7, 0.76], [0.6, 0.75]))


def test_a_random_pick_is_set_beside_the_survivors_of_its_own_seed():
    first, second = trained([0.7, 0.72], [0.6, 0.71]), trained([0.8, 0.76], [0.77, 0.5], seed=1)
    assert "every survivor" not in headline.survivors_verdict(pd.concat([first, second]))
    second = trained([0.8, 0.76], [0.81, 0.5], seed=1)
    assert "above every survivor from the same seed" in headline.survivors_verdict(pd.concat([first, second]))


def test_a_survivor_that_was_also_picked_is_not_above_itself():
    table = trained([0.7, 0.72], [0.6, 0.75]).replace({"name": {"r1": "s1"}})
    assert "above every survivor" not in headline.survivors_verdict(table)


@pytest.mark.parametrize(("survivors", "random"), [([0.7], []), ([], [0.7]), ([], [])])
def test_no_verdict_without_both_groups(survivors, random):
    assert headline.survivors_verdict(trained(survivors, random)) == ""


def test_sentence(result):
    text = headline.search_sentence(result, frames.ranking_table(result), frames.run_table(result))
    assert text.replace("\N{NO-BREAK SPACE}", " ") == (
        "203 candidates of the space cnn scored with 6 proxies (3 could not be ranked), 5 kept, "
        "5 survivors (15 runs) and 15 random picks (15 runs) trained, in 19 min 24 s."
    )


def test_sentence_without_training(make):
    result = make.ranked_only(1, ["snip"])
    text = headline.search_sentence(result, frames.ranking_table(result), frames.run_table(result))
    assert text == "1 candidate of the space cnn scored with 1 proxy."


def test_sentence_of_a_search(found):
    text = headline.search_sentence(found, frames.ranking_table(found), frames.run_table(found))
    assert text.replace("\N{NO-BREAK SPACE}", " ") == (
        "60 candidates of the space cnn, proposed by strategy evolution, measured by score (2 proxies) and params "
        "(8 more were refused), 15 of them scored again at full size, 5 kept, "
        "5 survivors (5 runs) and 2 random picks (2 runs) trained, in 5.0 s."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stages": [Stage("score", 60, 1.0, "")], "survivors": []}, "interrupted before anything was trained"),
        ({"random": []}, "interrupted before the random picks"),
        ({}, ""),
    ],
)
def test_an_interrupted_search_says_so(found, changes, said):
    assert said in headline.interruption_note(replace(found, **changes))
    assert bool(headline.interruption_note(replace(found, **changes))) == bool(said)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (
            30,
            "On 30 validation samples, an accuracy of 70.0 % is known to 52.1 % to 83.3 % (95 %); the best of several "
            "tends to be lucky.",
        ),
        (10_000, ""),
        (None, ""),
    ],
)
def test_few_validation_samples_leave_the_best_accuracy_uncertain(make, count, said):
    result = replace(make.budgeted([0.5, 0.7, 0.6], [0.5]), settings={"validation_samples": count})
    assert headline.luck_note(result).replace("\N{NO-BREAK SPACE}", " ") == said


def test_of_an_error_no_interval_is_known(make):
    result = replace(
        make.budgeted([0.5, 0.7], [0.5], zc.tasks.TASKS["regression"]), settings={"validation_samples": 30}
    )
    assert not headline.luck_note(result)


def test_interrupted_training_counts_the_runs_done(found):
    text = headline.interruption_note(replace(found, survivors=found.survivors[:2]))
    assert "2 of 5 runs of survivors were finished" in text


@pytest.mark.parametrize(
    ("settings", "trained", "picks", "said"),
    [
        ({"trainings": 4}, 2, 0, "2 of 4 runs of survivors were finished"),
        ({"trainings": 4, "training_seeds": 2}, 4, 0, "4 of 8 runs"),
        ({"trainings": 90}, 2, 0, "2 of 20 runs"),
        ({"trainings": 4}, 4, 0, "before the random picks"),
        ({"trainings": 4, "training_seconds": 9.0}, 2, 0, "Training was interrupted."),
        ({"trainings": 4, "training_seconds": 9.0}, 2, 2, ""),
        ({"training_seconds": 9.0}, 2, 2, ""),
        ({"trainings": 4}, 4, 2, ""),
    ],
)
def test_a_budget_was_interrupted_where_its_trainings_or_random_picks_are_missing(make, settings, trained, picks, said):
    result = make.budgeted([0.5] * trained, [0.5, 0.6])
    cut = replace(result, random=result.random[:picks], settings={"epochs": 2} | settings)
    note = headline.interruption_note(cut)
    assert said in note and bool(said) == bool(note)


@pytest.mark.parametrize(
    ("values", "picks", "task", "said"),
    [
        (
            [0.5, 0.7, 0.9],
            [0.6, 0.4],
            zc.tasks.classification,
            "Training 2 of 3 was the first as good as",
        ),
        ([0.5, 0.55], [0.6, 0.4], zc.tasks.classification, "None of 2 trainings was as good as the best of 2"),
        ([0.5, 0.7, 0.3], [0.6, 0.4], zc.tasks.regression, "Training 3 of 3 was the first as good as the best of 2"),
        ([0.5], [0.6, 0.4], zc.tasks.regression, "None of 1 training was as good as the best of 2 random picks, 0.4."),
    ],
)
def test_a_budget_is_compared_with_the_best_random_pick_in_the_direction_of_the_metric(make, values, picks, task, said):
    result = make.budgeted(values, picks, task)
    text = headline.budget_verdict(result)
    assert text.startswith(said)


def test_with_several_seeds_a_budget_is_compared_seed_by_seed(make):
    found = make.budgeted([0.93, 0.954], [0.95, 0.94])
    again = make.budgeted([0.94, 0.9554], [0.955, 0.93])
    other = [[replace(run, seed=1) for run in runs] for runs in (again.survivors, again.random)]
    both = replace(found, survivors=[*found.survivors, *other[0]], random=[*found.random, *other[1]])
    said = "Training 2 of 2 was the first as good as the best of 2 random picks, 95.2 %, mean over 2 seeds."
    assert headline.budget_verdict(both).replace("\N{NO-BREAK SPACE}", " ") == said


def test_there_is_no_verdict_on_a_budget_without_one_or_without_random_picks(make, result):
    assert headline.budget_verdict(result) == ""
    alone = replace(make.budgeted([0.5], [0.6]), random=[])
    assert headline.budget_verdict(alone) == ""


def test_the_sentence_on_a_budget_does_not_say_kept(make):
    found = make.budgeted([0.5, 0.6, 0.7], [0.5])
    text = headline.search_sentence(found, frames.ranking_table(found), frames.run_table(found))
    assert "scored with 1 proxy, 3 survivors (3 runs) and 1 random pick (1 run) trained, in 19.0" in text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Association(2, None, None, None), "n = 2, too few to correlate"),
        (Association(5, None, None, None), "n = 5, no correlation: all values are equal"),
        (Association(5, 0.6, 0.7, None), "τ = 0.60, ρ = 0.70, n = 5: too few to tell"),
        (Association(12, 0.6, 0.7, (0.2, 0.8)), "τ = 0.60 (0.20 to 0.80), ρ = 0.70, n = 12"),
        (Association(12, 0.1, 0.2, (-0.3, 0.5)), "τ = 0.10 (−0.30 to 0.50), ρ = 0.20, n = 12; no relation shown"),
    ],
)
def test_correlation_says_whether_its_sample_carries_it(found, said):
    assert correlation_text(found) == said
