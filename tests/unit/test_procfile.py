import runpy
from pathlib import Path

import pytest

from devtools.local.processes import ROOT, procfile


def test_it_starts_the_two_processes_of_the_outside_contract() -> None:
    assert (ROOT / "Procfile").read_text() == (
        "web: gunicorn -c deploy/gunicorn.conf.py 'service:create_app()'\n"
        "worker: python -m worker\n"
    )


def test_it_is_read_as_a_shell_would_read_it() -> None:
    assert procfile() == {
        "web": ["gunicorn", "-c", "deploy/gunicorn.conf.py", "service:create_app()"],
        "worker": ["python", "-m", "worker"],
    }


def test_it_names_what_exists() -> None:
    named = ["deploy/gunicorn.conf.py", "service/__init__.py", "worker/__main__.py"]
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_web_process_takes_its_port_and_size_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("WEB_CONCURRENCY", "5")
    config = runpy.run_path(str(Path(ROOT, "deploy", "gunicorn.conf.py")))
    assert (config["bind"], config["workers"]) == ("0.0.0.0:9000", 5)


def test_the_web_process_has_defaults_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    config = runpy.run_path(str(Path(ROOT, "deploy", "gunicorn.conf.py")))
    assert (config["bind"], config["workers"]) == ("0.0.0.0:8000", 2)
