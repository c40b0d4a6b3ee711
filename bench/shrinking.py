"""Which proxies keep their ranking when networks are scored smaller.

    python bench/shrinking.py SPACE … [--data npz:IMAGES.npz] [--n 60] [--proxies snip,zico] [--keep scores.db]

Of each space, `n` architectures are drawn with seed 0, and scored at full size and at each fidelity from the same seed.
Printed are Spearman's ρ between the two rankings by each proxy, with percentiles of 1,000 resamples of the
architectures, and a table of their means over the spaces, with the least in brackets. No trained network is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

import zerocost as zc
from zerocost.combine import default
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.spaces import FULL, Fidelity
from zerocost.statistics import ranking
from zerocost.statistics.bootstrap import resampled_places
from zerocost.store import Store

PARTS = (*default.proxies, "naswot", "az_expressivity")
FIDELITIES = ("batch=8", "resolution=16", "width=0.5", "width=0.25", "depth=0.5", "depth=0.2")
SAMPLES = 32


def scores(
    space: str, fidelity: Fidelity, data: str, n: int, names: list[str], keep: Path | None, workers: int
) -> pd.DataFrame:
    """A row an architecture, a column a proxy; −∞ where one failed."""
    chosen = zc.spaces.get(space)
    rng = np.random.default_rng(0)
    texts = list(dict.fromkeys(str(chosen.sample(rng)) for _ in range(n)))
    batches = draw_job_batches(data, [0], SAMPLES, 1, False, fidelity)
    job = Job(chosen, tuple(names), batches, fidelity, None)
    with Store(keep) as store, Scorer(job, store=store, workers=workers) as run:
        found = run(texts)
    frame = pd.DataFrame([[found[text, 0][name].value for name in names] for text in texts], texts, names)
    return frame.astype(float).fillna(-np.inf)


def main(
    spaces: list[str],
    data: str = "digits:32",
    n: int = 60,
    proxies: str = ",".join(PARTS),
    keep: Annotated[Path | None, typer.Option(help="A database to keep scores in.")] = None,
    workers: int = 2,
) -> None:
    torch.set_num_threads(1)
    names = proxies.split(",")
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for space in spaces:
        full = scores(space, FULL, data, n, names, keep, workers)
        draws = np.concatenate([*resampled_places(len(full), 1000, 0)])
        for text in FIDELITIES:
            small = scores(space, Fidelity.parse(text), data, n, names, keep, workers)
            for name in names:
                pair = full[name].to_numpy(), small[name].to_numpy()
                low, high = np.nanpercentile(ranking.spearman(*(values[draws] for values in pair)), (2.5, 97.5))
                rows.setdefault((name, text), {})[space] = found = float(ranking.spearman(*pair))
                print(f"{space:>16} {text:>14} {name:>16} {found:6.2f} ({low:.2f} to {high:.2f})", flush=True)
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.insert(0, "mean", table.mean(axis=1))
    print("| proxy |", *(f" {text} |" for text in FIDELITIES), "\n|---|" + "---|" * len(FIDELITIES))
    for name in names:
        cells = [table.loc[(name, text)] for text in FIDELITIES]
        print(f"| `{name}` |", *(f" {row['mean']:.2f} ({row.iloc[1:].min():.2f}) |" for row in cells))


if __name__ == "__main__":
    typer.run(main)
