"""Every proxy against what its authors' own code returns (tests/reference), and log_synflow against its formula."""

from __future__ import annotations

import copy
import math
from collections import defaultdict

import pytest
import torch
from torch import nn

import zerocost as zc
from reference.cases import batch, build, filled
from reference.values import BATCH_SEED, WEIGHTS_SEED, Record, records

RECORDS: dict[tuple[str, int], list[Record]] = defaultdict(list)
for record in records():
    RECORDS[record.case, record.samples].append(record)

# Where the authors' code returns nan, -inf or 0 because nothing gets through the network, we name the reason.
REASONS = {
    "synflow": "no path from input to output: every synaptic flow is zero",
    "jacob_cov": "no path from input to output: the outputs do not depend on the input",
    "naswot": "samples 0 and 1 of the batch have the same sign at every activation",
}


def network(case: str) -> nn.Module:
    return filled(build(case).double(), WEIGHTS_SEED)


def short(value: object) -> str:
    """A test id that pytest does not find too long."""
    return str(value).replace("nor_conv_", "").replace("skip_connect", "skip").replace("avg_pool_3x3", "pool")


@pytest.mark.parametrize(("case", "samples"), RECORDS, ids=short)
def test_equals_the_authors_code(case: str, samples: int) -> None:
    model, wanted = network(case), RECORDS[case, samples]
    card = zc.score(model, batch(BATCH_SEED, samples, case), [record.proxy for record in wanted])
    for _, _, proxy, value, _ in wanted:
        if not math.isfinite(value) or (proxy == "synflow" and value == 0):
            assert REASONS[proxy] in card.failures[proxy]
        elif proxy == "params":
            assert card["params"] == millions(value)
        elif proxy == "flops":
            assert card["flops"] == millions(value) - bias_additions(model, case)
        else:
            assert card[proxy] == pytest.approx(value, rel=1e-8, abs=0), proxy


def test_the_table_covers_every_proxy_with_a_reference() -> None:
    covered = {record.proxy for group in RECORDS.values() for record in group}
    assert covered == set(zc.proxies.__all__) & set(zc.proxies.names()) - {"log_synflow"}
    assert sum(map(len, RECORDS.values())) == 252
    assert sum(record.value == 0 or not math.isfinite(record.value) for g in RECORDS.values() for record in g) == 11


def millions(value: float) -> int:
    """The integer that the authors' code returns divided by 1e6."""
    assert abs(value * 1e6 - round(value * 1e6)) < 1e-6
    return round(value * 1e6)


def bias_additions(model: nn.Module, case: str) -> int:
    """The authors' count adds one for each output of a layer with a bias; ours counts products alone."""
    outputs: list[int] = []
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear) and m.bias is not None]
    hooks = [layer.register_forward_hook(lambda *call: outputs.append(call[2].numel())) for layer in layers]
    model.eval()(batch(BATCH_SEED, 1, case)[0])
    for hook in hooks:
        hook.remove()
    assert len(outputs) == len(layers) >= 1
    return sum(outputs)


PLAIN = ("mlp", "seed-cnn-16", "plain-bn-cnn", "resnet-tiny")
ALL_3X3 = "nb201:|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
MIXED = "nb201:|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
RESIDUAL = "nb201:|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"

# Relative error allowed in float32. Rounding flips the sign of a few units near zero and grows over the layers of a
# deep network (the worst case seen is given); terms of both signs cancel in plain and grasp, fisher squares.
FLOAT32 = {
    "grad_norm": 1e-2,  # 6e-4
    "snip": 1e-2,  # 5e-4
    "fisher": 2e-2,  # 2e-3
    "plain": 1e-1,  # 2e-2
    "grasp": 1e-1,  # 1e-2
    "jacob_cov": 1e-4,  # 6e-6: linear algebra in float64
    "naswot": 1e-5,  # 2e-7: counts of signs, and linear algebra in float64
    "l2_norm": 1e-4,  # 4e-5: one norm over 4 million float32 weights
    "synflow": 1e-7,  # 6e-9: the pass runs in float64, only the weights were rounded
}


@pytest.mark.parametrize("case", [*PLAIN, ALL_3X3, MIXED, RESIDUAL], ids=short)
def test_float32_is_near_float64(case: str) -> None:
    model = filled(build(case), WEIGHTS_SEED)
    wanted = [record for record in RECORDS[case, 16 if case in PLAIN else 8] if record.proxy in FLOAT32]
    card = zc.score(model, batch(BATCH_SEED, wanted[0].samples, case), [record.proxy for record in wanted])
    assert card.provenance["dtype"] == "float32"
    assert len(wanted) == len(FLOAT32)
    for record in wanted:
        assert card[record.proxy] == pytest.approx(record.value, rel=FLOAT32[record.proxy], abs=0), record.proxy


@pytest.mark.parametrize("case", [*PLAIN, MIXED, RESIDUAL], ids=short)
def test_log_synflow_equals_its_formula(case: str) -> None:
    model = network(case)
    expected_flow, expected_log = flows_by_hand(model, batch(BATCH_SEED, 1, case)[0])
    card = zc.score(model, batch(BATCH_SEED, 2, case), "synflow,log_synflow")
    assert card["synflow"] == pytest.approx(expected_flow, rel=1e-10)
    assert card["log_synflow"] == pytest.approx(expected_log, rel=1e-10)
    assert card["log_synflow"] < card["synflow"]


def flows_by_hand(model: nn.Module, sample: torch.Tensor) -> tuple[float, float]:
    """Synflow and log-synflow of a network of convolutions and linear layers, as plainly as they can be computed."""
    positive = copy.deepcopy(model)
    for parent in list(positive.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    for parameter in positive.parameters():
        parameter.data.abs_()
    positive(torch.ones_like(sample)).sum().backward()
    weights = [m.weight for m in positive.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    flow = sum((w * w.grad).sum() for w in weights)
    log = sum((w * torch.log(1 + w.grad)).sum() for w in weights)
    return flow.item(), log.item()
