"""The peers' own virtual environment: `devtools/bench/.venv`, built once from the locks.

It holds the versions that the program runs on, plus the peers; the program's own environment
stays free of them.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from devtools.local.processes import ROOT

_HERE = Path(__file__).parent
_LOCKS = (ROOT / "requirements" / "run.lock", _HERE / "requirements.lock")
_DIRECTORY = _HERE.parent / ".venv"
_STAMP = _DIRECTORY / "installed"
_INSTALL_TIMEOUT_S = 600

# Not resolved: a virtual environment's python is a link.
PEERS_PYTHON = _DIRECTORY / "bin" / "python"


def build() -> bool:
    """Make the environment, unless it was made from the very same locks; say whether it was.

    Raises subprocess.CalledProcessError after pip said what is wrong. When it says that two locks
    disagree, `devtools/bench/peers/requirements.in` tells how to make the second one anew.
    """
    wanted = _digest()
    if _STAMP.is_file() and _STAMP.read_text() == wanted:
        return False
    venv.create(_DIRECTORY, with_pip=True, clear=True)
    command = [str(PEERS_PYTHON), "-m", "pip", "install", "--quiet", "--quiet", "--no-input"]
    command += ["--no-deps", "--disable-pip-version-check", "--require-hashes"]
    for lock in _LOCKS:
        command += ["--requirement", str(lock)]
    subprocess.run(command, check=True, timeout=_INSTALL_TIMEOUT_S)  # noqa: S603 - our own pip and locks
    _STAMP.write_text(wanted)
    return True


def pins() -> dict[str, str]:
    """Return the version of each package the peers run on."""
    lines = (line for lock in _LOCKS for line in lock.read_text().splitlines())
    pinned = (line.split()[0].partition("==") for line in lines if "==" in line)
    return {name: version for name, _, version in pinned}


def _digest() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for lock in _LOCKS:
        digest.update(lock.read_bytes())
    return digest.hexdigest()
