"""score() one network, rank() many: the only callers of the engine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from zerocost import combine
from zerocost import data as data_
from zerocost.candidates import named
from zerocost.combine import Combination
from zerocost.data.tensors import as_inputs
from zerocost.engine.inputs import count
from zerocost.engine.memory import alone
from zerocost.engine.network import described, first_line, out_of_memory
from zerocost.engine.passes.batch import Loss, cross_entropy
from zerocost.engine.plan import PASSES, Plan, plan, repeats
from zerocost.engine.run import Measurement, measure, neutral
from zerocost.engine.settings import Settings
from zerocost.engine.signals import arguments
from zerocost.errors import Failure, InputError
from zerocost.integrations.keras import library as keras
from zerocost.proxies.registry import Proxy, resolve
from zerocost.seeding import Builder, initialise, is_network, seeded
from zerocost.tables import Interrupted, ScoreTable
from zerocost.version import VERSION

DEFAULT = ("snip", "grasp", "synflow", "log_synflow", "fisher", "jacob_cov", "grad_norm", "naswot", "params", "flops")


@dataclass(frozen=True)
class PassRecord:
    """One pass that ran: how often the network ran forward and backward in it, how long it took, and its settings where
    they are not the default."""

    name: str
    forwards: int
    backwards: int
    milliseconds: float
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreCard(Mapping[str, float]):
    """The scores of one network: a mapping from proxy name to value, higher is better.

    A proxy that could not be computed is not among the keys but in `failures`, with its reason; asking for it raises
    a `KeyError` that gives the reason.

    Attributes:
        scores: proxy name to value.
        failures: proxy name to the reason why it has no value.
        passes: the passes that ran to their end.
        provenance: how the scores were made: versions, seed, batch, loss, settings of each proxy, dtype, device.
        spread: standard deviation over the repeats of each proxy that was measured more than once.
    """

    scores: dict[str, float]
    failures: dict[str, str]
    passes: tuple[PassRecord, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)

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
    proxies: Iterable[str | Proxy] | str = DEFAULT,
    *,
    loss: Loss = cross_entropy,
    seed: int = 0,
) -> ScoreCard:
    """Score one untrained network with zero-cost proxies, in its own dtype and on its own device.

    The passes that the proxies need are run once for all of them; `explain` shows which. The model comes back as it
    was, and so do the global random states.

    Args:
        model: any `torch.nn.Module` that returns a tensor N×… (or a result with `logits`), or a Keras 3 model, whose
            images may be channels last, and which gets weights from a run on one sample where it has none yet.
        batch: `(inputs, labels)`, or the inputs alone for proxies that need no labels. Inputs are a tensor with the
            samples along the first axis, or a tuple, list or mapping of such tensors for a network of several inputs
            (then the batch must be a `zerocost.data.Batch` or a pair). A list of such pairs is several batches:
            proxies that compare batches (`zico`) see them all, the others the first.
        proxies: names, as a sequence or comma-separated; a name may carry options, as in "zico(parts=4)".
        loss: function of outputs and labels, a mean over samples. The default, cross-entropy, takes class numbers, a
            column of them or one-hot rows, and checks them; for a network of one output it is the binary one, of
            labels 0 and 1. Another loss gets the labels as they are.
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
    if not is_network(model):
        raise InputError(f"score() takes a torch.nn.Module, but got {type(model).__name__}; see rank() for builders")
    return evaluate(model, as_batches(batch), plan(resolve(proxies)), loss, seed)


