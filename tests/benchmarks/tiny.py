"""A benchmark of small networks with made-up truth, and an evaluation of made-up scores."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zerocost import spaces
from zerocost.benchmarks import Benchmark, Query
from zerocost.benchmarks.base import Table
from zerocost.combine import Combination
from zerocost.evaluation.evaluation import Evaluation
from zerocost.evaluation.tables import BASELINES, tabulate_scores, tabulate_statistics
from zerocost.spaces import Fidelity, SearchSpace, distinct
from zerocost.store import Score

ACCURACY = Query("made-up", "test_accuracy", 1, "mean")
SMALL = Fidelity(width=0.2, depth=0.4)
DATA = "digits:8"


def benchmark(n: int = 12, space: SearchSpace | None = None, offset: float = 0.0) -> Benchmark:
    """`n` networks of the space, each with a truth of its own between 80 and 95."""
    space = space or spaces.get("cnn", resolution=8)
    texts = [str(arch) for arch in distinct(space, n, np.random.default_rng(1))]
    truth = np.random.default_rng(2).uniform(80, 95, size=(1, len(texts))) + offset
    table = Table(np.array([t.encode() for t in texts]), None, (ACCURACY,), truth)
    return Benchmark("tiny", space, table, ACCURACY)


def evaluation(n: int = 40, seeds: int = 2, proxies: tuple[str, ...] = ("good", "bad<br>", "broken")) -> Evaluation:
    """Made-up scores: the first proxy follows the truth, the others do not, and the last fails now and then."""
    rng = np.random.default_rng(0)
    texts = [f"arch-{i:02d}" for i in range(n)]
    truth = pd.Series(rng.uniform(80, 95, n), index=texts)
    size = np.exp(0.1 * truth.to_numpy() + rng.normal(size=n))
    found = {}
    for seed in range(seeds):
        for i, text in enumerate(texts):
            scores = {p: Score(float(rng.normal()), None) for p in proxies}
            scores[proxies[0]] = Score(float(truth[text] + rng.normal(scale=0.3)), None)
            if i % 7 == 0:
                scores[proxies[-1]] = Score(None, f"no gradient in layer {i}")
            plain = dict(zip(BASELINES, (size[i], 2 * size[i], float(i % 3)), strict=True))
            found[text, seed] = scores | {name: Score(float(v), None) for name, v in plain.items()}
    combination = Combination(dict.fromkeys(proxies, 1))
    scores_, failures = tabulate_scores(found, texts, range(seeds), list(proxies), combination)
    table, paired = tabulate_statistics(scores_, truth, k=5, resamples=50, seed=0)
    settings = {"benchmark": "tiny", "architectures": f"{n} of {n}", "all together": str(combination)}
    return Evaluation("tiny", ACCURACY, list(proxies), truth, scores_, table, paired, failures, settings)
