"""The installed command, run as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

import zerocost as zc
from zerocost.search import pipeline

SLOW_SPACE = """
from pathlib import Path

from torch import nn


class Net(nn.Linear):
    def forward(self, x):
        Path("scoring").touch()
        return super().forward(x.flatten(1))


def net(choose):
    for name in ("a", "b"):
        choose.int(name, 1, 100)
    return Net(192, 10)
"""


def test_a_search_from_the_shell(tmp_path):
    (tmp_path / "data.csv").write_text("a,b,y\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(60)))
    small = ("--space", "mlp", "--data", "csv:data.csv:y", "--candidates", 4, "--keep", 1, "--epochs", 1, "--batch", 16)
    command = [sys.executable, "-W", "error", "-m", "zerocost", "search", *map(str, small), "--report", "run.html"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "best survivor: depth=" in result.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"data.csv", "run.html"}


def test_ctrl_c_from_the_shell_keeps_what_was_done(tmp_path):
    (tmp_path / "space.py").write_text(SLOW_SPACE)
    command = [sys.executable, "-m", "zerocost", "search", "--space", "space.py:net", "--data", "digits:8"]
    command += ["--candidates", "5000", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        while not (tmp_path / "scoring").exists() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert 0 < json.loads(output)["stages"][0]["count"] < 5000


def test_proxies_lists_every_proxy(run):
    listed = run("proxies", "--json").json
    assert [p["name"] for p in listed] == zc.proxies.names()
    assert all(p["paper"] and p["summary"] and p["signals"] for p in listed)
    shown = run("proxies").out
    assert all(name in shown for name in zc.proxies.names())
    signs = dict(line.split()[:2] for line in shown.splitlines() if len(line.split()) > 1)
    assert [signs[name] for name in ("flash_int8", "ntk_condition", "params")] == ["less", "−", "+"]


def test_explain_counts_the_runs(run):
    result = run("explain", "grad_norm,snip,plain", "fisher,jacob_cov,synflow,naswot", "grasp")
    assert "8 proxies: 2 forward and 4 backward passes" in result.out
    assert run("explain", "snip", "--json").json["backwards"] == 1


@pytest.mark.parametrize("arguments", [(), ("--help",), ("search", "--help")])
def test_help(run, arguments):
    result = run(*arguments)
    assert "Usage" in result.out + result.err


def test_version(run):
    assert run("--version").out.strip() == f"zerocost {zc.__version__}"


def test_terminated_is_not_success(run, monkeypatch):
    def ended(*_, **__):
        raise SystemExit

    monkeypatch.setattr(pipeline, "search", ended)
    result = run("search", "--data", "digits:8")
    assert result.code == 143
    assert "terminated" in result.err
