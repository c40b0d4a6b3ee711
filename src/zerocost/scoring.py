"""score() one network, rank() many: the only callers of the engine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from zerocost import data as data_
from zerocost.candidates import named
from zerocost.data.tensors import as_inputs
from zerocost.engine.memory import alone
from zerocost.engine.network import first_line
from zerocost.engine.passes.batch import Loss, cross_entropy
from zerocost.engine.plan import PASSES, Plan, plan
from zerocost.engine.run import measure, neutral
from zerocost.engine.signals import arguments
from zerocost.errors import Failure, InputError
from zerocost.proxies.registry import Proxy, resolve
from zerocost.seeding import Builder, initialise, seeded
from zerocost.tables import Interrupted, ScoreTable
from zerocost.version import VERSION

DEFAULT = ("snip", "grasp", "synflow", "log_synflow", "fisher", "jacob_cov", "grad_norm", "naswot", "params", "flops")


@dataclass(frozen=True)
class PassRecord:
    """One pass that ran: how often the network ran forward and backward in it, and how long it took."""

    name: str
    forwards: int
    backwards: int
    milliseconds: float


@dataclass(frozen=True)
class ScoreCard(Mapping[str, float]):
    """The scores of one network: a mapping from proxy name to value, higher is better.

    A proxy that could not be computed is not among the keys but in `failures`, with its reason; asking for it raises
    a `KeyError` that gives the reason.

    Attributes:
        scores: proxy name to value.
        failures: proxy name to the reason why it has no value.
        passes: the passes that ran to their end.
        provenance: how the scores were made: versions, seed, batch, loss, dtype, device.
    """

    scores: dict[str, float]
    failures: dict[str, str]
    passes: tuple[PassRecord, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        if name in self.failures:
            raise KeyError(f"{name} failed: {self.failures[name]}")
        return self.scores[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def milliseconds(self) -> float:
        """Time spent in all passes."""
        return sum(p.milliseconds for p in self.passes)


def score(
    model: nn.Module,
    batch: Any,
    proxies: Iterable[str] | str = DEFAULT,
    *,
    loss: Loss = cross_entropy,
    seed: int = 0,
) -> ScoreCard:
    """Score one untrained network with zero-cost proxies, in its own dtype and on its own device.

    The passes that the proxies need are run once for all of them; `explain` shows which. The model comes back as it
    was, and so do the global random states.

    Args:
        model: any `torch.nn.Module` that returns a tensor N×… (or a result with `logits`).
        batch: `(inputs, labels)`, or the inputs alone for proxies that need no labels. Inputs are a tensor with the
            samples along the first axis, or a tuple, list or mapping of such tensors for a network of several inputs
            (then the batch must be a `zerocost.data.Batch` or a pair).
        proxies: names, as a sequence or comma-separated.
        loss: function of outputs and labels, a mean over samples; labels are checked only for the default.
        seed: seeds each pass (dropout and the like); the value of a score for a given seed is always the same.

    Returns:
        A `ScoreCard`: a mapping from proxy name to value, with `failures`, `passes` and `provenance`.

    Raises:
        InputError: an unknown proxy, an empty or non-finite batch, labels out of range.

    >>> import torch
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> images, labels = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 0, 1])
    >>> card = score(net, (images, labels), ["params", "flops", "snip"])
    >>> card["params"], card["flops"], card.failures
    (122.0, 112.0, {})
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"score() takes a torch.nn.Module, but got {type(model).__name__}; see rank() for builders")
    inputs, targets = as_batch(batch)
    steps = plan(resolve(proxies))
    return evaluate(model, inputs, targets, steps, loss, seed)


