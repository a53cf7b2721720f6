"""The wheel: what is in it, and that the program runs from it, without the checkout.

It is installed into an environment of its own that holds nothing besides it but what
requirements/run.lock and the extra `sandbox` name: the very files of the environment of these
tests, so that no network is needed.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.metadata import distribution
from pathlib import Path

import pytest

from devtools.local.loopback import free_port, loopback_session
from devtools.local.processes import ROOT, LoggedProcess, poll
from devtools.local.sandbox_control import SandboxControl

SHIPPED = ("cli", "klarna", "notify", "pushes", "sandbox", "service", "worker")
_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built from a copy as the README says; that leaves no traces."""
    directory = tmp_path_factory.mktemp("wheel")
    source = directory / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    before = sorted(source.rglob("*"))
    pip(sys.executable, "wheel", "--no-build-isolation", "--wheel-dir", str(directory), str(source))
    assert sorted(source.rglob("*")) == before
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, its locked dependencies and its extra."""
    environment = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    lock = (ROOT / "requirements" / "run.lock").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    locked = re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)
    for name in (*locked, *[re.split(r"[><=]", each)[0] for each in extras["sandbox"]]):
        installed = distribution(name)
        for entry in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            (packages / entry).symlink_to(Path(str(installed.locate_file(entry))))
    pip(str(python), "install", str(wheel))
    return python


def pip(python: str, command: str, *arguments: str) -> None:
    offline = ("--no-index", "--no-deps", "--no-cache-dir")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, command, *offline, *arguments],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run(python: Path, tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run an interpreter somewhere else, with nothing but that on its path."""
    return subprocess.run(
        [python, *arguments],
        cwd=tmp_path,
        env={"PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def test_it_holds_what_runs_in_production_and_the_sandbox_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        packed = {Path(name) for name in opened.namelist()}
    metadata = {path.name for path in packed if path.parts[0].endswith(".dist-info")}
    expected = {
        file.relative_to(ROOT)
        for package in SHIPPED
        for file in (ROOT / package).rglob("*")
        if file.is_file() and file.suffix not in {".pyc", ".md"}
    }

    assert {path for path in packed if not path.parts[0].endswith(".dist-info")} == expected
    assert {path.suffix for path in expected} >= {".py", ".lua"}
    assert metadata == {*("METADATA", "WHEEL", "RECORD", "LICENSE", "entry_points.txt")}


def test_the_same_tree_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    again = tmp_path / "another-place"
    shutil.copytree(
        ROOT,
        again,
        ignore=shutil.ignore_patterns(".*", "__pycache__"),
        copy_function=shutil.copyfile,  # other times, and other modes but for who may run it
    )
    pip(sys.executable, "wheel", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(again))
    (second,) = tmp_path.glob("*.whl")
    assert second.read_bytes() == wheel.read_bytes()


def test_it_offers_the_sandbox_as_an_extra(python: Path, tmp_path: Path) -> None:
    ask = "from importlib.metadata import metadata as m; print(m('klarna-ack').get_all({!r}))"
    extras = run(python, tmp_path, "-c", ask.format("Provides-Extra")).stdout
    assert "'sandbox'" in extras
    assert run(python, tmp_path, "-m", "sandbox", "--help").returncode == 0


def test_it_imports_nothing_from_the_checkout(python: Path, tmp_path: Path) -> None:
    names = ", ".join(SHIPPED)
    ask = f"import {names}; print(*[one.__file__ for one in ({names})], sep='\\n')"
    files = run(python, tmp_path, "-c", ask).stdout.splitlines()
    assert len(files) == len(SHIPPED)
    assert all(Path(file).is_relative_to(python.parents[1]) for file in files)
    for left_out in ("devtools", "tests"):
        assert (
            f"No module named '{left_out}'"
            in run(python, tmp_path, "-c", f"import {left_out}").stderr
        )


def test_its_command_says_what_it_can_do_and_what_needs_a_checkout(
    python: Path, tmp_path: Path
) -> None:
    command = str(python.with_name("klarna-ack"))
    shown, refused = (run(python, tmp_path, command, what) for what in ("--help", "dev"))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "dead" in shown.stdout
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "runs in a checkout only" in refused.stderr


@pytest.fixture
def installed_sandbox(python: Path, tmp_path: Path) -> Iterator[SandboxControl]:
    command = [str(python), "-m", "sandbox", "--port", "0"]
    with started("sandbox", command, {}, tmp_path) as process:
        listening = process.wait_for_line(r"^sandbox listening url=(\S+)$")
        with closing(SandboxControl(listening[1])) as control:
            yield control


def started(
    name: str, command: list[str], env: Mapping[str, str], directory: Path
) -> LoggedProcess:
    safe = {**env, "PYTHONSAFEPATH": "1"}
    return LoggedProcess(name, command, safe, directory / f"{name}.log", cwd=directory)


def test_it_takes_a_push_in_and_acknowledges_the_order(
    python: Path, tmp_path: Path, redis_url: str, installed_sandbox: SandboxControl
) -> None:
    port = free_port()
    web_env = {"REDIS_URL": redis_url, "PORT": str(port)}
    worker_env = {
        "REDIS_URL": redis_url,
        "KLARNA_API_URL": installed_sandbox.url,
        "KLARNA_USERNAME": "sandbox",
        "KLARNA_PASSWORD": "sandbox",
    }
    configuration = str(ROOT / "deploy" / "gunicorn.conf.py")
    serve = [str(python), "-m", "gunicorn", "-c", configuration, "service:create_app()"]
    order_id = installed_sandbox.create_order()
    with (
        started("web", serve, web_env, tmp_path) as web,
        started("worker", [str(python), "-m", "worker"], worker_env, tmp_path) as worker,
        loopback_session() as session,
    ):
        url = f"http://127.0.0.1:{port}/push?klarna_order_id={order_id}"

        def accepted() -> bool:
            for process in (web, worker):
                process.check()
            try:
                return session.post(url, timeout=5).ok
            except OSError:
                return False

        poll(accepted, _TIMEOUT_S)
        poll(lambda: installed_sandbox.order(order_id)["acknowledged"], _TIMEOUT_S)

        status = subprocess.run(
            [python.with_name("klarna-ack"), "show", order_id, "--json"],
            cwd=tmp_path,
            env={"REDIS_URL": redis_url, "PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    assert '"state": "acknowledged"' in status.stdout
    assert (web.exit_code, worker.exit_code) == (0, 0)


@pytest.mark.parametrize(
    ("name", "value", "extra"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318", "otel"),
        ("SENTRY_DSN", "https://key@sentry.example.com/1", "sentry"),
    ],
)
@pytest.mark.parametrize("process", ["web", "worker"])
def test_it_ends_with_78_where_a_setting_needs_an_extra_that_is_not_installed(  # noqa: PLR0913, PLR0917 - cases
    python: Path, tmp_path: Path, process: str, name: str, value: str, extra: str
) -> None:
    env = {
        "REDIS_URL": "redis://127.0.0.1:1",
        "KLARNA_API_URL": "klarna-eu-playground",
        "KLARNA_USERNAME": "K1",
        "KLARNA_PASSWORD": "made-up",
        name: value,
    }
    configuration = str(ROOT / "deploy" / "gunicorn.conf.py")
    command = {
        "web": ["-m", "gunicorn", "-c", configuration, "service:create_app()"],
        "worker": ["-m", "worker"],
    }[process]

    with started(process, [str(python), *command], env, tmp_path) as ending:
        code = poll(lambda: ending.exit_code, _TIMEOUT_S)

    assert code == os.EX_CONFIG
    assert re.search(rf"{name}: .*pip install 'klarna-ack\[{extra}\]'", ending.log)
    assert "Traceback" not in ending.log
