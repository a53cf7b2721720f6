"""Read the unit files of deploy/systemd/ as far as a test plays systemd."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from devtools.local.processes import ROOT

UNITS = ROOT / "deploy" / "systemd"
CURRENT = "/opt/klarna-ack/current"


@dataclass(frozen=True, slots=True)
class ServiceUnit:
    """The [Service] section of a unit; each setting can stand there several times."""

    text: str

    @classmethod
    def of(cls, name: str) -> "ServiceUnit":
        return cls((UNITS / name).read_text())

    def all(self, setting: str) -> list[str]:
        return re.findall(rf"^{setting}=(.*)$", self.text, re.MULTILINE)

    def one(self, setting: str) -> str:
        (value,) = self.all(setting)
        return value

    @property
    def secrets(self) -> list[str]:
        """The names of its credentials."""
        return [value.partition(":")[0] for value in self.all("LoadCredential")]

    def command(self, release: Path) -> list[str]:
        """Its command line, for a release that is installed somewhere else."""
        return shlex.split(self.one("ExecStart").replace(CURRENT, str(release)))

    def environment(self, credentials: Path) -> dict[str, str]:
        """What it sets, `%d` being the folder of its credentials."""
        pairs = (value.partition("=") for value in self.all("Environment"))
        return {name: value.replace("%d", str(credentials)) for name, _, value in pairs}
