"""What a score depends on, as a short text: a digest of the job, and the identity of a proxy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from zerocost.base.errors import Failure
from zerocost.base.identity import attributes, identity, is_shipped
from zerocost.base.version import VERSION
from zerocost.engine.proxy import Proxy
from zerocost.run.job import Job
from zerocost.scoring.candidates import initialise
from zerocost.spaces import Fidelity
from zerocost.tasks import TASKS, Task


def fingerprints(job: Job) -> dict[int, str]:
    """For each seed, a digest of what its scores depend on apart from architecture and proxy.

    A space is identified by its code and settings, and by one network of it, always the same. The numbers in the
    network are left out, as processors round them differently.
    """
    code = identity(type(job.space), attributes(job.space))
    arch = job.space.sample(np.random.default_rng(0))
    try:
        network = identity(initialise(partial(job.space.build, arch, job.fidelity)), weights=False)
    except Failure:
        network = ""
    task = identity(job.task.name, job.task.loss, job.task.output)
    space = (job.space.name, str(arch), network, code)
    common = (VERSION, torch.__version__, space, str(_scale(job)), str(job.device or "cpu"), task)
    return {seed: identity(common, *tree_leaves(batches)) for seed, batches in job.batches.items()}


def describe(job: Job) -> str:
    """The main things that the scores of a job depend on, for people to read."""
    size = next((len(x) for x in tree_leaves(job.batches) if isinstance(x, torch.Tensor) and x.ndim), 0)
    where = "" if job.device in (None, "cpu") else f" on {job.device}"
    versions = f"zerocost {VERSION}, torch {torch.__version__}"
    return f"{job.space.name} at {_scale(job)}, {_describe_task(job.task)}, batch {size}{where}; {versions}"


def _describe_task(task: Task) -> str:
    """The name of a task, with the loss and the output where they are not the usual ones.

    >>> _describe_task(Task(loss=torch.nn.functional.l1_loss, output="logits"))
    'own, loss l1_loss, output logits'
    """
    usual = TASKS.get(task.name)
    loss = "" if usual and task.loss == usual.loss else f", loss {task.loss_name}"
    output = "" if task.output is None else f", output {getattr(task.output, '__name__', task.output)}"
    return f"{task.name}{loss}{output}"


def _scale(job: Job) -> Fidelity:
    """What one score depends on of a fidelity: not how often networks are initialised."""
    return replace(job.fidelity, repeats=None)


def proxy_identity(proxy: Proxy) -> str:
    """A proxy's name, followed by a digest of its code if the user wrote it."""
    return proxy.name if is_shipped(proxy.formula) else f"{proxy.name} {identity(proxy.formula)}"
