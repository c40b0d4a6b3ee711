"""Tune a combination of proxies on sixteen trained networks, and rank others with it.

The accuracies come from the benchmark that ships with zerocost; a CSV with columns arch and accuracy does as well.
Sixteen networks at a very low fidelity show little, and the interval says so.
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import zerocost as zc
from zerocost.tuning import tune

digits = zc.benchmarks.get("digits")
found = tune(
    digits,
    proxies="jacob_cov,log_synflow,params,depth",
    n=16,
    fidelities=["width=0.1,depth=0.2"],
    batches=[8],
    repeats=[1],
    trials=20,
    folds=2,
    rounds=1,
)
print(found.table.round(2))
print(found.verdict)

space = digits.space
others = zc.spaces.distinct(space, 4, np.random.default_rng(1))
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "tuned.json"
    found.save(file)
    table = zc.rank({str(arch): partial(space.build, arch) for arch in others}, "digits:8", str(file))
print(table.frame["rank_score"].round(2).to_string())
