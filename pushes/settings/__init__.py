"""What every process reads from its environment, and how: once, all problems at once.

Refused: a half-right configuration. `load` raises one ConfigurationError that lists every
problem with the name of its variable; the process then ends with exit code 78.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from pushes.policy import RETENTION
from pushes.settings.environment import read
from pushes.settings.problems import (
    EXIT_CONFIGURATION,
    ConfigurationError,
    Problems,
    complain,
    log_not_reloaded,
)
from pushes.settings.redis_url import check_url

__all__ = [
    "EXIT_CONFIGURATION",
    "ConfigurationError",
    "Problems",
    "PromisingSettings",
    "Settings",
    "complain",
    "load",
    "log_not_reloaded",
]


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Settings(BaseModel):
    """The settings of every process. Frozen; the field's alias is the variable's name.

    The description says what the variable must be. One with `repr=False` is a secret: it is never
    shown, and can be given as a file.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    redis_url: Annotated[str, AfterValidator(check_url)] = Field(
        alias="REDIS_URL", repr=False, description="a URL such as redis://HOST:6379/0"
    )
    accounts_file: Path | None = Field(
        None, alias="ACCOUNTS_FILE", description="the path of a TOML file"
    )
    retention_days: int = Field(
        RETENTION.days,
        ge=1,
        le=3650,
        alias="RETENTION_DAYS",
        description="a whole number of days from 1 to 3650",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        Field("info", alias="LOG_LEVEL", description="debug, info, warning or error")
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(_lower)] | None = Field(
        None, alias="LOG_FORMAT", description="json or console"
    )

    @property
    def retention(self) -> timedelta:
        """How long records of settled and of discarded pushes are kept."""
        return timedelta(days=self.retention_days)


class PromisingSettings(Settings):
    """The settings of a process that tells somebody outside that something is stored."""

    wait_replicas: int = Field(
        0, ge=0, le=10, alias="REDIS_WAIT_REPLICAS", description="a number of replicas from 0 to 10"
    )


_S = TypeVar("_S", bound=Settings)


def load(settings: type[_S], environment: Mapping[str, str]) -> _S:
    """Read `settings` from `environment`. Raises ConfigurationError listing every problem."""
    return read(settings, environment)
