"""A network as one folder that stands alone: weights, the source that builds it, its settings and preparation."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zerocost.base.errors import Failure, InputError, describe_error
from zerocost.base.files import check_folder, make_folder, write_text
from zerocost.base.seeding import seeded
from zerocost.base.version import VERSION
from zerocost.search import standalone
from zerocost.search.formats import Example, check_formats, equal_outputs, write_formats
from zerocost.search.origin import Origin
from zerocost.search.preparation import describe_inputs, plain
from zerocost.search.sizes import first_sample
from zerocost.search.sources import Source

_FILES = {"network": "network.py", "settings": "settings.json", "readme": "README.txt", "source": "source"}


def export(
    model: nn.Module,
    inputs: Any,
    folder: str | Path,
    formats: Iterable[str] = ("safetensors",),
    *,
    origin: Origin | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Path]:
    """Write a network as a folder that loads where zerocost is not installed; the model itself is left alone.

    - `best.pt`: the weights as state dict; beside it the other formats that are asked for, see `write_formats`.
    - `network.py` and `source`: plain Python that builds the network, written where `origin` is given, and checked to
      give the network's outputs. `from FOLDER.network import load, prepare, read`: `load()` is the network with its
      weights, `prepare(raw)` makes its inputs, `read(outputs)` says what its outputs mean.
    - `settings.json`: what the network is and how it was made. `README.txt`: how to load it.

    `source` holds your own file and those beside it that it imports; of a shipped space, and where your file imports
    `zerocost.spaces`, the modules of zerocost that this takes. Only a file that imports another part of zerocost needs
    zerocost still, and the README says so.

    Args:
        model: the network, trained or not.
        inputs: what it takes, a tensor or a structure of tensors; the first sample is used.
        folder: where to write, made where it is missing; an earlier export in it is replaced.
        formats: what to write besides the state dict: `safetensors`, `torchscript`, `onnx`.
        origin: where the network comes from.
        settings: what `settings.json` says besides that: `inputs`, as of `describe_inputs`; `outputs`, as of
            `describe_tensor` and `describe_outputs`; `seed`, that the network was built with, 0 by default; and
            anything else.

    Returns:
        The file of each format, and `network`, `settings` and `readme`.

    Raises:
        InputError: an unknown format, space or architecture, or a folder that cannot be written to or has other files
            of these names.
        MissingExtraError: `onnx` without the extra.
        Failure: the network cannot be written in a format, or its source does not give the same network; the weights
            are written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(path.name for path in export(nn.Linear(4, 2), torch.rand(1, 4), folder).values())
    ['README.txt', 'best.pt', 'best.safetensors', 'settings.json']
    """
    further = [one for one in formats if one != "state"]
    check_formats(further)
    check_export(folder)
    place = Path(folder)
    files = {name: place / file for name, file in _FILES.items()}
    said = {} if origin is None else origin.settings()
    source = Source() if origin is None else origin.source
    said |= {"inputs": describe_inputs(inputs), "seed": 0, **(settings or {})}
    said |= {"needs": _versions(source.needs), "zerocost": VERSION}
    written = write_formats(model, inputs, place, ["state"])
    write_text(files["settings"], json.dumps(plain(said), indent=2, ensure_ascii=False) + "\n")
    if origin is not None:
        _remove_bytecode(place)
        make_folder(files["source"])
        source.write(files["source"])
        write_text(files["network"], inspect.getsource(standalone))
        _check_source(model, inputs, files["network"])
        written["network"] = files["network"]
    written |= write_formats(model, inputs, place, further)
    write_text(files["readme"], _readme(place, said, [path.name for path in written.values()]))
    return written | {name: files[name] for name in ("settings", "readme")}


def check_export(folder: str | Path | None) -> None:
    """`InputError` for a folder that cannot be written to, or has files of its own that an export would replace."""
    check_folder(folder)
    if folder is None or (Path(folder) / "best.pt").exists():
        return
    for name in _FILES.values():
        if (Path(folder) / name).exists():
            raise InputError(f"the folder {folder} has a {name} of its own; give a new folder to export to")


def _versions(needs: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of the packages that a network needs, as far as they say them."""
    versions = {name: getattr(sys.modules.get(name), "__version__", "any version") for name in sorted(needs)}
    return {"python": platform.python_version()} | {name: str(version) for name, version in versions.items()}


def _check_source(model: nn.Module, inputs: Any, file: Path) -> None:
    """`Failure` when the `network.py` of an export does not give the network's outputs."""
    example = Example.of(first_sample(inputs))
    spec = importlib.util.spec_from_file_location("exported_network", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        loaded = module.load()
        with torch.no_grad(), seeded(0):
            got = example.outputs(loaded)
    except Exception as error:
        raise Failure(f"the network's source does not build it in another folder: {describe_error(error)}") from error
    finally:
        _remove_bytecode(file.parent)
    with torch.no_grad(), seeded(0):
        expected = example.outputs(copy.deepcopy(model).cpu().eval())
    if not equal_outputs(expected, got):
        raise Failure("the network's source builds one of other outputs; does it depend on more than its choices?")


def _remove_bytecode(folder: Path) -> None:
    """Remove what Python compiled of the source of an export."""
    for cache in (folder / "__pycache__", *(folder / _FILES["source"]).rglob("__pycache__")):
        shutil.rmtree(cache, ignore_errors=True)


def _readme(folder: Path, said: Mapping[str, Any], files: Iterable[str]) -> str:
    """What the folder is and how the network is loaded, in five lines."""
    name, needs = folder.resolve().name, dict(said["needs"])
    load = f"beside your code: `from {name}.network import load, prepare, read; model = load()`"
    if not name.isidentifier():
        load = "with Python started in this folder: `from network import load, prepare, read; model = load()`"
    reads = "outputs" in said
    use = f"`outputs = {'read(' * reads}model({_passing(said['inputs'])}prepare(inputs)){')' * reads}`"
    lines = [
        f"{_title(said)}, written by zerocost {VERSION}; settings.json has its scores, training and versions.",
        f"Load it {load}.",
        f"Use it: {use}; settings.json says what the inputs and outputs are.",
        f"It needs {', '.join(f'{package} (made with {version})' for package, version in needs.items())}"
        f"{', as a file in source/ imports it' if 'zerocost' in needs else '; zerocost is not needed'}.",
        f"Files: {', '.join(files)}; best.pt holds the weights, network.py and source/ build the network.",
    ]
    if "source" not in said:
        lines[1:3] = ["Load its weights: `network.load_state_dict(torch.load('best.pt', weights_only=True))`."]
        lines[-1] = f"Files: {', '.join(files)}."
    return "\n".join(lines) + "\n"


def _passing(inputs: Any) -> str:
    """The stars that pass several inputs to a network by their names or places; none for a single one."""
    if isinstance(inputs, Mapping):
        return "" if "dtype" in inputs else "**"
    return "*"


def _title(said: Mapping[str, Any]) -> str:
    """What the network is, in words."""
    if "source" not in said:
        return "A network"
    whose = f"The network {said['source']['name']} of {said['source']['module']}.py"
    return whose if said["architecture"] is None else f"The network {said['architecture']} of space {said['space']}"
