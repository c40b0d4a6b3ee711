"""A search result as plain tables: one row a run, an epoch, a trained candidate, a ranked candidate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zerocost.report.candidates import objective_values, ranked_by_score
from zerocost.report.fidelity_steps import fidelity_label, table_fidelities

if TYPE_CHECKING:
    from zerocost.scoring.table import ScoreTable
    from zerocost.search.pipeline import SearchResult
    from zerocost.train import Run

_NUMBER = r"(?<![\w.])-?\d+(?:[.,x]\d+)*(?:e[+-]?\d+)?(?!\w)"
"""A number, or the sizes of a matrix such as 64x32."""

SURVIVORS, RANDOM = "survivors", "random picks"
FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
TRAINED, _SPREAD = "trained metric", "trained sd"
"""Columns of the ranking; no score can have these names."""
UNTRAINED = "not trained"
"""How the reason begins for which a budget of trainings left out a candidate."""


def _runs_by_group(result: SearchResult) -> Iterator[tuple[str, Run]]:
    yield from ((SURVIVORS, run) for run in result.survivors)
    yield from ((RANDOM, run) for run in result.random)


def _state(run: Run) -> str:
    if run.metric is None or run.failure is not None:
        return FAILED
    return STOPPED if run.stopped else FINISHED


def run_table(result: SearchResult) -> pd.DataFrame:
    """One row a training run: group, name, seed, metric, state (finished, stopped or failed), epochs.

    A run that was stopped early has no metric (NaN), as it was trained for fewer epochs than the others.
    """
    rows = [
        (group, run.name, run.seed, run.metric if state == FINISHED else np.nan, state, len(run.epochs))
        for group, run in _runs_by_group(result)
        for state in [_state(run)]
    ]
    columns = ["group", "name", "seed", "metric", "state", "epochs"]
    return pd.DataFrame(rows, columns=columns).astype({"metric": float})


def trained_table(table: pd.DataFrame, failed: bool = False) -> pd.DataFrame:
    """One row a group and trained candidate: mean metric over seeds, its standard deviation, number of seeds.

    `table` is that of `run_table`. With `failed`, candidates of which every run failed have a row too.
    """
    ended = table[table["state"].isin([FINISHED, FAILED] if failed else [FINISHED])]
    grouped = ended.groupby(["group", "name"], sort=False)["metric"]
    return grouped.agg(metric="mean", sd="std", seeds="count").reset_index()


def epoch_table(result: SearchResult) -> pd.DataFrame:
    """One row an epoch of a run: group, name, seed, epoch, train_loss, validation_loss, metric, state."""
    columns = ["group", "name", "seed", "epoch", "train_loss", "validation_loss", "metric", "state"]
    rows = [
        (
            *(group, run.name, run.seed, e.epoch),
            *(e.train_loss, e.validation_loss, e.validation_metric, _state(run)),
        )
        for group, run in _runs_by_group(result)
        for e in run.epochs
    ]
    return pd.DataFrame(rows, columns=columns)


def comparable_columns(scores: ScoreTable) -> list[str]:
    """The columns worth comparing: every proxy with at least one value, and the parameters."""
    frame = scores.frame
    names = dict.fromkeys([*scores.proxies, "params"])
    return [name for name in names if name in frame and frame[name].notna().any()]


def score_correlations(scores: ScoreTable) -> pd.DataFrame:
    """Spearman correlation of each pair of `comparable_columns`, over at least 3 candidates that have both."""
    return scores.frame[comparable_columns(scores)].astype(float).corr(method="spearman", min_periods=3)


def ranking_table(result: SearchResult) -> pd.DataFrame:
    """Every candidate, best first: scores, objectives, rank, trained metric and its sd, and `dropped`.

    `dropped` says why a candidate was dropped and is empty for the kept. One without any score has no rank (NaN).
    """
    frame = result.table.frame.replace([np.inf, -np.inf], np.nan)
    if not ranked_by_score(result):
        frame = frame.assign(**{str(name): column for name, column in objective_values(result, result.table).items()})
    columns = {"metric": TRAINED, "sd": _SPREAD}
    trained = trained_table(run_table(result)).drop_duplicates("name").set_index("name").rename(columns=columns)
    ranked = frame.join(trained[[TRAINED, _SPREAD]]).assign(
        rank=frame["rank_score"].rank(ascending=False, method="min")
    )
    ranked = ranked.sort_values("rank", kind="stable", na_position="last")
    reasons, kept = {**result.table.dropped, **result.kept.dropped}, set(result.kept.frame.index)
    dropped = [
        "no score" if np.isnan(score) else "" if name in kept else reasons.get(str(name), "")
        for name, score in ranked["rank_score"].items()
    ]
    return ranked.assign(dropped=dropped)


def exclusions(result: SearchResult, ranking: pd.DataFrame) -> pd.DataFrame:
    """Everything that was refused, dropped or failed, one row each: kind, candidate, part (proxy or seed), reason.

    A candidate without any score is listed under its failures only. A run that was stopped is not listed, and a random
    pick, which was trained, not as untrained.
    """
    dropped = ranking["dropped"][(ranking["dropped"] != "") & ranking["rank"].notna()]
    measured, picked = set(result.order), {run.name for run in result.random}
    rows = [("refused", name, "", reason) for name, reason in result.rejected.items() if name not in measured]
    rows += _left_behind(result)
    rows += [
        ("untrained" if reason.startswith(UNTRAINED) else "dropped", str(name), "", reason)
        for name, reason in dropped.items()
        if not (reason.startswith(UNTRAINED) and name in picked)
    ]
    failures = pd.concat([table.failures for table in result.tables]).astype(str).drop_duplicates()
    rows += [("scoring", *failure) for failure in failures.itertuples(index=False, name=None)]
    rows += [
        ("training", run.name, f"seed {run.seed}", run.failure or "no metric was recorded")
        for _, run in _runs_by_group(result)
        if _state(run) == FAILED
    ]
    return pd.DataFrame(rows, columns=["kind", "candidate", "part", "reason"])


def _left_behind(result: SearchResult) -> list[tuple[str, str, str, str]]:
    tables = result.tables
    rows = []
    for (low, high), fidelity in zip(pairwise(tables), table_fidelities(result), strict=False):
        again, ranks = set(high.frame.index), low.frame["rank_score"].rank(ascending=False, method="min")
        scored = low.frame["rank_score"] > -np.inf
        rows += [
            ("behind", str(name), "", f"rank {rank:.0f} of {len(low):,} at {fidelity_label(fidelity)}")
            for name, rank in ranks[scored].items()
            if name not in again
        ]
    return rows


def group_by_reason(lost: pd.DataFrame) -> pd.DataFrame:
    """Rows of `exclusions` grouped by reason, most candidates first; reasons that differ only in numbers are one.

    >>> lost = pd.DataFrame({"candidate": ["a", "b", "c"], "part": ["", "", ""],
    ...                      "reason": ["rank 7 of 9", "no gradient", "rank 8 of 9"]})
    >>> group_by_reason(lost)[["reason", "candidates"]].values.tolist()
    [['rank … of 9', ['a', 'c']], ['no gradient', ['b']]]
    """
    pattern = lost["reason"].str.replace(_NUMBER, "…", regex=True)
    rows = []
    for _, group in lost.groupby(pattern, sort=False):
        reasons, parts, names = (group[column].unique().tolist() for column in ("reason", "part", "candidate"))
        rows.append((_common(reasons), parts, names))
    rows.sort(key=lambda row: -len(row[2]))
    return pd.DataFrame(rows, columns=["reason", "parts", "candidates"])


def _common(reasons: Sequence[str]) -> str:
    """Reasons that differ only in numbers as one; numbers that are the same in all of them stay."""
    numbers = zip(*(re.findall(_NUMBER, reason) for reason in reasons), strict=False)
    common = iter([found[0] if len(set(found)) == 1 else "…" for found in numbers])
    return re.sub(_NUMBER, lambda _: next(common, "…"), reasons[0])
