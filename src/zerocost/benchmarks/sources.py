"""The benchmarks by name: what each can be read from, and where its converted table is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError
from itertools import chain
from pathlib import Path

from torch import nn

from zerocost.base.errors import InputError, MissingExtraError, unknown
from zerocost.base.files import check_folder
from zerocost.benchmarks import nats, table
from zerocost.benchmarks.base import MEAN, Benchmark, Query, Table
from zerocost.benchmarks.kinds import BENCHMARKS, BenchmarkKind
from zerocost.spaces import SearchSpace, from_function

_Source = str | os.PathLike[str] | nats.API
_HOME = "ZEROCOST_BENCHMARKS"


def names() -> list[str]:
    """The benchmarks that `get` knows.

    >>> names()  # doctest: +NORMALIZE_WHITESPACE
    ['bert', 'darts', 'digits', 'gpt', 'macro', 'nasbench101', 'nasbench201', 'nats_size', 'pit', 'transnas_macro',
     'transnas_micro', 'vit']
    """
    return sorted(BENCHMARKS)


def get(name: str, source: _Source | None = None) -> Benchmark:
    """The benchmark `name`, whose trained truth is looked up in `source`.

    The files are: for any benchmark a CSV (see `zerocost.benchmarks.csv_table.read_csv`); for `nasbench101`
    `nasbench_only108.tfrecord` or `nasbench_full.tfrecord`; for `macro` `nas-bench-macro_cifar10.json`. Pickles are not
    loaded, except that of the extra `nasbench201`, by a reader that can build nothing but its numbers.

    Args:
        name: the benchmark, one of `names()`.
        source: a folder that `convert` made, which opens in milliseconds; one of the benchmark's files; or, for
            `nasbench201` and `nats_size`, the interface object of the package nats-bench. By default the folder that
            `convert` writes to, and without one, for `nasbench201`, the package of the extra.

    Raises:
        InputError: there is no such benchmark, or the source is missing, damaged or of the wrong kind.
        MissingExtraError: no source is given for `nasbench201` and its extra is not installed.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "mine.csv"
    ...     _ = file.write_text("arch,test_accuracy_seeds,params\\n01111202,91 92,1769258\\n")
    ...     benchmark = get("macro", file)
    >>> benchmark.query("01111202", dataset="cifar10", metric="test_accuracy", epochs=50, seed="mean")
    91.5
    >>> benchmark.query("01111202", dataset="cifar10", metric="params", epochs=0, seed="mean")
    1769258.0
    """
    kind = _benchmark_kind(name)
    given = _default_source(name, kind) if source is None else source
    if not isinstance(given, nats.API) and (_as_path(given) / table.HEAD).is_file():
        return _make_benchmark(name, kind, table.load_table(_as_path(given), name))
    return _make_benchmark(name, kind, _read_sources(name, kind, [given]))


def convert(name: str, *sources: _Source, to: str | os.PathLike[str] | None = None) -> Path:
    """Read sources once and write them as a table that `get` opens quickly.

    The 1.3 million records of `nasbench_only108.tfrecord` take a few minutes to read, a file of ten thousand
    architectures some seconds.

    Args:
        name: the benchmark.
        *sources: sources as `get` takes them. Several are joined, such as accuracies from one and hardware measurements
            from another. Without any, `nasbench201` is read from the package of its extra.
        to: a new folder for the table, to be given to `get`. By default the table goes where `get` looks first: the
            folder `name` in the folder that the environment variable `ZEROCOST_BENCHMARKS` names, or in
            `~/.cache/zerocost/benchmarks`.

    Returns:
        The folder of the table.

    Raises:
        InputError: as in `get`, or sources contradict each other, or the folder exists.
        MissingExtraError: as in `get`.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     accuracies, costs = pathlib.Path(folder) / "accuracies.csv", pathlib.Path(folder) / "costs.csv"
    ...     _ = accuracies.write_text("arch,test_accuracy\\n01111202,91.5\\n")
    ...     _ = costs.write_text("arch,params\\n01111202,1769258\\n")
    ...     made = convert("macro", accuracies, costs, to=pathlib.Path(folder) / "table")
    ...     get("macro", made).truth(dataset="cifar10", metric="params", epochs=0).to_dict()
    {'01111202': 1769258.0}
    """
    kind = _benchmark_kind(name)
    folder = _table_folder(name) if to is None else Path(to).expanduser()
    if folder.exists():
        raise InputError(f"{folder} exists already; remove it, or name another folder with to=")
    check_folder(folder)
    table.save_table(_read_sources(name, kind, [*sources] or [_installed_source(name, kind)]), folder, name)
    return folder


def read(
    path: str | os.PathLike[str],
    space: SearchSpace | Callable[..., nn.Module],
    *,
    dataset: str,
    epochs: int,
    data: str | None = None,
    less_is_better: Iterable[str] | str | None = None,
) -> Benchmark:
    """A benchmark of your own: the truth of architectures of any space, read from a CSV.

    The default metric is `accuracy`, or else the first that depends on training.

    Args:
        path: the CSV, with the columns of `zerocost.benchmarks.csv_table.read_csv`.
        space: the architectures' space, or a function of choices, as `zerocost.spaces.from_function` takes it.
        dataset: the dataset that was trained on, for lines that do not name it.
        epochs: the epochs of training, for lines that do not give them.
        data: the dataset as a spec for `zerocost.data.load`, which `zerocost.evaluate` then scores on by default.
        less_is_better: the metrics of which less is better, as a sequence or comma-separated; by default those whose
            names say so, such as test_loss, error, rmse, nll or perplexity.

    Raises:
        InputError: the file cannot be read, it has no such metric, or the space is none.

    >>> import pathlib, tempfile
    >>> def linear(choose):
    ...     return nn.Linear(choose.int("width", 1, 4), 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "mine.csv"
    ...     _ = file.write_text("arch,accuracy\\nwidth=1,61.5\\nwidth=3,64.0\\n")
    ...     mine = read(file, linear, dataset="tickets", epochs=5)
    >>> print(mine, mine.default)
    Benchmark('linear', 2 architectures, tickets) accuracy on tickets after 5 epochs, seed mean
    """
    if callable(space) and not isinstance(space, SearchSpace):
        space = from_function(space)
    if not isinstance(space, SearchSpace):
        raise InputError(
            "space must be a SearchSpace, such as zerocost.spaces.get('cnn', classes=10), or a function of choices, "
            f"but got {space!r:.60}"
        )
    wanted = "a CSV with a column arch and one for each metric"
    kind = BenchmarkKind(Query(dataset, "accuracy", epochs, MEAN), wanted, data=data)
    found = table.table_from_rows(_read_source(path, space.name, kind, space), None)
    benchmark = _make_benchmark(space.name, kind, found, space)
    if less_is_better is not None:
        given = less_is_better.split(",") if isinstance(less_is_better, str) else less_is_better
        benchmark.less_is_better = tuple([_known_metric(benchmark, name.strip()) for name in given])
    return benchmark


def _known_metric(benchmark: Benchmark, name: str) -> str:
    if name not in benchmark.metrics:
        raise unknown(f"{benchmark.name} metric", name, benchmark.metrics, ".metrics")
    return name


def _benchmark_kind(name: str) -> BenchmarkKind:
    if name not in BENCHMARKS:
        raise unknown("benchmark", name, BENCHMARKS, "zc.benchmarks.names()")
    return BENCHMARKS[name]


def _as_path(source: str | os.PathLike[str]) -> Path:
    try:
        return Path(source).expanduser()
    except TypeError:
        raise InputError(
            f"expected a path, or the object that nats_bench.create(…) returns, but got {type(source).__name__}"
        ) from None


def _table_folder(name: str) -> Path:
    """The default folder of a benchmark's converted table."""
    home = os.environ.get(_HOME)
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "zerocost" / "benchmarks") / name


