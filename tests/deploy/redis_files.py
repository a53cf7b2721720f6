"""The files of deploy/redis, made ready for a test."""

import hashlib
import re

from devtools.local.processes import ROOT

FOLDER = ROOT / "deploy" / "redis"
_PLACEHOLDER = re.compile(r"#([a-z]+)-password-sha256")


def with_passwords(text: str) -> str:
    """The file of users, the password of each being its name."""
    return _PLACEHOLDER.sub(lambda found: f"#{hashlib.sha256(found[1].encode()).hexdigest()}", text)
