"""The locks install the same bytes everywhere, and know nothing of the machine that made them."""

import re
import tomllib

import pytest

from devtools.local.processes import ROOT

LOCKS = ("run", "dev", "sandbox", "notify", "telemetry", "build", "deploy", "fuzz")
OF_THE_PROGRAM = (
    "run",
    "dev",
    "sandbox",
    "notify",
    "telemetry",
)  # the others have no redis-py in them


def text_of(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text()


def hashes_by_pin(lock: str) -> dict[str, frozenset[str]]:
    """{"flask==3.1.3": its hashes}."""
    without_comments = re.sub(r"^\s*#.*$", "", text_of(lock), flags=re.MULTILINE)
    requirements = re.split(r"\n(?=\S)", without_comments.strip())
    return {
        requirement.split()[0]: frozenset(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", requirement))
        for requirement in requirements
    }


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_it_pins_and_hashes_every_requirement(lock: str) -> None:
    pins = hashes_by_pin(lock)
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin)] == []
    assert [pin for pin, hashes in pins.items() if not hashes] == []


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize(
    "trace", ["://", " @ ", "--index-url", "--extra-index-url", "--find-links", "--trusted-host"]
)
def test_it_names_no_host_and_no_index(lock: str, trace: str) -> None:
    assert trace not in text_of(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_it_names_no_path_of_the_machine_that_made_it(lock: str) -> None:
    assert re.findall(r"(?:^|\s)(?:/|~|[A-Z]:\\)\S*", text_of(lock)) == []


def test_what_runs_is_part_of_what_is_tested() -> None:
    assert hashes_by_pin("run").items() <= hashes_by_pin("sandbox").items()
    assert hashes_by_pin("sandbox").items() <= hashes_by_pin("dev").items()
    assert hashes_by_pin("run").items() <= hashes_by_pin("notify").items()
    assert hashes_by_pin("notify").items() <= hashes_by_pin("telemetry").items()
    assert hashes_by_pin("telemetry").items() <= hashes_by_pin("dev").items()
    assert hashes_by_pin("build").items() <= hashes_by_pin("dev").items()


def test_it_holds_what_the_package_is_built_with() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert names(build["requires"]) <= names(list(hashes_by_pin("build")))


def test_both_hold_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    run = names(project["dependencies"])
    assert run <= names(list(hashes_by_pin("run")))
    assert run | names(project["optional-dependencies"]["dev"]) <= names(list(hashes_by_pin("dev")))


@pytest.mark.parametrize("lock", OF_THE_PROGRAM)
def test_it_serves_a_python_before_3_11_3(lock: str) -> None:
    assert "async-timeout" in names(list(hashes_by_pin(lock)))  # redis-py asks for it there
