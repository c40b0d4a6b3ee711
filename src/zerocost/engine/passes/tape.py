"""Tape pass: one sample on the meta device, its operations written down to see what is in memory."""

from __future__ import annotations

from typing import Any

from zerocost.engine.inputs import take_samples
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.signals import Signal
from zerocost.engine.tape.attention_cache import cached_values
from zerocost.engine.tape.liveness import constant_size, memory_steps
from zerocost.engine.tape.operations import record


def _tape(batch: PassInput) -> dict[str, Any]:
    """The memory of each operation, the constants, and the keys and values of attention, on the first sample."""
    tape = record(batch.network, take_samples(batch.inputs, 0, 1), batch.seed)
    return {
        "memory_steps": memory_steps(tape),
        "constant_size": constant_size(tape),
        "cached_values": cached_values(tape),
    }


add_pass(
    Pass(
        name="tape",
        run=_tape,
        order=1,
        description="one sample on the meta device, its operations written down",
        settings=frozenset(),
        by_sample=True,
        shapes_only=True,
    ),
    Signal("memory_steps", "what is in memory while each operation runs, weights left out: MemoryStep"),
    Signal("constant_size", "memory of the parameters, buffers and constants that the network reads: Size"),
    Signal("cached_values", "numbers a token that attention keeps, its keys and values: a fraction"),
)
