"""The arrows of the design, held: by import-linter, and by importing everything for real."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import pytest

from devtools.local.processes import ROOT

# Imports every module of the packages named on its command line, as a fresh process would, and
# tells what was loaded, who connected, and which of our own files read the environment meanwhile.
_PROBE = """
import collections, importlib, json, os, pkgutil, sys

root, packages = sys.argv[1], sys.argv[2:]
connects, readers = [], []
sys.addaudithook(lambda event, args: event == "socket.connect" and connects.append(str(args[1])))

class Environment(collections.UserDict):
    def __getitem__(self, name):
        frame = sys._getframe(1)
        while frame and frame.f_code.co_filename.startswith(("<string>", "<frozen")):
            frame = frame.f_back
        if frame and frame.f_code.co_filename.startswith(ours):
            readers.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {name}")
        return super().__getitem__(name)

    def get(self, name, default=None):
        return self[name] if name in self else default

ours = tuple(os.path.join(root, package) + os.sep for package in packages)
os.environ = Environment(os.environ)
for package in packages:
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(module.__path__, package + "."):
        if not found.name.endswith(".__main__"):
            importlib.import_module(found.name)
print(json.dumps({"modules": sorted(sys.modules), "connects": connects, "readers": readers}))
"""


class Imported(TypedDict):
    modules: list[str]
    connects: list[str]
    readers: list[str]


def import_all(*packages: str, root: Path = ROOT) -> Imported:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, str(root), *packages],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported: Imported = json.loads(done.stdout)
    return imported


def loaded(imported: Imported, *packages: str) -> set[str]:
    return {name.partition(".")[0] for name in imported["modules"]} & set(packages)


def test_it_keeps_the_contracts_of_pyproject() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_keeps_everything_that_could_call_klarna_out_of_the_web_process() -> None:
    imported = import_all("service", "pushes")
    assert loaded(imported, "requests", "klarna", "worker", "cli", "sandbox") == set()


def test_it_keeps_flask_out_of_the_worker_process() -> None:
    imported = import_all("worker", "pushes", "klarna")
    assert loaded(imported, "flask", "service", "cli", "sandbox") == set()


@pytest.mark.parametrize("arguments", [("status",), ("show", "x"), ("dead", "list"), ("--help",)])
def test_it_loads_for_a_command_only_what_that_needs(arguments: tuple[str, ...]) -> None:
    """Each of these would make each command start noticeably later."""
    run = "import sys\nfrom cli.main import terminal\nterminal(sys.argv[1:], standalone_mode=False)"
    shown = "import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    done = subprocess.run(
        [sys.executable, "-c", shown + run, *arguments],
        cwd=ROOT,
        env={"REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}
    assert "click" in loaded
    for_others = {"flask", "requests", "klarna", "service", "worker", "prometheus_client"}
    assert loaded & (for_others | {"structlog", "rich"}) == set()


@pytest.mark.parametrize(
    "package", ["service", "pushes", "worker", "klarna", "notify", "cli", "sandbox"]
)
def test_it_neither_connects_nor_reads_the_environment_at_import(package: str) -> None:
    imported = import_all(package)
    assert (imported["connects"], imported["readers"]) == ([], [])


@pytest.mark.parametrize(
    "read", ['os.environ["HOME"]', 'os.environ.get("HOME")', 'os.getenv("HOME")']
)
def test_it_would_notice_both(tmp_path: Path, read: str) -> None:
    guilty = tmp_path / "guilty"
    guilty.mkdir()
    guilty.joinpath("__init__.py").write_text("")
    guilty.joinpath("module.py").write_text(
        "import contextlib, os, socket\n"
        f"{read}\n"
        "with socket.socket() as s, contextlib.suppress(OSError):\n"
        "    s.connect(('127.0.0.1', 1))\n"
    )
    imported = import_all("guilty", root=tmp_path)
    assert imported["connects"] == ["('127.0.0.1', 1)"]
    assert imported["readers"] == [f"{guilty / 'module.py'}:2 HOME"]