def evaluate(model: nn.Module, batches: Sequence[data_.Batch], steps: Plan, loss: Loss, seed: int) -> ScoreCard:
    """Run a plan on one model and compute the proxies of it."""
    if keras.is_model(model):
        from zerocost.integrations.keras.scoring import evaluate as evaluate_keras

        return evaluate_keras(model, batches, steps, loss, seed)
    if loss is cross_entropy:
        batches = [data_.Batch(inputs, class_numbers(targets)) for inputs, targets in batches]
    found = measure(model, batches, steps, loss, seed)
    device = torch.device(found.device)
    scopes: dict[Settings, dict[str, Any]] = {}
    with neutral(device), torch.no_grad():
        values = {p.name: repeated(p, found, scopes, seed, device) for p in steps.proxies}
    inputs, targets = batches[0]
    return ScoreCard(
        scores={name: v.mean for name, v in values.items() if not isinstance(v, Failure)},
        failures={name: str(v) for name, v in values.items() if isinstance(v, Failure)},
        passes=tuple(
            PassRecord(name, PASSES[name].forwards, runs, milliseconds, settings.changed)
            for (name, settings), milliseconds in found.milliseconds.items()
            for runs in [found.backwards.get((name, settings), PASSES[name].backwards)]
        ),
        provenance={
            "zerocost": VERSION,
            "torch": torch.__version__,
            "seed": seed,
            "fidelity": "full",
            "initialisation": "as given",
            "inputs": shape_of(inputs),
            "batches": len(batches),
            "labels": targets is not None,
            "loss": getattr(loss, "__name__", type(loss).__name__),
            "settings": {p.name: settings_of(p) for p in steps.proxies},
            "dtype": found.dtype,
            "device": found.device,
            "part_size": found.part_size,
        },
        spread={p.name: v.deviation for p in steps.proxies if isinstance(v := values[p.name], Value) and p.repeats > 1},
    )


def settings_of(proxy: Proxy) -> dict[str, Any]:
    """The settings and options of a proxy, the mode always among them."""
    repeats = {"repeats": proxy.repeats} if proxy.repeats > 1 else {}
    return {"mode": proxy.settings.mode, **proxy.settings.changed, **proxy.options, **repeats}


class Value(NamedTuple):
    """A proxy's mean over its repeats, and their standard deviation (0 for one)."""

    mean: float
    deviation: float


