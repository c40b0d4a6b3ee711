"""What is in memory while a network runs: each result from when it is made until it is last read."""

from __future__ import annotations

from dataclasses import dataclass

from zerocost.engine.tape.operations import NOTHING, Operation, Size, Tape


@dataclass(frozen=True)
class MemoryStep:
    """What is in memory while one operation runs, weights and other constants left out.

    Attributes:
        layer: the module whose parameters the operation reads, by name, or else the one that runs it; empty for the
            network itself.
        operation: its name.
        live: the memory of all that was made before and is still read, and of what the operation makes.
        constants: the memory of the parameters and other constants that no operation before it reads.
    """

    layer: str
    operation: str
    live: Size
    constants: Size = NOTHING


def memory_steps(tape: Tape) -> list[MemoryStep]:
    """The steps of a pass that frees each result once nothing reads it any more.

    A view takes no memory of its own. A pointwise operation writes its result in place of an operand of the same size
    that nothing reads after it. Of an operation with several results, those that nothing reads take no memory.
    """
    last = _last_reads(tape)
    live, steps, stored = NOTHING, list[MemoryStep](), set[int]()
    alive = {storage for storage in tape.inputs if storage in last}
    for storage in alive:
        live = live.plus(tape.sizes[storage])
    for place, operation in enumerate(tape.operations):
        made = {value.storage for value in operation.writes if value.storage not in alive}
        used = {storage for storage in made if last[storage] > place}
        for storage in used or made:
            live = live.plus(tape.sizes[storage])
            alive.add(storage)
        ending = {storage for storage in alive if last[storage] == place}
        needed = live.less(_reused(tape, operation, ending))
        new = {value.storage for value in operation.reads if value.storage in tape.constants} - stored
        stored |= new
        steps.append(MemoryStep(_layer(tape, operation), operation.name, needed, _sum(tape, new)))
        for storage in ending:
            live = live.less(tape.sizes[storage])
        alive -= ending
    return steps


def _last_reads(tape: Tape) -> dict[int, int]:
    """By storage that is no constant, the place of the last operation that reads it; past the end for an output."""
    last: dict[int, int] = {}
    for place, operation in enumerate(tape.operations):
        last |= {value.storage: place for value in (*operation.reads, *operation.writes)}
    last |= dict.fromkeys(tape.outputs, len(tape.operations))
    return {storage: place for storage, place in last.items() if storage not in tape.constants}


def _reused(tape: Tape, operation: Operation, ending: set[int]) -> Size:
    """The memory that a pointwise operation need not have for its result, as it takes that of an operand."""
    if operation.pointwise and operation.writes:
        result = operation.writes[0]
        size = tape.sizes[result.storage]
        for value in operation.reads:
            fits = (value.shape, value.strides) == (result.shape, result.strides) and tape.sizes[value.storage] == size
            if fits and value.storage in ending:
                return size
    return NOTHING


def _layer(tape: Tape, operation: Operation) -> str:
    """The module whose parameters or buffers an operation reads, or else the one that runs it."""
    names = (tape.constants.get(value.storage, "") for value in operation.reads)
    return next((name.rpartition(".")[0] for name in names if name), operation.module)


def constant_size(tape: Tape) -> Size:
    """The memory of the parameters, buffers and other constants that a pass reads."""
    read = {value.storage for operation in tape.operations for value in operation.reads}
    return _sum(tape, (read | tape.outputs) & tape.constants.keys())


def _sum(tape: Tape, storages: set[int]) -> Size:
    """The memory of several storages."""
    held = [tape.sizes[storage] for storage in storages]
    return Size(sum(size.floats for size in held), sum(size.other for size in held))
