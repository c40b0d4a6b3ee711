"""NAS-Bench-101's own files: the TFRecord, read without TensorFlow, and its cells as JSON."""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zerocost.base.errors import InputError
from zerocost.benchmarks.base import MEAN, Query
from zerocost.benchmarks.table import Row
from zerocost.benchmarks.tfrecord import message_fields, read_records
from zerocost.spaces.base import SearchSpace
from zerocost.spaces.nasbench101 import space as nasbench101

_METRICS = {2: "training_time", 3: "train_accuracy", 4: "validation_accuracy", 5: "test_accuracy"}
"""By field of the message `EvaluationData`; seconds, and accuracies from 0 to 1."""
_EVALUATIONS, _PARAMETERS = 1, 2
"""Fields of the message `ModelMetrics`."""
_HALFWAY = "halfway_"


def read_tfrecord(path: Path, space: SearchSpace, default: Query) -> Iterator[Row]:
    """The rows of `nasbench_only108.tfrecord` or `nasbench_full.tfrecord`, one a training.

    A record is a JSON list: the cell's hash, epochs, the digits of its matrix, its operations, and `ModelMetrics` in
    base64. The trainings of a cell are seeds 0, 1 and 2 in the order of the file; their metrics are those at the end,
    and as `halfway_…` those half-way.

    Raises:
        InputError: a record has another form.
    """
    seeds: Counter[tuple[str, int]] = Counter()
    texts: dict[str, str] = {}
    for number, record in enumerate(read_records(path), 1):
        try:
            key, epochs, matrix, operations, metrics = json.loads(record)
            if key not in texts:
                texts[key] = str(nasbench101().from_matrix(_matrix_rows(matrix), operations.split(",")))
            values = _decode_metrics(base64.b64decode(metrics), default.dataset, epochs, seeds[key, epochs])
        except (ValueError, TypeError, AttributeError, RecursionError, struct.error) as error:
            raise InputError(f"record {number} of {path} is not NAS-Bench-101's: {error}") from error
        seeds[key, epochs] += 1
        yield Row(texts[key], values, key)


def read_json(path: Path, space: SearchSpace, default: Query) -> Iterator[Row]:
    """The rows of a JSON list of cells: `hash`, `adjacency`, `operations`, `trainable_parameters` and `computed`.

    `computed` maps epochs to a list of trainings, seeds 0, 1, …, with metrics `final_…` and `halfway_…`, as
    NAS-Bench-101's own interface has them.

    Raises:
        InputError: the file has another form.
    """
    try:
        for cell in json.loads(path.read_text(encoding="utf-8")):
            values = {Query(default.dataset, "params", 0, MEAN): float(cell["trainable_parameters"])}
            for epochs, trainings in cell["computed"].items():
                for seed, training in enumerate(trainings):
                    values |= _training_values(training, default.dataset, int(epochs), seed)
            text = str(nasbench101().from_matrix(cell["adjacency"], cell["operations"]))
            yield Row(text, values, cell["hash"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is no JSON of NAS-Bench-101 cells: {type(error).__name__}: {error}") from error


def _matrix_rows(digits: str) -> list[list[int]]:
    """Rows of the matrix whose entries are written one after the other."""
    side = round(len(digits) ** 0.5)
    return [[int(digit) for digit in digits[start : start + side]] for start in range(0, len(digits), side)]


def _training_values(training: Mapping[str, Any], dataset: str, epochs: int, seed: int) -> dict[Query, float]:
    return {
        Query(dataset, metric.removeprefix("final_"), epochs, seed): float(value) for metric, value in training.items()
    }


def _decode_metrics(message: bytes, dataset: str, epochs: int, seed: int) -> dict[Query, float]:
    """The numbers in `ModelMetrics`: evaluations before training, half-way and at the end, and parameters."""
    found = list(message_fields(message))
    evaluations = [value for number, value in found if number == _EVALUATIONS]
    if len(evaluations) != 3:
        raise ValueError(f"expected 3 evaluations, got {len(evaluations)}")
    values = {
        Query(dataset, prefix + _METRICS[number], epochs, seed): float(value)
        for prefix, evaluation in zip((_HALFWAY, ""), evaluations[1:], strict=True)
        for number, value in message_fields(_check_message(evaluation))
        if number in _METRICS
    }
    values |= {Query(dataset, "params", 0, MEAN): float(value) for number, value in found if number == _PARAMETERS}
    return values


def _check_message(value: int | float | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"expected a message, got {value!r}")
    return value
