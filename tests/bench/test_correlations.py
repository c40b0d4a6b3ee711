from __future__ import annotations

import importlib.util
from pathlib import Path

from typer.testing import CliRunner

BENCH = Path(__file__).parents[2] / "bench"


def loaded(name: str):
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_fidelities_stand_side_by_side_and_kept_scores_are_not_computed_again(tmp_path):
    import typer

    app = typer.Typer()
    app.command()(loaded("correlations").main)
    arguments = ["digits", "--data", "digits-hard", "--n", "12", "--seeds", "1", "--proxies", "naswot", "--k", "3"]
    arguments += ["--fidelity", "full", "--fidelity", "width=0.5", "--store", str(tmp_path / "scores.db")]
    first, again = (CliRunner().invoke(app, arguments) for _ in range(2))
    assert first.exit_code == 0, first.output
    lines = [line for line in first.stdout.splitlines() if line.startswith("|")]
    assert lines[0].count("τ") == 2
    assert {line.split("|")[1].strip() for line in lines[2:]} == {"naswot", "params", "flops", "depth"}
    assert [line for line in again.stdout.splitlines() if line.startswith("|")] == lines
    assert "12 networks scored in" in first.stdout
