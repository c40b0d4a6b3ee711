"""Lee & Ham, AZ-NAS (CVPR 2024), Table 1 and the parts of AZ-NAS, NAS-Bench-201 on CIFAR-10.

Kendall's τ of each proxy as published, and as measured here with the settings of each proxy's paper. The paper scored
all 15,625 cells; from --n 1000 on, the intervals are narrow enough to compare. One core takes about ten seconds per
cell even at --batch 16: use --workers for several processes, and --cache to keep the scores.

    python az_nas.py --data cifar10:FOLDER --truth nasbench201-cifar10.csv --n 1000
"""

import argparse
import csv
import sys
from pathlib import Path

import pandas as pd

import zerocost as zc


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

    paper = published()
    others = [f"paper:{name}" for name in paper if name != "az_nas"]
    # "all together" is the log-rank sum of all proxies evaluated. It is AZ-NAS only for its four parts alone, so
    # there are two evaluations.
    table = zc.evaluate(benchmark, others, batches=2, k=1, **options).table.drop("all together")
    found = zc.evaluate(benchmark, "paper:az_nas", batches=2, k=1, **options)
    table = pd.concat([table, found.table.loc[["all together"]].rename({"all together": "paper:az_nas"})])

    print(f"{found.query}; {len(found.truth)} cells\n\nKendall              paper    here   95 % interval")
    for name, value in sorted(paper.items(), key=lambda item: item[1]):
        ours, low, high = (table[f"kendall{part}"][f"paper:{name}"] for part in ("", "_low", "_high"))
        print(f"{name:<18}{value:>8.3f}{ours:>8.3f}   {low:.2f} to {high:.2f}")


def published() -> dict[str, float]:
    """The published correlation of each proxy."""
    with (Path(__file__).parents[1] / "docs" / "published.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source"].startswith("AZ-NAS (CVPR 2024)")]
    asked = {"space": "NAS-Bench-201", "dataset": "CIFAR-10", "statistic": "kendall"}
    return {row["proxy"]: float(row["value"]) for row in rows if asked.items() <= row.items()}


if __name__ == "__main__":
    main()
