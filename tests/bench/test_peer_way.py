from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

BENCH = Path(__file__).parents[2] / "bench"


def test_twins_and_passes_that_are_shared_are_what_is_saved(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    threads = torch.get_num_threads()
    runpy.run_path(str(BENCH / "peer_way.py"))["main"](
        "noise:3x32x32:10", cells=5, fidelity="width=0.25,depth=0.2,resolution=8,batch=8"
    )
    torch.set_num_threads(threads)
    shown = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    alone, together, once = (float(row[-1]) for row in rows)
    assert alone > together > once == 1
    assert "minutes for 15,625 cells" in shown
