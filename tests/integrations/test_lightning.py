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
from zerocost.base.errors import InputError
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, when it is asked to compile
def test_a_compiled_module_is_scored_as_it_was_written() -> None:
    assert score(torch.compile(Smooth()), BATCH, "snip")["snip"] == score(Smooth(), BATCH, "snip")["snip"]


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


def test_a_data_module_that_splits_at_random_gives_the_same_batch_again_and_leaves_the_generator_alone() -> None:
    class Split(Digits):
        def setup(self, stage: str) -> None:
            super().setup(stage)
            self.train, _ = torch.utils.data.random_split(self.train, (0.5, 0.5))

    state = torch.get_rng_state()
    first, again, other = (dict(score(Smooth(), Split(), "snip", seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert torch.equal(state, torch.get_rng_state())


def test_more_samples_than_there_are() -> None:
    class Few(Digits):
        def train_dataloader(self) -> Any:
            return DataLoader(torch.utils.data.Subset(self.train, range(20)), batch_size=7)

    with pytest.raises(InputError, match="has 20 samples, got size=64; give size=20"):
        score(Smooth(), Few(), "snip")
    assert score(Smooth(), Few(), "snip", size=20).failures == {}


class Named(Smooth):
    """Takes a mapping."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return smooth(self(batch["image"]), batch["label"])


PARTED = f"{PROXIES},gradsign"


def test_a_mapping_is_scored_as_the_pair_in_it() -> None:
    named = {"image": BATCH.inputs, "label": BATCH.targets, "name": "digits"}
    card = score(Named(), named, PARTED)
    assert dict(card) == dict(score(Smooth(), BATCH, PARTED))
    assert card.failures == {}

    class Rows(LightningDataModule):
        def train_dataloader(self) -> Any:
            return DataLoader([{"image": x, "label": y} for x, y in zip(*BATCH, strict=True)], batch_size=7)

    drawn = data.draw(BATCH, 16, seed=3)
    assert dict(score(Named(), Rows(), "snip", size=16, seed=3)) == dict(score(Smooth(), drawn, "snip", seed=3))


def test_more_in_a_mapping_than_inputs_and_labels_cannot_be_cut() -> None:
    class Weighted(Smooth):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            losses = functional.cross_entropy(self(batch["x"] * 2), batch["y"], reduction="none")
            return (losses * batch["weight"]).mean()

    card = score(Weighted(), {"weight": torch.rand(16), "x": BATCH.inputs / 2, "y": BATCH.targets}, "snip,naswot,zico")
    assert set(card) == {"snip", "naswot"}
    assert card["naswot"] == score(Smooth(), BATCH, "naswot")["naswot"]
    assert "more than inputs and labels, and cannot be cut" in card.failures["zico"]


class Tagger(LightningModule):
    """Computes its loss in forward, as models of transformers do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Embedding(20, 6), nn.Flatten(), nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, input_ids: Tensor, scale: float = 1.0, labels: Tensor | None = None) -> dict[str, Any]:
        logits = self.net(input_ids) * scale
        return {"logits": logits, "loss": None if labels is None else functional.cross_entropy(logits, labels)}

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self(**batch)["loss"]


def test_a_loss_that_the_network_itself_computes() -> None:
    class Both(Tagger):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self(batch["input_ids"], labels=batch["labels"])["loss"]

    tokens = {"input_ids": torch.arange(60).reshape(12, 5) % 20, "labels": torch.arange(12) % 3}
    plain = zerocost.score(Tagger().net, (tokens["input_ids"], tokens["labels"]), "snip,gradsign,zico,naswot")
    assert dict(score(Tagger(), tokens, "snip,gradsign,zico,naswot")) == pytest.approx(dict(plain))
    assert dict(score(Both(), tokens, "snip,gradsign,zico,naswot")) == pytest.approx(dict(plain))


class Encoder(LightningModule):
    """Has no labels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 192))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images).view_as(images)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return functional.mse_loss(self(batch), batch)


class Listed(Encoder):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        (images,) = batch
        return super().training_step(images, batch_idx)


def test_images_without_labels() -> None:
    proxies = "snip,gradsign,zico,jacob_cov"
    images = BATCH.inputs
    plain = zerocost.score(Encoder(), (images, images), proxies, loss=functional.mse_loss)
    card = score(Encoder(), images, f"{proxies},epe_nas")
    assert dict(card) == dict(score(Listed(), [images], proxies)) == dict(plain)
    assert "one class a sample" in card.failures["epe_nas"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BATCH.inputs, r"raised IndexError.*when given a Tensor; give loss=.*as \(inputs, labels\)"),
        ({"x": BATCH.inputs}, "raised KeyError: 'image', when given a dict"),
        ({"image": "text", "x": BATCH.inputs, "label": BATCH.targets}, "without a tensor"),
    ],
)
def test_a_batch_that_the_step_does_not_take(data: Any, message: str) -> None:
    module = Named()
    attributes = set(vars(module))
    with pytest.raises(InputError, match=message):
        score(module, data, "snip")
    assert set(vars(module)) == attributes


def test_a_step_is_read_without_a_trace() -> None:
    class Counting(Named):
        def __init__(self) -> None:
            super().__init__()
            self.steps = 0

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.steps += 1
            self.log("steps", self.steps)
            labels = batch.pop("label").clamp_(max=4)
            return smooth(self(batch.pop("image")), labels)

    module, batch = Counting().eval(), {"image": BATCH.inputs, "label": BATCH.targets}
    assert score(module, batch, "snip").failures == {}
    assert set(batch) == {"image", "label"}
    assert batch["label"].max() == 9
    assert module.steps == 0
    assert not module.training


def mixed(x: Tensor) -> Tensor:
    return 0.3 * x + 0.7 * x.flip(0)


def in_place(x: Tensor) -> Tensor:
    return x.mul_(2)


def noisy(x: Tensor) -> Tensor:
    return x + torch.randn_like(x)


@pytest.mark.parametrize(
    ("change", "allowed"),
    [(mixed, False), (noisy, False), (torch.flatten, False), (in_place, False), (Tensor.clone, True)],
)
def test_a_step_that_changes_its_inputs_is_refused(change: Any, allowed: bool) -> None:
    class Changing(Smooth):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            x, y = batch
            return smooth(self(change(x)), y)

    if allowed:
        assert dict(score(Changing(), BATCH, PARTED)) == dict(score(Smooth(), BATCH, PARTED))
        return
    with pytest.raises(InputError, match=r"with other inputs than the batch's .* give loss="):
        score(Changing(), BATCH, "snip")


def twice(module: Any, x: Tensor, y: Tensor) -> Any:
    return smooth(module(x), y) + smooth(module(x.flip(3)), y)


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
            return body(self, *(batch.values() if isinstance(batch, dict) else batch))

    module = Other()
    for batch in BATCH, {"x": BATCH.inputs, "y": BATCH.targets}:
        with pytest.raises(InputError, match=message):
            score(module, batch, "snip")
    assert not module._forward_pre_hooks
    assert not module._forward_hooks
    assert score(module, BATCH, "snip", loss=smooth)["snip"] == score(Smooth(), BATCH, "snip")["snip"]


def test_optimisation_by_hand_is_refused_before_anything_runs() -> None:
    class Manual(Smooth):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            raise AssertionError

    with pytest.raises(InputError, match=r"by hand .* give loss="):
        score(Manual(), BATCH, "snip,naswot")
    assert score(Manual(), BATCH, "snip", loss=smooth)["snip"] == score(Smooth(), BATCH, "snip")["snip"]


def test_what_a_step_raises_is_the_failure_of_what_needs_a_loss() -> None:
    class Attached(Smooth):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self.trainer.max_epochs

    card = score(Attached(), BATCH, "snip,naswot")
    assert "training_step raised" in card.failures["snip"]
    assert "naswot" in card


def test_a_class_in_place_of_an_instance() -> None:
    with pytest.raises(InputError, match=r"got the class Digits; give Digits\(…\)"):
        score(Smooth(), Digits, "snip")
    with pytest.raises(InputError, match="expected a LightningModule, but got the class Smooth"):
        score(Smooth, BATCH, "snip")


def test_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="expected a LightningModule, but got Linear"):
        score(nn.Linear(1, 1), BATCH)
