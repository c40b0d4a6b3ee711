"""The best architecture as files: weights, TorchScript, ONNX, and a Python file that builds it again."""

from __future__ import annotations

import copy
import importlib.util
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from zerocost import spaces
from zerocost.base import user_code
from zerocost.base.errors import Failure, InputError, MissingExtraError, describe_error, unknown
from zerocost.base.files import make_folder, replace_file
from zerocost.base.version import VERSION
from zerocost.engine.inputs import sample_test
from zerocost.engine.outputs import OutputPicker
from zerocost.search.sizes import first_sample, repeat_sample
from zerocost.spaces import Architecture


def export(
    model: nn.Module, inputs: Any, folder: str | Path, formats: Iterable[str] = ("state",), *, name: str = "best"
) -> dict[str, Path]:
    """Write a network as files, each whole or not at all; the model itself is left alone.

    - `state`: `NAME.pt`, the state dict, for `load_state_dict(torch.load(path, weights_only=True))`.
    - `torchscript`: `NAME.torchscript`, for `torch.jit.load`, without Python too.
    - `onnx`: `NAME.onnx`, for ONNX runtimes; needs the extra `onnx`.

    TorchScript and ONNX hold the network in eval mode on the CPU, for batches of any size: what is written was seen to
    give the network's outputs for a batch of another size than the one it was traced with.

    Args:
        model: the network, trained or not.
        inputs: what it takes, a tensor or a structure of tensors; the first sample is used.
        folder: where to write, made where it is missing.
        formats: what to write.
        name: the name of the files, before their suffix.

    Returns:
        The file of each format.

    Raises:
        InputError: an unknown format, or a folder that cannot be written to.
        MissingExtraError: `onnx` without the extra.
        Failure: the network cannot be written in a format; those before it are written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in export(nn.Linear(4, 2), torch.rand(1, 4), folder, ["state", "torchscript"]).values()]
    ['best.pt', 'best.torchscript']
    """
    chosen = list(formats)
    for one in chosen:
        if one not in FORMATS:
            raise unknown("format", one, FORMATS)
    if "onnx" in chosen and not all(importlib.util.find_spec(package) for package in ("onnx", "onnxscript")):
        raise MissingExtraError("ONNX needs the extra onnx: pip install 'zerocost[onnx]'")
    sample = first_sample(inputs)
    network = copy.deepcopy(model).cpu().eval()
    written: dict[str, Path] = {}
    for one in chosen:
        form = FORMATS[one]
        path = Path(folder) / f"{name}{form.suffix}"
        with _quiet_exporters(), torch.inference_mode(False), torch.no_grad():
            save = _prepare_save(one, form.prepare, network, _Example.of(sample))
            _write_whole(path, save)
        written[one] = path
    return written


def write_spec(
    path: str | Path,
    space: str,
    arch: Architecture | str,
    *,
    classes: int = 10,
    in_channels: int = 3,
    resolution: int = 32,
) -> Path:
    """Write a Python file whose `build()` returns the untrained network of an architecture.

    The file can be read, imported, and scored: `zerocost score FILE:build`.

    Args:
        path: the file to write.
        space: the name of a shipped space, or `FILE.py:NAME` of your own, which the file then finds by its place
            beside it.
        arch: the architecture, or its text.
        classes: outputs of a shipped space's networks; your own space needs none of these three.
        in_channels: channels of their images.
        resolution: height and width of their images.

    Raises:
        InputError: an unknown space, an architecture that is not of it, or a path that cannot be written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_spec(
    ...         f"{folder}/spec.py", "nats_size", "8:8:16:40:40", classes=10, in_channels=3, resolution=32
    ...     )
    ...     build = user_code.load_object(f"{path}:build")
    >>> sum(parameter.numel() for parameter in build().parameters())
    107826
    """
    path = Path(path)
    if ":" in space:
        file, _, name = space.rpartition(":")
        found = own_space(space)
        beside = Path(os.path.relpath(Path(file).resolve(), path.resolve().parent)).as_posix()
        text = _OWN.format(place=beside, name=name, arch=str(arch), version=VERSION)
    else:
        sizes = {"classes": classes, "in_channels": in_channels, "resolution": resolution}
        found = spaces.get(space, **sizes)
        made = ", ".join([f"{space!r}", *[f"{key}={value}" for key, value in sizes.items()]])
        text = _SHIPPED.format(sizes=made, arch=str(arch), version=VERSION)
    found.parse(str(arch))
    _write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
    return path