def repeated(
    proxy: Proxy, found: Measurement, scopes: dict[Settings, dict[str, Any]], seed: int, device: torch.device
) -> Value | Failure:
    """A proxy's value over its repeats, or the first Failure among them."""
    values: list[float] = []
    for settings in repeats(proxy):
        if settings not in scopes:
            scopes[settings] = found.under(settings)
        one = computed(proxy, scopes[settings], seed + settings.repeat, device)
        if isinstance(one, Failure):
            return one
        values.append(one)
    return Value(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)


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
    try:
        result = proxy.formula(**given, **proxy.options)
    except (Failure, InputError):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        raise Failure(f"the proxy raised {described(error)}") from error
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
    proxies: Combination | Iterable[str | Proxy] | str = combine.default,
    *,
    also: Iterable[str] | str = (),
    batch: int | None = None,
    batches: int = 1,
    balanced: bool = False,
    loss: Loss = cross_entropy,
    seed: int = 0,
    repeats: int | None = None,
    device: str | torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ScoreTable:
    """Initialise, score and rank many networks on one batch. A bad candidate never stops the others.

    Args:
        candidates: a mapping from name to builder (a function that returns a module) or module, or a sequence of
            either. Builders run one at a time with torch seeded by `seed`, so that a network's initial weights do not
            depend on the others.
        data: anything `zerocost.data.draw` takes: a spec such as "digits", tensors or arrays, a Dataset, a DataLoader.
        proxies: names of the proxies to rank by, as a sequence or comma-separated, or a `zerocost.combine.Combination`
            or the .json file of one. Its `where` is for `select`, its fidelity for architectures of a space.
        also: names of proxies to score but not to rank by, for conditions of `select`; `params` always is.
        batch: number of samples drawn, once for all candidates; 64 unless the combination says otherwise.
        batches: how many batches are drawn; proxies that compare batches (`zico`) see them all, the others the first.
            Of a single one, those compare the halves.
        balanced: draw equally many of each class.
        loss: function of outputs and labels, a mean over samples.
        seed: draws the batch, initialises the networks and seeds the passes.
        repeats: how often each network is initialised and scored, from `seed` on; scores are means, and the table's
            `spread` has their standard deviations. Once, unless the combination says otherwise.
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
    for name, number in (("batches", batches), ("repeats", repeats), ("batch", batch)):
        if number is not None and (not isinstance(number, int) or number < 1):
            raise InputError(f"{name} must be a whole number from 1, got {number!r}")
    drawn = draw_batches(data, batch or combine.of(proxies).batch or 64, batches, seed, balanced)
    return rank_batch(
        candidates, drawn, proxies, also=also, loss=loss, seed=seed, repeats=repeats, device=device, progress=progress
    )


def draw_batches(data: Any, size: int, count: int, seed: int, balanced: bool) -> list[data_.Batch]:
    """`count` batches, the first drawn from `seed`, each of the others from the next seed."""
    return [data_.draw(data, size, seed=seed + i, balanced=balanced) for i in range(count)]


def rank_batch(
    candidates: Any,
    batch: Any,
    proxies: Combination | Iterable[str | Proxy] | str = combine.default,
    *,
    also: Iterable[str] | str = (),
    loss: Loss = cross_entropy,
    seed: int = 0,
    repeats: int | None = None,
    device: str | torch.device | None = None,
    fidelity: str = "full",
    progress: Callable[[int, int], None] | None = None,
) -> ScoreTable:
    """`rank` on a batch, or a list of batches, already drawn; `fidelity` is noted in the provenance of every score."""
    builders = named(candidates)
    combination = combine.of(proxies)
    if combination.reference is not None and combination.fidelity not in (None, fidelity):
        raise InputError(
            f"the reference of this combination was scored at fidelity {combination.fidelity}, candidates are at "
            f"{fidelity}; give it to search, which scores at that fidelity, or leave out the reference"
        )
    repeats = repeats or combination.repeats or 1
    ranked = resolve(proxies)
    beside = resolve(also) if also else []
    steps = plan(resolve([*ranked, *beside, "params"]))
    given = as_batches(batch)
    size = count(given[0].inputs)
    usable(device)
    cards: dict[str, ScoreCard] = {}
    rejected: list[InputError] = []
    start = time.perf_counter()

    def scored(build: Builder | nn.Module) -> ScoreCard:
        seeds = range(seed, seed + repeats)
        return averaged([evaluate(built(build, s, device), given, steps, loss, s) for s in seeds])

    def table() -> ScoreTable:
        done = {name: builders[name] for name in cards}
        scored = replace(combination, batch=size, repeats=repeats)
        return ScoreTable.of(cards, done, scored, [p.name for p in steps.proxies], time.perf_counter() - start)

    try:
        for done, (name, build) in enumerate(builders.items(), start=1):
            try:
                card = alone(scored, build)
            except InputError as reason:
                rejected.append(reason)
                card = Failure(str(reason))
            if isinstance(card, Failure):
                card = ScoreCard({}, {p.name: str(card) for p in steps.proxies})
            card.provenance["fidelity"] = fidelity
            card.provenance["initialisation"] = initialisation(build, seed, repeats) or card.provenance.get(
                "initialisation", "as given"
            )
            cards[name] = card
            if progress:
                progress(done, len(builders))
    except KeyboardInterrupt:
        raise Interrupted(table()) from None
    if len(rejected) == len(builders):
        raise rejected[0]
    return table()


def initialisation(build: Builder | nn.Module, seed: int, repeats: int) -> str | None:
    """Where a built candidate's weights come from, in words; None for a finished one."""
    if is_network(build):
        return None
    return f"built with seed {seed}" if repeats == 1 else f"built with seeds {seed} to {seed + repeats - 1}"


def averaged(cards: Sequence[ScoreCard]) -> ScoreCard:
    """One card out of those of several seeds: means, standard deviations, the first failure of each proxy."""
    if len(cards) == 1:
        return cards[0]
    failures = {name: reason for card in reversed(cards) for name, reason in card.failures.items()}
    values = {name: [card[name] for card in cards] for name in cards[0].scores if name not in failures}
    return replace(
        cards[0],
        scores={name: statistics.fmean(v) for name, v in values.items()},
        failures=failures,
        passes=tuple(p for card in cards for p in card.passes),
        spread={name: statistics.stdev(v) for name, v in values.items()},
    )


def usable(device: str | torch.device | None) -> None:
    """`InputError` for a device that this torch or this machine does not have."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {str(device)!r} cannot be used: {first_line(error)}") from None


def built(build: Builder | nn.Module, seed: int, device: str | torch.device | None) -> nn.Module:
    """The candidate's network, initialised from the seed and moved to the device; a finished one stays where it is."""
    model = initialise(build, seed)
    stays = device is None or model is build or keras.is_model(model)
    return model if stays else model.to(device)


