"""Finding the order id in a push URL, however the merchant wrote it. Pure.

Merchants choose the parameter's name; some send a URL that ends in the id, some a path segment
(Klarna docs, "Push", and the URLs of shop plugins).
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from werkzeug.datastructures import MultiDict

from pushes.model import is_order_id


class OrderIdError(ValueError):
    """There is no usable order id; the message names the parameter and the remedy."""


def find(names: Iterable[str], query: MultiDict[str, str]) -> str | None:
    """Return the order id, lower-cased: of the first parameter of `names` that has a value.

    An empty value counts as absent. None when no parameter has one; raises OrderIdError when
    the one that counts holds no order id.
    """
    for name in names:
        for value in query.getlist(name):
            if value.strip():
                return read(value, f"the parameter {name}")
    return None


def read(text: str, where: str) -> str:
    """Return the order id in `text`: one, or a URL that ends in one. Raises OrderIdError."""
    candidate = _last_segment(text.strip()).lower()
    if is_order_id(candidate):
        return candidate
    if "{" in text:
        raise OrderIdError(
            f"{where} still holds a placeholder: Klarna did not fill it in. Use "
            "{checkout.order.id} for Checkout, {order.id} for Payments."
        )
    raise OrderIdError(
        f"{where} holds no order id: expected the shape 8-4-4-4-12 of 0-9 and a-f, or a URL that "
        "ends in it."
    )


def segment(path: str) -> str | None:
    """Return the last segment of a path that is an order id, if one is."""
    found = [part for part in path.split("/") if is_order_id(part.lower())]
    return found[-1] if found else None


def _last_segment(text: str) -> str:
    if "/" not in text:
        return text
    try:
        path = urlsplit(text).path
    except ValueError:  # what looks like a URL and is none, e.g. an unclosed bracket
        return text
    return path.rstrip("/").rpartition("/")[2]
