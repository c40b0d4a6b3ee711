"""Benchmarks by name: from a file, from a converted table, from where tables lie."""

from __future__ import annotations

import csv
import importlib.metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.handmade import analog, shared
from zerocost import benchmarks, spaces
from zerocost.base.errors import InputError
from zerocost.benchmarks.kinds import BENCHMARKS

CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
ACCURACY = {"dataset": "cifar10", "metric": "test_accuracy", "epochs": 200}
LATENCY = {"dataset": "cifar10", "metric": "fpga_latency", "epochs": 0, "seed": "mean"}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROCOST_BENCHMARKS", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def accuracies(tmp_path):
    (tmp_path / "accuracies.csv").write_text(f"arch,test_accuracy_seeds\n{CELL},93.5 94.5\n")
    return tmp_path / "accuracies.csv"


@pytest.fixture
def hardware(tmp_path):
    (tmp_path / "hardware.csv").write_text(f"arch,fpga_latency\n{CELL},2.5\n")
    return tmp_path / "hardware.csv"


def test_every_benchmark_has_a_space_and_says_what_it_is_read_from():
    for name, kind in BENCHMARKS.items():
        assert kind.make_space(name).name == kind.space or name in spaces.names()
        if kind.installed is None:
            with pytest.raises(InputError, match=f"benchmark {name} needs a source: .* read from .*{kind.wanted[:9]}"):
                benchmarks.get(name)


def test_a_file(accuracies):
    for source in (accuracies, str(accuracies)):
        found = benchmarks.get("nasbench201", source)
        assert (found.name, found.space.name) == ("nasbench201", "nasbench201")
        assert found.default == benchmarks.Query(**ACCURACY, seed="mean")
        assert found.query(CELL, **ACCURACY, seed="mean") == 94


def test_a_converted_table_answers_as_its_sources(tmp_path, accuracies, hardware):
    folder = benchmarks.convert("nasbench201", accuracies, hardware, to=tmp_path / "new" / "table")
    assert folder == tmp_path / "new" / "table"
    found = benchmarks.get("nasbench201", folder)
    assert found.query(CELL, **ACCURACY, seed=1) == 94.5
    assert found.query(CELL, **LATENCY) == 2.5


def test_without_a_folder_tables_go_where_they_are_looked_for(home, accuracies):
    assert benchmarks.convert("nasbench201", accuracies) == home / "nasbench201"
    assert benchmarks.get("nasbench201").query(CELL, **ACCURACY, seed=0) == 93.5
    with pytest.raises(InputError, match="nasbench201 exists already; remove it, or name another folder with to="):
        benchmarks.convert("nasbench201", accuracies)


def test_without_the_variable_tables_lie_in_the_users_cache(tmp_path, monkeypatch, accuracies):
    monkeypatch.delenv("ZEROCOST_BENCHMARKS")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert benchmarks.convert("nasbench201", accuracies) == tmp_path / ".cache/zerocost/benchmarks/nasbench201"


def test_the_package_of_the_extra_is_used_when_nothing_else_is_there(home, tmp_path, monkeypatch, accuracies):
    file = tmp_path / "analognasbench" / "data.anb"
    file.parent.mkdir()
    file.write_bytes(analog({(2, 1, 0, 1, 1, 3): {"baseline_accuracy": 90.0}}))
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: SimpleNamespace(locate_file=tmp_path.joinpath))
    baseline = ACCURACY | {"metric": "baseline_accuracy", "seed": "mean"}
    assert benchmarks.get("nasbench201").query(CELL, **baseline) == 90
    assert (
        benchmarks.get("nasbench201", benchmarks.convert("nasbench201", to=tmp_path / "a")).query(CELL, **baseline)
        == 90
    )
    benchmarks.convert("nasbench201", accuracies)
    assert benchmarks.get("nasbench201").metrics == ("test_accuracy",)


def test_the_default_is_of_what_the_table_has(accuracies, hardware):
    assert benchmarks.get("nasbench201", accuracies).default.metric == "test_accuracy"
    assert benchmarks.get("nasbench201", hardware).default._asdict() == LATENCY


