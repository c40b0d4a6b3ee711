"""NAS-Bench-Macro's own file, `nas-bench-macro_cifar10.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from zerocost.base.errors import InputError
from zerocost.benchmarks.base import MEAN, Query
from zerocost.benchmarks.table import Row
from zerocost.spaces.base import SearchSpace


def read_json(path: Path, space: SearchSpace, default: Query) -> Iterator[Row]:
    """The rows of a JSON object that maps each network's eight digits to `test_acc`, `params` and `flops`.

    The three trainings are seeds 0, 1 and 2.

    Raises:
        InputError: the file has another form.
    """
    try:
        networks = json.loads(path.read_text(encoding="utf-8"))
        for code, facts in networks.items():
            values = {default._replace(seed=seed): float(number) for seed, number in enumerate(facts["test_acc"])}
            for cost in ("params", "flops"):
                values[Query(default.dataset, cost, 0, MEAN)] = float(facts[cost])
            yield Row(str(space.parse(code)), values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is not NAS-Bench-Macro's JSON: {type(error).__name__}: {error}") from error
