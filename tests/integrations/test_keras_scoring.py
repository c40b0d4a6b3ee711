"""What zc.score and the shell take of Keras users: labels, batches, models without weights, sessions on JAX."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer.testing import CliRunner

import zerocost as zc
from zerocost.base.errors import InputError, MissingExtraError
from zerocost.cli.main import app
from zerocost.integrations.keras import helper_process, load, scoring
from zerocost.integrations.keras.library import import_keras

try:
    keras = import_keras()
except MissingExtraError as reason:
    pytest.skip(str(reason), allow_module_level=True)
if keras.backend.backend() != "torch":
    pytest.skip("this session's Keras does not run on torch", allow_module_level=True)
L = keras.layers
IMAGES = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
LABELS = np.arange(8) % 5


def layers(classes: int = 5) -> list[Any]:
    return [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.GlobalAveragePooling2D(), L.Dense(classes)]


def convolutional(classes: int = 5) -> Any:
    return keras.Sequential([keras.Input((8, 8, 3)), *layers(classes)])


class Own(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.flat, self.head = L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(5)

    def call(self, inputs: Any) -> Any:
        return self.head(self.flat(self.conv(inputs)))


def reason(model: Any, inputs: Any) -> str:
    card = zc.score(model, (inputs, LABELS), "snip")
    assert not card.scores
    return card.failures["snip"]


def test_labels_as_keras_has_them() -> None:
    model = convolutional()
    expected = dict(zc.score(model, (IMAGES, LABELS), "snip,epe_nas"))
    for labels in (LABELS[:, None].astype("uint8"), keras.utils.to_categorical(LABELS, 5)):
        assert dict(zc.score(model, (IMAGES, labels), "snip,epe_nas")) == expected


def test_one_output_tells_two_classes_apart() -> None:
    model, labels = convolutional(1), (LABELS % 2)[:, None].astype("float32")
    card = zc.score(model, (IMAGES, labels), "snip,grasp,epe_nas,zico,gradsign,jacob_cov")
    assert not card.failures
    binary = zc.score(model, (IMAGES, labels), "snip", loss=nn.functional.binary_cross_entropy_with_logits)
    assert card["snip"] == pytest.approx(binary["snip"], rel=1e-5)


def test_what_yields_batches_is_not_one() -> None:
    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 2

        def __getitem__(self, place: int) -> tuple[Any, Any]:
            return IMAGES, LABELS

    with pytest.raises(InputError, match=r"got Batches; take one batch out of it, batch = next\(iter\(loader\)\)"):
        zc.score(convolutional(), Batches(), "snip")
    assert "snip" in zc.score(convolutional(), next(iter(Batches())), "snip")


@pytest.mark.parametrize("inputs", [IMAGES, np.moveaxis(IMAGES, -1, 1), (IMAGES * 20 + 128).astype("uint8")])
@pytest.mark.parametrize("make", [lambda: keras.Sequential(layers()), Own])
def test_a_model_without_weights_gets_them_from_one_sample(make: Any, inputs: Any) -> None:
    model = make()
    card = zc.score(model, (inputs, LABELS), "snip,params")
    assert not card.failures
    assert card.provenance["initialisation"] == "weights made on one sample, seed 0"
    assert model.layers[0].kernel.shape == (3, 3, 3, 4)
    again = zc.score(model, (inputs, LABELS), "snip,params")
    assert dict(again) == dict(card)
    assert again.provenance["initialisation"] == "as given"


def test_a_model_that_says_that_it_is_built_and_is_not() -> None:
    model = Own()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.build((None, 8, 8, 3))
    assert not zc.score(model, (IMAGES, LABELS), "snip").failures


def test_built_sequential_models_keep_their_batch_size_open() -> None:
    model = keras.Sequential([L.Embedding(20, 8), L.GlobalAveragePooling1D(), L.Dense(5)])
    assert not zc.score(model, (np.arange(80).reshape(8, 10) % 20, LABELS), "snip").failures
    assert model.input_shape == (None, 10)


def test_two_inputs_build_a_model_too() -> None:
    class Two(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = L.Dense(5), L.Dense(5)

        def call(self, inputs: Any) -> Any:
            return self.one(inputs[0]) + self.two(inputs[1])

    inputs = [np.ones((8, 4), "float32"), np.ones((8, 6), "float32")]
    assert not zc.score(Two(), (inputs, LABELS), "snip").failures


def test_candidates_without_weights_are_initialised_from_the_seed() -> None:
    candidates = {"a": lambda: keras.Sequential(layers()), "b": Own}
    one, other = (zc.rank(candidates, (IMAGES, LABELS), "snip", batch=8) for _ in range(2))
    assert one.frame.equals(other.frame)
    assert one.failures.empty
    assert one.cards["a"].provenance["initialisation"] == "built with seed 0"
    finished = zc.rank({"a": keras.Sequential(layers())}, (IMAGES, LABELS), "snip", batch=8)
    assert finished.cards["a"].provenance["initialisation"] == "weights made on one sample, seed 0"


def test_channels_first_is_told_by_the_shape_that_a_model_was_built_for() -> None:
    model, images = Own(), np.random.default_rng(0).normal(size=(8, 8, 8, 4)).astype("float32")
    expected = dict(zc.score(model, (images, LABELS), "snip"))
    assert dict(zc.score(model, (np.moveaxis(images, -1, 1), LABELS), "snip")) == expected


def test_masks_of_two_classes_are_labels_too() -> None:
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3, padding="same", activation="relu"), L.Conv2D(1, 1)]
    )
    masks = (IMAGES[..., :1] > 0).astype("float32")
    assert not zc.score(model, (IMAGES, masks), "snip,grasp").failures


def test_a_model_that_cannot_be_built_says_why() -> None:
    said = reason(keras.Sequential([L.Conv2D(4, 30), L.Flatten()]), IMAGES)
    assert said.startswith("the Keras model has no weights yet, and making them on one sample raised ValueError: ")
    assert "Exception encountered" not in said
    assert keras.config.is_traceback_filtering_enabled()


def test_a_model_that_cannot_be_read_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: Any) -> None:
        raise AttributeError("no attribute kernel")

    monkeypatch.setattr(scoring, "as_module", raising)
    assert reason(convolutional(), IMAGES) == "the Keras model cannot be read: AttributeError: no attribute kernel"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (IMAGES[:, :6], "inputs of (8, 8, 3), got (6, 8, 3)"),
        (IMAGES.reshape(8, -1), "inputs of (8, 8, 3), got (192,)"),
        (IMAGES[..., 0], "inputs of (8, 8, 3), got (8, 8)"),
        (
            IMAGES[..., :1],
            "inputs of (8, 8, 3), got (8, 8, 1); give images of 3 channels, or a model that begins with "
            "keras.Input((8, 8, 1))",
        ),
        ((IMAGES, IMAGES), "1 input, got 2"),
    ],
)
def test_inputs_of_other_sizes_than_the_model_takes(inputs: Any, message: str) -> None:
    assert reason(convolutional(), inputs) == f"the model takes {message}"


def test_inputs_that_keras_fits_to_the_model_are_scored() -> None:
    gray = keras.Sequential([keras.Input((8, 8, 1)), *layers()])
    whole = zc.score(gray, (IMAGES[..., :1], LABELS), "params")
    assert dict(zc.score(gray, (IMAGES[..., 0], LABELS), "params")) == dict(whole)
    anysize = keras.Sequential([keras.Input((None, None, 3)), *layers()])
    for inputs in IMAGES, IMAGES[:, :6], np.moveaxis(IMAGES, -1, 1):
        assert not zc.score(anysize, (inputs, LABELS), "snip").failures


def test_each_of_several_inputs_is_compared_with_its_own_shape() -> None:
    first, second = keras.Input((4,), name="first"), keras.Input((8, 8, 3), name="second")
    outputs = L.Dense(5)(L.Concatenate()([first, L.Flatten()(second)]))
    flat = np.ones((8, 4), "float32")
    for given in ([first, second], {"second": second, "first": first}):
        model = keras.Model(given, outputs)
        by_name = {"second": IMAGES, "first": flat}
        turned = {"second": np.moveaxis(IMAGES, -1, 1), "first": flat}
        assert dict(zc.score(model, (by_name, LABELS), "snip")) == dict(zc.score(model, (turned, LABELS), "snip"))
        wrong = {"second": IMAGES[:, :6], "first": flat}
        assert reason(model, wrong) == "the model takes input 'second' of (8, 8, 3), got (6, 8, 3)"
    assert reason(keras.Model([first, second], outputs), flat).endswith("takes 2 inputs (first, second), got 1")


def test_what_keras_raises_is_told_by_its_cause() -> None:
    class Wide(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.flat, self.head = L.Flatten(), L.Dense(5)

        def call(self, inputs: Any) -> Any:
            return self.head(self.flat(inputs))

    model = Wide()
    model(IMAGES[:1])
    said = reason(model, IMAGES[:, :6])
    assert said.startswith('the network raised ValueError: Input 0 of layer "dense')
    assert "expected axis -1 of input shape to have value 192" in said


def test_channels_first_or_last_in_memory_score_the_same_bit_for_bit() -> None:
    model = convolutional()
    view = np.moveaxis(IMAGES, -1, 1)
    proxies = "az_progressivity,zico_bc,snip,zen"
    expected = dict(zc.score(model, (IMAGES, LABELS), proxies))
    for inputs in (view, np.ascontiguousarray(view), torch.tensor(IMAGES).movedim(-1, 1)):
        assert dict(zc.score(model, (inputs, LABELS), proxies)) == expected


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras, as it saves
def test_the_shell_tells_what_a_saved_model_takes(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((8, 8, 1)), *layers(10)]).save(path)
    shell = CliRunner()
    done = shell.invoke(app, ["score", str(path), "--data", "digits:8", "--batch", "8", "--proxies", "snip"])
    assert done.exit_code == 2
    assert "the model takes inputs of (8, 8, 1), got (8, 8, 3); give images of 1 channel" in done.stderr


def test_a_folder_and_a_file_that_keras_cannot_load(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, as TensorFlow's SavedModel is; Keras 3 saves a model in one"):
        load(tmp_path)

    class Nowhere(L.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    path = tmp_path / "own.keras"
    keras.Sequential([keras.Input((4,)), Nowhere()]).save(path)
    with pytest.raises(InputError, match=r"own\.keras cannot be loaded as a Keras model: Could not locate class"):
        load(path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("No module named 'keras'", name="keras"), "need the extra keras: pip install"),
        (
            ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow"),
            r"KERAS_BACKEND names, tensorflow \(No module .*install that backend, or set KERAS_BACKEND=torch",
        ),
        (ValueError("Unable to import backend : tensorflow"), "KERAS_BACKEND names, tensorflow .Unable to import"),
    ],
)
def test_a_backend_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    def failing(name: str) -> None:
        raise error

    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr(importlib, "import_module", failing)
    with pytest.raises(MissingExtraError, match=message):
        import_keras()


def test_a_module_is_imported_by_its_name_or_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "found.py").write_text("import json")
    (tmp_path / "broken.py").write_text("1 / 0")
    assert helper_process.why_not_importable("json", None) is None
    assert helper_process.why_not_importable("not_a_name_found", str(tmp_path / "found.py")) is None
    assert helper_process.why_not_importable("not_a_name", None) == (
        "importing not_a_name raised ModuleNotFoundError: No module named 'not_a_name'"
    )
    assert "ZeroDivisionError" in str(helper_process.why_not_importable("not_a_name", str(tmp_path / "broken.py")))


def test_a_model_is_not_trained_here() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    [run] = zc.train({"model": model}, train=(torch.rand(20, 4), torch.arange(20) % 2), epochs=1)
    assert run.failure == "a model of keras is scored here, not trained; train it with keras"


SESSION = """
import json
import warnings

