"""A process that `klarna-ack dev` started, and what it logs."""

from dataclasses import dataclass, field
from pathlib import Path

import click

from devtools.local.supervised import Supervised

_LAST_LINES = 20


class DevError(Exception):
    """Something did not start, or ended; the message says what, and shows its last words."""


@dataclass
class Child:
    """A process of ours and the file it logs to."""

    name: str
    process: Supervised
    log: Path
    _shown_bytes: int = field(default=0, init=False)

    def check(self) -> None:
        """Raise DevError when it has ended: none of them ever should."""
        if (code := self.process.exit_code) is not None:
            raise DevError(f"{self.name} ended with exit code {code}\n{self.last_lines()}")

    def last_lines(self) -> str:
        """Return the end of its log, under a line with its name: the file itself is removed."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([f"==> {self.name} <==", *lines])

    def show_new_lines(self) -> None:
        """Print what it has logged since the last time, each line under its name."""
        with self.log.open("rb") as file:
            file.seek(self._shown_bytes)
            complete, newline, _ = file.read().rpartition(b"\n")
        self._shown_bytes += len(complete) + len(newline)
        for line in complete.decode(errors="replace").splitlines():
            click.echo(f"{self.name:8}| {line}")
