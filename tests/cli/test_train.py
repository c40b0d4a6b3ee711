"""`zerocost train` and `zerocost rank --train`: the same trainings as `zerocost.train` in Python."""

from __future__ import annotations

import importlib
import sys

import pandas as pd
import pytest

import zerocost as zc

DATA = ("--data", "digits:8")


@pytest.fixture
def candidates(user_file, monkeypatch):
    monkeypatch.syspath_prepend(user_file.parent)
    monkeypatch.delitem(sys.modules, user_file.stem, raising=False)  # another test's file of that name
    return importlib.import_module(user_file.stem).candidates()


def test_trainings_are_those_of_python_best_first(run, user_file, candidates, tmp_path):
    csv, workdir = tmp_path / "runs.csv", tmp_path / "runs"
    options = ("--epochs", 1, "--seeds", 2, "--workdir", workdir, "--csv", csv)
    result = run("train", f"{user_file}:candidates", *DATA, *options)
    expected = zc.train(candidates, train="digits:8", epochs=1, seeds=(0, 1))
    written = pd.read_csv(csv)
    assert list(written["accuracy"]) == [run.metric for run in expected] and written.columns[0] == "name"
    means = written.groupby("name")["accuracy"].mean().sort_values(ascending=False)
    rows = [line.split() for line in result.out.splitlines() if line[:1].isdigit() and "candidate" not in line]
    assert [row[1] for row in rows] == list(means.index)
    assert [row[4] for row in rows] == [f"{100 * mean:.1f}" for mean in means]
    assert "weights of the best" in result.out and len(list(workdir.glob("*/seed-*/best.pt"))) == 6
    before = {file: file.stat().st_mtime_ns for file in workdir.glob("*/*/run.json")}
    assert run("train", f"{user_file}:candidates", *DATA, *options).code == 0
    assert before == {file: file.stat().st_mtime_ns for file in workdir.glob("*/*/run.json")}


def test_several_names_and_a_function_that_builds_one_network(run, user_file):
    result = run("train", f"{user_file}:build,Net,with_a_broken_one", *DATA, "--epochs", 1, "--json")
    by_name = {one["name"]: one for one in result.json["runs"]}
    assert list(by_name) == ["build", "Net", "w4", "w8", "w16", "[broken]"]
    assert by_name["build"]["metric"] == by_name["Net"]["metric"] == by_name["w8"]["metric"]
    assert by_name["[broken]"]["failure"] and result.json["best"] in ("w4", "w8", "w16")
    shown = run("train", f"{user_file}:with_a_broken_one", *DATA, "--epochs", 1).out
    assert "training [broken] (seed 0) failed" in shown


def test_a_metric_of_which_less_is_better(run, tmp_path):
    (tmp_path / "mine.py").write_text("from torch import nn\n\nnets = [nn.Linear(2, 1), nn.Identity()]\n")
    table = tmp_path / "table.csv"
    pd.DataFrame({"a": range(40), "b": range(40, 80), "y": [0.5 * i for i in range(40)]}).to_csv(table, index=False)
    options = ("--metric", "mean_absolute_error", "--epochs", 1)
    target = ("train", f"{tmp_path}/mine.py:nets", "--data", f"csv:{table}:y", *options)
    result = run(*target)
    assert "best first by validation mean absolute error, less is better" in result.out
    [linear] = [one for one in run(*target, "--json").json["runs"] if one["name"] == "Linear"]
    assert linear["metric"] > 0 and not linear["higher_is_better"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("only_broken", (), "no candidate could be trained: RuntimeError"),
        ("raising", (), "raising() raised RuntimeError: no such luck"),
        ("number", (), "candidates must be a mapping"),
        ("candidates,build,build", (), "have the name 'build'"),
        ("nope", (), "unknown name"),
        ("build", ("--metric", "perplexity"), "classification has no metric 'perplexity'"),
        ("build", ("--learning-rate", "-1"), "learning_rate must be"),
        ("build", ("--parquet", "a.csv"), "takes a .parquet file"),
        ("build", ("--device", "toaster"), "cannot train on device"),
    ],
)
def test_what_cannot_be_trained_is_one_line(run, user_file, name, options, message):
    result = run("train", f"{user_file}:{name}", *DATA, "--epochs", 1, *options)
    assert (result.code, result.out) == (2, "")
    assert message in result.err and len(result.err.strip().splitlines()) == 1


def test_ctrl_c_keeps_what_was_trained(run, user_file):
    result = run("train", f"{user_file}:interrupted", *DATA, "--epochs", 1)
    assert result.code == 130 and "w4" in result.out and "until then: 1" in result.err


def test_the_best_of_a_ranking_are_trained_on_what_scores_saw_alone(run, user_file, candidates, tmp_path):
    csv = tmp_path / "ranking.csv"
    options = ("--proxies", "snip", "--train", 2, "--epochs", 1, "--training-seeds", 2, "--csv", csv)
    result = run("rank", f"{user_file}:candidates", *DATA, *options)
    train, validation = zc.data.split(zc.data.load("digits:8"))
    table = zc.rank(candidates, train, "snip")
    expected = zc.train(zc.select(table, top=2), train=train, validation=validation, epochs=1, seeds=(0, 1))
    written = pd.read_csv(csv, index_col=0)
    assert written["snip"].to_dict() == table.frame["snip"].to_dict()
    means = {one.name: [] for one in expected}
    for one in expected:
        means[one.name].append(one.metric)
    assert written["accuracy"].dropna().to_dict() == pytest.approx({n: sum(v) / 2 for n, v in means.items()})
    assert result.out.count("w16") == 2 and result.out.count("w4") == 1
    runs = run("rank", f"{user_file}:candidates", *DATA, *options[:-2], "--json").json["runs"]
    assert [one["metric"] for one in runs] == [one.metric for one in expected]