def evaluate(model: nn.Module, inputs: Any, targets: Tensor | None, steps: Plan, loss: Loss, seed: int) -> ScoreCard:
    """Run a plan on one model and compute the proxies of it."""
    found = measure(model, inputs, targets, steps, loss, seed)
    device = torch.device(found.device)
    with neutral(device), torch.no_grad():
        values = {p.name: computed(p, found.signals, seed, device) for p in steps.proxies}
    return ScoreCard(
        scores={name: v for name, v in values.items() if not isinstance(v, Failure)},
        failures={name: str(v) for name, v in values.items() if isinstance(v, Failure)},
        passes=tuple(
            PassRecord(name, PASSES[name].forwards, PASSES[name].backwards, milliseconds)
            for name, milliseconds in found.milliseconds.items()
        ),
        provenance={
            "zerocost": VERSION,
            "torch": torch.__version__,
            "seed": seed,
            "fidelity": "full",
            "initialisation": "as given",
            "inputs": shape_of(inputs),
            "labels": targets is not None,
            "loss": getattr(loss, "__name__", type(loss).__name__),
            "mode": "train",
            "dtype": found.dtype,
            "device": found.device,
            "part_size": found.part_size,
        },
    )


def computed(proxy: Proxy, signals: dict[str, Any], seed: int, device: torch.device) -> float | Failure:
    """A proxy's value, or the Failure that says why it has none.

    Raises `InputError` for a proxy that writes into the signals it shares with others.
    """
    with seeded(seed, device):
        given = alone(arguments, proxy.signals, signals)
        if isinstance(given, Failure):
            return given
        tensors = [t for t in tree_leaves(given) if isinstance(t, Tensor)]
        versions = [t._version for t in tensors]
        result: float | Failure = alone(value, proxy, given)
    if versions != [t._version for t in tensors]:
        raise InputError(f"proxy {proxy.name!r} writes into its signals, which other proxies share; write into copies")
    return result


def value(proxy: Proxy, given: Mapping[str, Any]) -> float:
    """What a proxy's formula makes of its signals, its sign turned so that higher is better; a finite number."""
    result = proxy.formula(**given)
    if isinstance(result, Tensor | np.ndarray | np.generic):
        result = result.item() if math.prod(result.shape) == 1 else f"a tensor of shape {tuple(result.shape)}"
    if not isinstance(result, int | float):
        raise Failure(f"the proxy returned {result}, expected one real number")
    number = float(result)
    if not math.isfinite(number):
        raise Failure(f"the value is {number}: it overflows, or is computed from what is not a number")
    return number if proxy.higher_is_better else -number


