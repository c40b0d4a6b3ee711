"""Where the cost `latency` comes from: torch, onnxruntime, a table of layers, a command, or a function."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from zerocost.base.errors import Failure, InputError, MissingExtraError, describe_error, first_line
from zerocost.base.format import name_of
from zerocost.base.identity import identity
from zerocost.engine.failures import or_failure
from zerocost.engine.model.lazy import materialised
from zerocost.search.latency import LatencyMeter, Timing, latency, latency_conditions, processor, time_passes
from zerocost.search.own_costs import as_number
from zerocost.search.sizes import Cost, build_network, first_sample
from zerocost.spaces import Architecture, SearchSpace

LatencySource = str | Path | Callable[[nn.Module, Any], float]
"""Where latency comes from: "torch" or "torch:4" (threads), "onnxruntime" or "onnxruntime:4", "cmd: …" with the place
{onnx}, the .json file of a table of layers, FILE.py:NAME, or a function of a network and a sample that returns
milliseconds."""
_RUNTIME = re.compile(r"(torch|onnxruntime)(?::(\d+))?")
_COMMAND, _PLACE = "cmd:", "{onnx}"
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_MILLISECONDS = re.compile(rf"({_NUMBER.pattern})\s*ms\b")
_PATIENCE = 600.0
"""Seconds that a command may take."""


def latency_meter(source: LatencySource = "torch", device: str = "cpu", seconds: float = 2.0) -> LatencyMeter:
    """What measures latency as a source says.

    Args:
        source: a `LatencySource`.
        device: where torch runs; the other sources say themselves.
        seconds: when to stop measuring one network.

    Raises:
        InputError: a source that cannot be read, a file that is missing, or a device that cannot be used.
        MissingExtraError: onnxruntime without the extra `onnx`.

    >>> meter = latency_meter(lambda model, sample: 1.5)
    >>> meter.measure(nn.Linear(4, 2), torch.zeros(1, 4)).median
    1.5
    """
    if not isinstance(source, str | Path):
        if not callable(source):
            raise InputError(f"latency must be {_EXPECTED}, but got {source!r}")
        conditions = f"latency by function {name_of(source)}; {identity(source)}"
        return LatencyMeter(partial(_ask_function, source), conditions)
    text = str(source).strip()
    if found := _RUNTIME.fullmatch(text):
        return _RUNTIMES[found[1]](int(found[2]) if found[2] else None, device, seconds)
    if text.startswith(_COMMAND):
        command = text.removeprefix(_COMMAND).strip()
        if not command or _PLACE not in command:
            raise InputError(
                f"a latency command must have a place for the network's file, as in cmd: ./run.sh {_PLACE}"
            )
        _check_onnx()
        conditions = f"latency by {command}; {identity(*_files_in(command))}; processor={processor()}"
        return LatencyMeter(partial(_ask_command, command), conditions)
    if text.endswith(".json"):
        from zerocost.search.latency_table import LatencyTable

        table = LatencyTable.load(text)
        return LatencyMeter(
            lambda model, sample: Timing(table.predict(model, sample), 0.0, 0), f"latency by {table.key}"
        )
    if ".py:" in text:
        from zerocost.base.user_code import FileFunction

        return latency_meter(FileFunction(text))
    raise InputError(f"latency must be {_EXPECTED}, but got {text!r}")


def measured_latency(
    space: SearchSpace, inputs: Any, meter: LatencyMeter, kept: dict[str, Timing] | None = None
) -> Cost:
    """The latency in milliseconds of a space's full networks, each found when asked for, and once; twins share theirs.

    A measured value is never the same twice: `kept`, timings by the key that twins share, is read before anything is
    measured and gets what was. Keep it under the conditions of the meter.

    >>> from zerocost import spaces
    >>> space, images = spaces.get("cnn"), torch.zeros(1, 3, 32, 32)
    >>> arch = next(iter(space))
    >>> measured_latency(space, images, latency_meter(), {space.canonical(arch): Timing(1.5, 0.1, 20)})(arch)
    1.5
    """
    known = {} if kept is None else kept
    failed: dict[str, Failure] = {}
    sample = first_sample(inputs)

    def measure(arch: Architecture) -> Timing:
        return meter.measure(materialised(build_network(space, arch, "cpu"), sample), sample)

    def median(arch: Architecture) -> float | Failure:
        key = space.canonical(arch)
        if key not in known and key not in failed:
            found = or_failure(measure, arch)
            if isinstance(found, Timing) and found.median < 0:
                found = Failure(f"the latency is {found.median:g} ms, which is less than nothing")
            if isinstance(found, Failure):
                failed[key] = Failure(str(found))
            else:
                known[key] = found
        return failed[key] if key in failed else known[key].median

    return median


_EXPECTED = f"torch, onnxruntime, torch:THREADS, cmd: COMMAND {_PLACE}, a TABLE.json, FILE.py:NAME or a function"


def _by_torch(threads: int | None, device: str, seconds: float) -> LatencyMeter:
    """torch, with the threads that it is set to unless a number is given."""
    if threads == 0:
        raise InputError("torch needs at least 1 thread, but got torch:0")

    def measure(model: nn.Module, sample: Any) -> Timing:
        with _threads(threads):
            return latency(model, sample, device=device, seconds=seconds)

    with _threads(threads):
        return LatencyMeter(measure, latency_conditions(device=device))


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """torch with this many threads, and afterwards as before."""
    before = torch.get_num_threads()
    if count in (None, before):
        yield
        return
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _by_onnxruntime(threads: int | None, device: str, seconds: float) -> LatencyMeter:
    """onnxruntime on the CPU, with one thread unless a number is given."""
    _check_onnx()
    if device != "cpu":
        raise InputError(f"latency by onnxruntime is measured on the CPU, but got device {device}")
    if threads == 0:
        raise InputError("onnxruntime needs at least 1 thread, but got onnxruntime:0")
    import onnxruntime

    count = threads or 1
    conditions = f"processor={processor()}; threads={count}; onnxruntime={onnxruntime.__version__}"
    return LatencyMeter(partial(_time_onnxruntime, count, seconds), f"latency by onnxruntime; {conditions}")


_RUNTIMES = {"torch": _by_torch, "onnxruntime": _by_onnxruntime}


def _check_onnx() -> None:
    """`MissingExtraError` where networks cannot be written or run as ONNX."""
    if not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        raise MissingExtraError("latency by ONNX needs the extra onnx: pip install 'zerocost[onnx]'")


def _time_onnxruntime(threads: int, seconds: float, model: nn.Module, sample: Any) -> Timing:
    """The timing of a network in onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads, options.inter_op_num_threads = 3, threads, 1
    with _as_onnx(model, sample) as path:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    values = [value.numpy() for value in tree_leaves(sample) if isinstance(value, Tensor)]
    feed = dict(zip((one.name for one in session.get_inputs()), values, strict=True))
    return time_passes(lambda: session.run(None, feed), time.perf_counter, seconds)


