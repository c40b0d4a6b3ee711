"""score(): run the passes on one network and compute the proxies."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from zerocost import combine
from zerocost import data as data_
from zerocost.base.errors import Failure, InputError, describe_error
from zerocost.base.seeding import check_seed, seeded
from zerocost.base.torch_state import neutral_torch
from zerocost.base.version import VERSION
from zerocost.data.as_batch import as_batches, tensor_shapes
from zerocost.data.batch import separate_targets
from zerocost.engine.failures import is_out_of_memory, or_failure
from zerocost.engine.losses import Loss
from zerocost.engine.model.lazy import materialised
from zerocost.engine.outputs import Output
from zerocost.engine.passes.base import PASSES
from zerocost.engine.plan import Plan, plan, repeat_settings
from zerocost.engine.proxy import Proxy
from zerocost.engine.run import MeasuredSignals, measure, neutral_modes
from zerocost.engine.settings import Settings
from zerocost.engine.signals import signal_arguments
from zerocost.proxies.registry import resolve
from zerocost.scoring.adapters import find_adapter
from zerocost.scoring.candidates import is_network
from zerocost.scoring.card import PassRecord, ScoreCard, failed_card
from zerocost.tasks.task import Task, as_task

DEFAULT_PROXIES = (
    "snip",
    "grasp",
    "synflow",
    "log_synflow",
    "fisher",
    "jacob_cov",
    "grad_norm",
    "naswot",
    "params",
    "flops",
)


def score(
    model: nn.Module,
    batch: Any,
    proxies: Iterable[str | Proxy] | str = DEFAULT_PROXIES,
    *,
    task: Task | str | None = None,
    loss: Loss | None = None,
    output: Output = None,
    seed: int = 0,
) -> ScoreCard:
    """Score one untrained network with zero-cost proxies, in its own dtype and on its own device.

    The passes that the proxies need are run once for all of them; `explain` shows which. The model comes back as it
    was, and so do the global random states.

    The default proxies are not those of `zerocost.rank`: ten well-known ones show one network from many sides, while
    `rank` uses the combination that was chosen to rank a pool of candidates.

    Args:
        model: any `torch.nn.Module` that returns a tensor N×…, alone or among others (see `output`), or a Keras 3
            model, whose images may be channels last. Lazy layers get their weights from the batch, in a copy.
        batch: `(inputs, labels)`, or the inputs alone for proxies that need no labels. Inputs are a tensor with the
            samples along the first axis, or a tuple, list or mapping of such tensors for a network of several inputs
            (then the batch must be a `zerocost.data.Batch` or a pair). A list of such pairs is several batches:
            proxies that compare batches (`zico`) see them all, the others the first. A mapping may hold the labels too,
            as "labels", "label", "targets", "target" or "y".
        proxies: names, as a sequence or comma-separated; a name may carry options, as in "zico(parts=4)".
        task: what the outputs are for, a `zerocost.tasks.Task` or the name of one. By default it is inferred from
            the labels: floating ones are regression; class numbers, a column of them or one-hot rows are
            classification, a class for each pixel is segmentation, and the tokens of the input are next_token.
        loss: function of outputs and labels, a mean over samples, in place of the task's. It gets the labels as they
            are.
        output: the tensor in what the network returns: a key, an attribute, a place or a function. By default the
            tensor returned, or `logits`, `out`, `sample` or `last_hidden_state` of it, or the first of a tuple.
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
    check_seed(seed)
    if not is_network(model):
        raise InputError(f"score() takes a torch.nn.Module, but got {type(model).__name__}; see rank() for builders")
    batches = list(map(separate_targets, as_batches(batch)))
    chosen = as_task(task, None, batches[0], loss=loss, output=output)
    return score_batches(model, batches, plan(combine.proxies_for(proxies, batches[0].inputs)), chosen, seed)


