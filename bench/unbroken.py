"""Searches that are killed and restarted, and searches that share a study: nothing is lost or done twice.

    python bench/unbroken.py [--kills 10] [--candidates 60] [--postgres URL]

The shell command `zerocost search` is killed with signal 9 at random moments and started again until it ends; its
result must be that of a search that was not killed. Then two processes search in one study, on SQLite and on
PostgreSQL, and the second of them is killed half-way: each architecture must be measured once, and as many as were
requested. One of the proxies writes down what it computes. "Scored twice" counts scores computed again although the
store had them; "in flight again", scores that a kill hit before they were stored.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import optuna
import typer
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from zerocost.search.shared_storage import KEY, TWIN
from zerocost.search.shared_study import open_storage
from zerocost.store import Store

PROXY = """
import hashlib, os, time
from zerocost import proxy


@proxy(paper="bench/unbroken.py")
def noted(weights, outputs):
    "A number that stands for the network, written down whenever it is computed."
    time.sleep({pause})
    parts = [*weights, outputs]
    made = hashlib.sha256(b"".join(part.detach().numpy().tobytes() + repr(part.shape).encode() for part in parts))
    number = int(made.hexdigest()[:12], 16)
    with open({log!r}, "a") as log:
        log.write(f"{{number}}\\n")
    return float(number)
"""
TIMES = ("seconds", "milliseconds", "stages")
"""What differs from search to search."""


class Row(NamedTuple):
    """What is reported about one search."""

    search: str
    kills: int
    restarts: int
    equal: bool
    twice: int
    again: int
    lost: int


class Command:
    """`zerocost search` in a folder of its own, with a proxy that writes down what it computes."""

    def __init__(self, folder: Path, *options: object, pause: float = 0.05) -> None:
        folder.mkdir(parents=True)
        self.folder, self.log, self.store = folder, folder / "log.txt", str(folder / "scores.db")
        own = folder.parent / "my_proxy.py"
        own.write_text(PROXY.format(log="log.txt", pause=pause))
        self.options = [str(option) for option in ("--proxies", f"{own}:noted,log_synflow", *options)]
        self.started = 0

    def start(self, store: str = "scores.db") -> subprocess.Popen[str]:
        """The command as a process; its result goes to the file result-N.json."""
        self.started += 1
        fixed = ["--space", "cnn", "--data", "digits:8", "--batch", "16", "--strategy", "evolution", "--json"]
        kept = ["--store", store, "--workdir", "trainings"]
        command = [sys.executable, "-m", "zerocost", "search", *fixed, *kept, *self.options]
        with (
            (self.folder / f"result-{self.started}.json").open("w") as out,
            (self.folder / f"errors-{self.started}.txt").open("w") as errors,
        ):
            one = os.environ | {"OMP_NUM_THREADS": "1"}
            return subprocess.Popen(command, stdout=out, stderr=errors, cwd=self.folder, env=one, text=True)

    def result(self, number: int) -> Any:
        """What a process found, without times."""
        errors = (self.folder / f"errors-{number}.txt").read_text()
        text = (self.folder / f"result-{number}.json").read_text()
        if not text:
            raise RuntimeError(f"the search failed: {errors}")
        return without_times(json.loads(text))

    def computed(self) -> list[int]:
        """What was computed so far, in order."""
        return [int(line) for line in self.log.read_text().split()] if self.log.is_file() else []


def without_times(value: Any) -> Any:
    """A result without what took how long."""
    if isinstance(value, dict):
        return {name: without_times(part) for name, part in value.items() if name not in TIMES}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def stored_numbers(place: str) -> set[int]:
    """What a store has of the proxy that writes down."""
    if "://" not in place and not Path(place).is_file():
        return set()
    noted = "SELECT value FROM scores WHERE proxy LIKE 'noted%'"
    with Store(place) as store:
        return {int(value) for (value,) in store.database.transact(lambda execute: execute(noted))}


@contextmanager
def kill_at_exit(*processes: subprocess.Popen[str]) -> Iterator[None]:
    """Leaves no process behind."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def search_killed(folder: Path, kills: int, options: list[object], seed: int = 0, pause: float = 0.05) -> Row:
    """A search that is killed, beside one that is not."""
    whole = Command(folder / "whole", *options, pause=pause)
    begin = time.monotonic()
    process = whole.start()
    with kill_at_exit(process):
        while not whole.computed() and process.poll() is None:
            time.sleep(0.01)
        setup = time.monotonic() - begin
        process.wait()
    work = time.monotonic() - begin - setup
    command, rng = Command(folder / "broken", *options, pause=pause), random.Random(seed)
    killed = twice = lost = 0
    known: set[int] = set()
    while True:
        before = len(command.computed())
        process = command.start()
        with kill_at_exit(process):
            try:
                process.wait(setup + rng.uniform(-0.2 * setup, 1.5 * work / kills) if killed < kills else None)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
        twice += sum(number in known for number in command.computed()[before:])
        lost += len(known - stored_numbers(command.store))
        known = stored_numbers(command.store)
        if process.returncode != -9:
            break
    found, wanted = command.result(command.started), whole.result(1)
    again = sum(times - 1 for times in Counter(command.computed()).values()) - twice
    lost += len(set(whole.computed()) - known)
    return Row(f"alone, {options_text(options)}", killed, command.started - 1, found == wanted, twice, again, lost)


