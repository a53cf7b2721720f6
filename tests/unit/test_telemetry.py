import subprocess
import sys
from importlib.util import find_spec

import pytest

from pushes import telemetry
from pushes.settings import ConfigurationError
from pushes.telemetry import settings as telemetry_settings
from service.settings import load as load_web
from tests.builders import a_push
from worker.settings import load as load_worker

WEB = {"REDIS_URL": "redis://localhost"}
WORKER = {**WEB, "KLARNA_API_URL": "klarna-eu", "KLARNA_USERNAME": "u", "KLARNA_PASSWORD": "p"}
BOTH = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
    "SENTRY_DSN": "https://key@sentry.example.com/1",
}


def test_it_is_off_by_default() -> None:
    for found in (load_web(WEB), load_worker(WORKER).settings):
        assert (found.otlp_endpoint, found.sentry_dsn) == (None, None)
    with telemetry.taking("brought") as span:
        span.note(a_push())
    assert span.traceparent == "brought"


def test_both_processes_read_where_to_tell() -> None:
    for found in (load_web(WEB | BOTH), load_worker(WORKER | BOTH).settings):
        assert found.otlp_endpoint == BOTH["OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert found.sentry_dsn
        assert found.sentry_dsn.get_secret_value() == BOTH["SENTRY_DSN"]
        assert "key@" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "no URL of a collector"),
        ("SENTRY_DSN", "https://sentry.example.com", "no DSN of Sentry"),
    ],
)
def test_it_names_what_cannot_be_told_to(name: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: {problem}"):
        load_web(WEB | {name: value})


def test_it_says_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_extras(name: str) -> object:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name)
        return None if name == "sentry_sdk" else find_spec(name)

    monkeypatch.setattr(telemetry_settings, "find_spec", without_extras)
    with pytest.raises(ConfigurationError) as raised:
        load_worker(WORKER | BOTH)

    assert "OTEL_EXPORTER_OTLP_ENDPOINT: it needs packages" in str(raised.value)
    assert "pip install 'klarna-ack[otel]'" in str(raised.value)
    assert "pip install 'klarna-ack[sentry]'" in str(raised.value)


def test_nothing_of_it_is_loaded_unless_it_is_set() -> None:
    # What OpenTelemetry has for metrics is loaded by redis-py wherever it is installed.
    code = (
        "import sys, service, service.settings, worker.__main__, worker.settings, cli.main\n"
        f"service.make_app(service.settings.load({WEB!r}))\n"
        f"worker.settings.load({WORKER!r})\n"
        "from pushes import telemetry\n"
        "telemetry.stop()\n"
        "ours = ('opentelemetry.exporter', 'opentelemetry.sdk.trace', 'sentry_sdk')\n"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert shown.stdout == "[]\n"
