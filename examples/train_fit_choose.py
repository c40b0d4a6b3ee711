"""Train a few cells of NAS-Bench-201, let a surrogate choose which to train next, and predict the accuracy of the rest.

Small networks and one epoch on handwritten digits, so it takes seconds. The validation of the surrogate says whether to
trust it.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

import zerocost as zc
from zerocost.predict import Surrogate, train_fit_choose

SMALL = zc.Fidelity(width=0.25, depth=0.2, resolution=8)
train, validation = zc.data.split(zc.data.load("digits:8"))
space = zc.spaces.get("nasbench201")
cells = zc.spaces.distinct(space, 30, np.random.default_rng(0))
table = zc.rank({str(cell): partial(space.build, cell, SMALL) for cell in cells}, train, "jacob_cov,log_synflow")


def accuracies(names: list[str]) -> Iterator[float]:
    """Train each and yield its accuracy immediately, so that nothing is lost if a later one raises an error."""
    for name in names:
        (run,) = zc.train(table.narrow([name], {}), train=train, validation=validation, epochs=1)
        yield float("nan") if run.accuracy is None else run.accuracy


scores = table.frame[table.proxies]
progress = train_fit_choose(scores, accuracies, budget=12, batch=6, space=space)
print(progress.frame.round(3).to_string(index=False))

name, accuracy = progress.best
print(f"\nbest of {len(progress.frame)} trained: {name}, accuracy {accuracy:.3f}")

measured = progress.measured.dropna()
print("surrogate:", Surrogate(space).validate(scores.loc[measured.index], measured, pool=scores))

rest = scores.drop(progress.measured.index)
mean, std = progress.surrogate.predict(rest, return_std=True)
print(f"best of the others: {rest.index[mean.argmax()]}, expected {mean.max():.3f} ± {std[mean.argmax()]:.3f}")
