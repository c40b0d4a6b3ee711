"""Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS (ICLR 2021), Table 1, NAS-Bench-201 on CIFAR-10.

Spearman's ρ of each proxy as published, and as measured here. The paper scored all 15,625 cells on a batch of 64
images; from --n 1000 on, the intervals are narrow enough to compare. With several seeds, ours is the mean.

    python abdelfattah_2021.py --data cifar10:FOLDER --truth nasbench201-cifar10.csv --n 1000
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import zerocost as zc

PROXIES = ("grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov")
VOTERS = ["synflow", "jacob_cov", "snip"]
SOURCE = "Abdelfattah et al. (ICLR 2021), Table 1"
VOTE = 0.82  # from the paper's abstract


def main() -> None:
    """Score the cells and print both columns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="CIFAR-10 images: cifar10:FOLDER or npz:FILE")
    parser.add_argument("--truth", help="file of accuracies; default: the converted table or the extra nasbench201")
    parser.add_argument("--n", type=int, default=200, help="cells to draw and score")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", help="file to keep scores in")
    parser.add_argument("--fidelity", type=zc.Fidelity.parse, default="full", help="e.g. width=0.5,resolution=16")
    parser.add_argument("--device", default="cpu")
    options = vars(parser.parse_args(sys.argv[1:] or ["--help"]))
    benchmark = zc.benchmarks.get("nasbench201", options.pop("truth"))
    found = zc.evaluate(benchmark, PROXIES, k=1, **options)

    known = published()
    print(f"{found.query}; {len(found.truth)} cells\n\nSpearman    paper   here   95 % interval")
    for name in PROXIES:
        ours, low, high = (found.table[f"spearman{part}"][name] for part in ("", "_low", "_high"))
        theirs = f"{known[name]:.2f}" if name in known else "–"
        print(f"{name:<10}{theirs:>7}{ours:>7.2f}   {low:.2f} to {high:.2f}")
    print(f"{'vote':<10}{VOTE:>7.2f}{vote(found):>7.2f}")


def published() -> dict[str, float]:
    """The published correlation of each proxy."""
    with (Path(__file__).parents[1] / "docs" / "published.csv").open(encoding="utf-8") as file:
        return {row["proxy"]: float(row["value"]) for row in csv.DictReader(file) if row["source"] == SOURCE}


def vote(found: zc.Evaluation) -> float:
    """Spearman's ρ of the vote: most proxies decide between two cells, and cells are ranked by how many they beat."""
    each = []
    for _, scores in found.scores[VOTERS].groupby(level="seed"):
        values = scores.fillna(-np.inf).to_numpy()
        ayes = (values[:, None] > values[None]).sum(-1)
        wins = (2 * ayes > len(VOTERS)).sum(1)
        each.append(pd.Series(wins).corr(found.truth.reset_index(drop=True), method="spearman"))
    return float(np.mean(each))


if __name__ == "__main__":
    main()
