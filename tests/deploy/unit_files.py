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
    """The [Service] section of a unit and its drop-ins; a setting can stand there several times."""

    text: str

    @classmethod
    def of(cls, name: str, folder: Path = UNITS) -> "ServiceUnit":
        """The unit of that name, with the drop-ins beside it."""
        drop_ins = sorted((folder / f"{name}.d").glob("*.conf"))
        return cls("".join(file.read_text() for file in (folder / name, *drop_ins)))

    def all(self, setting: str) -> list[str]:
        """Its values; an empty one takes back those before it."""
        values: list[str] = re.findall(rf"^{setting}=(.*)$", self.text, re.MULTILINE)
        while "" in values:
            values = values[values.index("") + 1 :]
        return values

    def one(self, setting: str) -> str:
        (value,) = self.all(setting)
        return value

    @property
    def secrets(self) -> list[str]:
        """The names of its credentials."""
        return list(self.credentials)

    @property
    def credentials(self) -> dict[str, str]:
        """The file that each of its credentials comes from."""
        pairs = (value.partition(":") for value in self.all("LoadCredential"))
        return {name: path for name, _, path in pairs}

    def command(self, release: Path) -> list[str]:
        """Its command line, for a release that is installed somewhere else."""
        return shlex.split(self.one("ExecStart").replace(CURRENT, str(release)))

    def environment(self, credentials: Path) -> dict[str, str]:
        """What it sets, `%d` being the folder of its credentials."""
        pairs = (value.partition("=") for value in self.all("Environment"))
        unset = {name for names in self.all("UnsetEnvironment") for name in names.split()}
        return {
            name: value.replace("%d", str(credentials))
            for name, _, value in pairs
            if name not in unset
        }
