"""The accuracies of trained architectures, from whatever holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from zerocost import benchmarks
from zerocost.base.errors import InputError
from zerocost.base.result import check_parquet
from zerocost.benchmarks.base import Benchmark
from zerocost.benchmarks.csv_table import ARCHITECTURE
from zerocost.evaluation.evaluate import draw_architectures
from zerocost.search.result import SearchResult
from zerocost.spaces import SearchSpace
from zerocost.tasks.metrics import METRICS, minimised
from zerocost.train.run import Run

_FEWEST_TRAINED = 8
"""Fewest trained architectures: with fewer, held-out parts say nothing."""

_WRITTEN = ("candidate", "name")
"""The columns of architectures in tables that zerocost writes, of scores and of trainings."""

Trained = Mapping[str, float] | pd.Series | Benchmark | SearchResult | Iterable[Run] | str | Path


def accuracies(trained: Trained, space: SearchSpace, n: int = 100, seed: int = 0) -> pd.Series[float]:
    """The accuracy of each trained architecture by its text, or an error or loss negated; twins become one, their mean.

    The name of the series says which metric was read.

    Args:
        trained: what `zerocost.tuning.tune` takes.
        space: the architectures' space.
        n: architectures to draw from a benchmark.
        seed: draws them.

    Raises:
        InputError: a text is no architecture of the space, a number is not finite, there are fewer than
            `_FEWEST_TRAINED` architectures, or all accuracies are equal.
    """
    known = _given_accuracies(trained, space, n, seed)
    first: dict[str, str] = {}
    texts = []
    for text, value in known.items():
        if not np.isfinite(value):
            raise InputError(f"the accuracy of {text} must be a finite number, but got {value}; leave it out")
        arch = space.parse(str(text))
        texts.append(first.setdefault(space.canonical(arch), str(arch)))
    found = known.groupby(np.array(texts, dtype=object), sort=False).mean()
    if len(found) < _FEWEST_TRAINED:
        raise InputError(
            f"{len(found)} different trained architectures are too few to tune with; train at least {_FEWEST_TRAINED}, "
            "and better 30 or more"
        )
    if found.nunique() == 1:
        raise InputError(
            f"all {len(found)} trained architectures have the same accuracy, {found.iloc[0]:g}; nothing can be learnt"
        )
    return found.astype(float)


def _given_accuracies(trained: Trained, space: SearchSpace, n: int, seed: int) -> pd.Series[float]:
    """The accuracies as they were given."""
    if isinstance(trained, str | Path):
        if (written := _written_metrics(Path(trained).expanduser())) is not None:
            return written
        trained = benchmarks.read(trained, space, dataset="the data", epochs=1)
        n = len(trained.architectures())
    if isinstance(trained, Benchmark):
        truth = trained.truth()
        metric, less = trained.default.metric, trained.default.metric in trained.less_is_better
        drawn = draw_architectures(trained.space, list(truth.index), n, seed)
        return (-truth if less else truth)[drawn].rename(_named(metric, less))
    if isinstance(trained, pd.Series | Mapping):
        try:
            return pd.Series(trained, dtype=float).rename(_named("accuracy", less=False))
        except (TypeError, ValueError) as error:
            raise InputError(f"trained must map architecture texts to accuracies: {error}") from None
    runs = [*trained.survivors, *trained.random] if isinstance(trained, SearchResult) else list(trained)
    if strange := [run for run in runs if not isinstance(run, Run)]:
        raise InputError(
            "trained must be a mapping from architecture texts to accuracies, a CSV file, a benchmark, or the runs of "
            f"a training, but holds {strange[0]!r:.60}"
        )
    known = [(run.name, run.metric if run.higher_is_better else -(run.metric or 0.0)) for run in runs if run.ended_well]
    name = next((_named(run.metric_name, not run.higher_is_better) for run in runs), None)
    return pd.Series([value for _, value in known], [arch for arch, _ in known], dtype=float, name=name)


def _written_metrics(file: Path) -> pd.Series[float] | None:
    """The metrics, or errors negated, of the networks that were trained, in a table that `--csv` or `--parquet` of
    `search`, `rank` or `train` wrote; None for any other file."""
    try:
        frame = _read_table(file)
    except (OSError, ValueError):
        return None  # what is wrong with a file is said where any table is read
    names = next((name for name in _WRITTEN if name in frame and not {*ARCHITECTURE} & {*frame}), None)
    if names is None:
        return None
    metric = next((name for name in METRICS if name in frame), None)
    if metric is None or not pd.api.types.is_numeric_dtype(frame[metric]):
        raise InputError(
            f"{file} has no column with numbers of a trained metric ({', '.join(METRICS)}), but "
            f"{', '.join(map(str, frame))}; give the table of a search that trained, or columns arch and accuracy"
        )
    if "failure" in frame:
        frame = frame[frame["failure"].isna()]
    known, less = frame.set_index(names)[metric].dropna(), minimised(metric)
    return (-known if less else known).rename(_named(metric, less))


def _named(metric: str, less: bool) -> str:
    """What trained architectures are compared by, in words."""
    return f"{metric}, less is better" if less else metric


def _read_table(file: Path) -> pd.DataFrame:
    """The table in a CSV or .parquet file, with the names of its rows as a column."""
    if file.suffix == ".parquet":
        check_parquet()
        frame = pd.read_parquet(file)
        return frame if frame.index.name is None else frame.reset_index()
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return pd.read_csv(stream, dtype=dict.fromkeys(_WRITTEN, str))
