"""Scores of a `LightningModule`, with the loss of its own training step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

from zerocost import data as data_
from zerocost.base.errors import Failure, InputError, describe_error
from zerocost.base.seeding import seeded
from zerocost.data.as_batch import as_batches
from zerocost.data.batch import draw_whole
from zerocost.data.targets import TARGET_KEYS
from zerocost.engine.failures import is_out_of_memory
from zerocost.engine.inputs import clone_tensors, sample_count
from zerocost.engine.model.network import Network, unwrap
from zerocost.engine.proxy import Proxy
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.score import DEFAULT_PROXIES
from zerocost.scoring.score import score as score_module
from zerocost.tasks import Task

_MakeBatch = Callable[[tuple[Any, ...], dict[str, Any], Tensor], Any]
"""Makes a batch from the arguments that the network was called with and the labels."""

_REMEDY = "give loss=, a function of outputs and labels, and the batch as (inputs, labels)"


def score(
    module: nn.Module,
    data: Any,
    proxies: Iterable[str | Proxy] | str = DEFAULT_PROXIES,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    size: int = 64,
    seed: int = 0,
) -> ScoreCard:
    """Score an untrained `LightningModule` with its own loss, which `training_step` computes from outputs and labels.

    The step runs as it is, but its call `self(inputs)` returns what the network has already returned for them, and its
    logs are dropped. So it must call the module itself, once, with the inputs of the batch, and return a loss that is a
    mean over the samples. The module comes back as it was.

    Args:
        module: a `LightningModule`, with no trainer attached.
        data: `(inputs, labels)`, several of them in a list, any other batch that the step takes, or a
            `LightningDataModule`, from whose training data a batch is drawn (after its `prepare_data` and
            `setup("fit")`). The labels of a mapping are its "labels", "label", "targets", "target" or "y".
        proxies: names of proxies, as in `zerocost.score`.
        loss: in place of the training step's; then the batch is what `zerocost.score` takes.
        size: number of samples to draw from a `LightningDataModule`.
        seed: of the draw and of the passes.

    Raises:
        InputError: not a `LightningModule`, a training step that is not as above, or too little data.

    >>> import torch
    >>> from pytorch_lightning import LightningModule
    >>> class Classifier(LightningModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(4, 2)
    ...     def forward(self, inputs):
    ...         return self.layer(inputs)
    ...     def training_step(self, batch, batch_idx):
    ...         inputs, labels = batch
    ...         return nn.functional.cross_entropy(self(inputs), labels, label_smoothing=0.1)
    >>> score(Classifier(), (torch.rand(8, 4), torch.arange(8) % 2), "snip,params").failures
    {}
    """
    if not callable(getattr(module, "training_step", None)) or not isinstance(module, nn.Module):
        raise InputError(f"expected a LightningModule, but got {_describe_type(module)}; zerocost.score takes others")
    if loss is None and not getattr(module, "automatic_optimization", True):
        raise InputError(f"training_step steps its optimizers by hand (automatic_optimization is False); {_REMEDY}")
    module, batches = unwrap(module), as_batches(_draw_from_datamodule(data, size, seed))
    if loss is not None:
        return score_module(module, batches, proxies, loss=loss, seed=seed)
    whole: _MakeBatch = _inputs_and_labels
    if len(batches) == 1 and batches[0].targets is None:
        batches[0], whole = _find_inputs(module, batches[0].inputs, seed)
    seen: list[Any] = []

    def forget(*_: Any) -> None:
        seen.clear()  # or its graph would stay in memory

    def remember(_: nn.Module, args: Any, kwargs: Any, returned: Any) -> None:
        seen[:] = args, kwargs, returned

    handles = (
        module.register_forward_pre_hook(forget),
        module.register_forward_hook(remember, with_kwargs=True),
    )
    try:
        return score_module(module, batches, proxies, task=Task(loss=_step_loss(module, seen, whole)), seed=seed)
    finally:
        for handle in handles:
            handle.remove()


def _draw_from_datamodule(data: Any, size: int, seed: int) -> Any:
    """A batch of a data module's training data; other data stays as it is."""
    if isinstance(data, type):
        raise InputError(
            f"expected a batch or a LightningDataModule, but got {_describe_type(data)}; give {data.__name__}(…)"
        )
    if not callable(getattr(data, "train_dataloader", None)):
        return data
    with seeded(seed):  # a `setup` may split at random
        data.prepare_data()
        data.setup("fit")
        loader = data.train_dataloader()
    samples = getattr(loader, "dataset", None)
    if isinstance(samples, Sized) and 0 < len(samples) < size:
        raise InputError(f"the training data has {len(samples)} samples, got size={size}; give size={len(samples)}")
    return draw_whole(loader, size, seed=seed)


def _describe_type(value: Any) -> str:
    """The type of a value, for messages."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _inputs_and_labels(args: tuple[Any, ...], kwargs: dict[str, Any], targets: Tensor) -> Any:
    """The batch (inputs, labels)."""
    return kwargs or (args[0] if len(args) == 1 else args), targets


class _ForwardCalled(Exception):
    """Raised in place of the forward pass, with its arguments."""


def _find_inputs(module: nn.Module, batch: Any, seed: int) -> tuple[data_.Batch, _MakeBatch]:
    """Of a batch that is no pair, the inputs that the step calls the network with, and its labels, or the inputs in
    their place; and what makes such a batch of some of the samples."""

    def forward(*args: Any, **kwargs: Any) -> None:
        raise _ForwardCalled(args, kwargs)

    try:
        network = Network(module)
        batch = clone_tensors(network.prepare(batch))
        with network.fresh(seed, training=True):
            _run_step(module, tree_map(lambda entry: entry, batch), forward)
    except _ForwardCalled as called:
        args, kwargs = called.args
    except Failure as failure:
        raise InputError(str(failure)) from failure
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        got = f"training_step raised {describe_error(error)}, when given a {type(batch).__name__}"
        raise InputError(f"{got}; {_REMEDY}") from error
    else:
        raise InputError(f"training_step called self(inputs) 0 times, expected once; {_REMEDY}")
    if args and kwargs:
        args, kwargs = (), dict(zip(inspect.signature(module.forward).parameters, args, strict=False)) | kwargs
    found = tree_leaves((args, kwargs))
    label = next((batch[key] for key in TARGET_KEYS if key in batch), None) if isinstance(batch, Mapping) else None
    rows = next((leaf for leaf in found if isinstance(leaf, Tensor) and leaf.ndim), None)
    if rows is None:
        raise InputError(f"training_step called self(…) without a tensor; {_REMEDY}")

    def whole(args: tuple[Any, ...], kwargs: dict[str, Any], targets: Tensor) -> Any:
        leaves = tree_leaves((args, kwargs))

        def filled(entry: Any) -> Any:
            if not isinstance(entry, Tensor):
                return entry
            place = next((i for i, leaf in enumerate(found) if leaf is entry), None)
            if place is not None:
                return leaves[place]
            if entry is label:
                return targets
            if entry.shape[:1] == rows.shape[:1] and sample_count(leaves) != len(rows):
                raise Failure(f"the batch has more than inputs and labels, and cannot be cut into parts; {_REMEDY}")
            return entry

        return tree_map(filled, batch)

    inputs = kwargs or (args[0] if len(args) == 1 and isinstance(args[0], Tensor) else args)
    return data_.Batch(inputs, label if isinstance(label, Tensor) else rows), whole


def _step_loss(module: nn.Module, seen: list[Any], whole: _MakeBatch) -> Callable[[Tensor, Tensor], Tensor]:
    """The module's training step as a function of outputs and labels.

    Args:
        module: the module.
        seen: the arguments that the network was called with, and what it returned.
        whole: makes the batch of the step.
    """
    signature = inspect.signature(module.forward)

    def training_step(_: Tensor, targets: Tensor) -> Tensor:
        args, kwargs, returned = seen
        known, before = _named_arguments(signature, args, kwargs), _tensor_versions(args, kwargs)
        calls = 0

        def forward(*given: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            same = (
                _equal_structures(_named_arguments(signature, given, named), known)
                and _tensor_versions(args, kwargs) == before
            )
            if calls == 1 and not same:
                raise InputError(
                    "training_step calls self(…) with other inputs than the batch's "
                    f"(changed, mixed, with noise); {_REMEDY}"
                )
            return returned

        try:
            result = _run_step(module, whole(args, kwargs, targets), forward)
        except (InputError, Failure, KeyboardInterrupt):
            raise
        except BaseException as error:
            if is_out_of_memory(error):
                raise
            raise Failure(f"training_step raised {describe_error(error)}; {_REMEDY}") from error
        if calls != 1:
            raise InputError(f"training_step called self(inputs) {calls} times, expected once; {_REMEDY}")
        loss = result["loss"] if isinstance(result, Mapping) and "loss" in result else result
        if not isinstance(loss, Tensor):
            raise InputError(f"training_step returned a {type(loss).__name__}, expected the loss; {_REMEDY}")
        return loss

    return training_step


def _run_step(module: Any, batch: Any, forward: Callable[..., Any]) -> Any:
    """Run the training step on a batch with `forward` in place of the module's; logs are dropped."""
    step: Callable[..., Any] = module.training_step
    takes_index = len(inspect.signature(step).parameters) > 1
    with _replace_methods(module, forward=forward, log=_ignore_log, log_dict=_ignore_log):
        return step(batch, *([0] if takes_index else []))


def _named_arguments(signature: inspect.Signature, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a call by their names."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def _tensor_versions(*structures: Any) -> list[int]:
    """The version counter of each tensor, which every write increases."""
    return [leaf._version for leaf in tree_leaves(structures) if isinstance(leaf, Tensor)]


def _equal_structures(one: Any, other: Any) -> bool:
    """Whether two structures are the same and hold equal tensors."""
    (ours, form), (theirs, other_form) = tree_flatten(one), tree_flatten(other)
    return form == other_form and all(map(_equal_values, ours, theirs))


def _equal_values(one: Any, other: Any) -> bool:
    """Whether two values are equal, as tensors in dtype, device and numbers."""
    if one is other:
        return True
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return bool(one == other)
    return (one.dtype, one.device) == (other.dtype, other.device) and torch.equal(one, other)


@contextmanager
def _replace_methods(module: nn.Module, **methods: Callable[..., Any]) -> Iterator[None]:
    """Replace methods of a module inside the block."""
    own = vars(module)
    before = {name: own[name] for name in methods if name in own}
    own.update(methods)
    try:
        yield
    finally:
        for name in methods:
            del own[name]
        own.update(before)


def _ignore_log(*_: Any, **__: Any) -> None:
    """Ignore what is logged."""
