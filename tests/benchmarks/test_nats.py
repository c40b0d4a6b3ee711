"""NATS-Bench through an object with the methods of the package nats-bench."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.handmade import NATS
from zerocost import benchmarks, spaces
from zerocost.base.errors import InputError

CELLS = [str(arch) for arch in itertools.islice(spaces.get("nasbench201"), 2)]
SIZES = [str(arch) for arch in itertools.islice(spaces.get("nats_size"), 2)]


@pytest.mark.parametrize(
    ("name", "texts", "trainings"), [("nasbench201", CELLS, ("12", "200")), ("nats_size", SIZES, ("01", "12", "90"))]
)
def test_every_training_is_found(name, texts, trainings):
    api = NATS(texts, trainings)
    found = benchmarks.get(name, api)
    assert list(found.architectures()) == texts
    assert found.datasets == ("cifar10-valid", "cifar10", "cifar100")
    assert found.epochs == (0, *map(int, trainings))
    assert found.seeds == (777, 888)
    theirs = {
        "train_loss": "train-loss",
        "validation_accuracy": "valid-accuracy",
        "valtest_accuracy": "valtest-accuracy",
    }
    for hp, metric in itertools.product(trainings, theirs):
        for seed in (777, 888):
            query = {"dataset": "cifar100", "metric": metric, "epochs": int(hp), "seed": seed}
            assert found.query(texts[1], **query) == api.get_more_info(1, "cifar100", None, hp, seed)[theirs[metric]]


def test_the_mean_is_over_the_seeds_an_architecture_has():
    api = NATS(CELLS, ("12", "200"))
    found = benchmarks.get("nasbench201", api)
    accuracies = [api.get_more_info(1, "cifar10", None, "200", seed)["test-accuracy"] for seed in (777, 888)]
    assert found.query(CELLS[1], **found.default._asdict()) == pytest.approx(sum(accuracies) / 2)
    assert found.query(CELLS[0], **found.default._asdict()) == found.query(
        CELLS[0], **found.default._replace(seed=777)._asdict()
    )
    with pytest.raises(InputError, match="it has seeds 777"):
        found.query(CELLS[0], **found.default._replace(seed=888)._asdict())


def test_costs_are_counts_and_seconds():
    found = benchmarks.get("nasbench201", NATS(CELLS, ("12", "200")))
    costs = {"dataset": "cifar10", "epochs": 0, "seed": "mean"}
    assert found.query(CELLS[0], metric="params", **costs) == 129_306
    assert found.query(CELLS[0], metric="flops", **costs) == 15_647_370
    assert found.query(CELLS[0], metric="latency", **costs) == 0.0139
    with pytest.raises(InputError, match=r"unknown nasbench201 metric .* 'latency'"):
        found.query(CELLS[0], metric="latency", **costs | {"dataset": "cifar100"})


def test_what_the_source_does_not_measure_is_no_metric():
    found = benchmarks.get("nasbench201", NATS(CELLS, ("12", "200")))
    assert not [metric for metric in found.metrics if "seconds" in metric]


def test_an_object_of_another_space_is_refused():
    with pytest.raises(InputError, match="an architecture of space nats_size"):
        benchmarks.get("nats_size", NATS(CELLS, ("01", "12", "90")))
    with pytest.raises(InputError, match=r"nats-bench has no benchmark macro, which is read from nas-bench-macro"):
        benchmarks.get("macro", NATS(CELLS, ("12", "200")))
