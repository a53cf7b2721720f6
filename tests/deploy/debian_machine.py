"""A Debian in a folder, as far as a test plays the machine that it would run on.

It has a network of its own, so its ports are nobody else's, and no init: what is asked of
`systemctl` is written down, and done here as the unit files say.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from devtools.local.processes import LoggedProcess
from tests.deploy.machines import Machine
from tests.deploy.unit_files import CURRENT, ServiceUnit

# As systemd makes one up for DynamicUser=.
_SOMEBODY = 61_184
_ASKED = "run/systemctl.asked"
_SYSTEMCTL = f'#!/bin/sh\necho "$*" >> /{_ASKED}\n'
_NOTHING = "#!/bin/sh\n"  # the kernel's settings belong to the machine that runs the test
_NOT_NOW = "#!/bin/sh\nexit 101\n"  # packages do not start what they bring
_DEBIANS = "lib/systemd/system"
_OURS = "etc/systemd/system"
_STARTED = {"klarna-ack-web": "Listening at", "klarna-ack-worker": "worker.started"}


class Shell:
    """A shell of root's in a Debian; a command that fails ends it."""

    def __init__(self, root: Path, enter: tuple[str, ...], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [*enter, "timeout", "600", "chroot", str(root), "sh", "-eu"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **env},
        )

    def run(self, block: str) -> str:
        """Run lines of shell; return what they print."""
        end = "the block has ended"
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{{\n{block}\n}} </dev/null\necho; echo '{end}'\n")
        self._process.stdin.flush()
        said = ""
        for line in self._process.stdout:
            if line.strip() == end:
                return said.removesuffix("\n")
            said += line
        raise AssertionError(f"a command failed:\n{block}\n\nIt said:\n{said[-5000:]}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass
class DebianMachine:
    """The Debian in `root`, with the network of `machine`."""

    root: Path
    machine: Machine
    logs: Path
    running: dict[str, LoggedProcess] = field(default_factory=dict)

    def prepare(self) -> None:
        """Put what asks for an init system, or for the kernel, in its place."""
        for path, script in (
            ("usr/sbin/policy-rc.d", _NOT_NOW),
            ("usr/local/sbin/systemctl", _SYSTEMCTL),
            ("usr/local/sbin/sysctl", _NOTHING),
        ):
            (self.root / path).write_text(script)
            (self.root / path).chmod(0o755)

    def carry_out(self) -> list[str]:
        """Do what systemctl was asked since the last time; return it."""
        file = self.root / _ASKED
        asked = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        for line in asked:
            what, *names = line.replace("--now ", "").split()
            for name in names:
                if name.endswith(".target") or (what == "reload" and name in self.running):
                    continue
                self.stop(name)
                self._start(name)
        return asked

    def stop(self, name: str) -> None:
        """Stop a unit, if it runs."""
        if process := self.running.pop(name, None):
            process.terminate()

    def stop_all(self) -> None:
        for name in reversed(list(self.running)):
            self.stop(name)

    def _start(self, name: str) -> None:
        start: Callable[[str], LoggedProcess] = {
            "redis-server": self._redis,
            "nginx": self._nginx,
        }.get(name, self._ours)
        self.running[name] = start(name)

    def _redis(self, name: str) -> LoggedProcess:
        unit = ServiceUnit.of(f"{name}.service", self.root / _DEBIANS)
        user = f"{unit.one('User')}:{unit.one('Group')}"
        made = f"install -d -o {unit.one('User')} /run/{unit.one('RuntimeDirectory')}"
        with closing(Shell(self.root, (), {})) as shell:
            shell.run(made)
        words = unit.one("ExecStart").replace("--supervised systemd", "").split()
        log = self.root / "var/log/redis/redis-server.log"
        before = log.stat().st_size if log.exists() else 0
        process = self._process(name, words, user, {})
        process.wait_until(lambda: log.exists() and "Ready to accept" in log.read_text()[before:])
        return process

    def _nginx(self, name: str) -> LoggedProcess:
        pid = self.root / "run/nginx.pid"
        process = self._process(name, ["/usr/sbin/nginx", "-g", "daemon off;"], "root", {})
        process.wait_until(pid.exists)
        return process

    def _ours(self, name: str) -> LoggedProcess:
        """As systemd starts a unit of ours: as nobody's user, with its settings and secrets."""
        kind, at, _ = name.partition("@")
        unit = ServiceUnit.of(f"{kind}{at}.service", self.root / _OURS)
        secrets = Path("/run/credentials") / name
        folder = self.root / secrets.relative_to("/")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for secret, source in unit.credentials.items():
            shutil.copyfile(self.root / source.lstrip("/"), folder / secret)
        for path in (folder, *folder.iterdir()):
            os.chown(path, _SOMEBODY, _SOMEBODY)
            path.chmod(0o500 if path.is_dir() else 0o400)
        env = unit.environment(secrets) | self._files(unit)
        process = self._process(name, unit.command(Path(CURRENT)), f"{_SOMEBODY}:{_SOMEBODY}", env)
        process.wait_for_line(_STARTED[kind])
        return process

    def _files(self, unit: ServiceUnit) -> dict[str, str]:
        """The settings of its EnvironmentFile, without what it takes back."""
        unset = {name for names in unit.all("UnsetEnvironment") for name in names.split()}
        found: dict[str, str] = {}
        for file in unit.all("EnvironmentFile"):
            path = self.root / file.lstrip("-/")
            if not file.startswith("-") or path.exists():
                pairs = (line.partition("=") for line in path.read_text().splitlines())
                found |= {name: value for name, _, value in pairs if name not in unset}
        return found

    def _process(
        self, name: str, words: list[str], user: str, env: dict[str, str]
    ) -> LoggedProcess:
        command = [*self.machine.enter, "chroot", f"--userspec={user}", "--groups="]
        command += [str(self.root), "env", f"--chdir={CURRENT}", *words]
        return LoggedProcess(name, command, env, self.logs / f"{name}.log", cwd=self.root)
