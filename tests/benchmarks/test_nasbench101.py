"""NAS-Bench-101's files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.handmade import cell, shared, tfrecord, training
from zerocost import benchmarks, spaces
from zerocost.base.errors import InputError
from zerocost.benchmarks import Query

ACCURACY = {"dataset": "cifar10", "metric": "test_accuracy", "epochs": 108}
CELLS = [cell("conv3x3-bn-relu", 8_555_530, (0.9, 0.91, 0.92)), cell("maxpool3x3", 300, (0.5, 0.6, 0.7))]


def written(tmp_path, records):
    file = tmp_path / "nasbench_only108.tfrecord"
    file.write_bytes(tfrecord(records))
    return benchmarks.get("nasbench101", file)


def all_trainings(cells):
    return [training(one, int(epochs), seed) for one in cells for epochs in one["computed"] for seed in range(3)]


def test_a_tfrecord(tmp_path):
    found = written(tmp_path, all_trainings(CELLS))
    assert found.architectures() == ("conv3x3~0|output~1", "maxpool3x3~0|output~1")
    assert (found.epochs, found.seeds, found.default) == ((0, 108), (0, 1, 2), Query(**ACCURACY, seed="mean"))
    assert [found.query("conv3x3~0|output~1", **ACCURACY, seed=seed) for seed in range(3)] == [0.9, 0.91, 0.92]
    assert found.query("maxpool3x3~0|output~1", **ACCURACY, seed="mean") == pytest.approx(0.6)
    halfway = ACCURACY | {"metric": "halfway_validation_accuracy", "seed": 1}
    assert found.query("conv3x3~0|output~1", **halfway) == 0.91 - 0.25
    params = {"dataset": "cifar10", "metric": "params", "epochs": 0, "seed": "mean"}
    assert found.query("conv3x3~0|output~1", **params) == 8_555_530


def test_the_full_file_has_more_epochs(tmp_path):
    cells = [cell("conv3x3-bn-relu", 1, (0.9, 0.91, 0.92)), cell("conv3x3-bn-relu", 1, (0.1, 0.2, 0.3), epochs=4)]
    found = written(tmp_path, all_trainings(cells))
    assert found.epochs == (0, 4, 108)
    assert found.query("conv3x3~0|output~1", **ACCURACY | {"epochs": 4, "seed": 2}) == 0.3


def test_cells_are_found_by_the_benchmarks_hash(tmp_path):
    space = spaces.get("nasbench101")
    near, twin = "conv3x3~0|conv1x1~0|output~12", "conv1x1~0|conv3x3~0|output~12"
    matrix = [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    one = cell("conv3x3-bn-relu", 1, (0.9, 0.91, 0.92)) | {
        "hash": space.canonical(space.parse(near)),
        "adjacency": matrix,
        "operations": ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "output"],
    }
    file = tmp_path / "cells.json"
    file.write_text(json.dumps([one]))
    for found in (written(tmp_path, all_trainings([one])), benchmarks.get("nasbench101", file)):
        assert found.architectures() == (near,)
        assert found.query(near, **ACCURACY, seed=0) == found.query(twin, **ACCURACY, seed=0) == 0.9


@pytest.mark.parametrize(
    "record",
    [
        b"\xff",
        b"[1, 2]",
        json.dumps(["hash", 108, "010001000", "input,conv3x3-bn-relu,output", "%%%%"]).encode(),
        json.dumps(["hash", 108, "010001000", "input,conv3x3-bn-relu,output", "CgA="]).encode(),
        json.dumps(["hash", 108, "010001000", "input,conv3x3-bn-relu,output", "CAEIAQgB"]).encode(),
        json.dumps(["hash", 108, "010001000", "input,conv9x9,output", ""]).encode(),
    ],
)
def test_a_record_of_another_form_is_named(tmp_path, record):
    with pytest.raises(InputError, match=r"record 2 of .*nasbench_only108\.tfrecord is not NAS-Bench-101's"):
        written(tmp_path, [training(CELLS[0], 108, 0), record])


@pytest.mark.parametrize("text", ["{", "[1]", '[{"hash": "a"}]', '{"a": 1}'])
def test_a_json_of_another_form_is_named(tmp_path, text):
    (tmp_path / "cells.json").write_text(text)
    with pytest.raises(InputError, match=r"cells\.json is no JSON of NAS-Bench-101 cells"):
        benchmarks.get("nasbench101", tmp_path / "cells.json")


def test_real_cells_from_either_file(tmp_path):
    file = shared("nasbench101-sample.json")
    cells = json.loads(file.read_text())
    read, found = benchmarks.get("nasbench101", file), written(tmp_path, all_trainings(cells))
    assert found.architectures() == read.architectures()
    assert len(read.architectures()) == 30
    for metric in read.metrics:
        query = {"dataset": "cifar10", "metric": metric, "epochs": 0 if metric == "params" else 108}
        np.testing.assert_array_equal(found.truth(**query), read.truth(**query))
    for text, one in zip(read.architectures(), cells, strict=True):
        assert read.space.canonical(read.space.parse(text)) == one["hash"]
        assert read.query(text, **ACCURACY, seed=1) == one["computed"]["108"][1]["final_test_accuracy"]