def rank(
    candidates: Any,
    data: Any,
    proxies: Iterable[str] | str = DEFAULT,
    *,
    also: Iterable[str] | str = (),
    batch: int = 64,
    balanced: bool = False,
    loss: Loss = cross_entropy,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ScoreTable:
    """Initialise, score and rank many networks on one batch. A bad candidate never stops the others.

    Args:
        candidates: a mapping from name to builder (a function that returns a module) or module, or a sequence of
            either. Builders run one at a time with torch seeded by `seed`, so that a network's initial weights do not
            depend on the others.
        data: anything `zerocost.data.draw` takes: a spec such as "digits", tensors or arrays, a Dataset, a DataLoader.
        proxies: names of the proxies to rank by, as a sequence or comma-separated.
        also: names of proxies to score but not to rank by, for conditions of `select`; `params` always is.
        batch: number of samples drawn, once for all candidates.
        balanced: draw equally many of each class.
        loss: function of outputs and labels, a mean over samples.
        seed: draws the batch, initialises the networks and seeds the passes.
        device: where built networks are moved before scoring; None leaves them where they are.
        progress: called with the number done and the total after each candidate.

    Returns:
        A `ScoreTable`, best first by `rank_score`.

    Raises:
        InputError: no candidates, an unknown proxy, data that cannot be used, or a batch no candidate could be
            scored on.
        zerocost.tables.Interrupted: at Ctrl-C; its `table` holds what was scored until then.

    >>> import torch
    >>> nets = {f"width-{w}": lambda w=w: nn.Sequential(nn.Linear(4, w), nn.ReLU(), nn.Linear(w, 2)) for w in (2, 8)}
    >>> table = rank(nets, (torch.rand(8, 4), torch.arange(8) % 2), "snip,naswot", batch=8)
    >>> sorted(table.frame.columns)
    ['naswot', 'params', 'rank_score', 'snip']
    """
    drawn = data_.draw(data, batch, seed=seed, balanced=balanced)
    return rank_batch(candidates, drawn, proxies, also=also, loss=loss, seed=seed, device=device, progress=progress)


def rank_batch(
    candidates: Any,
    batch: Any,
    proxies: Iterable[str] | str = DEFAULT,
    *,
    also: Iterable[str] | str = (),
    loss: Loss = cross_entropy,
    seed: int = 0,
    device: str | torch.device | None = None,
    fidelity: str = "full",
    progress: Callable[[int, int], None] | None = None,
) -> ScoreTable:
    """`rank` on a batch that is already drawn; `fidelity` is noted in the provenance of every score."""
    builders = named(candidates)
    ranking = [p.name for p in resolve(proxies)]
    beside = also.split(",") if isinstance(also, str) else also
    steps = plan(resolve([*ranking, *beside, "params"]))
    inputs, targets = as_batch(batch)
    usable(device)
    cards: dict[str, ScoreCard] = {}
    rejected: list[InputError] = []
    start = time.perf_counter()

    def scored(build: Builder | nn.Module) -> ScoreCard:
        return evaluate(built(build, seed, device), inputs, targets, steps, loss, seed)

    def table() -> ScoreTable:
        done = {name: builders[name] for name in cards}
        return ScoreTable.of(cards, done, ranking, [p.name for p in steps.proxies], time.perf_counter() - start)

    try:
        for count, (name, build) in enumerate(builders.items(), start=1):
            try:
                card = alone(scored, build)
            except InputError as reason:
                rejected.append(reason)
                card = Failure(str(reason))
            if isinstance(card, Failure):
                card = ScoreCard({}, {p.name: str(card) for p in steps.proxies})
            card.provenance["fidelity"] = fidelity
            card.provenance["initialisation"] = (
                "as given" if isinstance(build, nn.Module) else f"built with seed {seed}"
            )
            cards[name] = card
            if progress:
                progress(count, len(builders))
    except KeyboardInterrupt:
        raise Interrupted(table()) from None
    if len(rejected) == len(builders):
        raise rejected[0]
    return table()


def usable(device: str | torch.device | None) -> None:
    """`InputError` for a device that this torch or this machine does not have."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {str(device)!r} cannot be used: {first_line(error)}") from None


def built(build: Builder | nn.Module, seed: int, device: str | torch.device | None) -> nn.Module:
    """The candidate's network, initialised from the seed and moved to the device; a finished one stays where it is."""
    model = initialise(build, seed)
    return model if device is None or model is build else model.to(device)


def as_batch(batch: Any) -> data_.Batch:
    """A checked `Batch` out of `(inputs, labels)` or inputs alone; arrays become tensors, uint8 images floats."""
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    inputs, targets = tuple(batch) if pair else (batch, None)
    inputs = tree_map(tensor, dict(inputs) if isinstance(inputs, Mapping) else inputs)
    targets = labels(targets)
    if isinstance(inputs, Tensor) and inputs.dtype == torch.uint8:
        inputs = as_inputs(inputs)
    made = data_.Batch(inputs, targets)
    data_.validate(made)
    return made


def labels(targets: Any) -> Tensor | None:
    """A tensor of labels out of a tensor, array or list of numbers."""
    if targets is None or isinstance(targets, Tensor):
        return targets
    try:
        return torch.from_numpy(np.array(targets))
    except (TypeError, ValueError) as error:
        raise InputError(f"labels must be a tensor, array or list of numbers, got {targets!r:.60}") from error


def tensor(value: Any) -> Any:
    """A tensor with a copy of a numpy array; anything else as it is."""
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


def shape_of(inputs: Any) -> Any:
    """Shapes of the tensors in a nested structure."""
    return tree_map(lambda t: tuple(t.shape) if isinstance(t, Tensor) else t, inputs)


def explain(proxies: Sequence[str] | str = DEFAULT) -> Plan:
    """The passes that scoring with these proxies will run, and why; print it to read it.

    >>> print(explain("snip,naswot"))
    2 proxies: 1 forward and 1 backward runs
      data      the batch, train mode, activations observed
                activation_kernel for naswot
      loss      backward of the mean loss to the weight matrices
                weight_gradients for snip
      (no run)  weights for snip
    """
    return plan(resolve(proxies))
