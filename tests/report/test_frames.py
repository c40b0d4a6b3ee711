from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from zerocost.report import frames
from zerocost.scoring.card import ScoreCard
from zerocost.train import Run


def test_ranking_is_best_first_with_the_unscored_last(result):
    ranking = frames.ranking_table(result)
    ranked = ranking.dropna(subset=["rank"])
    assert len(ranking) == 203
    assert ranked["rank"].tolist() == list(range(1, 201))
    assert ranked["rank_score"].is_monotonic_decreasing
    assert set(ranking.index[-3:]) == {"cnn-zero-channels", "cnn-too-deep", "cnn-no-path"}
    assert set(ranking["dropped"][-3:]) == {"no score"}
    assert (ranking["dropped"] == "").sum() == 5


def test_accuracy_stands_beside_the_trained_only(result):
    ranking = frames.ranking_table(result)
    trained = {run.name for run in (*result.survivors, *result.random) if run.failure is None}
    assert set(ranking.index[ranking[frames.TRAINED].notna()]) == trained


def test_a_run_that_ended_early_is_not_compared(make):
    early = Run.of("a", 1, make.run("a", 1, 0.9).epochs[:2], failure="killed")
    runs = [make.run("a", 0, 0.7), early]
    result = replace(make.ranked_only(5, ["snip"]), survivors=runs)
    assert frames.trained_table(frames.run_table(result))[["seeds", "metric"]].values.tolist() == [
        [1, runs[0].accuracy]
    ]


def test_a_stopped_run_is_no_failure_and_has_no_accuracy(found):
    runs = frames.run_table(found)
    assert runs["state"].value_counts().to_dict() == {frames.STOPPED: 4, frames.FINISHED: 3}
    assert runs["metric"][runs["state"] == frames.STOPPED].isna().all()
    assert "training" not in set(frames.exclusions(found, frames.ranking_table(found))["kind"])


def test_what_other_processes_measured_was_not_refused(found):
    both = replace(found, rejected={found.order[0]: "it has no score"})
    assert "refused" not in set(frames.exclusions(both, frames.ranking_table(both))["kind"])


def test_a_candidate_in_both_groups_is_ranked_once(make):
    result = make.ranked_only(5, ["snip"], 1)
    both = [make.run(result.kept.frame.index[0], 0, 0.7)]
    result = replace(result, survivors=both, random=both)
    assert len(frames.ranking_table(result)) == 5
    assert len(frames.trained_table(frames.run_table(result))) == 2


def test_agreement_is_spearman_over_what_both_scored(make):
    cards = make.score_cards(30)
    cards["half"] = ScoreCard({"snip": 1e9}, {"naswot": "no activations"})
    found = frames.score_correlations(make.table_of(cards, ["snip", "naswot"]))
    both = make.table_of(make.score_cards(30), ["snip", "naswot"]).frame
    expected = both["snip"].rank().corr(both["naswot"].rank())
    assert list(found.columns) == ["snip", "naswot", "params"]
    assert found.loc["snip", "naswot"] == pytest.approx(expected)


def test_a_proxy_that_always_failed_is_not_compared(make):
    cards = {f"net {i}": ScoreCard({"snip": float(i), "params": 1.0}, {"grasp": "needs labels"}) for i in range(4)}
    assert frames.comparable_columns(make.table_of(cards, ["snip", "grasp"])) == ["snip", "params"]


def test_exclusions_name_each_loss_once(result):
    lost = frames.exclusions(result, frames.ranking_table(result))
    assert lost["kind"].value_counts().to_dict() == {"dropped": 195, "scoring": 22, "training": 1}
    assert not lost.duplicated().any()


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["snip = -0.5 is low", "snip = 3e-07 is low"], "snip = … is low"),
        (["no path", "no path"], "no path"),
        (["took 1,024 MB.", "took 7 MB."], "took … MB."),
        (["rank 7 of the top 5", "rank 8 of the top 5"], "rank … of the top 5"),
        (["a … b", "a 3 b"], "a … b"),
        (["(64x9 and 8x10) of 2", "(64x7 and 6x10) of 2"], "(… and …) of 2"),
    ],
)
def test_reasons_that_differ_in_numbers_are_one(reasons, expected):
    lost = pd.DataFrame({"candidate": ["a", "b"], "part": ["", ""], "reason": reasons})
    assert frames.group_by_reason(lost)["reason"].tolist() == [expected]


def test_names_with_digits_are_not_numbers():
    lost = pd.DataFrame({"candidate": ["a", "b"], "part": ["", ""], "reason": ["l2_norm failed", "l1_norm failed"]})
    assert len(frames.group_by_reason(lost)) == 2


def test_epochs_hold_every_epoch_of_every_run(result):
    epochs = frames.epoch_table(result)
    assert len(epochs) == 29 * 12 + 3
    assert np.isclose(epochs["metric"].max(), max(run.accuracy for run in (*result.survivors, *result.random)))
    assert (epochs["state"] == frames.FAILED).sum() == 3
