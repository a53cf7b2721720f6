"""What is wrong with a configuration, in lines for whoever puts it right.

A line names the setting, says what it must be, and shows what it is unless that may be a secret.
"""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import groupby
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pushes import log

_log = log.get(__name__)

# sysexits.h: EX_CONFIG. Supervisors can be told not to restart on it.
EXIT_CONFIGURATION = 78

# So much of a value is shown.
_SHOWN = 60

_T = TypeVar("_T")


class ConfigurationError(Exception):
    """The settings are not usable; the message lists every problem, one a line."""


class Problems:
    """Collects what is wrong with several parts of a configuration, to report it all at once.

    Of each setting the first problem counts. True when there are any.
    """

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, *lines: str) -> None:
        """Note problems; each line begins with the name of the setting and a colon."""
        for line in lines:
            self._lines.setdefault(line.partition(":")[0], line)

    def collect(self, read: Callable[[], _T]) -> _T | None:
        """Return what `read` returns; None, with its problems noted, when it finds any."""
        try:
            return read()
        except ConfigurationError as error:
            self.add(*str(error).splitlines())
            return None

    def error(self) -> ConfigurationError:
        """Make the error that lists them all."""
        return ConfigurationError("\n".join(self._lines.values()))


def log_not_reloaded(error: ConfigurationError) -> None:
    """Log what is wrong with settings that were read again, and that nothing has changed."""
    _log.error(
        "settings.not_reloaded",
        problems=str(error).splitlines(),
        meaning="nothing has changed: this process goes on with the settings it has",
        action="correct them, then reload again",
    )


def complain(process: str, error: Exception) -> int:
    """Say on stderr what is wrong with the settings of a process; return its exit code."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"klarna-ack {process}: the configuration is not usable:\n{error}\n")
            sys.stderr.flush()
    return EXIT_CONFIGURATION


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting's value is never shown, and may be given as a file: `repr=False`."""
    return not field.repr


def name_of(name: str, field: FieldInfo) -> str:
    """Return the name by which a setting is known outside."""
    return field.alias or name


def describe(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[str]:
    """Say in a line for each setting what it must be: the description of its field.

    A ValueError of a validator says it in its own words, and shows no secret.
    """
    fields = {name_of(name, field): field for name, field in model.model_fields.items()}
    found = error.errors(include_url=False)
    return [
        f"{prefix}{name}: {_sentence(fields, str(name), list(problems))}"
        for name, problems in groupby(found, key=lambda problem: problem["loc"][0])
    ]


def _sentence(fields: dict[str, FieldInfo], name: str, problems: list[ErrorDetails]) -> str:
    field, first = fields.get(name), problems[0]
    if field is None:
        return f"is no setting here; there are {', '.join(fields)}"
    wanted = f"it must be {field.description}"
    if first["type"] == "missing":
        return f"is not set; {wanted}"
    if isinstance(own := first.get("ctx", {}).get("error"), Exception):  # a validator's of ours
        return str(own)
    if is_secret(field):
        return f"cannot be used; {wanted}"
    return f"{', '.join(_shown(problems))} cannot be used; {wanted}"


def _shown(problems: Iterable[ErrorDetails]) -> Iterable[str]:
    for problem in problems:
        value = repr(problem["input"])
        value = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
        _, *entry = problem["loc"]
        yield f"entry {entry[0] + 1} ({value})" if entry and isinstance(entry[0], int) else value
