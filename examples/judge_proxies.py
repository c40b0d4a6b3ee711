"""Train a few small networks, write their accuracies to a CSV, and evaluate three proxies on them.

Twelve networks after one epoch prove nothing, as the wide intervals show. `az_nas.py --help` leads to a real table.
"""

import csv
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import zerocost as zc

SMALL = zc.Fidelity(width=0.25, depth=0.2, resolution=8)
train, validation = zc.data.split(zc.data.load("digits:8"))

# The truth: accuracies of small NAS-Bench-201 networks after one epoch on handwritten digits.
space = zc.spaces.get("nasbench201")
cells = zc.spaces.distinct(space, 12, np.random.default_rng(0))
networks = {str(cell): partial(space.build, cell, SMALL) for cell in cells}
runs = zc.train(zc.rank(networks, train, "params"), train=train, validation=validation, epochs=1)

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "truth.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerow(["arch", "dataset", "epochs", "validation_accuracy"])
        table.writerows([run.name, "digits", 1, run.accuracy] for run in runs)
    benchmark = zc.benchmarks.get("nasbench201", file)

evaluation = zc.evaluate(benchmark, "jacob_cov,log_synflow,naswot", data=train, seeds=2, fidelity=SMALL, k=2)
print(f"{evaluation.query}, {len(evaluation.truth)} cells\n")
print(evaluation.table[["kendall", "kendall_low", "kendall_high", "partial_params", "regret@2"]].round(2))

gap = evaluation.compare("all together", "params")
print(f"\nτ of all together minus τ of params: {gap.value:.2f}, 95 % interval {gap.low:.2f} to {gap.high:.2f}")
