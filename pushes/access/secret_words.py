"""Random words that are handed out once, and what is kept of them: a digest that opens nothing.

They have 256 bits, so that a fast digest is enough. Passwords are people's, and are hashed slowly:
see `pushes.access.users`.
"""

import secrets
from hashlib import sha256

_BYTES = 32


def new() -> str:
    """Make a word for a URL, a cookie or a header."""
    return secrets.token_urlsafe(_BYTES)


def digest(word: str) -> str:
    """Return what is kept of a word."""
    return sha256(word.encode()).hexdigest()
