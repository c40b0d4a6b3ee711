"""The Optuna study in which a strategy makes its proposals."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
from optuna import Study, create_study
from optuna.storages import RDBStorage

from zerocost.run.fingerprint import fingerprints, proxy_identity
from zerocost.samplers.guide import BatchGuide
from zerocost.samplers.strategies import make_sampler, quiet_optuna
from zerocost.search.plan import SearchPlan
from zerocost.search.shared_study import open_storage
from zerocost.spaces import Architecture, distinct

_REFERENCE_SIZE = 64
"""Random architectures that a guide compares with."""


def make_study(plan: SearchPlan, storage: str | None) -> Study:
    """The study of a plan's strategy; in the database at a URL it is the same for all with the same settings."""
    pipeline, objectives = plan.pipeline, plan.objectives
    guided = pipeline.guided and pipeline.trained_objective is not None
    learns = pipeline.strategy == "gradient"
    chosen = make_sampler(
        pipeline.strategy,
        plan.space,
        objectives=len(objectives.names),
        seed=pipeline.seed,
        combine=objectives.fitness,
        batch=plan.job(pipeline.fidelities[0]).batches[pipeline.seed][0] if learns else None,
        guide=_make_guide(plan) if guided else None,
        warmup=pipeline.warmup,
        moves=pipeline.moves,
        budget=pipeline.candidates,
    )
    with quiet_optuna():
        return create_study(
            sampler=chosen,
            directions=objectives.directions,
            storage=None if storage is None else _open_for(plan, storage),
            study_name=None if storage is None else _study_name(plan),
            load_if_exists=True,
        )


def _open_for(plan: SearchPlan, url: str) -> RDBStorage:
    """The database of a study, closed when the search ends."""
    storage = open_storage(url)
    plan.stack.callback(storage.engine.dispose)
    return storage


def _study_name(plan: SearchPlan) -> str:
    """A name for the study that all with the same settings and data share."""
    job = plan.job(plan.pipeline.fidelities[0])
    scores = [*fingerprints(job).values(), *map(proxy_identity, plan.proxies)]
    every = json.dumps([plan.settings, plan.pipeline.combination.as_dict(), scores], sort_keys=True, default=str)
    return f"zerocost {plan.space.name} {hashlib.sha256(every.encode()).hexdigest()[:12]}"


def _make_guide(plan: SearchPlan) -> BatchGuide:
    """The score of architectures against a random sample of the space, at the first fidelity."""
    names, combination = list(plan.objectives.proxies), plan.pipeline.combination
    costs = {name: plan.costs[name] for name in names if name in plan.costs}
    measure = plan.measure(plan.pipeline.fidelities[0], costs)

    def scores(archs: list[Architecture]) -> pd.DataFrame:
        return pd.DataFrame([one.scores for one in measure(archs)], columns=names, dtype=float)

    if combination.reference is None:
        drawn = distinct(plan.space, _REFERENCE_SIZE, np.random.default_rng(plan.pipeline.seed))
        combination = combination.against(scores(drawn))
    return BatchGuide(lambda archs: combination(scores(archs)).tolist())
