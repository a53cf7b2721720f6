"""The processes of the Procfile, several of each, over one Redis and one sandbox."""

import re
from collections.abc import Mapping
from pathlib import Path

from devtools.chaos.member import Member

# Events that mean a mistake in the program; whatever Klarna and Redis do must not lead to one.
_OWN_FAULT = re.compile(
    r"failed_here|not_settled|record\.unreadable|attempt\.hung|foreign_job|^Traceback"
)


class Fleet:
    """Web processes and workers over one Redis and one sandbox."""

    def __init__(self, env: Mapping[str, str], logs: Path, *, webs: int, workers: int) -> None:
        self._logs = logs
        self.webs: list[Member] = []
        self.workers: list[Member] = []
        try:
            for number in range(1, webs + 1):
                self.webs.append(Member("web", number, env, logs))
            for number in range(1, workers + 1):
                self.workers.append(Member("worker", number, env, logs))
            for member in self.members:
                member.wait_ready()
        except BaseException:
            self.end()
            raise

    @property
    def members(self) -> list[Member]:
        """All of them."""
        return [*self.webs, *self.workers]

    def end(self) -> None:
        """Kill all, whatever state they are in."""
        for member in self.members:
            member.end()

    def faults(self) -> list[str]:
        """List the lines in which they say that they themselves failed."""
        return [
            f"{log.name}: {line[:300]}"
            for log in sorted(self._logs.glob("*.log"))
            for line in log.read_text(errors="replace").splitlines()
            if _OWN_FAULT.search(line)
        ]
