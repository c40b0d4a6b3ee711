"""Local randomness: a seed holds inside a `with` block and changes nothing outside."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.random import mtrand

from zerocost.base.errors import InputError
from zerocost.base.thread_generator import drawing_from, thread_generator
from zerocost.base.torch_state import LOCK


def check_seed(seed: object) -> None:
    """`InputError` for what is no whole number from 0 to 2⁶³ − 1.

    >>> check_seed(7)
    """
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise InputError(f"seed must be a whole number from 0 to 2**63 - 1, but got {seed!r}")


_spare_bits: list[np.random.MT19937] = []
"""Generators for numpy that no `seeded` block uses: one is slow to make."""


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seeded random numbers inside the block, and all generators as they were afterwards.

    On the CPU, torch draws from a generator of this thread's own; the default one is neither read nor written. Python,
    numpy and accelerators have one generator for all threads, which is seeded, and then restored.

    Args:
        seed: the seed.
        device: an accelerator whose generator is seeded as well; generators of other devices are not touched.

    >>> with seeded(0):
    ...     a = torch.rand(1)
    >>> with seeded(0):
    ...     b = torch.rand(1)
    >>> bool(a == b)
    True
    """
    cuda = device if device is not None and device.type == "cuda" else None
    with LOCK, drawing_from(torch.Generator()):
        python_state, numpy_bits = random.getstate(), mtrand.get_bit_generator()
        own_bits = _spare_bits.pop() if _spare_bits else np.random.MT19937()
        cuda_state = torch.cuda.get_rng_state(cuda) if cuda else None
        try:
            mtrand.set_bit_generator(own_bits)
            seed_generators(seed, cuda)
            yield
        finally:
            random.setstate(python_state)
            mtrand.set_bit_generator(numpy_bits)
            _spare_bits.append(own_bits)
            if cuda and cuda_state is not None:
                torch.cuda.set_rng_state(cuda_state, cuda)


def seed_generators(seed: int, device: torch.device | None = None) -> None:
    """Seed Python, numpy and torch on the CPU and a CUDA device; inside a `seeded` block, which gives them back."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    thread_generator().manual_seed(seed)
    if device is not None and device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def stream(seed: int, purpose: str) -> torch.Generator:
    """A generator on the CPU that is independent of those of the same seed for other purposes.

    >>> a, b = (torch.rand(1, generator=stream(0, purpose)) for purpose in ("noise", "weights"))
    >>> bool(a == b)
    False
    """
    mixed = np.random.SeedSequence([seed % 2**64, zlib.crc32(purpose.encode())]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(mixed[0] >> np.uint64(1)))


def generator_state(device: torch.device) -> bytes:
    """The state of this thread's generator and of that of `device`, which every drawn number changes."""
    state = thread_generator().get_state().numpy().tobytes()
    return state + torch.cuda.get_rng_state(device).numpy().tobytes() if device.type == "cuda" else state
