"""How the command ends: streams that are closed or full, names that cannot be encoded, Ctrl-C while it loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zerocost.cli.main import app

ZEROCOST = f"{sys.executable} -W error -m zerocost"
FILE = """
from torch import nn


def candidates():
    return {"\\udcff ☃": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 10))}
"""
RANK = "rank mine.py:candidates --data digits:8 --proxies snip,params"
NO_SPACE = "error: cannot write the output: No space left on device\n"
SHELL = {
    "a full disk": (f"{ZEROCOST} {RANK} --save kept.json > /dev/full", 1, "", NO_SPACE),
    "no stdout": (f"{ZEROCOST} proxies >&-", 2, "", "error: stdout is closed: there is nowhere to print to\n"),
    "no stderr": (f"{ZEROCOST} rnak 2>&-", 2, "", ""),
    "a reader that leaves": (f"set -o pipefail; {ZEROCOST} proxies --json | head -n 1", 0, "[\n", ""),
}


@pytest.fixture(scope="module")
def endings(tmp_path_factory) -> dict[str, subprocess.CompletedProcess[str]]:
    """How each line of `SHELL` ended; they run at the same time, as each has to load everything."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    folder = tmp_path_factory.mktemp("shell")
    (folder / "mine.py").write_text(FILE)
    started = {
        name: subprocess.Popen(
            ["bash", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
        )
        for name, (line, *_) in SHELL.items()
    }
    ended = {}
    for name, process in started.items():
        with process:
            streams = process.communicate(timeout=300)
        ended[name] = subprocess.CompletedProcess(str(folder), process.returncode, *streams)
    return ended


@pytest.mark.parametrize("name", SHELL)
def test_streams_of_every_kind(endings, name):
    _, code, output, errors = SHELL[name]
    result = endings[name]
    assert (result.returncode, result.stdout, result.stderr) == (code, output, errors)


def test_what_was_scored_is_saved_though_nobody_can_read_it(endings):
    saved = Path(endings["a full disk"].args) / "kept.json"
    assert '"reference"' in saved.read_text()


@pytest.mark.parametrize(("charset", "shown"), [("ascii", "\\udcff \\u2603"), ("utf-8", "\\udcff ☃")])
def test_names_that_cannot_be_encoded_are_printed_escaped(tmp_path, charset, shown):
    (tmp_path / "mine.py").write_text(FILE)
    ranked = CliRunner(charset=charset).invoke(app, RANK.replace("mine.py", f"{tmp_path}/mine.py").split())
    assert (ranked.exit_code, ranked.stderr) == (0, "")
    assert shown in ranked.stdout
    missing = CliRunner(charset=charset).invoke(app, ["score", "\udcff.py:build", "--data", "digits"])
    assert (missing.exit_code, missing.stderr) == (2, "error: no such file: \\udcff.py\n")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="/proc says when torch is being loaded")
def test_ctrl_c_while_it_loads_is_one_line():
    command = [*ZEROCOST.split(), "proxies"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text() and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        streams = process.communicate(timeout=60)
    assert (process.returncode, *streams) == (130, "", "error: interrupted\n")


INTERRUPTED = """
import atexit, os, signal, sys
from zerocost.cli.main import app, main
from zerocost.cli.shell import Shell

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["zerocost", "data"]


def stopped(when):
    def run(self, *given):
        os.kill(os.getpid(), signal.SIGINT)
        return getattr(Shell, when)(self, *given)

    app.info.cls = type("Stopped", (Shell,), {when: run})


class Late:
    def __del__(self, kill=os.kill, pid=os.getpid, number=signal.SIGINT):  # of the module nothing is left by then
        kill(pid(), number)


for when in ("parse_args", "resolve_command", "invoke", "shutdown"):
    child = os.fork()
    if not child:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{when}.{name}", os.O_WRONLY | os.O_CREAT), number)
        atexit.register(lambda: setattr(sys, "late", Late())) if when == "shutdown" else stopped(when)
        main()
    print(when, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that has loaded everything is forked for each")
def test_ctrl_c_while_options_are_read_or_python_shuts_down_is_a_code_and_no_more_than_one_line(tmp_path):
    command = [sys.executable, "-c", INTERRUPTED]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, cwd=tmp_path)
    assert ran.stdout.split() == ["parse_args", "130", "resolve_command", "130", "invoke", "130", "shutdown", "0"]
    said = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert "digits" in said.pop("shutdown.out") and said.pop("shutdown.err") == ""
    assert {text for name, text in said.items() if name.endswith("out")} == {""}
    assert [text for name, text in said.items() if name.endswith("err")] == ["error: interrupted\n"] * 3


SEARCH = ("search", "--data", "digits:8", "--candidates", 2, "--keep", 1, "--epochs", 0, "--batch", 4)


@pytest.mark.parametrize(("target", "code"), [("/dev/full", 1), ("/proc/report.html", 2)])
def test_a_report_that_cannot_be_written_leaves_the_result_on_the_screen_and_in_the_csv(run, target, code, tmp_path):
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc here")
    csv = tmp_path / "a.csv"
    result = run(*SEARCH, "--proxies", "snip", "--report", target, "--csv", csv)
    assert result.code == code
    assert "survivors, 1 of 2" in result.out and result.out.endswith(f"wrote {csv}\n")
    assert len(csv.read_text().splitlines()) == 3
    assert result.err.startswith(f"error: cannot write {target}: ")
    assert len(result.err.splitlines()) == 1


def test_rank_with_nobody_left_is_exit_code_1(run, user_file):
    result = run("rank", f"{user_file}:candidates", "--data", "digits:8", "--proxies", "snip", "--where", "snip < 0")
    assert result.code == 1
    assert result.err.startswith("error: no candidate passed the filter; the best one: snip < 0 is false")
    assert "0 of 3 candidates" in result.out


def test_a_wrong_use_says_what_is_near_and_where_to_read(run):
    assert run("rnak").err == (
        "error: unknown command 'rnak'; did you mean 'rank', 'train' or 'benchmarks'? `zerocost --help` lists all 15\n"
    )
    unknown = run("rank", "x.py:y", "--data", "digits", "--btach", 3).err
    assert unknown.startswith("error: unknown option '--btach'; did you mean '--batch', '--batches'")
    assert "(darts); a space is given as --space NAME; " in run("search", "darts", "--data", "digits").err
    missing = run("rank", "x.py:y").err
    assert missing.startswith("error: missing option '--data'; ")
    assert missing.endswith("rank --help` explains\n")
    assert run("score", "x.py:y", "--data", "digits", "--batch", 0).err.startswith("error: invalid value for '--batch'")
