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
from zerocost.data.as_batch import as_batches
from zerocost.engine.inputs import clone_tensors, sample_count
from zerocost.engine.network import Network, is_out_of_memory, unwrap
from zerocost.engine.proxy import Proxy
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.score import DEFAULT_PROXIES
from zerocost.scoring.score import score as score_module

Whole = Callable[[tuple[Any, ...], dict[str, Any], Tensor], Any]
"""What makes a batch out of the arguments that the network was called with and the labels."""

INSTEAD = "give loss=, a function of outputs and labels, and the batch as (inputs, labels)"
LABELS = ("labels", "label", "targets", "target", "y")


def score(
    module: nn.Module,
    data: Any,
    proxies: Iterable[str | Proxy] | str = DEFAULT_PROXIES,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    size: int = 64,
    seed: int = 0,
) -> ScoreCard:
    """Score an untrained `LightningModule` with its own loss: that which `training_step` makes of outputs and labels.

    The step is run as it is, but for its call `self(inputs)`, which is answered with what the network returned for
    them; what it logs goes nowhere. So it must call the module itself, once, with inputs as the batch has them, and
    return a loss that is a mean over the samples. The module comes back as it was.

    Args:
        module: a `LightningModule`, with no trainer attached.
        data: `(inputs, labels)`, several of them in a list, any other batch that the step takes, or a
            `LightningDataModule`, of whose training data a batch is drawn (after its `prepare_data` and
            `setup("fit")`). The labels of a mapping are its "labels", "label", "targets", "target" or "y".
        proxies: names of proxies, as in `zerocost.score`.
        loss: in place of the training step's; then the batch is what `zerocost.score` takes.
        size: number of samples to draw from a `LightningDataModule`.
        seed: of the drawing and of the passes.

    Raises:
        InputError: no `LightningModule`, a training step that is not as above, or too little data.

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
        raise InputError(f"expected a LightningModule, but got {kind(module)}; zerocost.score takes others")
    if loss is None and not getattr(module, "automatic_optimization", True):
        raise InputError(f"training_step steps its optimizers by hand (automatic_optimization is False); {INSTEAD}")
    module, batches = unwrap(module), as_batches(drawn(data, size, seed))
    if loss is not None:
        return score_module(module, batches, proxies, loss=loss, seed=seed)
    whole: Whole = pair
    if len(batches) == 1 and batches[0].targets is None:
        batches[0], whole = read(module, batches[0].inputs, seed)
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
        return score_module(module, batches, proxies, loss=step_loss(module, seen, whole), seed=seed)
    finally:
        for handle in handles:
            handle.remove()


def drawn(data: Any, size: int, seed: int) -> Any:
    """A batch of a data module's training data; anything else as it is."""
    if isinstance(data, type):
        raise InputError(f"expected a batch or a LightningDataModule, but got {kind(data)}; give {data.__name__}(…)")
    if not callable(getattr(data, "train_dataloader", None)):
        return data
    data.prepare_data()
    data.setup("fit")
    loader = data.train_dataloader()
    samples = getattr(loader, "dataset", None)
    if isinstance(samples, Sized) and 0 < len(samples) < size:
        raise InputError(f"the training data has {len(samples)} samples, got size={size}; give size={len(samples)}")
    return data_.draw(loader, size, seed=seed)


def kind(value: Any) -> str:
    """What a value is, for messages."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def pair(args: tuple[Any, ...], kwargs: dict[str, Any], targets: Tensor) -> Any:
    """The batch (inputs, labels)."""
    return kwargs or (args[0] if len(args) == 1 else args), targets


class Called(Exception):
    """Raised in place of the network's run, with its arguments."""


