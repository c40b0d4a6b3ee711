"""From files to trained networks, for each task, in Python and at the shell."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import zerocost as zc
from zerocost import report
from zerocost.cli.main import app

RNG = np.random.default_rng(0)
SETTINGS = {"candidates": 3, "keep": 2, "epochs": 2, "proxies": "snip,log_synflow", "batch": 16}


def table(folder):
    frame = pd.DataFrame(RNG.normal(size=(80, 3)), columns=["a", "b", "c"])
    frame["kind"] = RNG.choice(["x", "y"], 80)
    frame["price"] = 3 * frame["a"] - frame["b"] + 100
    frame.to_csv(folder / "table.csv", index=False)
    return f"csv:{folder / 'table.csv'}:price"


def series(folder):
    steps = np.arange(160)
    pd.DataFrame({"load": np.sin(steps / 5), "heat": np.cos(steps / 5)}).to_csv(folder / "series.csv", index=False)
    return f"series:{folder / 'series.csv'}:load:12:2"


def pictures(folder):
    folder.mkdir(exist_ok=True)
    for i in range(48):
        pixels = RNG.integers(0, 80, (8, 8, 3), dtype=np.uint8)
        pixels[: 4 + 4 * (i % 2), :, i % 3] += 120
        Image.fromarray(pixels).save(folder / f"{i}.png")


def masks(folder):
    pictures(folder / "images")
    (folder / "masks").mkdir()
    for i in range(48):
        mask = np.zeros((8, 8), np.uint8)
        mask[: 4 + 4 * (i % 2)] = 1 + i % 2
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
    return f"masks:{folder}:8"


def labels(folder):
    pictures(folder / "pictures")
    rows = "".join(f"pictures/{i}.png,{int(i % 3 == 0)},{i % 2}\n" for i in range(48))
    (folder / "labels.csv").write_text(f"file,red,full\n{rows}")
    return f"labels:{folder / 'labels.csv'}:8"


def text(folder):
    (folder / "book.txt").write_text("the quick brown fox jumps over the lazy dog. " * 30)
    return f"text:{folder / 'book.txt'}:16"


class Rows(nn.Module):
    """Numbers and categories side by side."""

    def __init__(self, width):
        super().__init__()
        self.colours, self.rest = nn.Embedding(3, 2), nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, numbers, categories):
        return self.rest(torch.cat([numbers, self.colours(categories[:, 0])], 1))


class Recurrent(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.cells, self.head = nn.GRU(2, width, batch_first=True), nn.Linear(width, 2)

    def forward(self, windows):
        return self.head(self.cells(windows)[0][:, -1])


def shallow(width, outputs):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, outputs, 1))


def pooled(width, outputs):
    return nn.Sequential(
        shallow(width, width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(outputs)
    )


class Language(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.tokens, self.mix, self.head = nn.Embedding(256, width), nn.Linear(width, width), nn.Linear(width, 256)

    def forward(self, ids):
        return {"logits": self.head(torch.relu(self.mix(self.tokens(ids))))}


CASES = {
    "regression": (table, Rows, "mean_squared_error"),
    "series": (series, Recurrent, "mean_squared_error"),
    "segmentation": (masks, lambda width: shallow(width, 3), "jaccard_index"),
    "multilabel": (labels, lambda width: pooled(width, 2), "average_precision"),
    "next_token": (text, Language, "perplexity"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_search_trains_for_the_task_of_the_files(case, tmp_path):
    write, make, metric = CASES[case]
    found = zc.search(lambda choose: make(choose.int("width", 4, 16, step=4)), write(tmp_path), **SETTINGS)
    assert found.task.name == ("regression" if case == "series" else case)
    assert found.table.failures.empty, found.table.failures.reason.iloc[0]
    assert [run.failure for run in (*found.survivors, *found.random)] == [None] * 4
    assert {run.metric_name for run in found.survivors} == {metric} == {found.settings["metric"]}
    page = report.write(found, tmp_path / "report.html").read_text(encoding="utf-8")
    words = metric.replace("_", " ")
    assert f"Validation {words}" in page and f"trained {words}" in page
    assert ("less is better" in page) is not found.task.higher_is_better


SPACE = """
import torch
from torch import nn

def net(choose):
    return nn.Sequential(nn.Linear(3, choose.int("width", 4, 16, step=4)), nn.ReLU(), nn.LazyLinear(1))

def build():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))

def absolute(outputs, targets):
    return (outputs.flatten() - targets.flatten()).abs().mean()
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "own.py").write_text(SPACE)
    frame = pd.DataFrame(RNG.normal(size=(90, 3)), columns=["a", "b", "c"])
    frame["stars"] = (frame["a"] > 0).astype(int) + 2
    frame.to_csv(tmp_path / "stars.csv", index=False)
    return tmp_path


def run(*words):
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_shell_takes_the_task_its_loss_and_its_metric(files):
    words = ("search", "--space", f"{files / 'own.py'}:net", "--data", f"csv:{files / 'stars.csv'}:stars")
    words += ("--candidates", 3, "--keep", 1, "--epochs", 1, "--proxies", "grad_norm", "--json")
    words += ("--task", "regression", "--loss", f"{files / 'own.py'}:absolute", "--metric", "mean_absolute_error")
    found = json.loads(run(*words))
    made = {name: found["settings"][name] for name in ("task", "loss", "metric")}
    assert made == {"task": "regression", "loss": "absolute", "metric": "mean_absolute_error"}
    [survivor] = found["survivors"]
    [epoch] = survivor["epochs"]
    assert survivor["failure"] is None and survivor["metric_name"] == "mean_absolute_error"
    assert survivor["metric"] == pytest.approx(epoch["validation_loss"], rel=1e-5)


def test_scores_and_rankings_at_the_shell_follow_the_task(files):
    data, build = ("--data", f"csv:{files / 'stars.csv'}:stars", "--proxies", "snip"), f"{files / 'own.py'}:build"
    number = ("--task", "regression")
    made = [json.loads(run("score", build, *data, *words, "--json")) for words in ((), number)]
    assert [card["provenance"]["task"] for card in made] == ["classification", "regression"]
    assert "task regression" in run("score", build, *data, *number)
    text = run("search", "--space", f"{files / 'own.py'}:net", *data, *number, "--candidates", 2, "--keep", 1)
    assert "validation mean squared error, less is better" in text
    result = CliRunner().invoke(app, ["score", build, *data, "--task", "regresion"])
    assert result.exit_code == 2 and "did you mean 'regression'?" in result.output
