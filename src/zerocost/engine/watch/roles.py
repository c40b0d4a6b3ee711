"""What a weight matrix is there for: attention, another linear layer, or something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import ATTENTION, RECURRENT
from zerocost.engine.calls.recurrent import Recurrence
from zerocost.engine.model.network import Network


class WeightRoles:
    """Tells the linear layers of attention from others.

    A module attends when its own forward calls scaled dot-product attention, or a softmax (as function or layer) over
    the last axis of a tensor of three or more; its weights, and those of the linear layers that are its children, are
    attention's.
    """

    def __init__(self, network: Network, weights: Sequence[Tensor]) -> None:
        self.weights = list(weights)
        self.running: list[nn.Module] = []
        self.attending: set[int] = set()
        self.owners: dict[int, list[int]] = {}
        for module in network.modules:
            module.register_forward_pre_hook(self.enter)
            module.register_forward_hook(self.leave)

    def enter(self, module: nn.Module, _: Any) -> None:
        self.running.append(module)

    def leave(self, *_: Any) -> None:
        self.running.pop()

    def see(self, call: Call) -> None:
        """Called with each call of the network."""
        softmax = call.name == "softmax" and isinstance(call.input, Tensor) and call.input.ndim > 2
        last = call.argument(1, "dim") in (-1, call.input.ndim - 1) if softmax else False
        running = [m for m in self.running if not isinstance(m, nn.Softmax)]
        if running and (call.name == ATTENTION or last):
            self.attending.add(id(running[-1]))
        if call.name in RECURRENT:
            for weight in Recurrence.of(call.args, call.kwargs).params:
                self.owners.setdefault(id(weight), [id(m) for m in running[-1:]])
        if call.name == "linear":
            weight = call.argument(1, "weight")
            whole = weight if weight._base is None else weight._base  # of one that is split, as for keys and values
            recurrent = bool(running) and isinstance(running[-1], nn.RNNBase | nn.RNNCellBase)
            self.owners.setdefault(id(whole), [id(m) for m in running[-1 if recurrent else -2 :]])

    def result(self) -> list[str]:
        """For each weight matrix: attention, linear or other."""
        return [self.role(self.owners.get(id(w))) for w in self.weights]

    def role(self, owners: list[int] | None) -> str:
        if owners is None:
            return "other"
        return "attention" if self.attending.intersection(owners) else "linear"
