from __future__ import annotations

import json
from pathlib import Path

SPACE = """
from torch import nn


def net(choose):
    width = choose.int("width", 2, 9)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.Linear(width, 10))
"""


def test_record_writes_a_table_that_search_predicts_from(run, tmp_path: Path) -> None:
    table, space = tmp_path / "table.json", tmp_path / "own.py"
    space.write_text(SPACE)
    given = ["--data", "digits:8", "--space", f"{space}:net"]
    done = run("latency", "record", *given, "--networks", 5, "--held-out", 3, "--by", "torch:1", "--out", table)
    assert done.code == 0 and "3 networks held out: Spearman" in done.out, done
    assert len(json.loads(table.read_text())["layers"]) == 1 + 2 * 8
    short = ["--candidates", 4, "--epochs", 0, "--proxies", "snip", "--objectives", "score,latency", "--json"]
    found = run("search", *given, *short, "--latency", table)
    assert found.code == 0 and all(row["latency"] >= 0 for row in found.json["ranking"]), found


def test_a_table_that_cannot_be_written_is_refused_before_anything_is_measured(run, tmp_path: Path) -> None:
    done = run("latency", "record", "--data", "digits:8", "--out", tmp_path / "missing" / "table.json")
    assert done.code == 2 and "missing" in done.err


def test_a_space_that_does_not_fit_the_data_is_one_line(run, tmp_path: Path) -> None:
    space = tmp_path / "own.py"
    space.write_text(SPACE)
    given = ["--data", "digits:16", "--space", f"{space}:net", "--networks", 3, "--held-out", 3]
    done = run("latency", "record", *given, "--out", tmp_path / "table.json")
    assert done.code == 2 and "the network raised RuntimeError: mat1 and mat2" in done.err
