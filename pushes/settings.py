"""What both processes read from the environment, and how: once, all problems at once.

Refused: a half-right configuration. `load` raises one ConfigurationError that lists every
problem with the name of its variable; the process then ends with exit code 78.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pushes.model import is_account
from pushes.store.connection import check_url

# sysexits.h: EX_CONFIG. Supervisors can be told not to restart on it.
EXIT_CONFIGURATION = 78

# The account of the three plain KLARNA_… variables.
DEFAULT_ACCOUNT = "default"

_SECRETS = ("REDIS_URL", "KLARNA_USERNAME", "KLARNA_PASSWORD", "PUSH_TOKEN")


class ConfigurationError(Exception):
    """The environment is not usable; the message lists every problem, one a line."""


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Settings(BaseModel):
    """The settings of every process. Frozen; the field's alias is the variable's name."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    redis_url: Annotated[str, AfterValidator(check_url)] = Field(alias="REDIS_URL", repr=False)
    accounts_file: Path | None = Field(None, alias="ACCOUNTS_FILE")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        Field("info", alias="LOG_LEVEL")
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(_lower)] | None = Field(
        None, alias="LOG_FORMAT"
    )


_S = TypeVar("_S", bound=Settings)
_T = TypeVar("_T")


class Problems:
    """Collects what is wrong with several parts of a configuration, to report it all at once."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def collect(self, read: Callable[[], _T]) -> _T | None:
        """Return what `read` returns; None, with its problems noted, when it finds any."""
        try:
            return read()
        except ConfigurationError as error:
            self._lines |= dict.fromkeys(str(error).splitlines())
            return None

    def error(self) -> ConfigurationError:
        """Make the error that lists every problem, each once."""
        return ConfigurationError("\n".join(self._lines))


def load(settings: type[_S], environment: Mapping[str, str]) -> _S:
    """Read `settings` from `environment`. Raises ConfigurationError listing every problem."""
    values = with_secret_files(environment)
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError("\n".join(describe(error))) from None


def describe(error: ValidationError, prefix: str = "") -> list[str]:
    """Say each problem in a line that begins with the name of the setting; no values."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        name = prefix + ".".join(str(part) for part in problem["loc"])
        missing = problem["type"] == "missing"
        said = str(problem.get("ctx", {}).get("error") or problem["msg"])
        lines.append(f"{name}: {'is not set' if missing else said}")
    return lines


def read_accounts(path: Path) -> dict[str, dict[str, object]]:
    """Read the tables of ACCOUNTS_FILE. Raises ConfigurationError naming the file and the fault."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"ACCOUNTS_FILE: {path}: {error}") from error
    accounts = document.get("accounts")
    if not isinstance(accounts, dict) or not accounts:
        raise ConfigurationError(f"ACCOUNTS_FILE: {path}: needs at least one [accounts.NAME] table")
    wrong = [name for name in accounts if not is_account(name)]
    wrong += [name for name, table in accounts.items() if not isinstance(table, dict)]
    if wrong:
        raise ConfigurationError(
            f"ACCOUNTS_FILE: {path}: [accounts.{wrong[0]}] must be a table named with 1 to 32 of "
            "a-z, 0-9 and '-'"
        )
    return accounts


def with_secret_files(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are set, with the secrets that are given as NAME_FILE.

    An empty variable counts as not set. Raises ConfigurationError listing every problem.
    """
    values = {name: value for name, value in environment.items() if value}
    problems = []
    for name in _SECRETS:
        path = values.get(f"{name}_FILE")
        if path is None:
            continue
        if name in values:
            problems.append(f"{name}: set either {name} or {name}_FILE, not both")
            continue
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name}_FILE: {error}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return values
