"""NAS-Bench-Macro's JSON."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.handmade import shared
from zerocost import benchmarks
from zerocost.base.errors import InputError

FACTS = {"test_acc": [91.0, 92.0, 93.5], "mean_acc": 92.16, "std": 1.0, "params": 1769258, "flops": 54194688}
ACCURACY = {"dataset": "cifar10", "metric": "test_accuracy", "epochs": 50}


def read(tmp_path, content):
    file = tmp_path / "nas-bench-macro_cifar10.json"
    file.write_text(content)
    return benchmarks.get("macro", file)


def test_the_official_form(tmp_path):
    found = read(tmp_path, json.dumps({"01111202": FACTS}))
    assert [found.query("01111202", **ACCURACY, seed=seed) for seed in found.seeds] == FACTS["test_acc"]
    costs = {"dataset": "cifar10", "epochs": 0, "seed": "mean"}
    assert [found.query("01111202", metric=m, **costs) for m in ("params", "flops")] == [1769258, 54194688]


@pytest.mark.parametrize(
    "content", ["[", "[1]", '{"0111": {}}', '{"01111202": {"test_acc": [1]}}', '{"9": {"test_acc": [1]}}']
)
def test_another_form_is_named(tmp_path, content):
    with pytest.raises(InputError, match=r"nas-bench-macro_cifar10\.json is not NAS-Bench-Macro's JSON"):
        read(tmp_path, content)


def test_real_networks():
    file = shared("nasbench-macro-cifar10-sample.json")
    found, facts = benchmarks.get("macro", file), json.loads(file.read_text())
    assert list(found.architectures()) == list(facts)
    for code in found.architectures()[:50]:
        assert found.query(code, **ACCURACY, seed="mean") == pytest.approx(facts[code]["mean_acc"], abs=1e-4)
    for code in found.architectures()[:3]:
        with torch.device("meta"):
            network = found.space.build(found.space.parse(code))
        params = found.query(code, dataset="cifar10", metric="params", epochs=0, seed="mean")
        assert sum(p.numel() for p in network.parameters()) == params