def read(module: nn.Module, batch: Any, seed: int) -> tuple[data_.Batch, Whole]:
    """Of a batch that is no pair, the inputs that the step calls the network with, and its labels, or the inputs in
    their place; and what makes such a batch of some of the samples."""

    def forward(*args: Any, **kwargs: Any) -> None:
        raise Called(args, kwargs)

    try:
        network = Network(module)
        batch = clone_tensors(network.prepare(batch))
        with network.fresh(seed, training=True):
            run_step(module, tree_map(lambda entry: entry, batch), forward)
    except Called as called:
        args, kwargs = called.args
    except Failure as failure:
        raise InputError(str(failure)) from failure
    except Exception as error:
        got = f"training_step raised {describe_error(error)}, when given a {type(batch).__name__}"
        raise InputError(f"{got}; {INSTEAD}") from error
    else:
        raise InputError(f"training_step called self(inputs) 0 times, expected once; {INSTEAD}")
    if args and kwargs:
        args, kwargs = (), dict(zip(inspect.signature(module.forward).parameters, args, strict=False)) | kwargs
    found = tree_leaves((args, kwargs))
    label = next((batch[key] for key in LABELS if key in batch), None) if isinstance(batch, Mapping) else None
    rows = next((leaf for leaf in found if isinstance(leaf, Tensor) and leaf.ndim), None)
    if rows is None:
        raise InputError(f"training_step called self(…) without a tensor; {INSTEAD}")

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
                raise Failure(f"the batch has more than inputs and labels, and cannot be cut into parts; {INSTEAD}")
            return entry

        return tree_map(filled, batch)

    inputs = kwargs or (args[0] if len(args) == 1 and isinstance(args[0], Tensor) else args)
    return data_.Batch(inputs, label if isinstance(label, Tensor) else rows), whole


def step_loss(module: nn.Module, seen: list[Any], whole: Whole) -> Callable[[Tensor, Tensor], Tensor]:
    """The module's training step as a function of outputs and labels; `seen` holds the arguments that the network was
    called with, and what it returned."""
    signature = inspect.signature(module.forward)

    def training_step(_: Tensor, targets: Tensor) -> Tensor:
        args, kwargs, returned = seen
        known, before = arguments(signature, args, kwargs), versions(args, kwargs)
        calls = 0

        def forward(*given: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            same = alike(arguments(signature, given, named), known) and versions(args, kwargs) == before
            if calls == 1 and not same:
                raise InputError(
                    "training_step calls self(…) with other inputs than the batch's "
                    f"(changed, mixed, with noise); {INSTEAD}"
                )
            return returned

        try:
            result = run_step(module, whole(args, kwargs, targets), forward)
        except (InputError, Failure):
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise Failure(f"training_step raised {describe_error(error)}; {INSTEAD}") from error
        if calls != 1:
            raise InputError(f"training_step called self(inputs) {calls} times, expected once; {INSTEAD}")
        loss = result["loss"] if isinstance(result, Mapping) and "loss" in result else result
        if not isinstance(loss, Tensor):
            raise InputError(f"training_step returned a {type(loss).__name__}, expected the loss; {INSTEAD}")
        return loss

    return training_step


def run_step(module: Any, batch: Any, forward: Callable[..., Any]) -> Any:
    """What the training step returns for a batch, its calls of the module answered by `forward`, its logs dropped."""
    step: Callable[..., Any] = module.training_step
    takes_index = len(inspect.signature(step).parameters) > 1
    with replaced(module, forward=forward, log=nothing, log_dict=nothing):
        return step(batch, *([0] if takes_index else []))


def arguments(signature: inspect.Signature, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a call by their names."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def versions(*structures: Any) -> list[int]:
    """How often each tensor was written into."""
    return [leaf._version for leaf in tree_leaves(structures) if isinstance(leaf, Tensor)]


def alike(one: Any, other: Any) -> bool:
    """Whether two structures are the same, with equal tensors in them."""
    (ours, form), (theirs, other_form) = tree_flatten(one), tree_flatten(other)
    return form == other_form and all(map(equal, ours, theirs))


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same, or tensors of the same numbers."""
    if one is other:
        return True
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return bool(one == other)
    return (one.dtype, one.device) == (other.dtype, other.device) and torch.equal(one, other)


@contextmanager
def replaced(module: nn.Module, **methods: Callable[..., Any]) -> Iterator[None]:
    """Give a module other methods for a while."""
    own = vars(module)
    before = {name: own[name] for name in methods if name in own}
    own.update(methods)
    try:
        yield
    finally:
        for name in methods:
            del own[name]
        own.update(before)


def nothing(*_: Any, **__: Any) -> None:
    """Takes what is logged."""
