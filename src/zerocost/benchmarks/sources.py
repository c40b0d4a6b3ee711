"""The benchmarks, by name: what each can be read from, and where its converted table lies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from zerocost import spaces
from zerocost.base.errors import InputError, MissingExtraError, unknown
from zerocost.benchmarks import analog, csv_table, macro, nasbench101, nats, table, transnas
from zerocost.benchmarks.base import MEAN, Benchmark, Query, Table
from zerocost.spaces import SearchSpace

Source = str | os.PathLike[str] | nats.API
Reader = Callable[[Path, SearchSpace, Query], Iterator[table.Row]]
HOME = "ZEROCOST_BENCHMARKS"


class Kind(NamedTuple):
    """What there is to know of a benchmark before any of its files is opened.

    `readers` are by the end of a file's name, `trainings` the names the nats-bench package gives its trainings, if it
    has the benchmark. Where the benchmark trained one of each set of twins, `twins` is true and truth is found by the
    key they share. `installed` finds the file where an installed package has it. The space has the benchmark's name
    unless `space` says otherwise; `classes` and `resolution` are those of the default dataset, `data` is a spec of it.
    """

    default: Query
    wanted: str
    readers: Mapping[str, Reader] = {".csv": csv_table.read}
    trainings: tuple[str, ...] = ()
    twins: bool = False
    installed: Callable[[], Path] | None = None
    space: str | None = None
    classes: int = 10
    resolution: int = 32
    data: str | None = None

    def make_space(self, name: str) -> SearchSpace:
        """The space of benchmark `name`."""
        return spaces.get(self.space or name, classes=self.classes, resolution=self.resolution)


NATS = 'the object that nats_bench.create(path, "{}", fast_mode=True, verbose=False) returns'
ACCURACIES = "a CSV with columns arch and test_accuracy"
TRANSNAS = "a CSV with columns arch and validation_accuracy (the official .pth file is a pickle, which is not loaded)"
BENCHMARKS = {
    "darts": Kind(
        Query("cifar10", "validation_accuracy", 100, MEAN),
        "a CSV with columns genotype and validation_accuracy",
        twins=True,
    ),
    "digits": Kind(
        Query("digits-hard", "test_accuracy", 8, MEAN),
        "the table that comes with zerocost, or a CSV with columns arch and test_accuracy",
        installed=lambda: Path(__file__).with_name("digits.csv"),
        space="cnn",
        resolution=8,
        data="digits-hard",
    ),
    "macro": Kind(
        Query("cifar10", "test_accuracy", 50, MEAN),
        "nas-bench-macro_cifar10.json from https://github.com/xiusu/NAS-Bench-Macro, or a CSV",
        {".csv": csv_table.read, ".json": macro.read},
        twins=True,
    ),
    "nasbench101": Kind(
        Query("cifar10", "test_accuracy", 108, MEAN),
        "nasbench_only108.tfrecord or nasbench_full.tfrecord (https://github.com/google-research/nasbench), or a CSV",
        {".csv": csv_table.read, ".json": nasbench101.read_json, ".tfrecord": nasbench101.read_tfrecord},
        twins=True,
    ),
    "nasbench201": Kind(
        Query("cifar10", "test_accuracy", 200, MEAN),
        f"the extra nasbench201 (pip install 'zerocost[nasbench201]'), {NATS.format('tss')}, or {ACCURACIES}",
        {".csv": csv_table.read, ".anb": analog.read},
        ("12", "200"),
        installed=analog.installed,
    ),
    "nats_size": Kind(
        Query("cifar10", "test_accuracy", 90, MEAN),
        f"{NATS.format('sss')}, or {ACCURACIES}",
        trainings=("01", "12", "90"),
    ),
    "transnas_macro": Kind(Query("class_object", "validation_accuracy", 25, MEAN), TRANSNAS, classes=75),
    "transnas_micro": Kind(
        Query("class_object", "validation_accuracy", 25, MEAN),
        TRANSNAS,
        {".csv": partial(csv_table.read, spell=transnas.spell)},
        classes=75,
    ),
}


def names() -> list[str]:
    """The benchmarks that `get` knows.

    >>> names()
    ['darts', 'digits', 'macro', 'nasbench101', 'nasbench201', 'nats_size', 'transnas_macro', 'transnas_micro']
    """
    return sorted(BENCHMARKS)


def get(name: str, source: Source | None = None) -> Benchmark:
    """The benchmark `name`, whose trained truth is looked up in `source`.

    `source` is a folder that `convert` made, which opens in milliseconds; one of the benchmark's files; or, for
    `nasbench201` and `nats_size`, the interface object of the package nats-bench. Without it, the truth comes from
    where `convert` puts it; failing that, for `nasbench201`, from the package of the extra `nasbench201`.

    Files are: for any benchmark a CSV (see `zerocost.benchmarks.csv_table.read`); `nasbench_only108.tfrecord` or
    `nasbench_full.tfrecord` for `nasbench101`; `nas-bench-macro_cifar10.json` for `macro`. Pickles are not loaded; that
    of the extra is read by a reader of its own, which can build nothing but its numbers.

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
    kind = _kind(name)
    given = _found(name, kind) if source is None else source
    if not isinstance(given, nats.API) and (_path(given) / table.HEAD).is_file():
        return _benchmark(name, kind, table.load(_path(given), name))
    return _benchmark(name, kind, _gathered(name, kind, [given]))


