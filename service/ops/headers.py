"""What browsers are told of every page: nothing inline, nothing of others, no frames, no copies."""

from flask import Blueprint, request
from werkzeug.datastructures import ContentSecurityPolicy
from werkzeug.wrappers import Response

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that know no frame-ancestors
    "Referrer-Policy": "same-origin",  # an address names orders
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def register(console: Blueprint) -> None:
    """Add the headers to whatever the console answers."""
    console.after_request(_add)


def _add(response: Response) -> Response:
    response.headers.update(_HEADERS)
    response.content_security_policy = ContentSecurityPolicy(
        {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
    )
    if request.endpoint != "ops.static":
        response.headers["Cache-Control"] = "no-store"
    return response
