"""What a score depends on, as a short text: a digest of the job, and the identity of a proxy."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from zerocost.base.errors import Failure
from zerocost.base.version import VERSION
from zerocost.engine.proxy import Proxy
from zerocost.run.job import Job
from zerocost.scoring.candidates import initialise


def fingerprints(job: Job) -> dict[int, str]:
    """For each seed a digest of what its scores depend on beside architecture and proxy.

    A space is known by its name, by one network of it, always the same, and by the code of what the user wrote.
    """
    arch = job.space.sample(np.random.default_rng(0))
    try:
        network = initialise(partial(job.space.build, arch, job.fidelity))
        made = [[type(m).__name__ for m in network.modules()], [tuple(p.shape) for p in network.parameters()]]
    except Failure:
        made = []
    code = [checksum(f) for v in (type(job.space).build, *vars(job.space).values()) for f in functions(v)]
    common = (VERSION, torch.__version__, job.space.name, arch, made, code, job.fidelity, job.device or "cpu")
    return {seed: digest(common, batches) for seed, batches in job.batches.items()}


def digest(common: tuple[object, ...], batches: Any) -> str:
    """A digest of settings and batches."""
    made = hashlib.sha256()
    for part in common:
        made.update(f"{part}\n".encode())
    for leaf in tree_leaves(batches):
        made.update(leaf.cpu().numpy().tobytes() if isinstance(leaf, torch.Tensor) else repr(leaf).encode())
    return made.hexdigest()


def identity(proxy: Proxy) -> str:
    """A proxy's name, and for one of the user's own a checksum of its code."""
    return f"{proxy.name} {checksum(proxy.formula)}".strip()


def functions(value: object) -> Iterator[FunctionType]:
    """The function that a value is, or those that a partial is made of."""
    if isinstance(value, partial):
        for part in (value.func, *value.args):
            yield from functions(part)
    elif isinstance(value, FunctionType):
        yield value


def checksum(function: Any) -> str:
    """Empty for a function of zerocost; else of the file that the function is defined in, or of its code."""
    if function.__module__.startswith("zerocost."):
        return ""
    file = Path(function.__code__.co_filename)
    code = file.read_bytes() if file.is_file() else "\n".join(written(function.__code__)).encode()
    return f"{zlib.crc32(code):08x}"


def written(code: CodeType) -> Iterator[str]:
    """What compiled code does, the functions inside it too, the same in each process."""
    yield from (code.co_code.hex(), repr(code.co_names))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from written(constant)
        else:
            yield repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)
