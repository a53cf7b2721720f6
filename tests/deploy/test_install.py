"""docs/install.md, done as it says: from a bare Debian to two accounts behind nginx with TLS.

Every command is copied from the document. Changed are only what it says is the reader's own, and
what a folder cannot be: it has no init and no kernel of its own.
"""

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from devtools.local.processes import ROOT, LoggedProcess, poll
from devtools.local.sandbox_control import SandboxControl
from tests.builders import an_order_id
from tests.deploy.debian_machine import DebianMachine, Shell
from tests.deploy.machines import GATEWAY, in_namespaces

INSTALL = ROOT / "docs" / "install.md"
PUSH_HOST, OPS_HOST = "push.example.com", "ops.example.com"  # as in the document
_SOURCE = "/root/klarna-ack.git"
_CERTIFICATE = "/etc/letsencrypt/live/push.example.com"  # as in the document
_AUTHORITIES = "/run/authorities.pem"
_MAKE_CERTIFICATE = (
    f"mkdir -p {_CERTIFICATE}; cd {_CERTIFICATE}; openssl req -x509 -newkey rsa:2048 -nodes"
    f" -subj /CN={PUSH_HOST} -addext subjectAltName=DNS:{PUSH_HOST},DNS:{OPS_HOST}"
    " -days 30 -keyout privkey.pem -out fullchain.pem"
)


def sections() -> dict[str, list[str]]:
    """The blocks of shell below each heading, in the document's order."""
    parts = re.split(r"^## (.*)$", INSTALL.read_text(), flags=re.MULTILINE)[1:]
    found = {
        heading: re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }
    return {heading: blocks for heading, blocks in found.items() if blocks}


def with_own(block: str, own: dict[str, str]) -> str:
    """A block of what is the reader's own, with other values."""
    for name, value in own.items():
        block, changed = re.subn(rf"^{name}=\S+", f"{name}={value}", block, flags=re.MULTILINE)
        assert changed == 1, name
    return block


@dataclass(frozen=True)
class Outside:
    """Whoever reaches the machine over the network, as Klarna does."""

    host: str
    certificate: str

    def request(
        self,
        method: str,
        name: str,
        path: str,
        body: str = "",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, http.client.HTTPMessage, str]:
        """Ask the server of that name over TLS: status, headers, body."""
        context = ssl.create_default_context(cadata=self.certificate)
        plain = socket.create_connection((self.host, 443), timeout=20)
        connection = http.client.HTTPSConnection(name, timeout=20, context=context)
        connection.sock = context.wrap_socket(plain, server_hostname=name)
        with closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()


@pytest.fixture
def root(debian: Path, debian_tool: Callable[[str, str], str]) -> Iterator[Path]:
    """A Debian, and in it the release as a repository to clone from."""
    folder = Path(tempfile.mkdtemp(prefix="klarna-ack-machine-"))
    root = folder / "root"
    root.mkdir(mode=0o755)
    with tarfile.open(debian / "root.tar") as tar:
        tar.extractall(root, filter="fully_trusted")  # noqa: S202 - we made it
    source = root / _SOURCE.lstrip("/")
    source.mkdir()
    git = debian_tool("git", "git")
    listed = [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    author = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for command in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "-qm", "Release"]):
        subprocess.run([git, *command], cwd=source, check=True)
    authorities = ssl.get_default_verify_paths()
    shutil.copy(authorities.cafile or authorities.openssl_cafile, root / _AUTHORITIES.lstrip("/"))
    (root / "etc/pip.conf").write_text(f"[global]\ncert = {_AUTHORITIES}\n")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    yield root
    shutil.rmtree(folder)


@pytest.fixture
def machine(root: Path, tmp_path: Path) -> Iterator[DebianMachine]:
    with in_namespaces(1) as (place,):
        hosts = f"127.0.0.1 localhost\n{place.host} {PUSH_HOST} {OPS_HOST}\n"
        (root / "etc/hosts").write_text(hosts)
        machine = DebianMachine(root, place, tmp_path)
        machine.prepare()
        yield machine
        machine.stop_all()


@pytest.fixture
def klarna(machine: DebianMachine, tmp_path: Path) -> Iterator[SandboxControl]:
    """A stand-in for Klarna, on the machine's own network, with two merchants."""
    command = [*machine.machine.enter, sys.executable, "-m", "sandbox"]
    everywhere = ["--host", "0.0.0.0", "--port", "8081"]  # noqa: S104 - of a network of its own
    with LoggedProcess("sandbox", [*command, *everywhere], {}, tmp_path / "klarna") as process:
        process.wait_for_line("listening")
        with closing(SandboxControl(f"http://{machine.machine.host}:8081")) as control:
            control.settings(merchants={"two": "hush"})
            yield control


