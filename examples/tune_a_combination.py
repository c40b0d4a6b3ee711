"""Tune a combination of proxies on sixteen trained networks, and search with it.

The accuracies come from the benchmark that ships with zerocost; a CSV with the columns arch and accuracy works too.
Sixteen networks at a very low fidelity prove little, as the wide interval shows.
"""

import tempfile
from pathlib import Path

import zerocost as zc

digits = zc.benchmarks.get("digits")
found = zc.tune(
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

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "tuned.json"
    found.save(file)
    result = zc.search("cnn", "digits:8", proxies=str(file), candidates=4, epochs=0)
print(result.table.frame["rank_score"].round(2).to_string())
