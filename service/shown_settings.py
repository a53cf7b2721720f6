"""What the console and the API show of the settings: secrets masked, problems marked."""

from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from pushes.settings.problems import is_secret
from pushes.store.server import rights
from pushes.store.server.durability import persistence_fault, rights_fault
from pushes.store.server.rights import Role
from service.settings import WebSettings

# What stands for a secret that is set.
MASKED = "\N{BULLET}" * 6 + " (set)"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """One setting; `problem` says what is wrong with it, or with what it leads to.

    `value` is None for one that is not set.
    """

    name: str
    value: str | None
    is_default: bool
    problem: str | None = None


def settings(settings: WebSettings) -> Iterator[ShownSetting]:
    """Show the settings of the web process."""
    for name, field in type(settings).model_fields.items():
        if field.alias is None:
            continue
        is_default = name not in settings.model_fields_set
        if is_secret(field):
            is_set = getattr(settings, name) is not None
            yield ShownSetting(field.alias, MASKED if is_set else None, is_default)
        else:
            value, problem = _written(getattr(settings, name)), _problem(field.alias, settings)
            yield ShownSetting(field.alias, value, is_default, problem)


def faults(redis: Redis) -> Iterator[str]:
    """Say what is wrong with the Redis that they lead to."""
    try:
        fault = rights_fault(rights.missing_rights(redis, Role.WEB)) or persistence_fault(
            redis.info("persistence")
        )
    except RedisError as error:
        yield f"Redis could not be looked at: {type(error).__name__}."
        return
    if fault:
        yield f"{fault.seen[0].upper()}{fault.seen[1:]}: {fault.remedy}."


def _written(value: object) -> str | None:
    if value is None:
        return None
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _problem(name: str, settings: WebSettings) -> str | None:
    if name == "OPS_URL" and settings.ops_url is None and settings.proxy_hops:
        return "There is a proxy in front, but without OPS_URL only 127.0.0.1 reaches the console."
    if name == "OPS_URL" and settings.ops_url and settings.ops_url.scheme != "https":
        return "Without https whoever is on the way can read the sessions."
    return None
