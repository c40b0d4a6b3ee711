"""Score a LightningModule with the loss of its own training step, here one with label smoothing."""

import torch
from pytorch_lightning import LightningModule
from torch import nn

import zerocost as zc
from zerocost.integrations.lightning import score


class Classifier(LightningModule):
    """An ordinary LightningModule; nothing in it is specific to zerocost."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        images, labels = batch
        loss = nn.functional.cross_entropy(self(images), labels, label_smoothing=0.1)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters())


batch = zc.data.draw("digits:8", 32)
for width in (16, 64):
    torch.manual_seed(0)
    card = score(Classifier(width), batch, "snip,grad_norm,jacob_cov,params")
    print(f"width {width}:", {name: float(f"{value:.4g}") for name, value in card.items()})
print("loss:", card.provenance["loss"])
