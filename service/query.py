"""A request whose query string may hold anything: bytes that are no UTF-8 are replaced, not fatal.

Werkzeug raises for them, which would make bad input look like a fault of ours.
"""

from functools import cached_property
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.datastructures import ImmutableMultiDict, MultiDict


class TolerantRequest(Request):
    """Flask's request; only `args` differs."""

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """Return the query's parameters, empty ones included."""
        query = self.query_string.decode(errors="replace")
        return ImmutableMultiDict(parse_qsl(query, keep_blank_values=True, errors="replace"))