def own_space(target: str) -> spaces.SearchSpace:
    """The space that `FILE.py:NAME` names: a `SearchSpace`, or a function of choices made one."""
    found = user_code.load_object(target)
    if isinstance(found, spaces.SearchSpace):
        return found
    if not callable(found):
        raise InputError(f"{target} is of type {type(found).__name__}; expected a SearchSpace or a function of choices")
    return spaces.from_function(found)


_SHIPPED = '''"""An architecture found by zerocost {version}: `build()` returns the network, untrained."""

from __future__ import annotations

from torch import nn

from zerocost import spaces

ARCHITECTURE = {arch!r}


def build() -> nn.Module:
    space = spaces.get({sizes})
    return space.build(space.parse(ARCHITECTURE))
'''
_OWN = '''"""An architecture found by zerocost {version}: `build()` returns the network, untrained."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from zerocost.search.export import own_space

ARCHITECTURE = {arch!r}
SPACE = Path(__file__).parent / {place!r}


def build() -> nn.Module:
    space = own_space(f"{{SPACE}}:{name}")
    return space.build(space.parse(ARCHITECTURE))
'''


class _Example(NamedTuple):
    """A sample as a network is called with it."""

    sample: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    @classmethod
    def of(cls, sample: Any, count: int = 2) -> _Example:
        """A batch of `count` times the sample: a tuple or list is unpacked, a mapping gives keywords."""
        batch = repeat_sample(sample, count)
        if isinstance(batch, Mapping):
            return cls(sample, (), dict(batch))
        return cls(sample, tuple(batch) if isinstance(batch, tuple | list) else (batch,), {})

    def outputs(self, network: Callable[..., Any]) -> Tensor:
        """What a network returns for it."""
        return OutputPicker()(network(*self.arguments, **self.keywords))


_Save = Callable[[Path], object]
"""Writes a network to a path."""


_Prepare = Callable[[nn.Module, _Example], _Save]


class _Format(NamedTuple):
    """How a network is written: `prepare` returns what saves it to a path."""

    suffix: str
    prepare: _Prepare


def _prepare_state(network: nn.Module, _: _Example) -> _Save:
    """The state dict."""
    weights = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    return lambda path: torch.save(weights, path)


def _prepare_torchscript(network: nn.Module, example: _Example) -> _Save:
    """The network as traced by torch.jit."""
    given = {"example_kwarg_inputs": example.keywords} if example.keywords else {"example_inputs": example.arguments}
    traced = torch.jit.trace(network, **given, check_trace=False)  # type: ignore[no-untyped-call]
    _check_outputs(network, traced, example)
    return lambda path: traced.save(str(path))


def _prepare_onnx(network: nn.Module, example: _Example) -> _Save:
    """The network as torch.onnx translates it, the batch axis of any length."""
    sampled = sample_test(example.arguments or example.keywords)
    axes = tree_map(
        lambda value: {0: torch.export.Dim.DYNAMIC} if sampled(value) else None, example.arguments or example.keywords
    )
    program = torch.onnx.export(
        network, example.arguments, kwargs=example.keywords, dynamic_shapes=axes, dynamo=True, verbose=False
    )
    if program is None or program.exported_program is None:
        raise Failure("torch.onnx returned no program")
    _check_outputs(network, program.exported_program.module(), example)
    return lambda path: program.save(path, external_data=False)


FORMATS = {
    "state": _Format(".pt", _prepare_state),
    "torchscript": _Format(".torchscript", _prepare_torchscript),
    "onnx": _Format(".onnx", _prepare_onnx),
}


def _prepare_save(name: str, prepare: _Prepare, network: nn.Module, example: _Example) -> _Save:
    """What saves a network in a format; `Failure` when it cannot be put into it."""
    try:
        return prepare(network, example)
    except Failure as reason:
        raise Failure(f"the network cannot be written as {name}: {reason}") from reason
    except Exception as error:
        raise Failure(f"the network cannot be written as {name}: {describe_error(error)}") from error


def _check_outputs(network: nn.Module, made: Callable[..., Any], example: _Example) -> None:
    """`Failure` when what a network was made into gives other outputs than it for another number of samples."""
    other = _Example.of(example.sample, 3)
    expected, got = other.outputs(network), other.outputs(made)
    if expected.shape != got.shape or not torch.allclose(expected, got, rtol=1e-4, atol=1e-5, equal_nan=True):
        raise Failure("it gives other outputs for a batch of another size; does the forward depend on the batch?")


@contextmanager
def _quiet_exporters() -> Iterator[None]:
    """No warnings about what torch deprecates in itself, and none of its exporter's remarks."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def _write_whole(path: Path, save: _Save) -> None:
    """Write a file as a whole, its folder made where it is missing; `InputError` where that cannot be."""
    make_folder(path.parent)
    replace_file(path, save)
