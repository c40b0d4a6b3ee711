from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer.testing import CliRunner

import zerocost as zc
from zerocost.base.errors import Failure, MissingExtraError
from zerocost.cli.main import app
from zerocost.engine.proxy import REGISTRY
from zerocost.integrations.keras.library import import_keras

try:
    keras = import_keras()
except MissingExtraError as reason:
    pytest.skip(str(reason), allow_module_level=True)
if keras.backend.backend() != "torch":
    pytest.skip("this session's Keras does not run on torch", allow_module_level=True)
L = keras.layers
SAVED = Path(__file__).parent / "saved_under_tensorflow.keras"
UNDER_TENSORFLOW = np.array(
    [
        [0.08447547256946564, 0.09436148405075073, 0.09776250272989273],
        [0.08160363882780075, 0.09330738335847855, 0.09698929637670517],
    ]
)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Layers made in a test are float64, so that what is compared does not differ by rounding; all draws are seeded."""
    keras.utils.set_random_seed(0)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def plain_keras() -> Any:
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Conv2D(6, 3, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            L.MaxPooling2D(),
            L.Conv2D(8, 1),
            L.BatchNormalization(momentum=0.9, epsilon=1e-5),
            L.ReLU(),
            L.GlobalAveragePooling2D(),
            L.Dense(5),
        ]
    )


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.two = nn.BatchNorm2d(6, eps=1e-3, momentum=0.01)
        self.relu = nn.ReLU()
        self.three = nn.Conv2d(6, 8, 3, stride=2)
        self.pool = nn.MaxPool2d(2)
        self.four = nn.Conv2d(8, 8, 1)
        self.five = nn.BatchNorm2d(8, momentum=0.1)
        self.relu_again = nn.ReLU()
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.two(self.one(x)))
        x = self.pool(F.relu(self.three(F.pad(x, (0, 1, 0, 1)))))
        return self.head(self.relu_again(self.five(self.four(x))).mean((2, 3)))


def residual_keras() -> Any:
    given = keras.Input((8, 8, 3))
    x = L.Conv2D(6, 3, padding="same")(given)
    for _ in range(2):
        y = keras.ops.relu(L.BatchNormalization()(L.Conv2D(6, 3, padding="same", use_bias=False)(x)))
        y = L.BatchNormalization()(L.Conv2D(6, 3, padding="same", use_bias=False)(y))
        x = keras.ops.relu(L.Add()([x, y]))
    x = L.Flatten()(L.AveragePooling2D(2)(x))
    return keras.Model(given, L.Dense(5, activation="softmax")(x))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        for name in "abcd":
            self.add_module(name, nn.Conv2d(6, 6, 3, padding=1, bias=False))
            self.add_module(name + "_norm", nn.BatchNorm2d(6, eps=1e-3, momentum=0.01))
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(96, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for one, two in ("ab", "cd"):
            y = F.relu(getattr(self, one + "_norm")(getattr(self, one)(x)))
            x = F.relu(x + getattr(self, two + "_norm")(getattr(self, two)(y)))
        return self.head(self.pool(x).permute(0, 2, 3, 1).flatten(1))


def depthwise_keras() -> Any:
    return keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            L.SeparableConv2D(6, 3, padding="same", depth_multiplier=2),
            L.ReLU(max_value=6),
            L.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False),
            L.GroupNormalization(3),
            L.Activation("gelu"),
            L.SpatialDropout2D(0.2),
            L.Conv2D(8, 3, groups=2, activation="silu"),
            L.GlobalMaxPooling2D(),
            L.Dropout(0.3),
            L.Dense(5, activation="softmax"),
        ]
    )


class Depthwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False)
        self.two = nn.Conv2d(6, 6, 1)
        self.relu = nn.ReLU6()
        self.three = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6, bias=False)
        self.norm = nn.GroupNorm(3, 6, eps=1e-3)
        self.gelu = nn.GELU()
        self.drop = nn.Dropout2d(0.2)
        self.four = nn.Conv2d(6, 8, 3, groups=2)
        self.drop_again = nn.Dropout(0.3)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.two(self.one(x)))
        x = self.drop(self.gelu(self.norm(self.three(x))))
        return self.head(self.drop_again(F.silu(self.four(x)).amax((2, 3))))


def perceptron_keras() -> Any:
    layers = [L.Dense(16, activation="relu"), L.BatchNormalization(center=False), L.Dense(12), L.ReLU(), L.Dense(5)]
    return keras.Sequential([keras.Input((10,)), *layers, L.Softmax()])


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Linear(10, 16), nn.BatchNorm1d(16, eps=1e-3, momentum=0.01)
        self.norm.bias = None  # type: ignore[assignment]
        self.two, self.relu, self.head = nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.two(self.norm(F.relu(self.one(x))))))


def transformer_keras() -> Any:
    given = keras.Input((6,), dtype="int32")
    x = L.Embedding(11, 8)(given)
    for _ in range(2):
        y = L.LayerNormalization(epsilon=1e-5)(x)
        x = L.Add()([x, L.MultiHeadAttention(2, 4)(y, y)])
        y = L.LayerNormalization(epsilon=1e-5)(x)
        x = L.Add()([x, L.Dense(8)(L.Dense(16, activation="gelu")(y))])
    return keras.Model(given, L.Dense(5)(L.Flatten()(x)))


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part(x).unflatten(-1, (2, 4)).transpose(1, 2) for part in (self.q, self.k, self.v))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        for name in "ab":
            for part, module in (
                ("_norm", nn.LayerNorm(8)),
                ("_attention", SelfAttention()),
                ("_norm_again", nn.LayerNorm(8)),
                ("_wide", nn.Linear(8, 16)),
                ("_narrow", nn.Linear(16, 8)),
            ):
                self.add_module(name + part, module)
        self.head = nn.Linear(48, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for name in "ab":
            part = lambda kind, of, name=name: getattr(self, f"{name}_{kind}")(of)  # noqa: E731
            x = x + part("attention", part("norm", x))
            x = x + part("narrow", F.gelu(part("wide", part("norm_again", x))))
        return self.head(x.flatten(1))


def sequence_keras() -> Any:
    given = keras.Input((12, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv1D(6, 3, padding="same", use_bias=False)(given)))
    x = L.Activation("gelu")(L.Add()([x, L.Conv1D(6, 3, padding="same")(x)]))
    x = L.Conv1D(8, 3)(L.Dropout(0.2)(L.MaxPooling1D(2)(x)))
    return keras.Model(given, L.Dense(5)(L.GlobalAveragePooling1D()(L.ReLU()(x))))


class Sequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv1d(3, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(6, eps=1e-3, momentum=0.01)
        self.two = nn.Conv1d(6, 6, 3, padding=1)
        self.pool, self.drop, self.gelu = nn.MaxPool1d(2), nn.Dropout(0.2), nn.GELU()
        self.three, self.head = nn.Conv1d(6, 8, 3), nn.Linear(8, 5)
        self.relu, self.relu_again = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.one(x.transpose(1, 2))))
        x = self.gelu(x + self.two(x))
        return self.head(self.relu_again(self.three(self.drop(self.pool(x)))).mean(2))


def decoder_keras() -> Any:
    return keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            L.Conv2D(6, 3, strides=2),
            L.PReLU(shared_axes=[1, 2]),
            L.Conv2DTranspose(8, 2, strides=2, activation="relu"),
            L.Conv2DTranspose(4, 3, strides=2, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.PReLU(shared_axes=[1, 2, 3]),
            L.GlobalMaxPooling2D(),
            L.PReLU(),
            L.Dense(5),
        ]
    )


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.relu = nn.Conv2d(3, 6, 3, stride=2), nn.PReLU(6)
        self.two = nn.ConvTranspose2d(6, 8, 2, stride=2)
        self.three = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4, eps=1e-3, momentum=0.01)
        self.relu_again, self.relu_at_last, self.head = nn.PReLU(1), nn.PReLU(4), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.two(self.relu(self.one(x))))
        return self.head(self.relu_at_last(self.relu_again(self.norm(self.three(x))).amax((2, 3))))


NETWORKS: dict[str, tuple[Any, type[nn.Module], tuple[int, ...]]] = {
    "plain": (plain_keras, Plain, (8, 8, 3)),
    "residual": (residual_keras, Residual, (8, 8, 3)),
    "depthwise": (depthwise_keras, Depthwise, (9, 9, 3)),
    "perceptron": (perceptron_keras, Perceptron, (10,)),
    "transformer": (transformer_keras, Transformer, (6,)),
    "sequence": (sequence_keras, Sequence, (12, 3)),
    "decoder": (decoder_keras, Decoder, (9, 9, 3)),
}


def in_torch_axes(variable: Any) -> Tensor:
    """A Keras weight as torch writes it, told by its path and shape."""
    value = variable.value.detach().numpy()
    path = variable.path
    if "embeddings" in path or value.ndim == 1:
        return torch.tensor(value)
    if "alpha" in path:
        return torch.tensor(value.reshape(-1))
    if "depthwise" in path:
        height, width, channels, multiplier = value.shape
        return torch.tensor(value.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width))
    if "attention_output/kernel" in path:
        return torch.tensor(value.reshape(-1, value.shape[-1]).T)
    if "multi_head" in path:
        return torch.tensor(value.reshape(len(value), -1).T if "kernel" in path else value.reshape(-1))
    return torch.tensor(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T)


def pair(name: str) -> tuple[Any, nn.Module, Any, Tensor]:
    """A network in Keras and in torch with the same weights, and a batch: images channels last, labels."""
    build, other, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    model = build()
    for variable in model.variables:
        if "float" in variable.dtype:
            positive = "gamma" in variable.path or "variance" in variable.path
            variable.assign(rng.uniform(0.5, 1.5, variable.shape) if positive else rng.normal(0, 0.4, variable.shape))
    network = other().double()
    weights = [in_torch_axes(v) for v in model.trainable_variables]
    parameters = list(network.parameters())
    assert [w.shape for w in weights] == [p.shape for p in parameters]
    for parameter, weight in zip(parameters, weights, strict=True):
        parameter.data = weight
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    moving = [torch.tensor(v.value.detach().numpy()) for v in model.non_trainable_variables if "moving" in v.path]
    for place, norm in enumerate(norms):
        norm.running_mean, norm.running_var = moving[2 * place], moving[2 * place + 1]
    inputs = rng.integers(0, 11, (8, *shape)) if name == "transformer" else rng.normal(size=(8, *shape))
    return model, network, inputs, torch.arange(8) % 5


def channels_first(inputs: Any) -> Tensor:
    given = torch.tensor(inputs)
    return given.movedim(-1, 1) if given.ndim == 4 else given


OF_OPERATIONS = {"peak_memory", "peak_memory_fp16", "peak_memory_int8", "training_memory"}
"""Proxies of the operations that run: a Keras model pads and transposes where the torch network need not."""
OF_ROUNDING = {"transformer": {"snr_synflow", "t_cet"}, "plain": {"epsinas"}, "residual": {"epsinas"}}
"""Proxies of gradients over their deviation, on weights whose gradients are zero but for rounding: in the flow pass all
tokens are the same one, so that nothing depends on queries and keys. And of small differences between samples, which
Keras rounds to float32."""


@pytest.mark.parametrize("name", NETWORKS)
def test_a_keras_model_scores_as_the_same_network_in_torch(name: str) -> None:
    model, network, inputs, labels = pair(name)
    proxies = [proxy for proxy in REGISTRY if proxy not in OF_OPERATIONS | OF_ROUNDING.get(name, set())]
    ours = zc.score(model, (inputs, labels), proxies)
    theirs = zc.score(network, (channels_first(inputs), labels), proxies)
    assert not differing(ours, theirs)
    assert len(theirs) > 20


def differing(ours: zc.ScoreCard, theirs: zc.ScoreCard, tolerance: float = 1e-6) -> dict[str, tuple[float, float]]:
    """The scores that are not the same."""
    assert set(ours.failures) == set(theirs.failures)
    pairs = {proxy: (ours[proxy], theirs[proxy]) for proxy in theirs}
    return {p: pair for p, pair in pairs.items() if not math.isclose(*pair, rel_tol=tolerance, abs_tol=1e-9)}


def copy_weights(source: Any, target: Any) -> None:
    for theirs, ours in zip(source.variables, target.variables, strict=True):
        ours.assign(theirs.value)


def test_channels_first_models_score_as_channels_last_ones() -> None:
    def build(**format: Any) -> Any:
        axis = 1 if format else -1
        pre_activated = [L.ReLU(), L.Conv2D(8, 3, **format), L.Dropout(0.0), L.Activation("gelu")]
        layers = [L.Conv2D(6, 3, **format), L.BatchNormalization(axis=axis), *pre_activated]
        head = [L.Conv2DTranspose(4, 2, 2, **format), L.GlobalMaxPooling2D(**format), L.Dense(5)]
        return keras.Sequential([keras.Input((3, 8, 8) if format else (8, 8, 3)), *layers, *head])

    last, first = build(), build(data_format="channels_first")
    copy_weights(last, first)
    inputs, labels = np.random.default_rng(0).normal(size=(8, 8, 8, 3)), torch.arange(8) % 5
    ours = zc.score(first, (channels_first(inputs), labels), list(REGISTRY))
    assert not differing(ours, zc.score(last, (inputs, labels), list(REGISTRY)))
    assert len(ours) > 20


@pytest.mark.parametrize(
    ("policy", "proxies"), [("mixed_float16", list(REGISTRY)), ("mixed_bfloat16", ["snip", "synflow", "naswot"])]
)
def test_a_mixed_precision_model_scores_as_in_single_precision(policy: str, proxies: list[str]) -> None:
    def build(policy: str) -> Any:
        keras.config.set_dtype_policy(policy)
        layers = [L.Conv2D(6, 3), L.BatchNormalization(), L.ReLU(), L.Reshape((6, 36)), L.LSTM(4), L.Dense(5)]
        return keras.Sequential([keras.Input((8, 8, 3)), *layers, L.Activation("softmax", dtype="float32")])

    mixed, single = build(policy), build("float32")
    copy_weights(single, mixed)
    batch = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32"), torch.arange(8) % 5
    ours = zc.score(mixed, batch, proxies)
    assert not differing(ours, zc.score(single, batch, proxies))
    assert len(ours) > min(20, len(proxies) - 1)
    assert mixed.layers[0].compute_dtype == policy.removeprefix("mixed_")


SOFTMAX: dict[str, Callable[[], list[Any]]] = {
    "the layer's own": list,
    "layer": lambda: [L.Softmax()],
    "activation": lambda: [L.Activation("softmax")],
    "lambda": lambda: [L.Lambda(keras.ops.softmax)],
    "followed by others": lambda: [L.Softmax(), L.Identity(), L.Reshape((5, 1)), L.Flatten()],
}


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
@pytest.mark.parametrize("end", SOFTMAX)
def test_the_softmax_at_the_end_is_left_out(end: str, kind: str) -> None:
    from zerocost.integrations.keras.module import as_module, final_activation

    last = SOFTMAX[end]()
    head, given = L.Dense(5, activation=None if last else "softmax"), keras.Input((7,))
    attended = L.Dense(7, activation="softmax")
    layers = [attended, L.Multiply(), head, *last]

    def run(x: Any) -> Any:
        x = head(layers[1]([x, attended(x)]))
        for layer in last:
            x = layer(x)
        return x

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.parts = layers

        def call(self, inputs: Any) -> Any:
            return run(inputs)

    model = Own() if kind == "subclassed" else keras.Model(given, run(given))
    values = torch.randn(4, 7, dtype=torch.float64)
    model(values)
    module = as_module(model)
    expected = (values * attended(values)) @ head.kernel.value + head.bias.value
    assert torch.allclose(module(values), expected)
    assert final_activation(module) == "softmax"
    assert torch.allclose(model(values), expected.softmax(1))
    assert not zc.score(model, (values, torch.arange(4)), "snip,synflow").failures


def squeezed(given: Any) -> Any:
    return keras.ops.sigmoid(keras.ops.squeeze(L.Dense(1)(given), -1))


@pytest.mark.parametrize(
    ("end", "left_out"),
    [(L.Dense(1, activation="sigmoid"), True), (squeezed, True), (L.Dense(3, activation="sigmoid"), False)],
    ids=["one", "squeezed", "three"],
)
def test_the_sigmoid_of_one_unit_is_left_out(end: Any, left_out: bool) -> None:
    from zerocost.integrations.keras.module import as_module, final_activation

    given = keras.Input((7,), dtype="float64")
    model = keras.Model(given, end(given))
    values = torch.randn(4, 7, dtype=torch.float64)
    module = as_module(model)
    logits = module(values)
    assert final_activation(module) == ("sigmoid" if left_out else None)
    assert torch.allclose(logits.sigmoid() if left_out else logits, model(values))


def test_of_several_labels_the_sigmoid_of_all_units_is_left_out() -> None:
    given = keras.Input((7,), dtype="float64")
    logits = L.Dense(3)(given)
    models = keras.Model(given, logits), keras.Model(given, L.Activation("sigmoid")(logits))
    batch = torch.randn(8, 7, dtype=torch.float64), torch.randint(2, (8, 3)).double()
    plain, closed = (zc.score(model, batch, "snip,synflow", task="multilabel") for model in models)
    assert dict(closed) == pytest.approx(dict(plain))
    assert closed.provenance["outputs"] == "logits, before the final sigmoid"


def test_of_a_regression_the_sigmoid_of_the_last_unit_counts() -> None:
    model = keras.Sequential([keras.Input((7,)), L.Dense(1, activation="sigmoid")])
    twin = nn.Sequential(nn.Linear(7, 1).double(), nn.Sigmoid())
    kernel, bias = (weight.value.detach() for weight in model.weights)
    twin[0].load_state_dict({"weight": kernel.T, "bias": bias})
    batch = torch.randn(8, 7, dtype=torch.float64), torch.rand(8, 1).double()
    assert dict(zc.score(model, batch, "snip,synflow")) == pytest.approx(dict(zc.score(twin, batch, "snip,synflow")))


def test_a_softmax_over_a_map_is_not_taken_for_attention() -> None:
    model = keras.Sequential([keras.Input((6, 6, 3)), L.Conv2D(4, 3, activation="softmax")])
    data = np.random.default_rng(0).normal(size=(4, 6, 6, 3)), torch.zeros(4, 4, 4, dtype=torch.long)
    card = zc.score(model, data, "snip,head_confidence")
    assert set(card) == {"snip"}
    assert "no attention" in card.failures["head_confidence"]


def test_a_layer_without_weights_is_named() -> None:
    from zerocost.integrations.keras import as_module

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.flat, self.head = L.Flatten(), L.Dense(5, name="head")

        def build(self, shape: Any) -> None:
            self.built = True

        def call(self, inputs: Any) -> Any:
            return self.head(self.flat(inputs))

    model, data = Own(), (np.ones((5, 4, 4, 1)), torch.arange(5))
    model.build((None, 4, 4, 1))
    with pytest.raises(Failure, match="the layer head of the Keras model has no weights yet; run the model once"):
        as_module(model)
    model(data[0])
    assert not zc.score(model, data, "snip").failures


def test_augmentation_prepares_the_data_whole_batch_by_whole_batch() -> None:
    plain, *_ = pair("plain")
    model = keras.Sequential([keras.Input((8, 8, 3)), L.RandomFlip(seed=1), L.RandomRotation(0.1, seed=1), plain])
    data = np.random.default_rng(1).normal(size=(8, 8, 8, 3)), torch.arange(8) % 5
    card, without = (
        zc.score(m, data, "zen(inputs=noise),log_synflow,params,snip,ntk_trace,naswot") for m in (model, plain)
    )
    assert not card.failures
    assert card["snip"] != without["snip"]
    unprepared = card.keys() - {"snip", "ntk_trace", "naswot"}
    assert {p: card[p] for p in unprepared} == pytest.approx({p: without[p] for p in unprepared}, rel=1e-9)


def state(model: Any) -> list[Any]:
    """Everything about a model that scoring could have changed."""
    values = [v.value.detach().numpy().copy() for v in model.variables]
    modes = [(layer.trainable, "call" in vars(layer), layer.training) for layer in model._flatten_layers()]
    return [values, modes, [layer.activation for layer in model._flatten_layers() if hasattr(layer, "activation")]]


@pytest.mark.parametrize("name", ["plain", "depthwise"])
def test_the_model_comes_back_as_it_was(name: str) -> None:
    model, _, inputs, labels = pair(name)
    before = state(model)
    zc.score(model, (inputs, labels), "snip,synflow,zen,flops")
    after = state(model)
    assert all(np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1:] == after[1:]


def test_a_model_of_the_users_own_class_scores_as_the_same_functional_one() -> None:
    from zerocost.integrations.keras import as_module

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.norm = L.Conv2D(6, 3, padding="same"), L.Dense(5), L.BatchNormalization()

        def call(self, inputs: Any, training: bool = False) -> Any:
            mapped = keras.ops.relu(self.norm(self.one(inputs), training=training))
            return self.two(keras.ops.mean(mapped, axis=(1, 2)))

    model, given = Own(), keras.Input((8, 8, 3))
    inputs, labels = np.random.default_rng(0).normal(size=(8, 8, 8, 3)), torch.arange(8) % 5
    with pytest.raises(Failure, match="no weights yet"):
        as_module(model)
    model(inputs[:1])
    mapped = keras.ops.relu(L.BatchNormalization()(L.Conv2D(6, 3, padding="same")(given)))
    functional = keras.Model(given, L.Dense(5)(L.GlobalAveragePooling2D()(mapped)))
    by_shape = {v.shape: v for v in model.trainable_variables if len(v.shape) > 1}
    for variable in functional.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(by_shape[variable.shape])
    proxies = "snip,synflow,naswot,grasp,flops,params"
    theirs = zc.score(functional, (inputs, labels), proxies)
    assert dict(zc.score(model, (inputs, labels), proxies)) == pytest.approx(dict(theirs), rel=1e-6)


def test_a_layer_torch_does_not_have_runs_its_own_code() -> None:
    class Scaled(L.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    layers = [L.Conv2D(4, 3, activation="relu"), Scaled(), L.Reshape((36, 4)), L.LSTM(6), L.Dense(5)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    inputs, labels = np.random.default_rng(0).normal(size=(8, 8, 8, 3)), torch.arange(8) % 5
    card = zc.score(model, (inputs, labels), "params,snip,synflow,naswot,flops")
    assert not card.failures
    assert card["params"] == model.count_params()


def test_preparing_the_data_in_the_model_is_as_preparing_them_before_it() -> None:
    plain, *_ = pair("plain")
    scale, offset, mean, variance = 2.0, -9.0, np.array([3.0, 5.0, 7.0]), np.array([1.0, 2.0, 3.0])
    preparing = [L.Rescaling(scale, offset), L.Normalization(mean=mean, variance=variance)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *preparing, plain])
    inputs, labels = np.random.default_rng(1).normal(size=(8, 8, 8, 3)), torch.arange(8) % 5
    before = (inputs * scale + offset - mean) / np.sqrt(variance)
    proxies = "log_synflow,synflow(normalisation=kept),snip,naswot(inputs=noise),zen(inputs=noise),naswot,depth"
    assert dict(zc.score(model, (inputs, labels), proxies)) == pytest.approx(
        dict(zc.score(plain, (before, labels), proxies)), rel=1e-9
    )


def test_images_may_be_channels_first_as_torch_data_is() -> None:
    model, _, inputs, labels = pair("plain")
    last, first = (zc.score(model, (x, labels), "snip,zen") for x in (inputs, channels_first(inputs)))
    assert dict(last) == pytest.approx(dict(first), rel=1e-12)


def test_keras_and_torch_builders_are_ranked_together() -> None:
    data = (torch.rand(8, 3, 8, 8), torch.arange(8) % 5)
    table = zc.rank({"keras": plain_keras, "torch": lambda: Plain().double()}, data, "snip,naswot", batch=8)
    again = zc.rank({"keras": plain_keras}, data, "snip,naswot", batch=8)
    assert table.failures.empty
    assert table.frame["params"].nunique() == 1
    assert table.frame.loc["keras", "snip"] == again.frame.loc["keras", "snip"]


def test_a_file_saved_under_tensorflow_computes_what_it_computed_there() -> None:
    from zerocost.integrations.keras import as_module, load

    model = load(SAVED)
    images = np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")
    logits = as_module(model).eval()(torch.tensor(images).movedim(-1, 1))
    assert logits.softmax(1)[:, :3].detach().numpy() == pytest.approx(UNDER_TENSORFLOW, abs=1e-6)


def test_the_shell_scores_a_saved_model() -> None:
    result = CliRunner().invoke(
        app, ["score", str(SAVED), "--data", "digits:8", "--batch", "8", "--proxies", "snip,zen"]
    )
    assert result.exit_code == 0, result.output
    assert "snip" in result.output
