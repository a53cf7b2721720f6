"""What is shipped: setuptools is told each package by name, and would leave a new one out."""

import tomllib

from devtools.local.processes import ROOT

PROGRAM = ("cli", "klarna", "pushes", "sandbox", "service", "worker")


def test_it_ships_every_package_of_the_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for package in PROGRAM
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == found
