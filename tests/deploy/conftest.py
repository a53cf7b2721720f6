"""An installed release, and the tools that these tests need: Debian's, and those of a lock."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.local.processes import ROOT

# Where Debian puts servers; it is not on every user's PATH.
_SBIN = "/usr/sbin:/sbin"


@pytest.fixture(scope="session")
def debian_tool() -> Callable[[str, str], str]:
    """Find a command; a missing one fails the test, and says which package has it."""

    def find(command: str, package: str) -> str:
        found = shutil.which(command) or shutil.which(command, path=_SBIN)
        if found is None:
            pytest.fail(f"{command} is not installed: run `apt-get install {package}` as root")
        return found

    return find


@pytest.fixture(scope="session")
def check_tool() -> Callable[[str], str]:
    """Find a command of requirements/deploy.lock; a missing one fails the test."""

    def find(command: str) -> str:
        found = Path(sys.prefix) / "deploy" / "bin" / command
        if not found.exists():
            pytest.fail(f"{command} is not installed: run these tests by `make check-deploy`")
        return str(found)

    return find


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder as /opt/klarna-ack/current is: this checkout's files and its environment."""
    release = tmp_path / "current"
    release.mkdir()
    (release / "venv").symlink_to(sys.prefix)
    for name in ("deploy", "service", "worker", "pushes", "klarna", "notify", "cli"):
        (release / name).symlink_to(ROOT / name)
    return release