import keras
import numpy as np
import zerocost as zc
from of_a_user import Doubled, Sums, doubled

L = keras.layers


def said(*layers):
    model = keras.Sequential([*layers, L.Flatten(), L.Dense(5)])
    card = zc.score(model, (images, labels), "snip")
    return {**card.failures, **{"made": card.provenance["initialisation"] for _ in card}}


class Local(L.Layer):
    def call(self, inputs):
        return inputs


given = dict(np.load("given.npz"))
model = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3), Doubled(), L.Flatten(), L.Dense(10)])
for weight, value in zip(model.weights, (given[name] for name in "abcd"), strict=True):
    weight.assign(value)
batch = keras.ops.convert_to_tensor(given["images"]), keras.ops.convert_to_tensor(given["labels"])
card = zc.score(model, batch, "snip,synflow,naswot")
scored = [type(batch[0]).__module__, card.provenance["keras_backend"], dict(card)]
try:
    zc.score(model, batch, "snip", loss=lambda outputs, labels: outputs.sum())
except zc.InputError as error:
    scored.append(str(error))

warnings.simplefilter("error")
warnings.filterwarnings("ignore", "Keras runs on jax")
images, labels = given["images"], given["labels"] % 5
sent = [
    said(L.Conv2D(4, 3, activation=doubled, kernel_regularizer=Sums())),
    said(Local()),
    said(L.Lambda(lambda values: 2 * values, name="twice")),
]
from zerocost.integrations.keras import helper

