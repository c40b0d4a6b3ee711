"""A LightningModule is scored with the loss of its training step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchmetrics
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

import zerocost
from zerocost import data
from zerocost.errors import InputError
from zerocost.integrations.lightning import score

PROXIES = "snip,grasp,fisher,grad_norm,jacob_cov,naswot,synflow,zico,epe_nas,params"
BATCH = data.draw("digits:8", 16)


class Smooth(LightningModule):
    """Dropout, BatchNorm, label smoothing, logs and a metric: what steps have."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(288, classes)
        )
        self.accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        logits = self(x)
        loss = smooth(logits, y)
        self.log("loss", loss, prog_bar=True)
        self.log_dict({"accuracy": self.accuracy(logits.detach(), y)})
        return {"loss": loss}


def smooth(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels, label_smoothing=0.2)


def test_the_same_scores_as_with_the_loss_written_out() -> None:
    ours = score(Smooth(), BATCH, PROXIES, seed=1)
    given = score(Smooth(), BATCH, PROXIES, seed=1, loss=smooth)
    plain = zerocost.score(Smooth().net, BATCH, PROXIES, seed=1, loss=smooth)
    assert dict(ours) == dict(given) == pytest.approx(dict(plain))
    assert ours.failures == plain.failures == {}
    assert ours["snip"] != zerocost.score(Smooth().net, BATCH, "snip", seed=1)["snip"]
    assert ours.provenance["loss"] == "training_step"


def test_the_module_comes_back_as_it_was() -> None:
    module = Smooth().eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    attributes = set(vars(module))
    score(module, BATCH, PROXIES)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert set(vars(module)) == attributes
    assert not module.training
    assert not module._forward_pre_hooks
    assert module.accuracy.update_count == 0
    assert module(BATCH.inputs).shape == (16, 10)


def test_a_step_may_use_the_inputs_and_the_weights() -> None:
    class Decayed(Smooth):
        def training_step(self, batch: Any) -> Tensor:
            x, y = batch
            return smooth(self(x), y) + 0.01 * x.mean() + 0.1 * sum(p.square().sum() for p in self.net.parameters())

    card = score(Decayed(), BATCH, "snip,grad_norm")
    assert card.failures == {}
    assert card["grad_norm"] > score(Smooth(), BATCH, "grad_norm")["grad_norm"]


class Digits(LightningDataModule):
    def setup(self, stage: str) -> None:
        self.train = data.load("digits:8") if stage == "fit" else None

    def train_dataloader(self) -> Any:
        return DataLoader(self.train, batch_size=7)


def test_a_data_module_gives_the_batch() -> None:
    drawn = data.draw("digits:8", 24, seed=2)
    assert dict(score(Smooth(), Digits(), "snip,naswot", size=24, seed=2)) == dict(
        score(Smooth(), drawn, "snip,naswot", seed=2)
    )


def twice(module: Any, x: Tensor, y: Tensor) -> Any:
    return smooth(module(x), y) + smooth(module(x), y)


def around(module: Any, x: Tensor, y: Tensor) -> Any:
    return smooth(module.net(x), y)


def nothing(module: Any, x: Tensor, y: Tensor) -> Any:
    module(x)


@pytest.mark.parametrize(
    ("body", "message"),
    [(twice, "2 times, expected once; give loss="), (around, "0 times"), (nothing, "returned a NoneType")],
)
def test_a_step_that_is_not_a_loss_of_outputs_and_labels_is_refused(body: Any, message: str) -> None:
    class Other(Smooth):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return body(self, *batch)

    module = Other()
    with pytest.raises(InputError, match=message):
        score(module, BATCH, "snip")
    assert not module._forward_pre_hooks
    assert score(module, BATCH, "snip", loss=smooth)["snip"] == score(Smooth(), BATCH, "snip")["snip"]


def test_what_a_step_raises_is_the_failure_of_what_needs_a_loss() -> None:
    class Manual(Smooth):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.optimizers().step()

    card = score(Manual(), BATCH, "snip,naswot")
    assert "training_step raised" in card.failures["snip"]
    assert "naswot" in card


def test_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="expected a LightningModule, but got Linear"):
        score(nn.Linear(1, 1), BATCH)
