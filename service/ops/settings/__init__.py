"""Settings: what this process was started with, secrets masked, and who has access. Read only."""

from collections.abc import Iterator
from dataclasses import dataclass

from flask import Blueprint, Response
from redis.exceptions import RedisError

from pushes.access import tokens, users
from pushes.access.principals import UserRole
from pushes.settings.problems import is_secret
from pushes.store.server import rights
from pushes.store.server.durability import persistence_fault, rights_fault
from pushes.store.server.rights import Role
from service import access, deps
from service.ops.page import render
from service.ops.words import NOTHING
from service.settings import WebSettings

blueprint = Blueprint("settings", __name__, url_prefix="/settings")


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting; `problem` says what is wrong with it, or with what it leads to."""

    name: str
    value: str
    is_default: bool
    problem: str | None = None


@blueprint.get("/")
@access.needs(UserRole.ADMIN)
def page() -> Response:
    """Show the settings of the web process, and who has access."""
    found = deps.current()
    return render(
        "settings/settings.html",
        shown=list(_shown(found.settings)),
        push_tokens=sorted(found.settings.tokens.items()),
        faults=list(_faults()),
        users=users.everybody(found.ledger.redis),
        tokens=tokens.everyone(found.ledger.redis),
    )


def _shown(settings: WebSettings) -> Iterator[Shown]:
    for name, field in type(settings).model_fields.items():
        if field.alias is None:
            continue
        value = getattr(settings, name)
        is_default = name not in settings.model_fields_set
        if is_secret(field):
            yield Shown(field.alias, "•••••• (set)", is_default=False)
        else:
            yield Shown(field.alias, _written(value), is_default, _problem(field.alias, settings))


def _written(value: object) -> str:
    if value is None:
        return NOTHING
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _problem(name: str, settings: WebSettings) -> str | None:
    if name == "OPS_URL" and settings.ops_url is None and settings.proxy_hops:
        return "There is a proxy in front, but without OPS_URL only 127.0.0.1 reaches the console."
    if name == "OPS_URL" and settings.ops_url and settings.ops_url.scheme != "https":
        return "Without https whoever is on the way can read the sessions."
    return None


def _faults() -> Iterator[str]:
    redis = deps.current().ledger.redis
    try:
        fault = rights_fault(rights.missing_rights(redis, Role.WEB)) or persistence_fault(
            redis.info("persistence")
        )
    except RedisError as error:
        yield f"Redis could not be looked at: {type(error).__name__}."
        return
    if fault:
        yield f"{fault.seen[0].upper()}{fault.seen[1:]}: {fault.remedy}."
