"""Scores of a `LightningModule`, with the loss of its own training step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from zerocost import data as data_
from zerocost.engine.network import described, out_of_memory
from zerocost.errors import Failure, InputError
from zerocost.proxies.registry import Proxy
from zerocost.scoring import DEFAULT, ScoreCard, as_batches
from zerocost.scoring import score as score_module

INSTEAD = "give loss=, a function of outputs and labels, instead"


def score(
    module: nn.Module,
    data: Any,
    proxies: Iterable[str | Proxy] | str = DEFAULT,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    size: int = 64,
    seed: int = 0,
) -> ScoreCard:
    """Score an untrained `LightningModule` with its own loss: that which `training_step` makes of outputs and labels.

    The step is run as it is, but for its call `self(inputs)`, which is answered with the outputs at hand; what it
    logs goes nowhere. So it must call the module itself, once, and return a loss that is a mean over the samples.
    The module comes back as it was.

    Args:
        module: a `LightningModule`, with no trainer attached.
        data: `(inputs, labels)`, several of them in a list, or a `LightningDataModule`, of whose training data a
            batch is drawn (after its `prepare_data` and `setup("fit")`).
        proxies: names of proxies, as in `zerocost.score`.
        loss: in place of the training step's.
        size: number of samples to draw from a `LightningDataModule`.
        seed: of the drawing and of the passes.

    Raises:
        InputError: no `LightningModule`, or a training step that is not as above.

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
        raise InputError(f"expected a LightningModule, but got {type(module).__name__}; zerocost.score takes others")
    batches = as_batches(drawn(data, size, seed))
    if loss is not None:
        return score_module(module, batches, proxies, loss=loss, seed=seed)
    seen: list[Any] = []

    def remember(_: nn.Module, args: Any, kwargs: Any) -> None:
        seen[:] = args, kwargs

    handle = module.register_forward_pre_hook(remember, with_kwargs=True)
    try:
        return score_module(module, batches, proxies, loss=step_loss(module, seen), seed=seed)
    finally:
        handle.remove()


def drawn(data: Any, size: int, seed: int) -> Any:
    """A batch of a data module's training data; anything else as it is."""
    if not callable(getattr(data, "train_dataloader", None)):
        return data
    data.prepare_data()
    data.setup("fit")
    return data_.draw(data.train_dataloader(), size, seed=seed)


def step_loss(module: Any, seen: list[Any]) -> Callable[[Tensor, Tensor], Tensor]:
    """The module's training step as a function of outputs and labels; `seen` holds what forward was called with."""
    step: Callable[..., Any] = module.training_step
    takes_index = len(inspect.signature(step).parameters) > 1

    def training_step(outputs: Tensor, targets: Tensor) -> Tensor:
        args, kwargs = seen
        inputs = kwargs or (args[0] if len(args) == 1 else args)
        calls = 0

        def forward(*_: Any, **__: Any) -> Tensor:
            nonlocal calls
            calls += 1
            return outputs

        with replaced(module, forward=forward, log=nothing, log_dict=nothing):
            try:
                result = step((inputs, targets), *([0] if takes_index else []))
            except InputError:
                raise
            except Exception as error:
                if out_of_memory(error):
                    raise
                raise Failure(f"training_step raised {described(error)}; {INSTEAD}") from error
        if calls != 1:
            raise InputError(f"training_step called self(inputs) {calls} times, expected once; {INSTEAD}")
        loss = result["loss"] if isinstance(result, Mapping) and "loss" in result else result
        if not isinstance(loss, Tensor):
            raise InputError(f"training_step returned a {type(loss).__name__}, expected the loss; {INSTEAD}")
        return loss

    return training_step


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
