"""Objects out of the user's own Python files."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from zerocost.base.errors import InputError, describe_error, unknown

_PREFIX = "zerocost_user_"


def loaded_files() -> dict[str, str]:
    """The user's files that `load_object` has loaded, by the names of their modules."""
    return {name: str(module.__file__) for name, module in sys.modules.items() if name.startswith(_PREFIX)}


def load_object(target: str) -> Any:
    """The object that `path/to/file.py:name` names.

    Raises:
        InputError: the file is missing, raises an error when it is imported, or does not have the name.
    """
    path, colon, name = target.rpartition(":")
    if not colon or not name or not path:
        raise InputError(f"expected FILE.py:NAME, such as my_model.py:build, but got {target!r}")
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no such file: {path}")
    spec = importlib.util.spec_from_file_location(f"{_PREFIX}{file.stem}", file.resolve())
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file; expected FILE.py:NAME")
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        if isinstance(spec.loader, SourceFileLoader):
            # Not by the loader, which takes a file that changed within a second and has its old size for unchanged.
            exec(compile(file.read_bytes(), str(file.resolve()), "exec", dont_inherit=True), vars(module))
        else:
            spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(spec.name, None)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise InputError(f"importing {path} raised {describe_error(error)}") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    if not hasattr(module, name):
        raise unknown(f"name in {path}:", name, _usable_names(module))
    return getattr(module, name)


def _usable_names(module: ModuleType) -> list[str]:
    """The functions, classes, tables and lists that a file defines itself."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (getattr(value, "__module__", None) == module.__name__ or isinstance(value, Mapping | list | tuple))
    ]


@dataclass(frozen=True)
class FileFunction:
    """A function that `path/to/file.py:name` names, read where it is first needed, so that other processes can have it.

    Raises:
        InputError: there is no such function.
    """

    target: str

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"{self.target} is a {type(self.function).__name__}, expected a function")

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        found: Callable[..., Any] = load_object(self.target)
        return found

    @property
    def __name__(self) -> str:
        return self.target.rpartition(":")[2]

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __reduce__(self) -> tuple[type[FileFunction], tuple[str]]:
        return FileFunction, (self.target,)
