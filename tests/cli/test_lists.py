from __future__ import annotations

import pytest

from zerocost import benchmarks, data, spaces
from zerocost.cli.output import out


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("spaces", spaces.names()),
        ("data", [source.usage for source in data.SOURCES.values()]),
        ("benchmarks", benchmarks.names()),
    ],
)
def test_all_are_listed_as_a_table_and_as_json(run, command, names):
    shown, rows = run(command).out.splitlines(), run(command, "--json").json
    assert [line.split()[0] for line in shown[1:] if not line.startswith(" ")] == names
    assert [row[command.removesuffix("s") if command != "data" else command] for row in rows] == names


def test_spaces_have_their_size(run):
    sizes = {row["space"]: row["architectures"] for row in run("spaces", "--json").json}
    assert sizes["nasbench201"] == 15625 and "15,625" in run("spaces").out


def test_proxies_say_from_which_sizes_down_they_lose_their_order(run):
    sizes = {row["name"]: row["shrinks_badly"] for row in run("proxies", "--json").json}
    assert sizes["params"] is None and sizes["fisher"] == "depth=0.2"


@pytest.mark.parametrize("command", ["spaces", "data", "benchmarks", "proxies"])
def test_nothing_is_cut_at_a_narrow_terminal(run, command, monkeypatch):
    whole = run(command).out.count("…")
    monkeypatch.setattr(out, "_width", 80)
    assert run(command).out.count("…") == whole