@contextmanager
def _as_onnx(model: nn.Module, sample: Any) -> Iterator[Path]:
    """A file with a network as ONNX, for inputs of the sample's size; `Failure` where torch cannot translate it."""
    arguments = tuple(sample) if isinstance(sample, tuple | list) else (sample,)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                torch.onnx.export(model.cpu().eval(), arguments, path, dynamo=False)
            except Exception as error:
                raise Failure(f"the network cannot be written as onnx: {describe_error(error)}") from error
        yield path


def _ask_function(function: Callable[[nn.Module, Any], float], model: nn.Module, sample: Any) -> Timing:
    """What a function says."""
    found = as_number(name_of(function), lambda: function(model.eval(), sample))
    if isinstance(found, Failure):
        raise found
    return Timing(found, 0.0, 1)


def _ask_command(command: str, model: nn.Module, sample: Any) -> Timing:
    """The last number of milliseconds that a command prints, given the network as a file, or else the last number."""
    with _as_onnx(model, sample) as path:
        words = [word.replace(_PLACE, str(path)) for word in shlex.split(command)]
        try:
            ran = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failure(f"latency command {command} could not run: {error}") from error
    if ran.returncode:
        said = first_line(Exception(ran.stderr.strip() or "nothing on stderr"))
        raise Failure(f"latency command {command} ended with {ran.returncode}: {said}")
    numbers = _MILLISECONDS.findall(ran.stdout) or _NUMBER.findall(ran.stdout)
    if not numbers:
        raise Failure(f"latency command {command} printed no number, expected milliseconds")
    return Timing(float(numbers[-1].replace(",", "")), 0.0, 1)


def _files_in(command: str) -> list[bytes]:
    """The contents of the files that a command names."""
    words = [Path(word) for word in shlex.split(command)]
    return [word.read_bytes() for word in words if word.is_file() and os.access(word, os.R_OK)]
