"""A zoo of small networks, ordinary and difficult, that every proxy has to survive."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.utils.checkpoint import checkpoint

CLASSES = 4
_Inputs = Callable[[int, torch.Generator], Any]


@dataclass(frozen=True)
class Specimen:
    """A network of the zoo.

    Attributes:
        build: makes it, with initial weights from torch's generator.
        inputs: makes inputs for a number of samples out of a generator.
        splits: whether its samples are scored independently, so that a batch may be run in parts; not so with
            BatchNorm or dropout.

    >>> inputs, labels = ZOO["mlp"].batch(6, seed=0)
    >>> ZOO["mlp"].build()(inputs).shape, labels
    (torch.Size([6, 4]), tensor([0, 1, 2, 3, 0, 1]))
    """

    build: Callable[[], nn.Module]
    inputs: _Inputs
    splits: bool = True

    def batch(self, samples: int, seed: int) -> tuple[Any, Tensor]:
        """Inputs and labels; the same seed gives the same batch."""
        return self.inputs(samples, torch.Generator().manual_seed(seed)), torch.arange(samples) % CLASSES


def gaussian_inputs(*shape: int) -> _Inputs:
    """Gaussian inputs of one shape a sample."""
    return lambda samples, generator: torch.randn(samples, *shape, generator=generator)


def _token_inputs(length: int) -> _Inputs:
    """Sequences of word numbers below 10."""
    return lambda samples, generator: torch.randint(10, (samples, length), generator=generator)


def _image_and_features(samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two inputs a sample."""
    return torch.randn(samples, 3, 8, 8, generator=generator), torch.randn(samples, 5, generator=generator)


def _named_features(samples: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Inputs by keyword, one of them for all samples together."""
    return {"features": torch.randn(samples, 5, generator=generator), "scale": torch.tensor(2.0)}


class CNNModel(nn.Module):
    """Two convolutions and two linear layers on 32×32 images; activations are called in `forward`."""

    def __init__(self, channels: int = 2, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.fc1 = nn.Linear(2 * channels * 32 * 32, 128)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Any:
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        x = torch.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


class Calls(nn.Module):
    """Linear layers 8 → 16 → 16 → classes, with two given functions between."""

    def __init__(self, first: Callable[[Tensor], Tensor], second: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.between = (first, second or first)
        self.layers = nn.ModuleList([nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, CLASSES)])

    def forward(self, x: Tensor) -> Any:
        first, second = self.between
        return self.layers[2](second(self.layers[1](first(self.layers[0](x)))))


class Residual(nn.Module):
    """A residual block with BatchNorm, then pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv_bn_relu(3, 4)
        self.block = nn.Sequential(_conv_bn_relu(4, 4), nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, CLASSES))

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        return self.head(x + self.block(x))


class ViT(nn.Module):
    """Patches, a class token and position embeddings, one block of attention and GELU."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.token = nn.Parameter(0.1 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.1 * torch.randn(1, 5, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.position
        normed = self.norm1(x)
        x = x + self.attention(normed, normed, normed, need_weights=False)[0]
        return self.head((x + self.feed(self.norm2(x)))[:, 0])


class SequenceFirst(nn.Module):
    """A transformer layer that takes T×N×E inside."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, dropout=0.0)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.layer(self.embed(x).transpose(0, 1)).mean(0))


class CausalAttention(nn.Module):
    """Word embeddings and attention behind a mask of −∞, kept as a buffer."""

    def __init__(self, length: int = 5, width: int = 8) -> None:
        super().__init__()
        self.words = nn.Embedding(10, width)
        self.project = nn.Linear(width, 3 * width)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(width, CLASSES))
        self.register_buffer("mask", torch.triu(torch.full((length, length), float("-inf")), 1))

    def forward(self, x: Tensor) -> Any:
        query, key, value = self.project(self.words(x)).chunk(3, dim=-1)
        mixed = torch.softmax(query @ key.transpose(1, 2) + self.mask, dim=-1) @ value
        return self.head(mixed.mean(1))


class LSTMClassifier(nn.Module):
    """An LSTM whose initial states are made in `forward`, then a linear layer on its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.head = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))

    def forward(self, x: Tensor) -> Any:
        zeros = torch.zeros(1, len(x), 8, dtype=x.dtype, device=x.device)
        return self.head(self.lstm(x, (zeros, zeros))[0][:, -1])


class Tied(nn.Module):
    """An embedding whose matrix is also that of the last layer, as in language models."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 8)
        self.middle = nn.Linear(8, 8)
        self.last = nn.Linear(8, 10, bias=False)
        self.last.weight = self.words.weight

    def forward(self, x: Tensor) -> Any:
        return self.last(torch.relu(self.middle(self.words(x).mean(1))))


class Aliased(nn.Module):
    """Reads its first weight through a list of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, CLASSES)
        self.matrices = [self.first.weight]

    def forward(self, x: Tensor) -> Any:
        return self.last(torch.relu(F.linear(x, self.matrices[0], self.first.bias)))


class UnusedLayer(nn.Module):
    """Has a layer that `forward` never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.body = _mlp()
        self.spare = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Any:
        return self.body(x)


