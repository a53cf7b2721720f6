"""The image is built as deploy/Dockerfile says, on a Debian made here, and runs as it says.

No registry is asked: `debian:bookworm-slim` is made by debootstrap's successor, and the image is
built by buildah, which needs no engine. It runs with its root read-only, as its own user.
"""

import json
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis

from devtools.local.loopback import free_port
from devtools.local.processes import ROOT, LoggedProcess, poll, procfile
from devtools.local.sandbox_control import SandboxControl
from pushes.model import PushKey, State
from pushes.store import records

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
_BASE = "docker.io/library/debian:bookworm-slim"
_USER = 10001
_BUILD_TIMEOUT_S = 900

# The first test builds the image, and that has a time limit of its own.
pytestmark = pytest.mark.timeout(2 * _BUILD_TIMEOUT_S)
_FROM_A_FOLDER = "FROM scratch\nADD root.tar /\n"

# Of the machine that builds, since it may trust authorities of its own.
_AUTHORITIES = "/run/authorities.pem"


@dataclass(frozen=True)
class Builder:
    """buildah, with a store of its own."""

    command: tuple[str, ...]

    def run(self, *arguments: str, cwd: Path = ROOT) -> str:
        done = subprocess.run(
            [*self.command, *arguments],
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=_BUILD_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout.strip()

    def build(self, file: Path, tag: str, context: Path, *options: str) -> None:
        self.run(
            *("build", "--isolation", "chroot", "--pull-never", "--format", "docker"),
            *("--file", str(file), "--tag", tag, *options, str(context)),
        )


@dataclass(frozen=True)
class Image:
    """What was built: its files and what it says of itself."""

    root: Path
    config: dict[str, Any]
    sandboxed: tuple[str, ...]

    def command(self, words: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """What runs `words` in it: its root read-only, its own user, nothing of this machine."""
        its_own = (each.split("=", 1) for each in self.config["Env"])
        settings = [
            word
            for name, value in {**dict(its_own), **env}.items()
            for word in ("--setenv", name, value)
        ]
        place = ["--chdir", self.config["WorkingDir"]]
        return [*self.sandboxed, "--clearenv", *settings, *place, "--", *words]

    def run(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(words, env), capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture(scope="session")
def builder(debian_tool: Callable[[str, str], str]) -> Iterator[Builder]:
    if os.geteuid() != 0:
        pytest.fail("an image is built as root here: run `make check-deploy` as root")
    store = Path(tempfile.mkdtemp(prefix="klarna-ack-images-"))
    places = ("--root", str(store / "images"), "--runroot", str(store / "run"))
    yield Builder((debian_tool("buildah", "buildah"), "--storage-driver", "vfs", *places))
    shutil.rmtree(store)


@pytest.fixture(scope="session")
def image(
    builder: Builder,
    debian: Path,
    debian_tool: Callable[[str, str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Image:
    base = tmp_path_factory.mktemp("base")
    (base / "Dockerfile").write_text(_FROM_A_FOLDER)
    builder.build(base / "Dockerfile", _BASE, debian)

    (base / "pip.conf").write_text(f"[global]\ncert = {_AUTHORITIES}\n")
    authorities = ssl.get_default_verify_paths()
    builder.build(
        DOCKERFILE,
        "klarna-ack",
        ROOT,
        *("--secret", f"id=pip,src={base / 'pip.conf'}"),
        *("--volume", f"{authorities.cafile or authorities.openssl_cafile}:{_AUTHORITIES}:ro"),
    )
    root = Path(builder.run("mount", builder.run("from", "--pull-never", "klarna-ack")))
    described = json.loads(builder.run("inspect", "--type", "image", "klarna-ack"))
    sandboxed = (
        *(debian_tool("bwrap", "bubblewrap"), "--die-with-parent", "--ro-bind", str(root), "/"),
        *("--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108 - the image's own
        *("--unshare-user", "--uid", str(_USER), "--gid", str(_USER), "--unshare-pid"),
    )
    return Image(root, described["Docker"]["config"], sandboxed)


def test_it_says_how_it_is_run(image: Image) -> None:
    assert image.config["User"] == f"{_USER}:{_USER}"
    assert image.config["Cmd"] == procfile()["web"]
    assert image.config["Healthcheck"]["Test"][0] == "CMD"
    assert image.config["ExposedPorts"] == {"8000/tcp": {}}


def test_it_holds_the_program_and_nothing_to_build_with(image: Image) -> None:
    for module in ("service", "worker", "cli", "pushes", "klarna"):
        assert image.run("python", "-c", f"import {module}").returncode == 0, module
    for command in ("pip", "pip3", "gcc", "git", "curl"):
        assert image.run("sh", "-c", f"command -v {command}").returncode != 0, command
    assert image.run("klarna-ack", "--version").returncode == 0
    assert not (image.root / "build").exists()


def test_nothing_in_it_belongs_to_its_user(image: Image) -> None:
    found = [path for path in image.root.rglob("*") if path.lstat().st_uid == _USER]
    assert found == []


def test_it_ends_with_78_when_nothing_is_set(image: Image) -> None:
    for words in (image.config["Cmd"], ["python", "-m", "worker"]):
        done = image.run(*words)
        assert done.returncode == 78, done.stderr
        assert "REDIS_URL" in done.stderr


def test_it_takes_a_push_in_and_acknowledges_the_order(
    image: Image, redis_url: str, sandbox: SandboxControl, redis_client: Redis, tmp_path: Path
) -> None:
    port = free_port()
    web_env = {"REDIS_URL": redis_url, "PORT": str(port), "BIND": "127.0.0.1"}
    worker_env = {
        "REDIS_URL": redis_url,
        "KLARNA_API_URL": sandbox.url,
        "KLARNA_USERNAME": "sandbox",
        "KLARNA_PASSWORD": "sandbox",
    }
    is_healthy = image.config["Healthcheck"]["Test"][1:]
    order_id = sandbox.create_order()
    assert image.run(*is_healthy, PORT=str(port)).returncode != 0
    serve = image.command(image.config["Cmd"], web_env)
    work = image.command(["python", "-m", "worker"], worker_env)
    with (
        LoggedProcess("web", serve, {}, tmp_path / "web.log") as web,
        LoggedProcess("worker", work, {}, tmp_path / "worker.log") as worker,
    ):
        web.wait_for_line("Listening at")
        worker.wait_for_line("worker.started")
        assert image.run(*is_healthy, PORT=str(port)).returncode == 0
        url = f"http://127.0.0.1:{port}/push?klarna_order_id={order_id}"
        assert requests.post(url, timeout=10).status_code == 200

        def acknowledged() -> bool:
            push = records.get(redis_client, PushKey("default", order_id))
            return push is not None and push.state is State.ACKNOWLEDGED

        poll(acknowledged, 30)
        shown = image.run("klarna-ack", "status", "--json", REDIS_URL=redis_url)
        assert json.loads(shown.stdout)["states"]["acknowledged"] == 1
