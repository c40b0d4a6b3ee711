"""A search result as plain tables: one row a run, an epoch, a trained candidate, a ranked candidate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zerocost.report import progress as goals

if TYPE_CHECKING:
    from zerocost.scoring.table import ScoreTable
    from zerocost.search.pipeline import SearchResult
    from zerocost.train import Run

NUMBER = r"(?<![\w.])-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?(?!\w)"

SURVIVORS, RANDOM = "survivors", "random picks"
FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
TRAINED, SPREAD = "trained accuracy", "trained sd"
"""Columns of the ranking; no score can have these names."""


def _runs(result: SearchResult) -> Iterator[tuple[str, Run]]:
    yield from ((SURVIVORS, run) for run in result.survivors)
    yield from ((RANDOM, run) for run in result.random)


def _state(run: Run) -> str:
    if run.accuracy is None or run.failure is not None:
        return FAILED
    return STOPPED if run.stopped else FINISHED


def runs(result: SearchResult) -> pd.DataFrame:
    """One row a training run: group, name, seed, accuracy in [0, 1], state (finished, stopped or failed), epochs.

    A run that ended early has no accuracy (NaN): it was not trained as long as those it would be compared with.
    """
    rows = [
        (group, run.name, run.seed, run.accuracy if state == FINISHED else np.nan, state, len(run.epochs))
        for group, run in _runs(result)
        for state in [_state(run)]
    ]
    columns = ["group", "name", "seed", "accuracy", "state", "epochs"]
    return pd.DataFrame(rows, columns=columns).astype({"accuracy": float})


def trained(table: pd.DataFrame) -> pd.DataFrame:
    """One row a group and trained candidate, from `runs`: mean accuracy over seeds, its sd, seeds."""
    finished = table.dropna(subset=["accuracy"])
    grouped = finished.groupby(["group", "name"], sort=False)["accuracy"]
    return grouped.agg(accuracy="mean", sd="std", seeds="count").reset_index()


def epochs(result: SearchResult) -> pd.DataFrame:
    """One row an epoch of a run: group, name, seed, epoch, train_loss, validation_loss, accuracy, state."""
    columns = ["group", "name", "seed", "epoch", "train_loss", "validation_loss", "accuracy", "state"]
    rows = [
        (
            *(group, run.name, run.seed, e.epoch),
            *(e.train_loss, e.validation_loss, e.validation_accuracy, _state(run)),
        )
        for group, run in _runs(result)
        for e in run.epochs
    ]
    return pd.DataFrame(rows, columns=columns)


def measures(scores: ScoreTable) -> list[str]:
    """The columns worth comparing: every proxy that gave at least one value, and the parameter count."""
    frame = scores.frame
    names = dict.fromkeys([*scores.proxies, "params"])
    return [name for name in names if name in frame and frame[name].notna().any()]


def agreement(scores: ScoreTable) -> pd.DataFrame:
    """Spearman correlation of each pair of `measures`, over the candidates that both could score (at least 3)."""
    return scores.frame[measures(scores)].astype(float).corr(method="spearman", min_periods=3)


def ranking(result: SearchResult) -> pd.DataFrame:
    """Every candidate, best first: the score table with its objectives, rank, trained accuracy and sd, and `dropped`.

    `dropped` says why it was dropped ("": kept). A candidate without any score has no rank (NaN).
    """
    frame = result.table.frame.replace([np.inf, -np.inf], np.nan)
    if not goals.plain(result):
        frame = frame.assign(**{str(name): column for name, column in goals.values(result, result.table).items()})
    columns = {"accuracy": TRAINED, "sd": SPREAD}
    accuracy = trained(runs(result)).drop_duplicates("name").set_index("name").rename(columns=columns)
    ranked = frame.join(accuracy[[TRAINED, SPREAD]]).assign(
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
    """Everything lost on the way, one row each: kind, candidate, part (proxy or seed), reason.

    A candidate without any score stands under its failures only. A run that was stopped is not lost.
    """
    dropped = ranking["dropped"][(ranking["dropped"] != "") & ranking["rank"].notna()]
    judged = set(result.order)
    rows = [("refused", name, "", reason) for name, reason in result.rejected.items() if name not in judged]
    rows += _left_behind(result)
    rows += [("dropped", str(name), "", reason) for name, reason in dropped.items()]
    failures = pd.concat([table.failures for table in [*result.earlier, result.table]]).astype(str).drop_duplicates()
    rows += [("scoring", *failure) for failure in failures.itertuples(index=False, name=None)]
    rows += [
        ("training", run.name, f"seed {run.seed}", run.failure or "no accuracy was recorded")
        for _, run in _runs(result)
        if _state(run) == FAILED
    ]
    return pd.DataFrame(rows, columns=["kind", "candidate", "part", "reason"])


def _left_behind(result: SearchResult) -> list[tuple[str, str, str, str]]:
    tables = [*result.earlier, result.table]
    rows = []
    for (low, high), fidelity in zip(pairwise(tables), goals.fidelities(result), strict=False):
        again, ranks = set(high.frame.index), low.frame["rank_score"].rank(ascending=False, method="min")
        scored = low.frame["rank_score"] > -np.inf
        rows += [
            ("behind", str(name), "", f"rank {rank:.0f} of {len(low):,} at {goals.sized(fidelity)}")
            for name, rank in ranks[scored].items()
            if name not in again
        ]
    return rows


def by_reason(lost: pd.DataFrame) -> pd.DataFrame:
    """Rows of `exclusions` grouped by reason, most candidates first; reasons that differ in numbers are one.

    >>> lost = pd.DataFrame({"candidate": ["a", "b", "c"], "part": ["", "", ""],
    ...                      "reason": ["rank 7 of 9", "no gradient", "rank 8 of 9"]})
    >>> by_reason(lost)[["reason", "candidates"]].values.tolist()
    [['rank … of 9', ['a', 'c']], ['no gradient', ['b']]]
    """
    pattern = lost["reason"].str.replace(NUMBER, "…", regex=True)
    rows = []
    for _, group in lost.groupby(pattern, sort=False):
        reasons, parts, names = (group[column].unique().tolist() for column in ("reason", "part", "candidate"))
        rows.append((_common(reasons), parts, names))
    rows.sort(key=lambda row: -len(row[2]))
    return pd.DataFrame(rows, columns=["reason", "parts", "candidates"])


def _common(reasons: Sequence[str]) -> str:
    """Reasons that differ in numbers as one, with the numbers that are the same in all."""
    numbers = zip(*(re.findall(NUMBER, reason) for reason in reasons), strict=False)
    common = iter([found[0] if len(set(found)) == 1 else "…" for found in numbers])
    return re.sub(NUMBER, lambda _: next(common, "…"), reasons[0])
