"""A network as files: its weights, TorchScript, ONNX."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from zerocost.base.errors import Failure, MissingExtraError, describe_error, unknown
from zerocost.base.files import make_folder, replace_file
from zerocost.engine.inputs import sample_test
from zerocost.engine.outputs import OutputPicker
from zerocost.search.sizes import first_sample, repeat_sample

_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def write_formats(
    model: nn.Module, inputs: Any, folder: str | Path, formats: Iterable[str], *, name: str = "best"
) -> dict[str, Path]:
    """Write a network as files, each whole or not at all; the model itself is left alone.

    - `state`: `NAME.pt`, the state dict, for `load_state_dict(torch.load(path, weights_only=True))`.
    - `safetensors`: `NAME.safetensors`, the same weights for `safetensors.torch.load_file`.
    - `torchscript`: `NAME.torchscript`, for `torch.jit.load`, without Python too.
    - `onnx`: `NAME.onnx`, for ONNX runtimes; needs the extra `onnx`.

    TorchScript and ONNX hold the network in eval mode on the CPU, for batches of any size. They are checked to give the
    network's outputs, to 1e-5, for a batch of another size than the one that was traced; ONNX by onnxruntime.

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
    ...     files = write_formats(nn.Linear(4, 2), torch.rand(1, 4), folder, ["state", "torchscript"])
    >>> {name: path.name for name, path in files.items()}
    {'state': 'best.pt', 'torchscript': 'best.torchscript'}
    """
    chosen = list(formats)
    check_formats(chosen)
    sample = first_sample(inputs)
    network = copy.deepcopy(model).cpu().eval()
    written: dict[str, Path] = {}
    for one in chosen:
        form = FORMATS[one]
        path = Path(folder) / f"{name}{form.suffix}"
        with _quiet_exporters(), torch.inference_mode(False), torch.no_grad():
            save = _prepare_save(one, form.prepare, network, Example.of(sample))
            make_folder(path.parent)
            replace_file(path, save)
        written[one] = path
    return written


def check_formats(formats: Iterable[str]) -> None:
    """`InputError` for an unknown format, `MissingExtraError` for one whose extra is not installed."""
    for one in formats:
        if one not in FORMATS:
            raise unknown("format", one, FORMATS)
        if one == "onnx" and not all(map(importlib.util.find_spec, _ONNX_PACKAGES)):
            raise MissingExtraError("ONNX needs the extra onnx: pip install 'zerocost[onnx]'")


class Example(NamedTuple):
    """A sample as a network is called with it."""

    sample: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    @classmethod
    def of(cls, sample: Any, count: int = 2) -> Example:
        """A batch of `count` times the sample: a tuple or list is unpacked, a mapping gives keywords."""
        batch = repeat_sample(sample, count)
        if isinstance(batch, Mapping):
            return cls(sample, (), dict(batch))
        return cls(sample, tuple(batch) if isinstance(batch, tuple | list) else (batch,), {})

    def outputs(self, network: Callable[..., Any]) -> list[Tensor]:
        """The tensors in what a network returns for it; of an object, its output."""
        returned = network(*self.arguments, **self.keywords)
        return [value for value in tree_leaves(returned) if isinstance(value, Tensor)] or [OutputPicker()(returned)]


_Save = Callable[[Path], object]
"""Writes a network to a path."""


_Prepare = Callable[[nn.Module, Example], _Save]


class _Format(NamedTuple):
    """How a network is written: `prepare` returns what saves it to a path."""

    suffix: str
    prepare: _Prepare


def _prepare_state(network: nn.Module, _: Example) -> _Save:
    """The state dict."""
    weights = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    return lambda path: torch.save(weights, path)


def _prepare_safetensors(network: nn.Module, _: Example) -> _Save:
    """The state dict, each tensor with memory of its own, as tied weights have none in this format."""
    from safetensors.torch import save_file

    weights = {name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()}
    return lambda path: save_file(weights, path)


def _prepare_torchscript(network: nn.Module, example: Example) -> _Save:
    """The network as traced by torch.jit."""
    given = {"example_kwarg_inputs": example.keywords} if example.keywords else {"example_inputs": example.arguments}
    traced = torch.jit.trace(network, **given, check_trace=False, strict=False)  # type: ignore[no-untyped-call]
    _check_outputs(network, traced, example)
    return lambda path: traced.save(str(path))


def _prepare_onnx(network: nn.Module, example: Example) -> _Save:
    """The network as torch.onnx translates it, the batch axis of any length."""
    sampled = sample_test(example.arguments or example.keywords)
    given = inspect.signature(network.forward).bind(*example.arguments, **example.keywords).arguments
    axes = tree_map(lambda value: {0: torch.export.Dim.DYNAMIC} if sampled(value) else None, given)
    program = torch.onnx.export(
        network, example.arguments, kwargs=example.keywords, dynamic_shapes=axes, dynamo=True, verbose=False
    )
    if program is None or program.exported_program is None:
        raise Failure("torch.onnx returned no program")
    serialised = program.model_proto.SerializeToString()
    _check_outputs(network, _onnx_function(serialised), example)
    return lambda path: path.write_bytes(serialised)


def _onnx_function(serialised: bytes) -> Callable[..., Any]:
    """A function that runs a network in onnxruntime, with the tensors among its arguments, and returns its outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(serialised, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*arguments: Any, **keywords: Any) -> list[Tensor]:
        values = [value.numpy() for value in tree_leaves((arguments, keywords)) if isinstance(value, Tensor)]
        return [torch.from_numpy(found) for found in session.run(None, dict(zip(names, values, strict=True)))]

    return run


FORMATS = {
    "state": _Format(".pt", _prepare_state),
    "safetensors": _Format(".safetensors", _prepare_safetensors),
    "torchscript": _Format(".torchscript", _prepare_torchscript),
    "onnx": _Format(".onnx", _prepare_onnx),
}


def _prepare_save(name: str, prepare: _Prepare, network: nn.Module, example: Example) -> _Save:
    """What saves a network in a format; `Failure` when it cannot be put into it."""
    try:
        return prepare(network, example)
    except Failure as reason:
        raise Failure(f"the network cannot be written as {name}: {reason}") from reason
    except Exception as error:
        described = describe_error(error.__cause__ or error)  # what torch.onnx raises says the stage alone
        raise Failure(f"the network cannot be written as {name}: {described}") from error


def _check_outputs(network: nn.Module, made: Callable[..., Any], example: Example) -> None:
    """`Failure` when what a network was made into gives other outputs than it for another number of samples."""
    other = Example.of(example.sample, 3)
    try:
        found = other.outputs(made)
    except Exception as error:
        raise Failure(
            "it cannot take a batch of another size; in the forward, take sizes from x.shape, not from len(x)"
        ) from error
    if not equal_outputs(other.outputs(network), found):
        raise Failure("it gives other outputs for a batch of another size; does the forward depend on the batch?")


def equal_outputs(expected: Sequence[Tensor], got: Sequence[Tensor]) -> bool:
    """Whether two networks returned the same tensors, to 1e-5."""
    return len(expected) == len(got) and all(
        a.shape == b.shape and torch.allclose(a, b, rtol=1e-5, atol=1e-5, equal_nan=True)
        for a, b in zip(expected, got, strict=True)
    )


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
