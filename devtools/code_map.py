"""The tables of CONTRIBUTING's map, made from the tree: `make map` remakes them."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from devtools.reporting import markdown

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
FOLDERS = ("Folder", "What it holds", "Modules")
LARGEST = ("File", "Lines")

_ROOMS = ("service", "pushes", "worker", "klarna", "notify", "cli", "sandbox", "devtools")
_LARGEST_FILES = 10


def modules() -> dict[str, int]:
    """Count the modules of each folder, `__init__.py` left out."""
    counts: dict[str, int] = {}
    for file in _files("*.py"):
        folder = _name(file.parent)
        counts[folder] = counts.get(folder, 0) + (file.name != "__init__.py")
    return counts


def lines() -> dict[str, int]:
    """Count the lines of each file of code, the longest first."""
    counts = {_name(file): len(file.read_text().splitlines()) for file in _files("*.py", "*.lua")}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def remade(page: str) -> str:
    """Return the page with both tables as the tree is now."""
    folders = [(f"`{name}/`", _purpose(name), count) for name, count in modules().items()]
    largest = [(f"`{name}`", count) for name, count in list(lines().items())[:_LARGEST_FILES]]
    return _replaced(_replaced(page, FOLDERS, folders), LARGEST, largest)


def _files(*patterns: str) -> Iterator[Path]:
    for room in _ROOMS:
        for pattern in patterns:
            found = (ROOT / room).rglob(pattern)
            ours = (file for file in found if ".venv" not in file.parts)  # the benchmark has one
            yield from sorted(ours, key=lambda file: file.parts)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _purpose(folder: str) -> str:
    """Return the first line of a package's docstring."""
    module = ast.parse((ROOT / folder / "__init__.py").read_text())
    return (ast.get_docstring(module) or "").partition("\n")[0]


def _replaced(page: str, head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """Put new rows into the table with this head. Raises ValueError when there is none."""
    first = re.escape(f"| {' | '.join(head)} |")
    whole = re.compile(rf"^{first}(?:\n\|.*)*", re.MULTILINE)
    new, found = whole.subn(
        lambda _: markdown.table(head, rows, words=len(head) - 1), page, count=1
    )
    if not found:
        raise ValueError(f"{PAGE.name} has no table {head}")
    return new


if __name__ == "__main__":
    PAGE.write_text(remade(PAGE.read_text()))
