"""A search result as plain tables: one row a run, an epoch, a trained candidate, a ranked candidate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from zerocost.pipeline import SearchResult
    from zerocost.tables import ScoreTable
    from zerocost.train import Run

NUMBER = r"(?<![\w.])-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?(?!\w)"

SURVIVORS, RANDOM = "survivors", "random picks"


def _runs(result: SearchResult) -> Iterator[tuple[str, Run]]:
    yield from ((SURVIVORS, run) for run in result.survivors)
    yield from ((RANDOM, run) for run in result.random)


def _finished(run: Run) -> bool:
    return run.accuracy is not None and run.failure is None


def runs(result: SearchResult) -> pd.DataFrame:
    """One row a training run: group, name, seed, accuracy in [0, 1].

    A run that ended early has no accuracy (NaN): it was not trained as long as those it would be compared with.
    """
    columns = ["group", "name", "seed", "accuracy"]
    rows = [(group, run.name, run.seed, run.accuracy if _finished(run) else np.nan) for group, run in _runs(result)]
    return pd.DataFrame(rows, columns=columns).astype({"accuracy": float})


def trained(table: pd.DataFrame) -> pd.DataFrame:
    """One row a group and trained candidate, from `runs`: mean accuracy over seeds, its sd, seeds."""
    finished = table.dropna(subset=["accuracy"])
    grouped = finished.groupby(["group", "name"], sort=False)["accuracy"]
    return grouped.agg(accuracy="mean", sd="std", seeds="count").reset_index()


def epochs(result: SearchResult) -> pd.DataFrame:
    """One row an epoch of a run: group, name, seed, epoch, train_loss, validation_loss, accuracy, finished."""
    columns = ["group", "name", "seed", "epoch", "train_loss", "validation_loss", "accuracy", "finished"]
    rows = [
        (
            *(group, run.name, run.seed, e.epoch),
            *(e.train_loss, e.validation_loss, e.validation_accuracy, _finished(run)),
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
    """Every candidate, best first: the score table with rank, accuracy, sd, and why it was dropped ("": kept).

    A candidate without any score has no rank (NaN).
    """
    frame = result.table.frame.replace([np.inf, -np.inf], np.nan)
    accuracy = trained(runs(result)).drop_duplicates("name").set_index("name")[["accuracy", "sd"]]
    ranked = frame.join(accuracy).assign(rank=frame["rank_score"].rank(ascending=False, method="min"))
    ranked = ranked.sort_values("rank", kind="stable", na_position="last")
    reasons, kept = {**result.table.dropped, **result.kept.dropped}, set(result.kept.frame.index)
    dropped = [
        "no score" if np.isnan(score) else "" if name in kept else reasons.get(str(name), "")
        for name, score in ranked["rank_score"].items()
    ]
    return ranked.assign(dropped=dropped)


def exclusions(result: SearchResult, ranking: pd.DataFrame) -> pd.DataFrame:
    """Everything lost on the way, one row each: kind, candidate, part (proxy or seed), reason.

    A candidate without any score stands under its failures only.
    """
    dropped = ranking["dropped"][(ranking["dropped"] != "") & ranking["rank"].notna()]
    rows = [("dropped", str(name), "", reason) for name, reason in dropped.items()]
    failures = result.table.failures
    if len(failures):
        columns = (failures[name].astype(str) for name in ("candidate", "proxy", "reason"))
        rows += [("scoring", *failure) for failure in zip(*columns, strict=True)]
    rows += [
        ("training", run.name, f"seed {run.seed}", run.failure or "no accuracy was recorded")
        for _, run in _runs(result)
        if not _finished(run)
    ]
    return pd.DataFrame(rows, columns=["kind", "candidate", "part", "reason"])


def by_reason(lost: pd.DataFrame) -> pd.DataFrame:
    """Rows of `exclusions` grouped by reason, most candidates first; reasons that differ in numbers are one.

    >>> lost = pd.DataFrame({"candidate": ["a", "b", "c"], "part": ["", "", ""],
    ...                      "reason": ["rank 7 of 9", "no gradient", "rank 8 of 9"]})
    >>> by_reason(lost)[["reason", "candidates"]].values.tolist()
    [['rank … of …', ['a', 'c']], ['no gradient', ['b']]]
    """
    pattern = lost["reason"].str.replace(NUMBER, "…", regex=True)
    rows = []
    for key, group in lost.groupby(pattern, sort=False):
        reason = group["reason"].iloc[0] if group["reason"].nunique() == 1 else key
        rows.append((reason, group["part"].unique().tolist(), group["candidate"].unique().tolist()))
    rows.sort(key=lambda row: -len(row[2]))
    return pd.DataFrame(rows, columns=["reason", "parts", "candidates"])
