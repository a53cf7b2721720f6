"""One name, one thing: a class name stands once in the whole tree, tests and tools included."""

import ast
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from devtools.local.processes import ROOT


def python_files() -> Iterator[Path]:
    """Every Python file but those of environments, caches and builds."""
    for directory, subdirectories, names in os.walk(ROOT):
        subdirectories[:] = [
            name for name in subdirectories if not name.startswith((".", "__")) and name != "build"
        ]
        yield from (Path(directory, name) for name in names if name.endswith(".py"))


def test_it_gives_each_class_a_name_of_its_own() -> None:
    places = defaultdict(list)
    for file in python_files():
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{file.relative_to(ROOT)}:{node.lineno}")

    assert len(places) > 100
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
