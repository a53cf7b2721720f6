"""The Procfile: how each process is started, wherever it is."""

import shlex
from pathlib import Path


def procfile(root: Path) -> dict[str, list[str]]:
    """Read the Procfile's commands by process name, as a shell would split them."""
    lines = (line.partition(":") for line in (root / "Procfile").read_text().splitlines())
    return {name: shlex.split(command) for name, _, command in lines}
