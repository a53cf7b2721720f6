"""The unit files: systemd finds nothing to complain of, and they fit the processes they start."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.local.processes import ROOT
from pushes.settings import EXIT_CONFIGURATION
from tests.deploy.unit_files import CURRENT, UNITS, ServiceUnit

# Beside the units, for those who have several accounts.
DROP_INS = UNITS / "accounts"
SERVICES = ("klarna-ack-web.service", "klarna-ack-worker@.service", "klarna-ack-notify.service")
_MOST_EXPOSED = 2.0
APP = "service:create_app()"

# Beside the units, for those who give the console a process of its own.
CONSOLE = UNITS / "console"


@pytest.fixture
def analyze(debian_tool: Callable[[str, str], str]) -> Callable[..., str]:
    """Run systemd-analyze; return all it says."""

    def run(*arguments: str) -> str:
        command = [debian_tool("systemd-analyze", "systemd"), *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return f"{done.stdout}{f'exit code {done.returncode}' if done.returncode else ''}"

    return run


def test_systemd_has_nothing_to_complain_of(
    analyze: Callable[..., str], release: Path, tmp_path: Path
) -> None:
    files = sorted(UNITS.glob("*.*"))
    installed = tmp_path / "systemd"
    installed.mkdir()
    for file in files:
        (installed / file.name).write_text(file.read_text().replace(CURRENT, str(release)))
    units = [str(installed / file.name.replace("@", "@1")) for file in files]
    assert analyze("verify", "--man=no", *units) == ""
    shutil.copytree(DROP_INS, installed, dirs_exist_ok=True)
    assert analyze("verify", "--man=no", *units) == ""


def test_the_console_is_the_web_process_under_another_name(
    analyze: Callable[..., str], release: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "systemd"
    shutil.copytree(UNITS, installed)
    shutil.copytree(CONSOLE, installed, dirs_exist_ok=True)
    unit = installed / "klarna-ack-console.service"
    unit.write_text((UNITS / SERVICES[0]).read_text().replace(CURRENT, str(release)))
    assert analyze("verify", "--man=no", str(unit)) == ""

    (drop_in,) = CONSOLE.glob("klarna-ack-console.service.d/*.conf")
    (set_here,) = ServiceUnit(drop_in.read_text()).all("Environment")
    name, _, arguments = set_here.strip('"').partition("=")
    shown = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "--print-config", APP],
        cwd=ROOT,
        env={"REDIS_URL": "redis://localhost", "PROXY_HOPS": "1", "PORT": "9", name: arguments},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = dict(re.findall(r"^(bind|workers) += (.+)$", shown, re.MULTILINE))
    assert found == {"bind": "['127.0.0.1:8001']", "workers": "1"}


def test_systemd_does_complain_of_what_is_wrong(
    analyze: Callable[..., str], tmp_path: Path
) -> None:
    unit = tmp_path / "wrong.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nRestrt=always\n")
    drop_in = tmp_path / "wrong.service.d" / "accounts.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nLoadCredntial=\n")
    said = analyze("verify", "--man=no", str(unit))
    assert "Restrt" in said
    assert "LoadCredntial" in said


@pytest.mark.parametrize("service", SERVICES)
def test_little_of_the_machine_is_exposed(analyze: Callable[..., str], service: str) -> None:
    said = analyze("security", "--offline=true", "--no-pager", str(UNITS / service))
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert score, said
    assert float(score[1]) < _MOST_EXPOSED, said


@pytest.mark.parametrize("name", SERVICES)
def test_it_is_started_again_always_but_with_wrong_settings(name: str) -> None:
    service = ServiceUnit.of(name)
    assert service.one("Restart") == "always"
    assert service.one("RestartPreventExitStatus") == str(EXIT_CONFIGURATION)
    assert service.one("StartLimitIntervalSec") == "0"


@pytest.mark.parametrize("name", SERVICES)
def test_each_secret_is_a_credential_that_a_setting_names(name: str) -> None:
    service = ServiceUnit.of(name)
    files = {
        setting: path
        for setting, path in service.environment(Path("/secrets")).items()
        if setting.endswith("_FILE")
    }
    assert files == {
        f"{secret.replace('-', '_').upper()}_FILE": f"/secrets/{secret}"
        for secret in service.secrets
    }


def test_the_web_process_is_given_nothing_of_klarnas() -> None:
    assert ServiceUnit.of(SERVICES[0]).secrets == ["redis-url", "push-token"]


def test_several_accounts_take_the_place_of_the_only_one(tmp_path: Path) -> None:
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    shutil.copytree(DROP_INS, tmp_path, dirs_exist_ok=True)
    web, worker = (ServiceUnit.of(name, tmp_path) for name in SERVICES[:2])
    assert web.secrets == ["redis-url", "push-token", "accounts.toml"]
    assert worker.secrets == ["redis-url", "accounts.toml"]
    assert worker.environment(Path("/secrets")) == {
        "REDIS_URL_FILE": "/secrets/redis-url",
        "ACCOUNTS_FILE": "/secrets/accounts.toml",
    }
