"""The Python source that a network needs: the user's files, and of zerocost what a space is made of."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zerocost.base.files import make_folder, write_text
from zerocost.base.version import VERSION

_ROOT = Path(__file__).parents[2]
_COPIED = ("zerocost.base", "zerocost.spaces")
"""The packages of zerocost whose modules are copied: they need torch and numpy alone."""
_COPY = "zerocost_source"
_IMPORT = re.compile(r"^(\s*(?:from|import)) zerocost(?=[.\s])", re.MULTILINE)
_HEADER = f'"""Source of zerocost {VERSION} that the network is built with; licence: Apache-2.0."""\n'


@dataclass
class Source:
    """Source files, and what they need.

    Attributes:
        files: by their places in a folder of sources, each with its text.
        needs: names of the packages to be installed.
    """

    files: dict[Path, str] = field(default_factory=dict)
    needs: set[str] = field(default_factory=lambda: {"torch"})

    def write(self, folder: Path) -> None:
        """Write the files."""
        for place, text in self.files.items():
            make_folder((folder / place).parent)
            write_text(folder / place, text)


def collect(file: Path) -> Source:
    """A Python file, the files beside it that it imports, and what those import, down to installed packages.

    Imports of `zerocost.spaces` and `zerocost.base` are turned to a copy of those modules. A file that imports another
    part of zerocost stays as it is, and needs zerocost.
    """
    found = _collect(file, copy=True)
    return _collect(file, copy=False) if "zerocost" in found.needs else found


def collect_shipped(module: str) -> Source:
    """A module of zerocost and what it imports."""
    found = Source()
    _add_copied(found, module)
    return found


def copied_name(module: str) -> str:
    """The name that a module of zerocost has as a copy."""
    return module.replace("zerocost", _COPY, 1)


def _collect(file: Path, copy: bool) -> Source:
    """The source of a file; `copy` says whether zerocost's is copied."""
    found, waiting = Source(), [Path(file.name)]
    while waiting:
        place = waiting.pop()
        if place in found.files:
            continue
        text = (file.parent / place).read_text(encoding="utf-8")
        found.files[place] = _IMPORT.sub(rf"\1 {_COPY}", text) if copy else text
        for name in _imported_modules(text, place, file.parent):
            if copy and name.startswith(_COPIED):
                _add_copied(found, name)
            elif beside := list(_files_of(name, file.parent)):
                waiting += beside
            elif (package := name.partition(".")[0]) not in sys.stdlib_module_names:
                found.needs.add(package)
    return found


def _add_copied(found: Source, module: str) -> None:
    """Add a module of zerocost and what it imports; its packages get empty files unless they are imported themselves.

    So a copied space does not bring all the others.
    """
    root, waiting = _ROOT, [module]
    while waiting:
        name = waiting.pop()
        place = list(_files_of(name, root))[-1]
        copied = _COPY / place.relative_to("zerocost")
        if found.files.get(copied, _HEADER) != _HEADER:
            continue
        text = (root / place).read_text(encoding="utf-8")
        found.files[copied] = _IMPORT.sub(rf"\1 {_COPY}", text)
        for parent in copied.parents[:-1]:
            found.files.setdefault(parent / "__init__.py", _HEADER)
        for imported in _imported_modules(text, place, root):
            if imported.startswith("zerocost."):
                waiting.append(imported)
            elif (package := imported.partition(".")[0]) not in sys.stdlib_module_names:
                found.needs.add(package)


def _files_of(module: str, root: Path) -> Iterator[Path]:
    """The files under `root` of a module and of the packages that it is in, outermost first."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        place = Path(*parts[:count])
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if (root / file).is_file():
                yield file
                break


def _imported_modules(text: str, place: Path, root: Path) -> Iterator[str]:
    """The modules that a file imports as it runs, in full; of `from package import name` the module, if it is one."""
    package = place.parent.parts
    for node in _running(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                if alias.asname is None:
                    yield alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            within = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*within, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}" if base else alias.name
                is_module = _is_module(full, root) or _is_module(full, _ROOT)
                yield full if is_module else base


def _is_module(name: str, root: Path) -> bool:
    """Whether a name is that of a file or a folder under `root`."""
    place = root.joinpath(*name.split("."))
    return place.is_dir() or place.with_name(f"{place.name}.py").is_file()


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a syntax tree, but for what is there for type checkers alone or runs only as a script."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith(("TYPE_CHECKING", "__name__ == '__main__'")):
            continue
        yield node
        yield from _running(node)
