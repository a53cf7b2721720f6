"""An installed release, a Debian, and the tools that these tests need: Debian's, and a lock's."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devtools.local.processes import ROOT

# Where Debian puts servers; it is not on every user's PATH.
_SBIN = "/usr/sbin:/sbin"
_DEBIAN_TIMEOUT_S = 900


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


@pytest.fixture(scope="session")
def debian(debian_tool: Callable[[str, str], str]) -> Iterator[Path]:
    """A folder that holds root.tar: a Debian 12 with next to nothing in it."""
    if os.geteuid() != 0:
        pytest.fail("a Debian is made as root here: run `make check-deploy` as root")
    folder = Path(tempfile.mkdtemp(prefix="klarna-ack-debian-"))
    make = [debian_tool("mmdebstrap", "mmdebstrap"), "--quiet", "--variant=minbase", "bookworm"]
    subprocess.run([*make, str(folder / "root.tar")], timeout=_DEBIAN_TIMEOUT_S, check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder as /opt/klarna-ack/current is: this checkout's files and its environment."""
    release = tmp_path / "current"
    release.mkdir()
    (release / "venv").symlink_to(sys.prefix)
    for name in ("deploy", "service", "worker", "pushes", "klarna", "notify", "cli"):
        (release / name).symlink_to(ROOT / name)
    return release
