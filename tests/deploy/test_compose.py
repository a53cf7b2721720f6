"""deploy/compose.yaml: Compose takes it, and it fits the program that it starts."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from devtools.local.processes import ROOT
from pushes.store.server.rights import Role
from service.settings import WebSettings
from worker.settings import WorkerSettings

FILE = ROOT / "deploy" / "compose.yaml"
OURS = ("web", "console", "worker", "terminal", "sandbox")
_NO_FIELDS = {"PUSH_TOKEN", "KLARNA_API_URL", "KLARNA_USERNAME", "KLARNA_PASSWORD"}


def understood(docker_compose: str, *files: Path, profile: str = "*") -> Mapping[str, Any]:
    """Files as Compose understands them; a warning fails the test."""
    named = [word for file in files for word in ("--file", str(file))]
    done = subprocess.run(
        [docker_compose, *named, "--profile", profile, "config", "--format", "json"],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown: Mapping[str, Any] = json.loads(done.stdout)
    return shown


@pytest.fixture(scope="module")
def compose(check_tool: Callable[[str], str]) -> Mapping[str, Any]:
    return understood(check_tool("docker-compose"), FILE)


def test_each_service_is_hardened(compose: Mapping[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["stop_grace_period"] == "30s", name


def test_each_secret_that_a_setting_names_is_mounted(compose: Mapping[str, Any]) -> None:
    for name, service in compose["services"].items():
        mounted = {f"/run/secrets/{secret['source']}" for secret in service.get("secrets", [])}
        env = service.get("environment") or {}
        named = {value for setting, value in env.items() if setting.endswith("_FILE")}
        assert named <= mounted, name
        if name in OURS:
            assert mounted == named, name


@pytest.mark.parametrize(
    ("service", "model"),
    [("web", WebSettings), ("console", WebSettings), ("worker", WorkerSettings)],
)
def test_each_setting_is_one_of_the_process(
    compose: Mapping[str, Any], service: str, model: type[WebSettings] | type[WorkerSettings]
) -> None:
    known = {field.alias for field in model.model_fields.values()} | _NO_FIELDS
    given = {name.removesuffix("_FILE") for name in compose["services"][service]["environment"]}
    assert given <= known


def test_each_process_comes_to_redis_as_its_own_user(compose: Mapping[str, Any]) -> None:
    users = {
        name: compose["services"][name]["environment"]["REDIS_URL_FILE"]
        for name in ("web", "console", "worker", "terminal")
    }
    assert users == {
        "web": f"/run/secrets/{Role.WEB}-url",
        "console": f"/run/secrets/{Role.WEB}-url",
        "worker": f"/run/secrets/{Role.WORKER}-url",
        "terminal": f"/run/secrets/{Role.OPERATOR}-url",
    }


def test_only_workers_reach_klarna_and_redis_reaches_nobody(compose: Mapping[str, Any]) -> None:
    networks = {name: set(it["networks"]) for name, it in compose["services"].items()}
    assert {name for name, of_it in networks.items() if "klarna" in of_it} == {"worker", "sandbox"}
    assert networks["redis"] == {"redis"}
    assert compose["networks"]["redis"]["internal"] is True


def test_nothing_listens_but_on_loopback(compose: Mapping[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}, name


def test_prometheus_takes_its_configuration(
    debian_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    folder = ROOT / "deploy" / "prometheus"
    (tmp_path / "prometheus.yaml").write_text(
        (folder / "prometheus.yaml").read_text().replace("/etc/prometheus", str(folder))
    )
    promtool = debian_tool("promtool", "prometheus")
    done = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "rules found" in done.stdout


def test_each_file_that_is_mounted_is_there(compose: Mapping[str, Any]) -> None:
    mounted = [
        Path(volume["source"])
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
    ]
    assert len(mounted) > 5
    assert [file for file in mounted if not file.is_file()] == []


def test_the_file_of_messages_gives_the_urls_to_workers_and_to_the_watch(
    check_tool: Callable[[str], str],
) -> None:
    services = understood(
        check_tool("docker-compose"), FILE, ROOT / "deploy" / "compose.notify.yaml", profile="demo"
    )["services"]
    given = {
        name: set(service["networks"])
        for name, service in services.items()
        if "NOTIFY_URLS_FILE" in (service.get("environment") or {})
    }
    assert given == {name: {"klarna", "redis"} for name in ("worker", "notify")}
    watch = services["notify"]
    assert [*watch["entrypoint"], *watch["command"]] == ["klarna-ack", "notify", "watch"]
    assert {one["source"] for one in watch["secrets"]} == {"worker-url", "notify-urls"}
    assert {one["source"] for one in services["worker"]["secrets"]} > {"notify-urls", "worker-url"}
    assert (watch["restart"], watch["read_only"]) == ("unless-stopped", True)