def as_batches(batch: Any) -> list[data_.Batch]:
    """Checked batches out of a list of `(inputs, labels)`, or out of a single batch."""
    several = (
        isinstance(batch, list) and bool(batch) and all(isinstance(b, tuple | list) and len(b) == 2 for b in batch)
    )
    several = several and not any(isinstance(b[0], int | float) for b in batch)  # a list of labels
    return [as_batch(b) for b in (batch if several else [batch])]


def as_batch(batch: Any) -> data_.Batch:
    """A checked `Batch` out of `(inputs, labels)` or inputs alone; arrays become tensors, uint8 images floats."""
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    inputs, targets = tuple(batch) if pair else (batch, None)
    if (hasattr(inputs, "__iter__") or hasattr(inputs, "__getitem__")) and not is_structure(inputs):
        raise InputError(
            f"a batch must hold its samples as tensors, got {type(inputs).__name__}; take one batch out of it, "
            "batch = next(iter(loader)), or draw one with zerocost.data.draw"
        )
    inputs = tree_map(tensor, dict(inputs) if isinstance(inputs, Mapping) else inputs)
    targets = labels(targets)
    if isinstance(inputs, Tensor) and inputs.dtype == torch.uint8:
        inputs = as_inputs(inputs)
    made = data_.Batch(inputs, targets)
    data_.validate(made)
    return made


def is_structure(inputs: Any) -> bool:
    """Whether inputs are an array, or hold arrays, and are not what yields batches of them."""
    return isinstance(inputs, Tensor | Mapping | Sequence) or hasattr(inputs, "__array__")


def labels(targets: Any) -> Tensor | None:
    """A tensor of labels out of a tensor, array or list of numbers."""
    if targets is None or isinstance(targets, Tensor):
        return targets
    try:
        return torch.from_numpy(np.array(np.asarray(targets)))
    except (TypeError, ValueError) as error:
        raise InputError(f"labels must be a tensor, array or list of numbers, got {targets!r:.60}") from error


def class_numbers(targets: Tensor | None) -> Tensor | None:
    """Labels as cross-entropy takes them: a column as a vector, one-hot rows and floating 0 and 1 as class numbers.

    Labels of any other kind are left as they are.

    >>> class_numbers(torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
    tensor([1, 0])
    """
    if targets is None:
        return None
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets.squeeze(1)
    zeros_and_ones = bool(((targets == 0) | (targets == 1)).all())
    if targets.ndim == 2 and zeros_and_ones and bool(((targets == 1).sum(1) == 1).all()):
        return targets.long().argmax(1)
    return targets.long() if targets.is_floating_point() and targets.ndim != 2 and zeros_and_ones else targets


def tensor(value: Any) -> Any:
    """A tensor with a copy of an array of numpy, TensorFlow or JAX, contiguous as a tensor is; anything else as it is.

    The order of axes in memory decides how sums are rounded, and is the same for all.
    """
    if isinstance(value, Tensor):
        return value.contiguous() if value.layout == torch.strided else value
    if isinstance(value, np.generic) or not hasattr(value, "__array__"):
        return value
    try:
        return torch.from_numpy(np.array(np.asarray(value), order="C"))
    except TypeError as error:
        raise InputError(f"the inputs of a batch must be numbers, got {type(value).__name__}: {error}") from error


def shape_of(inputs: Any) -> Any:
    """Shapes of the tensors in a nested structure."""
    return tree_map(lambda t: tuple(t.shape) if isinstance(t, Tensor) else t, inputs)


def explain(proxies: Iterable[str | Proxy] | str = DEFAULT) -> Plan:
    """The passes that scoring with these proxies will run, and why; print it to read it.

    >>> print(explain("snip,naswot"))
    2 proxies: 1 forward and 1 backward runs
      data         the batch, activations observed
                   activation_kernel for naswot
      loss         backward of the mean loss to the weight matrices
                   weight_gradients for snip
      (no run)     weights for snip
    """
    return plan(resolve(proxies))