def test_a_table_of_another_benchmark_is_refused(tmp_path, accuracies):
    folder = benchmarks.convert("nasbench201", accuracies, to=tmp_path / "table")
    with pytest.raises(InputError, match="holds benchmark nasbench201"):
        benchmarks.get("macro", folder)


def test_sources_that_contradict_each_other_are_refused(tmp_path, accuracies):
    other = tmp_path / "other.csv"
    other.write_text(f"arch,test_accuracy_seeds\n{CELL},93.4\n")
    with pytest.raises(InputError, match=r"two values of test_accuracy .* 93\.5 and 93\.4"):
        benchmarks.convert("nasbench201", accuracies, other, to=tmp_path / "table")
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize("name", ["NATS-tss-v1_0-3ffb9.pickle.pbz2", "NAS-Bench-201-v1_1-096897.pth", "data.tfrecord"])
def test_pickles_and_unknown_files_are_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        InputError, match=rf"not read from {name}, but from the extra .* end in \.anb, \.csv\. A pickle"
    ):
        benchmarks.get("nasbench201", tmp_path / name)


def test_what_is_no_source_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no file and no converted table; benchmark darts is read from a CSV"):
        benchmarks.get("darts", tmp_path / "absent.csv")
    with pytest.raises(InputError, match="is no file and no converted table"):
        benchmarks.get("darts", tmp_path)
    with pytest.raises(InputError, match=r"expected a path, or the object .* but got int"):
        benchmarks.get("nasbench201", 201)
    with pytest.raises(InputError, match=r"unknown benchmark 'nasbench20'; did you mean 'nasbench201'"):
        benchmarks.get("nasbench20")


def test_networks_have_the_classes_of_the_default_dataset(tmp_path):
    (tmp_path / "a.csv").write_text("arch,validation_accuracy\n64-1234-basic,40\n")
    network = benchmarks.get("transnas_macro", tmp_path / "a.csv").space
    assert network.build(network.parse("64-1234-basic")).classifier.out_features == 75


def test_real_nasbench201_with_hardware(home):
    files = [shared("nasbench201-cifar10.csv"), shared("nasbench201-cifar10-hardware.csv")]
    benchmarks.convert("nasbench201", *files)
    found = benchmarks.get("nasbench201")
    truth = found.truth(**found.default._asdict())
    assert list(found.architectures()) == [str(arch) for arch in found.space]
    with files[0].open() as file:
        lines = list(csv.DictReader(file))
    np.testing.assert_array_equal(truth, [float(line["test_accuracy_mean"]) for line in lines])
    for line in lines[::1000]:
        seeds = [float(number) for number in line["test_accuracy_seeds"].split()]
        assert [found.query(line["arch"], **ACCURACY, seed=seed) for seed in range(len(seeds))] == seeds
    with files[1].open() as file:
        latencies = [float(line["fpga_latency"]) for line in csv.DictReader(file)]
    assert found.truth(**LATENCY).tolist() == latencies


def test_real_darts_genotypes():
    found = benchmarks.get("darts", shared("darts-cifar10-sample.csv"))
    first = found.architectures()[0]
    assert found.query(first, **found.default._asdict()) == 80.82999420166016
    respelled = first.replace("[2, 3, 4, 5]", "range(2, 6)")
    assert respelled != first
    assert found.query(respelled, **found.default._asdict()) == 80.82999420166016


def test_real_transnas_cells():
    found = benchmarks.get("transnas_micro", shared("transnas101-micro-class-object-sample.csv"))
    assert found.architectures()[0] == "64-41414-1_32_131"
    assert found.query("64-41414-1_32_131", **found.default._asdict()) == 42.092952728271484
    assert len(found.architectures()) == 300


def test_a_table_goes_into_a_folder_not_into_what_is_named_like_a_file(tmp_path):
    with pytest.raises(InputError, match=r"expected a folder, but .*macro\.csv is the name of a \.csv file"):
        benchmarks.convert("macro", tmp_path / "gone.csv", to=tmp_path / "macro.csv")
