"""Each file that has a tool of its own: the tool finds nothing to complain of."""

import json
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.local.processes import ROOT
from devtools.redis_users import users

MAKE_PASSWORDS = ROOT / "deploy" / "redis" / "make-passwords"
SCRIPTS = ("deploy/redis/back-up", "deploy/redis/make-passwords")
CHECKS = {
    "hadolint": ["hadolint", "--failure-threshold", "style", "deploy/Dockerfile"],
    "shellcheck": ["shellcheck", "--severity", "style", ".ci/run", *SCRIPTS],
    "honcho": ["honcho", "--procfile", "Procfile", "check"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_its_tool_has_nothing_to_complain_of(name: str, check_tool: Callable[[str], str]) -> None:
    command, *arguments = CHECKS[name]
    done = subprocess.run(
        [check_tool(command), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_bill_of_materials_lists_what_runs(
    debian_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    file = tmp_path / "sbom.json"
    make = debian_tool("make", "make")
    subprocess.run([make, "--silent", "sbom", f"SBOM={file}"], cwd=ROOT, check=True)
    bill = json.loads(file.read_text())
    listed = {f"{each['name']}=={each['version']}" for each in bill["components"]}
    lock = (ROOT / "requirements" / "notify.lock").read_text()
    assert listed == set(re.findall(r"^([a-z0-9-]+==[\w.]+)", lock, re.MULTILINE))
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "klarna-ack")


def test_each_script_is_one_of_those() -> None:
    scripts = {
        str(file.relative_to(ROOT))
        for folder in (ROOT / "deploy", ROOT / ".ci")
        for file in folder.rglob("*")
        if file.is_file() and file.read_bytes().startswith(b"#!")
    }
    assert scripts == {".ci/run", *SCRIPTS}


def make_passwords(folder: Path) -> dict[str, str]:
    """Run the script; what stands in each file."""
    subprocess.run([MAKE_PASSWORDS, folder, "redis:6379"], check=True)
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_it_makes_a_password_for_each_user_and_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = make_passwords(folder)
    names = {line.split()[1] for line in users().splitlines()} - {"default"}
    assert first.keys() == {"users.acl", *names, *[f"{name}-url" for name in names]}
    assert len({first[name] for name in names}) == len(names)
    assert first["web-url"] == f"redis://web:{first['web']}@redis:6379/0\n"
    assert "password" not in first["users.acl"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_passwords(folder) == first

    (folder / "web").unlink()
    second = make_passwords(folder)
    assert second["web"] != first["web"]
    assert second["worker-url"] == first["worker-url"]