def search_shared(
    folder: Path,
    place: str | None,
    kill: bool,
    candidates: int,
    options: list[object],
    seed: int = 0,
    pause: float = 0.05,
) -> Row:
    """Two processes in one study and one store, the second of them killed half-way."""
    url = place or f"sqlite:///{folder / 'both' / 'study.db'}"
    command = Command(folder / "both", "--study-storage", url, "--candidates", candidates, *options, pause=pause)
    store, rng = place or command.store, random.Random(seed)
    known: set[int] = set()
    processes = [command.start(store), command.start(store)]
    with kill_at_exit(*processes):
        if kill:
            some = rng.randint(2, max(2, candidates // 2))
            while len(command.computed()) < some and any(process.poll() is None for process in processes):
                time.sleep(0.01)
            processes[1].kill()
            processes[1].wait()
            known = stored_numbers(store)
        before = len(command.computed())
        for process in processes:
            process.wait()
    found = [command.result(number) for number, process in enumerate(processes, 1) if process.returncode == 0]
    good = len(found) == 2 - kill and all(len(one["order"]) == candidates for one in found)
    good = good and all(set(one["order"]) == set(found[0]["order"]) for one in found)
    twice = sum(number in known for number in command.computed()[before:])
    again = sum(times - 1 for times in Counter(command.computed()).values()) - twice
    missing = len(known - stored_numbers(store)) + candidates - len(set(command.computed()))
    kind = url.partition(":")[0]
    return Row(f"two on {kind}", int(kill), 0, good and in_order(url, candidates), twice, again, missing)


def in_order(url: str, candidates: int) -> bool:
    """Whether a study has judged so many architectures, no two of them twins, and nothing is left running."""
    storage = open_storage(url)
    [name] = optuna.study.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    measured = [t.user_attrs for t in trials if t.state != TrialState.FAIL and TWIN not in t.user_attrs]
    keys = [known[KEY] for known in measured if KEY in known]
    storage.engine.dispose()
    return len(keys) == len(set(keys)) == candidates and all(trial.state.is_finished() for trial in trials)


def options_text(options: list[object]) -> str:
    """Options in one line."""
    return " ".join(map(str, options)).replace("--", "")


def main(
    kills: Annotated[int, typer.Option(min=1, help="How often a search is killed.")] = 10,
    candidates: Annotated[int, typer.Option(min=4, help="Architectures to measure.")] = 60,
    postgres: Annotated[
        str | None, typer.Option(envvar="ZEROCOST_TEST_POSTGRES", help="An empty database on a PostgreSQL server.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the moments.")] = 0,
) -> None:
    """Kill searches, have two share a study, and report what was lost or done twice."""
    table = Table(*("search", "kills", "restarts", "equal", "scored twice", "in flight again", "lost"))
    alone: list[object] = ["--candidates", candidates, "--keep", 2, "--epochs", 2]
    staged = [*alone, "--fidelity", "width=0.5,depth=0.4 > full", "--workers", 2]
    with tempfile.TemporaryDirectory(prefix="zerocost-unbroken-") as made:
        folder = Path(made)
        learning = ["--candidates", candidates, "--keep", 1, "--epochs", 1, "--trainings", 8]
        ways = alone, staged, learning
        rows = [search_killed(folder / str(i), kills, options, seed) for i, options in enumerate(ways)]
        for place in (None, postgres) if postgres else (None,):
            for kill in (False, True):
                where = place and new_schema(place)
                rows.append(search_shared(folder / f"{len(rows)}", where, kill, candidates, ["--epochs", 0], seed))
    for row in rows:
        table.add_row(*("yes" if value is True else "NO" if value is False else str(value) for value in row))
    Console(width=140).print(table)


def new_schema(server: str) -> str:
    """An empty schema of a PostgreSQL database, as a URL."""
    import uuid

    import psycopg

    name = f"unbroken_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{name}"


if __name__ == "__main__":
    typer.run(main)
