"""Train a few cells of NAS-Bench-201, learn from them which to train next, and predict the accuracy of the rest.

Small networks and one epoch on handwritten digits, so it takes seconds.
"""

from functools import partial

import numpy as np

import zerocost as zc
from zerocost.predict import Features, learn

SMALL = zc.Fidelity(width=0.25, depth=0.2, resolution=8)
train, validation = zc.data.split(zc.data.load("digits:8"))
space = zc.spaces.get("nasbench201")
cells = zc.spaces.distinct(space, 30, np.random.default_rng(0))
table = zc.rank({str(cell): partial(space.build, cell, SMALL) for cell in cells}, train, "jacob_cov,log_synflow")
features = Features(space, ("proxies", "encoding", "counts")).fit_transform(table.frame[table.proxies])

trained: dict[str, float] = {}  # kept anywhere, it is all that is needed to go on after a break
for _ in range(3):
    belief = learn(features, table.frame["rank_score"], trained)
    for name in belief.next(4):
        (run,) = zc.train(table.narrow([name], {}), train=train, validation=validation, epochs=1)
        trained[name] = float("nan") if run.accuracy is None else run.accuracy

belief = learn(features, table.frame["rank_score"], trained)
print(belief.trained.round(3).to_string())
print(f"\nbest of {len(trained)} trained: {belief.best}, accuracy {trained[belief.best]:.3f}")
[other] = belief.next()
print(f"best of the others: {other}, expected {belief.mean[other]:.3f} ± {belief.std[other]:.3f}")
print(belief.trust.round(4).to_string())
