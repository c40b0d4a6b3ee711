"""Score one untrained network of your own, on a batch of your own."""

import torch
from torch import nn

import zerocost as zc


class TinyTransformer(nn.Module):
    """Image patches, one attention layer, a classifier: an ordinary module, nothing in it is specific to zerocost."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, kernel_size=4, stride=4)
        self.attention = nn.TransformerEncoderLayer(
            32, nhead=4, dim_feedforward=64, activation="gelu", batch_first=True
        )
        self.classifier = nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        return self.classifier(self.attention(tokens).mean(1))


torch.manual_seed(0)
model = TinyTransformer()
images, labels = torch.rand(32, 3, 16, 16), torch.randint(10, (32,))

print(zc.explain(), "\n")
card = zc.score(model, (images, labels))
for name, value in card.items():
    print(f"{name:<12}{value:>14.6g}")
for name, reason in card.failures.items():
    print(f"{name:<12}failed: {reason}")
print(f"\n{card.milliseconds:.0f} ms, {card.provenance['dtype']} on {card.provenance['device']}")
