"""Reading settings from environment variables, and secrets from files too."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pushes.settings.problems import ConfigurationError, Problems, describe, is_secret

_M = TypeVar("_M", bound=BaseModel)


def read(model: type[_M], environment: Mapping[str, str], context: object = None) -> _M:
    """Read the variables that `model` names. Raises ConfigurationError listing every problem.

    A secret may be given as NAME_FILE, and must not be empty: that would be an open door. Nor must
    a list, which would mean "none". Anything else that is empty counts as not set. `context` is
    what the model's validators ask for.
    """
    problems = Problems()
    variables = {field.alias: field for field in model.model_fields.values() if field.alias}
    found = {
        name: problems.collect(partial(_value, name, field, environment))
        for name, field in variables.items()
    }
    return validate(model, found, problems, context=context)


def validate(
    model: type[_M],
    found: Mapping[str, object],
    problems: Problems,
    *,
    prefix: str = "",
    context: object = None,
) -> _M:
    """Make a `model` of what was found; None is what was not given.

    Raises ConfigurationError listing `problems`, and those of the model with `prefix` before each.
    """
    values = {name: value for name, value in found.items() if value is not None}
    try:
        settings = model.model_validate(values, context=context)
    except ValidationError as error:
        problems.add(*describe(error, model, prefix))
        raise problems.error() from None
    if problems:
        raise problems.error()
    return settings


def read_text(path: str | Path) -> str:
    """Read a file in UTF-8, with or without a byte order mark. Raises ValueError saying why not."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text") from error
    except (OSError, ValueError) as error:  # ValueError: a path that no system can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{path} cannot be read: {reason}") from error


def read_secret(name: str, value: str | None, file_name: str, path: str | None) -> str | None:
    """Return the secret `name`: `value`, or what stands in the file that `file_name` names.

    None when neither is given. White space around it does not count. Raises ConfigurationError
    when both are given, the file cannot be read, or nothing stands there.
    """
    where = "it"
    if path is not None:
        if value is not None:
            raise ConfigurationError(f"{name}: is set beside {file_name}; take one of them away")
        where = f"the file of {file_name}"
        try:
            value = read_text(path.strip())
        except ValueError as error:
            raise ConfigurationError(f"{name}: {where}, {error}") from error
    if value is None:
        return None
    if not value.strip():
        raise ConfigurationError(f"{name}: {where} is empty; give it a value, or take it away")
    return value.strip()


def _value(name: str, field: FieldInfo, environment: Mapping[str, str]) -> str | None:
    value = environment.get(name)
    if is_secret(field):
        file_name = f"{name}_FILE"
        return read_secret(name, value, file_name, environment.get(file_name))
    is_list = isinstance(field.default, tuple)
    return value if value or is_list else None
