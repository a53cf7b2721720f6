"""A change counts as done once as many replicas have it as REDIS_WAIT_REPLICAS says.

Whoever made it sees it at once, however rarely the overview is read. Every view of the console and
of the JSON API is answered through here, so that none can forget it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, request

from pushes.access.principals import UserRole
from service import access, deps

# What is said of a change that too few replicas have.
NOT_SAFE = (
    "Too few replicas have what was written: it is done, but a failover could lose it. Bring"
    " Redis's replicas back, or lower REDIS_WAIT_REPLICAS; then look whether it is still done."
)


def confirm_all(app: Flask) -> None:
    """Let the views of the console and the API confirm what they change, before they answer."""
    for endpoint, view in app.view_functions.items():
        if endpoint.startswith(("ops.", "api.")):
            app.view_functions[endpoint] = _confirmed(view)


def is_change(view: Callable[..., Any]) -> bool:
    """Whether the request changes something by a view: who only looks around does not.

    Signing in and out is none: it has to work while replicas are away.
    """
    if request.method in {"GET", "HEAD", "OPTIONS"} or access.is_public(view):
        return False
    return access.role_for(view) is not UserRole.VIEWER


def _confirmed(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def confirmed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever a view takes
        answer = view(*arguments, **named)
        if is_change(view):
            found = deps.current()
            found.recent.note_change()
            if (request.endpoint or "").startswith("ops."):
                access.note_change()
            found.ledger.replicas.confirm()
        return answer

    return confirmed
