from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

import zerocost as zc

BENCH = Path(__file__).parents[2] / "bench"


def test_each_proxy_alone_and_all_together(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setattr(zc.proxies, "names", lambda: ["snip", "gradsign", "log_synflow", "dss"])
    try:
        runpy.run_path(str(BENCH / "every_proxy.py"))["main"](rounds=1, small=True)
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    shown = capsys.readouterr().out
    assert "snip" in shown and "gradsign" in shown and "dss" not in shown
    assert "together" in shown and "times cheaper" in shown