def _default_source(name: str, kind: BenchmarkKind) -> Path:
    """The source of a benchmark when the caller gives none."""
    return _table_folder(name) if _table_folder(name).exists() else _installed_source(name, kind)


def _installed_source(name: str, kind: BenchmarkKind) -> Path:
    """The benchmark's file in an installed package; an error that says what to get where there is none."""
    missing = f"benchmark {name} needs a source: {_table_folder(name)} has no table. It is read from {kind.wanted}"
    if kind.installed is None:
        raise InputError(missing)
    try:
        return kind.installed()
    except PackageNotFoundError as error:
        raise MissingExtraError(missing) from error


def _read_sources(name: str, kind: BenchmarkKind, sources: Sequence[_Source]) -> Table:
    space = kind.make_space(name)
    rows = chain.from_iterable([_read_source(source, name, kind, space) for source in sources])
    return table.table_from_rows(rows, (lambda text: space.canonical(space.parse(text))) if kind.twins else None)


def _read_source(source: _Source, name: str, kind: BenchmarkKind, space: SearchSpace) -> Iterator[table.Row]:
    if isinstance(source, nats.API):
        if not kind.trainings:
            raise InputError(f"the package nats-bench has no benchmark {name}, which is read from {kind.wanted}")
        return nats.read_api(source, space, kind.trainings)
    path = _as_path(source)
    if not path.is_file():
        raise InputError(f"{path} is no file and no converted table; benchmark {name} is read from {kind.wanted}")
    if path.suffix not in kind.readers:
        raise InputError(
            f"benchmark {name} is not read from {path.name}, but from {kind.wanted}; known file names end in "
            f"{', '.join(sorted(kind.readers))}. A pickle (.pickle, .pbz2, .pth) could run code and is not loaded"
        )
    return kind.readers[path.suffix](path, space, kind.default)


def _make_benchmark(name: str, kind: BenchmarkKind, found: Table, space: SearchSpace | None = None) -> Benchmark:
    """A benchmark with its own default query, or the first trained metric where the table lacks that one."""
    means = [column._replace(seed=MEAN) for column in found.columns]
    trained = [query for query in means if query.epochs]
    default = kind.default if kind.default in means else [*trained, *means][0]
    return Benchmark(name, space or kind.make_space(name), found, default, kind.data)
