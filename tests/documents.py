"""Reading the documents: their tables, what stands in backticks, their code."""

import re
from collections.abc import Iterator
from pathlib import Path

from devtools.local.processes import ROOT

README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
BEHAVIOUR = ROOT / "docs" / "behaviour.md"
METRICS = ROOT / "docs" / "metrics.md"
NOTIFICATIONS = ROOT / "docs" / "notifications.md"
OPERATIONS = ROOT / "docs" / "operations.md"
RUNBOOK = ROOT / "docs" / "runbook.md"
DOCUMENTS = [
    README,
    ROOT / "CHANGELOG.md",
    CONTRIBUTING,
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def table(document: Path, line: str) -> list[list[str]]:
    """Return the cells of the table that `line` begins, or of the first one below that heading.

    The two head rows are left out.
    """
    _, found, below = document.read_text().partition(f"\n{line}\n")
    assert found, f"{document.name} has no line {line!r}"
    rows = re.search(r"^\|.*(?:\n\|.*)*", found + below, re.MULTILINE)
    assert rows, f"there is no table at {line!r}"
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in rows[0].splitlines()[2:]]


def words(text: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def code(document: Path) -> Iterator[str]:
    """Yield each line of the fenced blocks, and each inline piece of code."""
    prose = document.read_text()
    for block in re.findall(r"^```\w*\n(.*?)^```", prose, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from words(re.sub(r"^```.*?^```", "", prose, flags=re.MULTILINE | re.DOTALL))
