"""How well trained truth lets the networks of each table be ordered: what there is to find for scores that see none.

    python bench/bounds.py TRUTHS SCORES

SCORES is that of `bench/ranking.py score`. A ridge regression, its penalty chosen by generalised cross-validation, is
fitted to nine tenths of a table's truth and predicts the last tenth, for each tenth in turn, of five random splits. It
reads the structure (encoding and counts of operations), or this and the ranks by the proxies of the default. Spearman's
correlation with the truth, means over a table's tasks and its splits, decoders within each width; in brackets the least
and the most of the splits. Beside it, the default score, which reads no truth; `tokens` for encoders and decoders.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import typer
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ranking import read_tables, space_of
from tables import default_for
from zerocost.predict import Features

SPLITS = 5
READS = {"structure": ("encoding", "counts"), "structure and scores": ("proxies", "encoding", "counts")}


def from_truth(features: pd.DataFrame, truth: pd.Series[float], split: int) -> float:
    """Spearman's correlation of what is predicted from the truth of the others."""
    known = truth.notna().to_numpy()
    values, wanted = features.to_numpy(float)[known], truth.to_numpy()[known]
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 25)))
    predicted = cross_val_predict(ridge, values, wanted, cv=KFold(10, shuffle=True, random_state=split))
    return float(spearmanr(predicted, wanted).statistic)


def print_bounds(truths: Path, scores: Path) -> None:
    print("| table | networks | the default score | from truth: " + " | from truth: ".join(READS) + " |")
    print("|---|---|---|" + "---|" * len(READS))
    for name, (frame, columns) in read_tables(truths, scores).items():
        kind = name.split()[0]
        space = space_of(kind, truths)
        ranked_by = default_for(kind)
        scored = ranked_by(frame)
        plain = np.mean([spearmanr(scored, column, nan_policy="omit").statistic for column in columns])
        cells = [f"{plain:.2f}"]
        for parts in READS.values():
            features = Features(space, parts).fit_transform(frame[[*ranked_by.proxies]])
            found = [np.mean([from_truth(features, column, split) for column in columns]) for split in range(SPLITS)]
            cells.append(f"{np.mean(found):.2f} ({min(found):.2f} to {max(found):.2f})")
        print("|", " | ".join([name, str(len(frame)), *cells]), "|", flush=True)


if __name__ == "__main__":
    typer.run(print_bounds)
