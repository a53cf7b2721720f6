"""Where the servers of a test run: on loopback, or each in a network namespace as on its machine.

A namespace's cable can be pulled: then nothing comes through any more, and no connection is closed.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

_NETWORK = "10.213.77"  # no route leads there: it ends with the test
GATEWAY = f"{_NETWORK}.254"  # this machine, as those in namespaces see it


@dataclass(frozen=True)
class Machine:
    """One of them, by its address as all others see it."""

    host: str = "127.0.0.1"
    enter: tuple[str, ...] = ()  # what a command is to begin with, to run there
    cable: str = field(default="", repr=False)

    def unplug(self) -> None:
        _ip("link", "set", self.cable, "down")

    def plug(self) -> None:
        _ip("link", "set", self.cable, "up")


@contextmanager
def on_loopback(count: int) -> Iterator[list[Machine]]:
    yield [Machine()] * count


@contextmanager
def in_namespaces(count: int) -> Iterator[list[Machine]]:
    """Machines on one switch, to which this one is connected, too. Needs root and iproute2."""
    switch = f"ka{os.getpid()}"
    with ExitStack() as opened:
        _add(opened, ("link", "add", switch, "type", "bridge"), ("link", "del", switch))
        _ip("address", "add", f"{GATEWAY}/24", "dev", switch)
        _ip("link", "set", switch, "up")
        machines = []
        for number in range(1, count + 1):
            name = f"{switch}-{number}"
            machine = Machine(f"{_NETWORK}.{number}", ("ip", "netns", "exec", name), name)
            _add(opened, ("netns", "add", name), ("netns", "del", name))
            _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", name, "master", switch, "up")
            _ip("-n", name, "address", "add", f"{machine.host}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", name, "link", "set", device, "up")
            machines.append(machine)
        yield machines


def _add(opened: ExitStack, command: tuple[str, ...], undo: tuple[str, ...]) -> None:
    _ip(*command)
    opened.callback(_ip, *undo)


def _ip(*command: str) -> None:
    found = shutil.which("ip")
    assert found, "ip is not installed: run `apt-get install iproute2` as root"
    ran = subprocess.run([found, *command], capture_output=True, text=True, check=False)
    needs = "this needs root, with CAP_NET_ADMIN and CAP_SYS_ADMIN"
    assert ran.returncode == 0, f"ip {' '.join(command)}: {ran.stderr.strip()}; {needs}"
