"""The memory of a network layer by layer, of which `peak_memory` and `flash` are the whole."""

from __future__ import annotations

from typing import Any

import pandas as pd
from torch import nn

from zerocost.base.errors import Failure, InputError
from zerocost.base.torch_state import neutral_torch
from zerocost.data import Batch
from zerocost.data.as_batch import as_batch
from zerocost.engine.model.lazy import materialised
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.proxies.registry import resolve
from zerocost.scoring.adapters import find_adapter
from zerocost.scoring.candidates import is_network
from zerocost.tasks import classification

_WIDTHS = {"": 4, "_fp16": 2, "_int8": 1}
"""Bytes of a floating-point number, by the ending of a proxy's name."""


def memory_by_layer(model: nn.Module, inputs: Any) -> pd.DataFrame:
    """What is in memory while each operation of one inference runs, on one sample, in the order in which they run.

    The largest number of a column `peak_memory…` is the proxy of that name. A column `flash…` has the weights and
    constants that an operation is the first to read; it sums to the proxy of its name, unless the network returns a
    constant that nothing reads.

    Args:
        model: any torch network; it comes back as it was.
        inputs: what it takes; the first sample is used.

    Returns:
        One row an operation: `layer`, the module whose parameters it reads, or that runs it where it reads none (""
        for the network itself), `operation`, and the bytes `peak_memory`, `peak_memory_fp16`, `peak_memory_int8`,
        `flash`, `flash_fp16` and `flash_int8`.

    Raises:
        InputError: no torch network, or inputs that cannot be used.
        Failure: the network cannot be run.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    >>> memory_by_layer(net, torch.zeros(1, 10))[["layer", "operation", "peak_memory", "flash"]].values.tolist()
    [['0', 'addmm', 120, 880], ['1', 'relu', 80, 0], ['2', 'addmm', 100, 420]]
    """
    if not is_network(model) or find_adapter(model) is not None:
        raise InputError(f"memory_by_layer() takes a torch.nn.Module, but got {type(model).__name__}")
    wanted = plan(resolve("peak_memory"))
    batch = as_batch(Batch(inputs, None))
    made = materialised(model, batch.inputs)
    with neutral_torch():
        found = measure(made, [batch], wanted, classification.loss, seed=0)
    steps = found.under(wanted.proxies[0].settings)["memory_steps"]
    if isinstance(steps, Failure):
        raise steps
    rows = [
        {"layer": step.layer, "operation": step.operation}
        | {f"peak_memory{ending}": step.live.at(width) for ending, width in _WIDTHS.items()}
        | {f"flash{ending}": step.constants.at(width) for ending, width in _WIDTHS.items()}
        for step in steps
    ]
    return pd.DataFrame(rows)
