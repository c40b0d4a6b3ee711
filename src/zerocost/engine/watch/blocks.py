"""The blocks a network is a chain of, and what they hand on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import CHANNEL_AXIS
from zerocost.engine.calls.recurrent import hand_on
from zerocost.engine.watch.base import Scene, Watcher, check_visible, remove

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.Embedding)


def find_blocks(model: nn.Module) -> list[nn.Module]:
    """The modules that a network is a chain of: its largest parts with weights that are neither lists nor one layer.

    A list of layers is one part, a list of larger modules is as many as it holds (those without weights included, such
    as a cell that only pools), and a network that wraps one other is looked into. A plain list of layers has no parts,
    wrapped or not.

    >>> a, b, c = (nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()) for _ in range(3))
    >>> [len(part) for part in find_blocks(nn.Sequential(a, nn.Sequential(b, c), nn.Flatten(), nn.Linear(8, 2)))]
    [2, 2, 2]
    """
    parts = list(_candidate_blocks(model))
    while len(parts) == 1 and list(_candidate_blocks(parts[0])):
        parts = list(_candidate_blocks(parts[0]))
    whole = len(parts) == 1 and len(list(parts[0].parameters())) == len(list(model.parameters()))
    return [] if whole else parts


def _candidate_blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The parts of a module that may be blocks of the network, those of lists inside it included."""
    for child in module.children():
        inner = _parts(child)
        listed = isinstance(child, _CONTAINERS)
        if listed and any(map(_parts, inner)):
            yield from _candidate_blocks(child)
        elif inner and (
            any(p.ndim > 1 for p in child.parameters()) or (isinstance(module, _CONTAINERS) and not listed)
        ):
            yield child


def _parts(module: nn.Module) -> list[nn.Module]:
    """The modules inside one. A layer has none, whatever computes its weights or was hung on it."""
    return [] if isinstance(module, _LAYERS) else list(module.children())


class BlockMap(NamedTuple):
    """What a block hands on.

    Attributes:
        tensor: in the network's graph, as the network has it.
        as_map: the tensor, or a gradient to it, as N×C×positions.
    """

    tensor: Tensor
    as_map: Callable[[Tensor], Tensor]


class Blocks(Watcher):
    """What the network's blocks hand on: the first block's input, when layers have run before it, and each output.

    A network without blocks (a plain list of layers) is taken apart after each activation, and after each recurrent
    layer. What no sample reaches is not handed on.
    """

    sees_steps = False

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.outputs: list[BlockMap] = []
        self.activations: list[BlockMap] = []
        self.weighed = False
        self.inside = False

    def hooks(self) -> Iterable[RemovableHandle]:
        for block in find_blocks(self.scene.model) if self.scene.model else ():
            yield block.register_forward_pre_hook(self.enter, with_kwargs=True)
            yield block.register_forward_hook(self.leave)

    def enter(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Called with what a block is given."""
        if self.inside:
            return None
        self.inside = True
        self.scene.block += 1
        first = next(iter((*args, *kwargs.values())), None)
        if self.outputs or not self.weighed or not isinstance(first, Tensor):
            return None
        copy = self.hand_on(first)  # wherever it is given more than once, as to attention
        return (
            tuple(copy if value is first else value for value in args),
            {name: copy if value is first else value for name, value in kwargs.items()},
        )

    def leave(self, _: nn.Module, given: Any, output: Any) -> Any:
        """Called with what a block returns."""
        self.inside = False
        return self.hand_on(output) if isinstance(output, Tensor) else None

    def hand_on(self, output: Tensor) -> Tensor:
        """Keep a map; the network goes on with a copy, so that it cannot be overwritten."""
        with self.scene.inside_hook():
            if self.scene.sample_axis.reaches(output):
                self.outputs.append(self._as_block_map(output))
            return output.clone()

    def after(self, call: Call, result: Tensor) -> Undo | None:
        layer = call.name == hand_on.__name__
        self.weighed = self.weighed or ((layer or call.name in CHANNEL_AXIS) and self.scene.sample_axis.reaches(result))
        if not (layer or call.is_activation):
            return None
        check_visible(result)
        if not self.scene.sample_axis.reaches(result):
            return None
        if result.ndim < 2:  # one unit of all samples, which does not spread
            self.scene.rows(result)
            return None
        found = self._as_block_map(result)
        self.activations.append(found)
        return partial(remove, self.activations, found)

    def _as_block_map(self, tensor: Tensor) -> BlockMap:
        samples, channels = self.scene.sample_axis, self.scene.channels(tensor)
        place = samples.place(tensor)

        def as_map(values: Tensor) -> Tensor:
            found = samples.read_map(place, channels, values)
            assert found is not None
            return found

        return BlockMap(tensor, as_map)

    def result(self) -> list[BlockMap]:
        kept = self.outputs if len(self.outputs) > 1 else self.activations
        for found in kept:
            check_visible(found.tensor)
        maps = [found for found in kept if found.as_map(found.tensor.detach()).ndim > 2] or kept
        if not maps:
            raise Failure("no blocks were seen")
        return maps
