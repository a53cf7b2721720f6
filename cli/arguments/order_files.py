"""Order ids in a file: one a line, quoted or not, a shop's CSV, or JSON lines.

Line by line, so that a wrong one costs only itself and has a number. So a cell of a CSV must not
hold a line break; what stands behind one is a line without an id.
"""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from pushes.model import is_order_id

# What shops and Klarna call the order id, in the first line of a CSV or in JSON; the first counts.
COLUMNS = ("klarna_order_id", "kustom_order_id", "klarna_id", "order_id", "checkout_order_id")

_DELIMITERS = ",;\t|"

# So much of a line at fault is shown.
_SHOWN = 60


class BadLine(TypedDict):
    """A line that names no order, or more than one."""

    line: int
    text: str
    detail: str


@dataclass(frozen=True, slots=True)
class OrderFile:
    """What a file names: order ids, lower-cased and each once, and the lines at fault."""

    ids: list[str]
    bad_lines: list[BadLine]


class _LineError(ValueError):
    """A line that names no order, or more than one; the message says which."""


def read(lines: Iterable[str]) -> OrderFile:
    """Read the ids of a file, past blank lines and those that begin with `#`."""
    ids: dict[str, None] = {}
    bad: list[BadLine] = []
    column: int | None = None
    is_first = True
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            if is_first and (column := _column_of(text)) is not None:
                continue
            ids[_id_of(text, column)] = None
        except _LineError as error:
            shown = text[:_SHOWN]
            detail = f"line {number}: {shown!r} {error}"
            bad.append({"line": number, "text": shown, "detail": detail})
        finally:
            is_first = False
    return OrderFile(list(ids), bad)


def _column_of(text: str) -> int | None:
    """Find the order id's column in the first line of a CSV; None when that is no such line."""
    if text.startswith("{"):
        return None
    names = [_name(cell) for cell in _cells(text)]
    return next((names.index(name) for name in COLUMNS if name in names), None)


def _id_of(text: str, column: int | None) -> str:
    if text.startswith("{"):
        return _only([_json_value(text)])
    cells = _cells(text)
    named = cells[column] if column is not None and column < len(cells) else ""
    return _only([named] if is_order_id(_bare(named).lower()) else cells)


def _only(texts: Iterable[str]) -> str:
    """Return the one order id among the texts. Raises _LineError unless there is just one."""
    found = dict.fromkeys(filter(is_order_id, (_bare(text).lower() for text in texts)))
    if not found:
        raise _LineError("names no order id")
    if len(found) > 1:
        raise _LineError(
            "has several ids: name the columns in the first line, the order id's one of"
            f" {', '.join(COLUMNS)}"
        )
    return next(iter(found))


def _json_value(text: str) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _LineError("is no JSON") from error
    values = {_name(name): str(value) for name, value in document.items()}
    for name in COLUMNS:
        if name in values:
            return values[name]
    raise _LineError(f"has none of {', '.join(COLUMNS)}")


def _cells(text: str) -> list[str]:
    """Split a line at its delimiter, quotes respected."""
    delimiter = max(_DELIMITERS, key=text.count)
    try:
        return next(csv.reader([text], delimiter=delimiter))
    except csv.Error as error:  # a cell of 128 KiB
        raise _LineError("is no CSV") from error


def _bare(text: str) -> str:
    """Take a comment, quotes and spaces away."""
    return text.partition("#")[0].strip(" \t'\"")


def _name(text: str) -> str:
    """Write a column's name as `COLUMNS` does."""
    return "_".join(_bare(text).lower().replace("-", " ").replace("_", " ").split())