@pytest.fixture
def shell(machine: DebianMachine) -> Iterator[Callable[[tuple[str, ...]], Shell]]:
    """Opens shells of root's in the Debian; the first has this machine's network, for packages."""
    certificate = f"{_CERTIFICATE}/fullchain.pem"
    trusts = {"SSL_CERT_FILE": certificate, "REQUESTS_CA_BUNDLE": certificate}
    env = {"DEBIAN_FRONTEND": "noninteractive", "HOME": "/root", "LANG": "C.UTF-8"}
    opened: list[Shell] = []

    def start(enter: tuple[str, ...]) -> Shell:
        opened.append(Shell(machine.root, enter, env | (trusts if enter else {})))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.mark.timeout(600)  # a Debian is made, and packages are fetched
def test_it_leads_from_a_bare_debian_to_two_accounts_behind_nginx(
    machine: DebianMachine, klarna: SandboxControl, shell: Callable[[tuple[str, ...]], Shell]
) -> None:
    todo = sections()
    (own,) = todo.pop("What is yours")
    own = with_own(
        own,
        {
            "RELEASE": _SOURCE,
            "OFFICE": GATEWAY,
            "KLARNA_API_URL": "http://127.0.0.1:8081",
            "KLARNA_USERNAME": "sandbox",
            "KLARNA_PASSWORD": "sandbox",
        },
    )
    fetching = shell(())
    fetching.run(own)
    for block in todo.pop("The release"):
        fetching.run(block)
    fetching.run(_MAKE_CERTIFICATE)

    here = shell(machine.machine.enter)
    here.run(f"{own}\ncd /opt/klarna-ack/current")

    def follow(heading: str) -> list[str]:
        said = []
        for block in todo.pop(heading):
            said.append(here.run(block))
            machine.carry_out()
        return said

    for heading in ("Redis", "Settings and secrets", "nginx", "Start"):
        follow(heading)
    (looked,) = follow("Look")
    assert re.search(r"workers alive +2", looked), looked
    assert not re.search(r"^(failed|warning)", looked, re.MULTILINE), looked

    certificate = (machine.root / f"{_CERTIFICATE}/fullchain.pem".lstrip("/")).read_text()
    outside = Outside(machine.machine.host, certificate)
    (printed,) = follow("Let Klarna push")
    url = printed.strip().removeprefix(f"https://{PUSH_HOST}")
    first = klarna.create_order()
    pushed = outside.request("POST", PUSH_HOST, url.replace("{checkout.order.id}", first))
    assert pushed[0] == 200, pushed

    def state(order_id: str) -> str:
        return str(json.loads(here.run(f"klarna-ack show --json {order_id}"))["state"])

    poll(lambda: state(first) == "acknowledged", 30)
    assert klarna.order(first)["acknowledged"]

    (signed_in,) = follow("The console")
    link = re.search(rf"https://{OPS_HOST}(/ops/link\?code=\S+)", signed_in)
    assert link, signed_in
    assert "anna" in outside.request("GET", OPS_HOST, link[1])[2]
    assert outside.request("GET", PUSH_HOST, link[1])[0] == 404

    second_own = todo["A second account"].pop(0)
    here.run(with_own(second_own, {"SECOND_USERNAME": "two", "SECOND_PASSWORD": "hush"}))
    follow("A second account")
    assert todo == {}
    accounts = tomllib.loads((machine.root / "etc/klarna-ack/web/accounts.toml").read_text())
    token = accounts["accounts"]["sweden"]["push_token"]
    second = klarna.create_order(merchant="two")
    answers = [
        outside.request("POST", PUSH_HOST, f"/push/sweden?klarna_order_id={second}&token={each}")[0]
        for each in (url.rpartition("=")[2], token)
    ]
    assert answers == [404, 200]
    poll(lambda: state(second) == "acknowledged", 30)
    third = klarna.create_order()
    assert outside.request("POST", PUSH_HOST, url.replace("{checkout.order.id}", third))[0] == 200
    poll(lambda: state(third) == "acknowledged", 30)
    assert outside.request("POST", PUSH_HOST, f"/push?klarna_order_id={an_order_id()}")[0] == 404
    logged = "".join(file.read_text() for file in machine.logs.glob("klarna-ack-*.log"))
    assert token not in logged
