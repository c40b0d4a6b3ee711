"""One run on Lightning: what happens in a step and at the end of an epoch. Imported only when training starts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure
from zerocost.base.seeding import seed_generators
from zerocost.data.tensors import is_integer
from zerocost.engine.inputs import call
from zerocost.engine.losses import check_loss
from zerocost.engine.outputs import OutputPicker
from zerocost.train.batches import mix_seeds
from zerocost.train.folder import RunFolder
from zerocost.train.run import Epoch, best_epoch
from zerocost.train.settings import TrainingSettings, TrainingSetup

_WARM_UP = 0.3


class TrainingModule(LightningModule):
    """A network in training.

    AdamW, one cycle of the learning rate (up to its peak in the first 30 % of the steps, then down along a cosine) and
    gradients clipped to norm 1. Convolutional networks with and without normalisation learn with it in few epochs.

    Args:
        network: the network, which is trained in place.
        setup: data and settings.
        seed: of the order of the data and all random draws.
        epochs: the curve so far, of a run that was interrupted; it is extended.
        folder: where results are kept; None keeps nothing.
        report: called after every epoch; says whether the run stops there.

    Attributes:
        stopped: what `report` said last.
    """

    def __init__(
        self,
        network: nn.Module,
        setup: TrainingSetup,
        seed: int,
        epochs: list[Epoch],
        folder: RunFolder | None,
        report: Callable[[Epoch], bool],
    ) -> None:
        super().__init__()
        self.network, self.settings, self.seed = network, setup.settings, seed
        self.batches, self.validation = setup.train, setup.validation
        self.epochs, self.folder, self.report = epochs, folder, report
        self.stopped = False
        self.pick, self.meter = OutputPicker(self.settings.task.output), self.settings.task.meter()
        floating = (parameter.dtype for parameter in network.parameters() if parameter.is_floating_point())
        self.network_dtype = next(floating, torch.get_default_dtype())

    def forward(self, inputs: Any) -> Tensor:
        """The network's output for a batch of inputs."""
        return self.pick(call(self.network, tree_map(self._cast, inputs)))

    def _cast(self, value: Any) -> Any:
        floating = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(self.network_dtype) if floating else value

    def configure_optimizers(self) -> Any:
        """AdamW on what may be trained, one cycle of the learning rate over all steps."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if not trained:
            raise Failure("nothing to train: the network has no weights whose requires_grad is true")
        optimizer = torch.optim.AdamW(trained, lr=self.settings.learning_rate)
        total = self.settings.epochs * len(self.batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _one_cycle((step + 1) / (total + 1)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Key the epoch's data order and all random draws by (seed, epoch): an epoch is the same after a resume."""
        self.started = time.perf_counter()
        self.losses, self.validation_losses = (torch.zeros((), device=self.device) for _ in range(2))
        self.batches.order = mix_seeds(self.seed, self.current_epoch)
        seed_generators(self.batches.order, self.device)

    def training_step(self, batch: tuple[Any, Tensor]) -> Tensor:
        """The loss of one batch."""
        inputs, targets = batch
        loss = self._loss(self(inputs), targets)
        self.losses += loss.detach() * len(targets)
        return loss

    def on_after_backward(self) -> None:
        """Refuse a network that computes with the weights of another, so that nothing would be learnt."""
        if all(parameter.grad is None for parameter in self.parameters()):
            raise Failure(
                "no weight of the network gets a gradient: it is trained as a deep copy, and this one computes with "
                "the weights of what it was copied from"
            )

    def validation_step(self, batch: tuple[Any, Tensor]) -> None:
        """Add one batch to the validation loss and the metric."""
        inputs, targets = batch
        outputs = self(inputs)
        self.validation_losses += self._loss(outputs, targets) * len(targets)
        if self.meter is not None:
            self.meter.update(outputs, targets)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss: whole numbers are int64, others in the network's dtype."""
        wanted = self.settings.task.targets(targets)
        assert wanted is not None
        loss = self.settings.task.loss(outputs, wanted.long() if is_integer(wanted) else self._cast(wanted))
        check_loss(loss)
        return loss.reshape(())

    def on_train_epoch_end(self) -> None:
        """Extend the curve, keep what a resume needs, and say whether to stop; the validation is over by now."""
        train_loss = float(self.losses) / self.batches.count
        validation_loss = float(self.validation_losses) / self.validation.count
        for name, value in (("loss", train_loss), ("validation loss", validation_loss)):
            if not math.isfinite(value):
                raise Failure(f"diverged: {name} became {value} at epoch {self.current_epoch + 1}")
        metric = validation_loss if self.meter is None else self.meter.compute()
        if not math.isfinite(metric):
            raise Failure(f"{self.settings.task.metric_name} became {metric} at epoch {self.current_epoch + 1}")
        seconds = time.perf_counter() - self.started
        epoch = Epoch(self.current_epoch + 1, train_loss, validation_loss, metric, seconds)
        self.epochs.append(epoch)
        if self.folder is not None:
            if best_epoch(self.epochs, self.settings.task.higher_is_better) is epoch:
                self.folder.save_best(self.network.state_dict())
            self.folder.save_last(self.trainer.save_checkpoint)
        self.stopped = self.report(epoch)
        self.trainer.should_stop = self.stopped or is_over(self.epochs, self.settings)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the curve and its settings to Lightning's checkpoint."""
        if self.folder is not None:
            curve = [asdict(epoch) for epoch in self.epochs]
            checkpoint["zerocost"] = {"settings": self.folder.settings, "epochs": curve}


def fit(training: TrainingModule, device: torch.device) -> None:
    """Train until the epochs or the patience are over, from `last.ckpt` on if the curve has begun.

    Raises:
        Failure: the loss is no longer finite.
        KeyboardInterrupt: at Ctrl-C.
        Exception: what the network raises.
    """
    if is_over(training.epochs, training.settings):
        return
    trainer = Trainer(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_epochs=training.settings.epochs,
        gradient_clip_val=1.0,
        inference_mode=False,
        barebones=True,
        plugins=[LightningEnvironment()],
    )
    resume = training.folder.last if training.folder is not None and training.epochs else None
    try:
        trainer.fit(training, training.batches, training.validation, ckpt_path=resume)
    except SystemExit as stop:  # what Lightning makes of Ctrl-C
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise stop.__context__ from None
        raise
    if trainer.interrupted:
        raise KeyboardInterrupt


def is_over(epochs: list[Epoch], settings: TrainingSettings) -> bool:
    """Whether a curve has all its epochs, or has gone `patience` epochs without a better metric."""
    if not epochs or settings.patience is None or len(epochs) >= settings.epochs:
        return len(epochs) >= settings.epochs
    return len(epochs) - best_epoch(epochs, settings.task.higher_is_better).epoch >= settings.patience


def _one_cycle(progress: float) -> float:
    """The share of the peak learning rate at a point of training, 0 to 1."""
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))
