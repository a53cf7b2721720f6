"""What an operator gives as a JSON file: order lines, addresses, parcels.

Refused: what is no JSON, and what Klarna would not take; the message names the field.
"""

import json
from collections.abc import Mapping
from typing import TextIO, TypeVar

import click
from pydantic import TypeAdapter, ValidationError

from klarna import OrderLine, ShippingInfo
from klarna.documents import Document

_D = TypeVar("_D", bound=Document)

# Windows' editors write a byte-order mark.
JSON_FILE = click.File(encoding="utf-8-sig")


def read(file: TextIO, where: str) -> object:
    """Read the JSON file that the option `where` names. Raises UsageError."""
    try:
        return json.loads(file.read())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise click.UsageError(f"{where}: is no JSON: {error}") from error


def make(model: type[_D], values: Mapping[str, object], where: str) -> _D:
    """Make what is sent. Raises UsageError naming the fields that Klarna would not take."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _usage(error, where) from error


def order_lines(file: TextIO, where: str) -> list[OrderLine]:
    """Read order lines: a list of them, or an object with `order_lines`. Raises UsageError."""
    return _many(OrderLine, file, where, "order_lines")


def parcels(file: TextIO, where: str) -> list[ShippingInfo]:
    """Read parcels: one, a list of them, or an object with `shipping_info`. Raises UsageError."""
    return _many(ShippingInfo, file, where, "shipping_info")


def _many(model: type[_D], file: TextIO, where: str, name: str) -> list[_D]:
    found = read(file, where)
    if isinstance(found, dict) and name in found:
        found = found[name]
    elif isinstance(found, dict):
        found = [found]
    try:
        return TypeAdapter(list[model]).validate_python(found)  # type: ignore[valid-type]
    except ValidationError as error:
        raise _usage(error, where) from error


def _usage(error: ValidationError, where: str) -> click.UsageError:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"  {'.'.join(map(str, one['loc'])) or 'all of it'}: {one['msg']}" for one in found]
    return click.UsageError("\n".join([f"{where}: Klarna would not take this:", *lines[:10]]))