def score_batches(model: nn.Module, batches: Sequence[data_.Batch], steps: Plan, task: Task, seed: int) -> ScoreCard:
    """Run a plan on one model and compute its proxies."""
    adapter = find_adapter(model)
    if adapter is not None:
        return adapter.evaluate(model, batches, steps, task, seed)
    batches = [data_.Batch(inputs, task.targets(targets)) for inputs, targets in batches]
    owned = or_failure(materialised, model, batches[0].inputs, seed)
    if isinstance(owned, Failure):
        return failed_card(steps.proxies, owned)
    with neutral_torch():
        found = measure(owned, batches, steps, task.loss, seed, task.output)
        device = torch.device(found.device)
        scopes: dict[Settings, dict[str, Any]] = {}
        with neutral_modes(device), torch.no_grad():
            values = {p.name: _compute_repeats(p, found, scopes, seed, device) for p in steps.proxies}
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
            "inputs": tensor_shapes(inputs),
            "batches": len(batches),
            "labels": targets is not None,
            "task": task.name,
            "loss": task.loss_name,
            "output": found.output or "as returned",
            "settings": {p.name: _proxy_settings(p) for p in steps.proxies},
            "dtype": found.dtype,
            "device": found.device,
            "part_size": found.part_size,
            "frozen": found.frozen,
            "unused": found.unused,
        },
        spread={
            p.name: v.deviation
            for p in steps.proxies
            if isinstance(v := values[p.name], _RepeatedScore) and p.repeats > 1
        },
    )


def _proxy_settings(proxy: Proxy) -> dict[str, Any]:
    """The settings and options of a proxy, the mode always among them."""
    repeats = {"repeats": proxy.repeats} if proxy.repeats > 1 else {}
    return {"mode": proxy.settings.mode, **proxy.settings.changed, **proxy.options, **repeats}


class _RepeatedScore(NamedTuple):
    """A proxy over its repeats.

    Attributes:
        mean: the mean value.
        deviation: the standard deviation; 0 for a single repeat.
    """

    mean: float
    deviation: float


def _compute_repeats(
    proxy: Proxy, found: MeasuredSignals, scopes: dict[Settings, dict[str, Any]], seed: int, device: torch.device
) -> _RepeatedScore | Failure:
    """The mean and deviation of a proxy over its repeats, or the first `Failure` among them."""
    values: list[float] = []
    for settings in repeat_settings(proxy):
        if settings not in scopes:
            scopes[settings] = found.under(settings)
        one = _compute_or_failure(proxy, scopes[settings], seed + settings.repeat, device)
        if isinstance(one, Failure):
            return one
        values.append(one)
    return _RepeatedScore(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)


def _compute_or_failure(proxy: Proxy, signals: dict[str, Any], seed: int, device: torch.device) -> float | Failure:
    """A proxy's value, or the `Failure` that says why it has none.

    Raises:
        InputError: a proxy that writes into the signals that it shares with others.
    """
    with seeded(seed, device):
        given = or_failure(signal_arguments, proxy.signals, signals)
        if isinstance(given, Failure):
            return given
        tensors = [t for t in tree_leaves(given) if isinstance(t, Tensor)]
        versions = list(map(_version, tensors))
        result: float | Failure = or_failure(_compute, proxy, given)
    if versions != list(map(_version, tensors)):
        raise InputError(f"proxy {proxy.name!r} writes into its signals, which other proxies share; write into copies")
    return result


def _version(tensor: Tensor) -> int:
    """How often a tensor was written into; 0 for one made in inference mode, of which torch does not count it."""
    return 0 if tensor.is_inference() else tensor._version


def _compute(proxy: Proxy, given: Mapping[str, Any]) -> float:
    """A proxy's formula applied to its signals: a finite number, with the sign that makes higher better."""
    try:
        result = proxy.formula(**given, **proxy.options)
    except (Failure, InputError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if is_out_of_memory(error):
            raise
        raise Failure(f"the proxy raised {describe_error(error)}") from error
    if isinstance(result, Tensor | np.ndarray | np.generic):
        result = result.item() if math.prod(result.shape) == 1 else f"a tensor of shape {tuple(result.shape)}"
    if not isinstance(result, int | float):
        raise Failure(f"the proxy returned {result}, expected one real number")
    number = float(result)
    if not math.isfinite(number):
        raise Failure(f"the value is {number}: it overflows, or is computed from what is not a number")
    return number if proxy.higher_is_better else -number


def explain(proxies: Iterable[str | Proxy] | str = DEFAULT_PROXIES) -> Plan:
    """The passes that scoring with these proxies will run, and why; print it to read it.

    >>> print(explain("snip,naswot"))
    2 proxies: 1 forward and 1 backward passes
      data         the batch, activations observed
                   activation_kernel for naswot
      loss         backward of the mean loss to the weight matrices
                   weight_gradients for snip
      (no pass)    weights for snip
    """
    return plan(resolve(combine.as_proxies(proxies)))
