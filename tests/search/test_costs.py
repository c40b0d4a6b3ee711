from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zerocost import benchmarks, spaces
from zerocost.base.errors import Failure
from zerocost.search.costs import table_costs

HARDWARE = Path(__file__).parents[2].parent / "shared" / "data" / "nasbench201-cifar10-hardware.csv"


@pytest.mark.skipif(not HARDWARE.exists(), reason="the table of hardware metrics is not here")
def test_a_table_of_hardware_metrics_answers_as_the_benchmark_does() -> None:
    benchmark = benchmarks.get("nasbench201", HARDWARE)
    numbers = table_costs(benchmark)
    assert {"raspi4_latency", "fpga_energy", "edgegpu_latency"} <= set(numbers)
    truth = benchmark.truth(dataset="cifar10", metric="raspi4_latency", epochs=0)
    for text in truth.index[:: len(truth) // 5]:
        assert numbers["raspi4_latency"](benchmark.space.parse(text)) == truth[text]
    other = spaces.get("cnn").sample(np.random.default_rng(0))
    assert isinstance(numbers["raspi4_latency"](other), Failure)
