import os
import re
import runpy
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.local.processes import ROOT, procfile
from service.settings import Reading


def test_it_starts_the_two_processes_of_the_outside_contract() -> None:
    assert (ROOT / "Procfile").read_text() == "web: python -m service\nworker: python -m worker\n"


def test_it_is_read_as_a_shell_would_read_it() -> None:
    assert procfile() == {
        "web": ["python", "-m", "service"],
        "worker": ["python", "-m", "worker"],
    }


def test_it_names_what_exists() -> None:
    named = ["deploy/gunicorn.conf.py", "service/__main__.py", "worker/__main__.py"]
    assert [path for path in named if not (ROOT / path).is_file()] == []


Settings = Callable[..., dict[str, Any]]


@pytest.fixture
def gunicorn(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What deploy/gunicorn.conf.py makes of an environment."""

    def settings(**environment: str) -> dict[str, Any]:
        for name in ("PORT", "BIND", "WEB_CONCURRENCY", "PROXY_HOPS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"REDIS_URL": "redis://localhost", **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("service.settings.reading", Reading())  # as in a new process
        return runpy.run_path(str(Path(ROOT, "deploy", "gunicorn.conf.py")))

    return settings


@pytest.mark.parametrize(
    ("environment", "bind", "workers"),
    [
        ({}, "0.0.0.0:8000", 2),
        ({"PORT": "9000", "WEB_CONCURRENCY": "5"}, "0.0.0.0:9000", 5),
        ({"PROXY_HOPS": "1"}, "127.0.0.1:8000", 2),
        ({"PROXY_HOPS": "1", "BIND": "192.0.2.1"}, "192.0.2.1:8000", 2),
        ({"BIND": "::1", "PORT": "80"}, "[::1]:80", 2),
    ],
)
def test_the_web_process_takes_its_place_and_size_from_the_environment(
    gunicorn: Settings, environment: dict[str, str], bind: str, workers: int
) -> None:
    config = gunicorn(**environment)
    assert (config["bind"], config["workers"]) == (bind, workers)


@pytest.mark.parametrize(
    "environment",
    [
        {"PORT": "70000"},
        {"PORT": "abc"},
        {"WEB_CONCURRENCY": "0"},
        {"BIND": "here"},
        {"REDIS_URL": "redis://localhost/abc"},
    ],
)
def test_the_web_process_says_what_is_wrong_with_them(
    gunicorn: Settings, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        gunicorn(**environment)

    (name,) = environment
    head, problem = capsys.readouterr().err.splitlines()
    assert (caught.value.code, head) == (78, "klarna-ack web: the configuration is not usable:")
    assert problem.startswith(f"{name}: ")


def test_gunicorn_keeps_its_heartbeats_in_memory_if_it_may(
    gunicorn: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gunicorn()["worker_tmp_dir"].startswith("/dev/")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert gunicorn()["worker_tmp_dir"] == tempfile.gettempdir()
    monkeypatch.setattr(tempfile, "gettempdir", nothing_is_writable)
    with pytest.raises(SystemExit) as caught:
        gunicorn()
    assert caught.value.code == 78
    assert "mount /dev/shm or /tmp to be written to" in capsys.readouterr().err


def nothing_is_writable() -> str:
    raise FileNotFoundError("No usable temporary directory found")


def test_what_the_image_copies_is_let_into_its_build() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    lines = re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE)
    copied = [source for line in lines for source in line.split()[:-1]]
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = tuple(line[1:] for line in ignore if line.startswith("!"))
    assert "*" in ignore
    assert [it for it in copied if not (ROOT / it).exists()] == []
    assert [it for it in copied if not any(f"{it}/".startswith(f"{own}/") for own in let_in)] == []


def test_each_folder_of_tests_is_run_by_one_of_the_commands_of_ci() -> None:
    folders = {
        file.relative_to(ROOT).parent.as_posix() for file in ROOT.glob("tests/*/**/test_*.py")
    }
    pytest_settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    ci = (ROOT / ".ci" / "run").read_text()
    checks = re.findall(r"^step make check-(\w+)$", ci, re.MULTILINE)
    others = [f"tests/{check}" for check in checks]
    run = (*pytest_settings["ini_options"]["testpaths"], *others)
    assert [folder for folder in folders if not folder.startswith(run)] == []
