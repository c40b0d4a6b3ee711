"""The habits of CONTRIBUTING that can be counted: no cycles, short files, few parameters, private names."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
FILES = {".".join(f.relative_to(SOURCE).with_suffix("").parts): f for f in sorted(SOURCE.rglob("*.py"))}
MODULES = {name.removesuffix(".__init__"): file for name, file in FILES.items()}
USERS = [f for folder in ("src", "tests", "bench", "examples", "docs") for f in (ROOT / folder).rglob("*.[pm][yd]")]
SHOWN_BY_A_BASE = re.compile(r"engine\.watch|\.spaces|\.testing|integrations\.keras")
"""Where classes are found by their base class, or are layers, whose names scores in a store depend on."""
IMPORT = re.compile(r"from (zerocost[\w.]*) import (\([^)]*\)|[^\n#]+)")

if not FILES:
    pytest.skip("the tests run on an installed package, without its source", allow_module_level=True)


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def parameter_count(function: ast.FunctionDef) -> int:
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def used_names(text: str) -> set[tuple[str, str]]:
    """The names that a file takes from modules: imported, as attributes of imported modules, or spelled out in full."""
    names, modules = set(), {}
    for module, listed in IMPORT.findall(text):
        for item in listed.strip("()\n ").split(","):
            name, *alias = re.findall(r"\w+", item) or [""]
            names.add((module, name))
            modules[alias[1] if alias[:1] == ["as"] else name] = f"{module}.{name}"
    for module in set(modules) & set(re.findall(r"(?<![\w.])(\w+)\.", text)):
        names |= {(modules[module], name) for name in re.findall(rf"(?<![\w.]){module}\.(\w+)", text)}
        names |= {(modules[module], name) for name in re.findall(rf'\({module}, "(\w+)"', text)}
    return names | {tuple(full.rsplit(".", 1)) for full in re.findall(r"zerocost(?:\.\w+)+", text)}


def imported_modules(tree: ast.AST) -> set[str]:
    """The modules of zerocost that a file imports, also lazily or for types alone."""
    found = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in MODULES else str(node.module) for name in inside}
    return found & MODULES.keys()


def test_no_two_modules_import_each_other():
    graph = {name: imported_modules(ast.parse(file.read_text())) - {name} for name, file in MODULES.items()}
    assert set(TopologicalSorter(graph).static_order()) == MODULES.keys()  # a cycle raises, and is named


def test_a_file_has_at_most_300_lines():
    long = [name for name, file in FILES.items() if len(file.read_text().splitlines()) > 300]
    assert long == ["zerocost.testing.zoo"]


def test_few_functions_take_more_than_six_parameters():
    many = [f.name for file in FILES.values() for f in functions(ast.parse(file.read_text())) if parameter_count(f) > 6]
    assert len(many) <= 12


def test_what_no_other_file_uses_begins_with_an_underscore():
    used = set().union(*(used_names(file.read_text()) for file in USERS if "_build" not in file.parts))
    public = set()
    for module, file in FILES.items():
        for node in ast.parse(file.read_text()).body if file.stem not in ("__init__", "__main__") else ():
            found = isinstance(node, ast.ClassDef) and SHOWN_BY_A_BASE.search(module)
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list and not found:
                public |= {f"{module}.{node.name}"} if (module, node.name) not in used else set()
    private = {name for name in public if name.rsplit(".", 1)[1].startswith("_")}
    assert sorted(public - private) == []