process = helper._helper_process("jax")
process.kill()
process.wait()
sent += [said(keras.Input((8, 8, 3))), helper._helper_process("jax") is process]
print(json.dumps([scored, sent]))
"""
OF_A_USER = """
import keras

@keras.saving.register_keras_serializable("user")
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * keras.ops.relu(inputs)

@keras.saving.register_keras_serializable("user")
def doubled(values):
    return 2 * keras.ops.relu(values)

@keras.saving.register_keras_serializable("user")
class Sums(keras.regularizers.Regularizer):
    def __call__(self, values):
        return keras.ops.sum(values)

    def get_config(self):
        return {}
"""
SHAPES = {"a": (3, 3, 3, 4), "b": (4,), "c": (144, 10), "d": (10,), "images": (8, 8, 8, 3)}


class Doubled(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return 2 * F.relu(values).permute(0, 2, 3, 1)


class Session(NamedTuple):
    """What a session on JAX was given, and what it said."""

    given: dict[str, Any]
    scored: list[Any]
    sent: list[Any]
    warned: str


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    pytest.importorskip("jax", reason="jax is not installed")
    folder, rng = tmp_path_factory.mktemp("jax"), np.random.default_rng(1)
    given = {name: rng.normal(0, 0.5, shape).astype("float32") for name, shape in SHAPES.items()}
    np.savez(folder / "given.npz", labels=np.arange(8), **given)
    (folder / "of_a_user.py").write_text(OF_A_USER)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SESSION], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Session(given, *json.loads(done.stdout), done.stderr)


def test_a_session_on_jax_scores_in_a_helper_process(session: Session) -> None:
    arrays, said, scores, refused = session.scored
    assert "Keras runs on jax: models are scored in a helper process" in session.warned
    assert arrays.startswith("jax")
    assert said == "torch, in a helper process; the session runs on jax"
    assert "define proxies and losses in a file" in refused
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Doubled(), nn.Flatten(), nn.Linear(144, 10))
    for parameter, name in zip(network.parameters(), "abcd", strict=True):
        value = torch.tensor(session.given[name])
        parameter.data = value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T if value.ndim == 2 else value
    batch = torch.tensor(session.given["images"]).movedim(-1, 1), torch.arange(8)
    assert scores == pytest.approx(dict(zc.score(network, batch, "snip,synflow,naswot")), rel=1e-4)


def test_a_session_on_jax_sends_what_can_be_imported_and_names_what_cannot(session: Session) -> None:
    registered, local, twice, killed, same = session.sent
    assert registered == {"made": "weights made on one sample, seed 0"}
    assert "Could not locate class 'Local'" in local["snip"] and "a module that can be imported" in local["snip"]
    assert "the lambda of its layer 'twice' cannot be sent; write a layer" in twice["snip"]
    assert killed == {"made": "as given"}
    assert not same
