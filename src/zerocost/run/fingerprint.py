"""What a score depends on, as a short text: a digest of the job, and the identity of a proxy."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from zerocost.base.errors import Failure
from zerocost.base.user_code import FileFunction
from zerocost.base.version import VERSION
from zerocost.engine.proxy import Proxy
from zerocost.run.job import Job
from zerocost.scoring.candidates import initialise
from zerocost.spaces import Fidelity


def fingerprints(job: Job) -> dict[int, str]:
    """For each seed, a digest of what its scores depend on apart from architecture and proxy.

    A space is identified by its name, by one network of it, always the same, and by the code that the user wrote.
    """
    arch = job.space.sample(np.random.default_rng(0))
    try:
        network = initialise(partial(job.space.build, arch, job.fidelity))
        shapes = [() if is_lazy(p) else tuple(p.shape) for p in network.parameters()]
        layers = [[type(m).__name__ for m in network.modules()], shapes]
    except Failure:
        layers = []
    code = [code_checksum(f) for v in (type(job.space).build, *vars(job.space).values()) for f in _functions_in(v)]
    task = (job.task.name, job.task.loss_digest, *map(_identity, (job.task.loss, job.task.output)))
    common = (VERSION, torch.__version__, job.space.name, arch, layers, code, _scale(job), job.device or "cpu", task)
    return {seed: _digest(common, batches) for seed, batches in job.batches.items()}


def describe(job: Job) -> str:
    """The chief of what the scores of a job depend on, for people to read."""
    size = next((len(x) for x in tree_leaves(job.batches) if isinstance(x, torch.Tensor) and x.ndim), 0)
    where = "" if job.device in (None, "cpu") else f" on {job.device}"
    versions = f"zerocost {VERSION}, torch {torch.__version__}"
    return f"{job.space.name} at {_scale(job)}, {job.task.name}, batch {size}{where}; {versions}"


def _scale(job: Job) -> Fidelity:
    """What one score depends on of a fidelity: not how often networks are initialised."""
    return replace(job.fidelity, repeats=None)


def _digest(common: tuple[object, ...], batches: Any) -> str:
    """A digest of settings and batches."""
    found = hashlib.sha256()
    for part in common:
        found.update(f"{part}\n".encode())
    for leaf in tree_leaves(batches):
        found.update(leaf.cpu().numpy().tobytes() if isinstance(leaf, torch.Tensor) else repr(leaf).encode())
    return found.hexdigest()


def proxy_identity(proxy: Proxy) -> str:
    """A proxy's name, followed by a checksum of its code if the user wrote it."""
    return f"{proxy.name} {code_checksum(proxy.formula)}".strip()


def _identity(value: object) -> str:
    """What a loss or an output is, in words that are the same in each process."""
    value = value.function if isinstance(value, FileFunction) else value
    checksums = [f"{f.__qualname__} {code_checksum(f)}" for f in _functions_in(value)]
    return ", ".join(checksums) or re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _functions_in(value: object) -> Iterator[FunctionType]:
    """The value itself where it is a function, or the functions inside a partial."""
    if isinstance(value, partial):
        for part in (value.func, *value.args):
            yield from _functions_in(part)
    elif isinstance(value, FunctionType):
        yield value


def code_checksum(function: Any) -> str:
    """A checksum of the file that defines a function, or else of its code; empty for a function of zerocost."""
    if function.__module__.startswith("zerocost."):
        return ""
    file = Path(function.__code__.co_filename)
    code = file.read_bytes() if file.is_file() else "\n".join(_code_parts(function.__code__)).encode()
    return f"{zlib.crc32(code):08x}"


def _code_parts(code: CodeType) -> Iterator[str]:
    """What compiled code and the functions inside it do, as texts that are the same in each process."""
    yield from (code.co_code.hex(), repr(code.co_names))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_parts(constant)
        else:
            yield repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)