class Dead(nn.Module):
    """Multiplies what it saw by zero: the outputs depend on the last bias alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Any:
        return self.head(0 * torch.relu(self.conv(x)).mean((2, 3)))


class Raises(nn.Module):
    """Raises in the middle of `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Any:
        raise ValueError(f"no use for {tuple(torch.relu(self.layer(x)).shape)}")


class Overflows(nn.Module):
    """Activations grow beyond float64."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = torch.relu(self.first(x))
        for _ in range(12):
            x = x * 1e30
        return self.last(x)


class Stateful(nn.Module):
    """Keeps a counter, a list, a tensor and its own generator, registers a hook and re-assigns a buffer, each time."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, CLASSES)
        self.calls, self.mean = 0, torch.zeros(())
        self.shapes: list[tuple[int, ...]] = []
        self.generator = torch.Generator().manual_seed(0)
        self.running: Tensor
        self.register_buffer("running", torch.zeros(()))

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        self.shapes.append(tuple(x.shape))
        self.mean.add_(float(x.detach().mean()))
        self.running = self.running + 1
        self.last.register_forward_hook(lambda *_: None)
        shift = torch.rand((), generator=self.generator).item()
        return self.last(torch.relu(self.first(x) + shift)) * self.calls


class TwoInputs(nn.Module):
    """Joins an image and a vector of features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense, self.head = nn.Conv2d(3, 4, 3), nn.Linear(5, 4), nn.Linear(4, CLASSES)

    def forward(self, image: Tensor, features: Tensor) -> Any:
        return self.head(torch.relu(self.conv(image).mean((2, 3)) + self.dense(features)))


class Named(nn.Module):
    """Takes keywords and returns a result with `logits`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, CLASSES)

    def forward(self, features: Tensor, scale: Tensor) -> Any:
        return SimpleNamespace(logits=self.last(torch.relu(self.first(features * scale))))


class Checkpointed(nn.Module):
    """Runs its middle once more in the backward pass, to save memory."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, CLASSES)
        self.middle = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.ReLU())

    def forward(self, x: Tensor) -> Any:
        return self.last(checkpoint(self.middle, self.first(x), use_reentrant=False))


class CalledTwice(nn.Module):
    """A layer applied twice, then a last one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Any:
        return self.last(torch.relu(self.layer(torch.relu(self.layer(x)))))


class SharedWeight(nn.Module):
    """The same, as two layers with one weight and one bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(8, 8), nn.Linear(8, CLASSES)
        self.again = nn.Linear(1, 1)
        self.again.weight, self.again.bias = self.layer.weight, self.layer.bias

    def forward(self, x: Tensor) -> Any:
        return self.last(torch.relu(self.again(torch.relu(self.layer(x)))))


class Standardised(nn.Conv2d):
    """A 3×3 convolution whose weight is standardised in each call, by BatchNorm as in timm."""

    def forward(self, x: Tensor) -> Any:
        rows = F.batch_norm(self.weight.reshape(1, self.out_channels, -1), None, None, training=True)
        return F.conv2d(x, rows.reshape_as(self.weight), self.bias, padding=1)


class Experts(nn.Module):
    """Each token goes to the one of three experts that a router picks."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.router, self.head = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, CLASSES)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        tokens = self.embed(x).flatten(0, 1)
        share, chosen = self.router(tokens).softmax(-1).max(-1)
        mixed = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            (rows,) = torch.where(chosen == number)
            mixed = mixed.index_add(0, rows, expert(tokens[rows]) * share[rows, None])
        return self.head(mixed.view(*x.shape[:2], -1).mean(1))


class SqueezeExcite(nn.Module):
    """BatchNorm on pooled maps, which in train mode takes more than one sample, gates the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, CLASSES)
        self.gate = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Any:
        x = torch.relu(self.conv(x))
        return self.head((x * self.gate(x.mean((2, 3), keepdim=True))).mean((2, 3)))


class Keyed(nn.Module):
    """Returns a dictionary of outputs, as segmentation networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.auxiliary = nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, CLASSES)
        self.last = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Any:
        features = self.body(x)
        return {"out": self.last(features), "aux": self.auxiliary(features)}


def _gelu_by_hand(x: Tensor) -> Tensor:
    """GPT-2's GELU, in the operations that it is computed in there."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))


def _mlp() -> nn.Sequential:
    """Linear layers with ReLU modules between."""
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, CLASSES))


def _conv_bn_relu(channels: int, width: int) -> nn.Sequential:
    """A 3×3 convolution, BatchNorm and ReLU."""
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())


def _convolutional(*middle: nn.Module) -> nn.Sequential:
    """A convolution to 4 channels, the given layers, average pooling to 2×2 and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), *middle, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, CLASSES)
    )


def _depthwise_separable() -> nn.Sequential:
    """A 3×3 convolution channel by channel, then a 1×1 convolution."""
    return _convolutional(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4), nn.ReLU6(), nn.Conv2d(4, 4, 1))


def _frozen() -> nn.Sequential:
    """An MLP whose first layer is not to be trained."""
    model = _mlp()
    model[0].requires_grad_(False)
    return model


ZOO: dict[str, Specimen] = {
    "plain-cnn": Specimen(CNNModel, gaussian_inputs(3, 32, 32)),
    "mlp": Specimen(_mlp, gaussian_inputs(8)),
    "conv-bn": Specimen(lambda: _convolutional(nn.BatchNorm2d(4), nn.ReLU()), gaussian_inputs(3, 8, 8), splits=False),
    "residual": Specimen(Residual, gaussian_inputs(3, 8, 8), splits=False),
    "depthwise-separable": Specimen(_depthwise_separable, gaussian_inputs(3, 8, 8), splits=False),
    "max-pool": Specimen(lambda: _convolutional(nn.ReLU(), nn.MaxPool2d(2)), gaussian_inputs(3, 8, 8)),
    "group-norm": Specimen(lambda: _convolutional(nn.GroupNorm(2, 4), nn.ReLU()), gaussian_inputs(3, 8, 8)),
    "layer-norm-chw": Specimen(lambda: _convolutional(nn.LayerNorm((4, 8, 8)), nn.ReLU()), gaussian_inputs(3, 8, 8)),
    "in-place-relu": Specimen(lambda: _convolutional(nn.ReLU(inplace=True)), gaussian_inputs(3, 8, 8)),
    "in-place-silu": Specimen(lambda: _convolutional(nn.SiLU(inplace=True)), gaussian_inputs(3, 8, 8)),
    "in-place-input": Specimen(lambda: nn.Sequential(nn.ReLU(inplace=True), _mlp()), gaussian_inputs(8)),
    "functional-relu": Specimen(lambda: Calls(F.relu, torch.Tensor.relu_), gaussian_inputs(8)),
    "clamp": Specimen(lambda: Calls(lambda x: x.clamp(min=0), lambda x: torch.clamp_min(x, 0)), gaussian_inputs(8)),
    "gelu": Specimen(lambda: Calls(F.gelu, nn.GELU("tanh")), gaussian_inputs(8)),
    "leaky-relu": Specimen(lambda: Calls(nn.LeakyReLU(), nn.ReLU6()), gaussian_inputs(8)),
    "hardswish": Specimen(lambda: Calls(nn.Hardswish(inplace=True), F.elu), gaussian_inputs(8)),
    "hand-written": Specimen(lambda: Calls(_gelu_by_hand, lambda x: x * torch.sigmoid(x)), gaussian_inputs(8)),
    "batch-norm-1d": Specimen(
        lambda: nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, CLASSES)),
        gaussian_inputs(8),
        splits=False,
    ),
    "squeeze-excite": Specimen(SqueezeExcite, gaussian_inputs(3, 8, 8), splits=False),
    "dropout": Specimen(lambda: nn.Sequential(nn.Dropout(0.3), _mlp()), gaussian_inputs(8), splits=False),
    "weight-norm": Specimen(lambda: nn.Sequential(weight_norm(nn.Linear(8, 8)), nn.ReLU(), _mlp()), gaussian_inputs(8)),
    "spectral-norm": Specimen(
        lambda: nn.Sequential(spectral_norm(nn.Linear(8, 8)), nn.ReLU(), _mlp()), gaussian_inputs(8), splits=False
    ),
    "weight-standardisation": Specimen(
        lambda: _convolutional(Standardised(4, 7, 3), nn.GroupNorm(7, 7), nn.ReLU(), Standardised(7, 4, 3)),
        gaussian_inputs(3, 8, 8),
    ),
    "experts": Specimen(Experts, gaussian_inputs(5, 6)),
    "vit": Specimen(ViT, gaussian_inputs(3, 8, 8)),
    "sequence-first": Specimen(SequenceFirst, gaussian_inputs(5, 6)),
    "causal-attention": Specimen(CausalAttention, _token_inputs(5)),
    "lstm": Specimen(LSTMClassifier, gaussian_inputs(5, 6)),
    "tied": Specimen(Tied, _token_inputs(5)),
    "called-twice": Specimen(CalledTwice, gaussian_inputs(8)),
    "shared-weight": Specimen(SharedWeight, gaussian_inputs(8)),
    "aliased": Specimen(Aliased, gaussian_inputs(8)),
    "unused-layer": Specimen(UnusedLayer, gaussian_inputs(8)),
    "frozen": Specimen(_frozen, gaussian_inputs(8)),
    "eval-mode": Specimen(
        lambda: _convolutional(nn.BatchNorm2d(4), nn.ReLU()).eval(), gaussian_inputs(3, 8, 8), splits=False
    ),
    "stateful": Specimen(Stateful, gaussian_inputs(8)),
    "checkpointed": Specimen(Checkpointed, gaussian_inputs(8)),
    "two-inputs": Specimen(TwoInputs, _image_and_features),
    "named": Specimen(Named, _named_features),
    "keyed": Specimen(Keyed, gaussian_inputs(8)),
    "dead": Specimen(Dead, gaussian_inputs(3, 8, 8)),
    "raises": Specimen(Raises, gaussian_inputs(8)),
    "overflows": Specimen(Overflows, gaussian_inputs(8)),
}