def convert(name: str, *sources: Source, to: str | os.PathLike[str] | None = None) -> Path:
    """Read `sources`, those of `get`, into one table of the benchmark `name`; the folder it was written to.

    Several sources are joined: accuracies from one and hardware measurements from another, say. Without a source,
    `nasbench201` is read from the package of its extra. The 1.3 million records of `nasbench_only108.tfrecord` take a
    few minutes, files of some ten thousand architectures seconds.

    `to` is a new folder, to be given to `get`. Without it the table goes where `get` looks first: the folder `name` in
    that named by the environment variable `ZEROCOST_BENCHMARKS`, else in `~/.cache/zerocost/benchmarks`.

    Raises the errors of `get`, and `InputError` when sources contradict each other or the folder exists.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     accuracies, costs = pathlib.Path(folder) / "accuracies.csv", pathlib.Path(folder) / "costs.csv"
    ...     _ = accuracies.write_text("arch,test_accuracy\\n01111202,91.5\\n")
    ...     _ = costs.write_text("arch,params\\n01111202,1769258\\n")
    ...     made = convert("macro", accuracies, costs, to=pathlib.Path(folder) / "table")
    ...     get("macro", made).truth(dataset="cifar10", metric="params", epochs=0).to_dict()
    {'01111202': 1769258.0}
    """
    kind = _kind(name)
    folder = _home(name) if to is None else Path(to).expanduser()
    if folder.exists():
        raise InputError(f"{folder} exists already; remove it, or name another folder with to=")
    table.save(_gathered(name, kind, [*sources] or [_package(name, kind)]), folder, name)
    return folder


def read(
    path: str | os.PathLike[str], space: SearchSpace, *, dataset: str, epochs: int, data: str | None = None
) -> Benchmark:
    """A benchmark of your own: the truth of architectures of any space, read from a CSV.

    The columns are those of `zerocost.benchmarks.csv_table.read`; `dataset` and `epochs` say what was trained on and
    how long, for lines that do not say it themselves. `data` is the data as a spec for `zerocost.data.load`, so that
    `zerocost.evaluate` need not be told. The default metric is the first that was trained. Raises `InputError` for a
    file that cannot be read.

    >>> import pathlib, tempfile
    >>> from torch import nn
    >>> space = spaces.from_function(lambda choose: nn.Linear(choose.int("width", 1, 4), 1), "linear")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "mine.csv"
    ...     _ = file.write_text("arch,accuracy\\nwidth=1,61.5\\nwidth=3,64.0\\n")
    ...     mine = read(file, space, dataset="tickets", epochs=5)
    >>> print(mine, mine.default)
    Benchmark('linear', 2 architectures, tickets) accuracy on tickets after 5 epochs, seed mean
    """
    kind = Kind(Query(dataset, "", epochs, MEAN), "a CSV with a column arch and one for each metric", data=data)
    found = table.gather(_rows(path, space.name, kind, space), None)
    return _benchmark(space.name, kind, found, space)


def _kind(name: str) -> Kind:
    if name not in BENCHMARKS:
        raise unknown("benchmark", name, BENCHMARKS)
    return BENCHMARKS[name]


def _path(source: str | os.PathLike[str]) -> Path:
    try:
        return Path(source).expanduser()
    except TypeError:
        raise InputError(
            f"expected a path, or the object that nats_bench.create(…) returns, but got {type(source).__name__}"
        ) from None


def _home(name: str) -> Path:
    """Where the converted table of a benchmark lies, unless the user says otherwise."""
    home = os.environ.get(HOME)
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "zerocost" / "benchmarks") / name


def _found(name: str, kind: Kind) -> Path:
    """The source of a benchmark for which none is given."""
    return _home(name) if _home(name).exists() else _package(name, kind)


def _package(name: str, kind: Kind) -> Path:
    """The benchmark's file in an installed package; an error that says what else to get when there is none."""
    missing = f"no source is given for benchmark {name}, nor is a table in {_home(name)}; it is read from {kind.wanted}"
    if kind.installed is None:
        raise InputError(missing)
    try:
        return kind.installed()
    except PackageNotFoundError as error:
        raise MissingExtraError(missing) from error


def _gathered(name: str, kind: Kind, sources: Sequence[Source]) -> Table:
    space = kind.make_space(name)
    rows = chain.from_iterable([_rows(source, name, kind, space) for source in sources])
    return table.gather(rows, (lambda text: space.canonical(space.parse(text))) if kind.twins else None)


def _rows(source: Source, name: str, kind: Kind, space: SearchSpace) -> Iterator[table.Row]:
    if isinstance(source, nats.API):
        if not kind.trainings:
            raise InputError(f"the package nats-bench has no benchmark {name}, which is read from {kind.wanted}")
        return nats.read(source, space, kind.trainings)
    path = _path(source)
    if not path.is_file():
        raise InputError(f"{path} is no file and no converted table; benchmark {name} is read from {kind.wanted}")
    if path.suffix not in kind.readers:
        raise InputError(
            f"benchmark {name} is not read from {path.name}, but from {kind.wanted}; known file names end in "
            f"{', '.join(sorted(kind.readers))}. A pickle (.pickle, .pbz2, .pth) could run code and is not loaded"
        )
    return kind.readers[path.suffix](path, space, kind.default)


def _benchmark(name: str, kind: Kind, found: Table, space: SearchSpace | None = None) -> Benchmark:
    """With the benchmark's own default, or the first trained metric of a table that does not have it."""
    means = [column._replace(seed=MEAN) for column in found.columns]
    trained = [query for query in means if query.epochs]
    default = kind.default if kind.default in means else [*trained, *means][0]
    return Benchmark(name, space or kind.make_space(name), found, default, kind.data)
