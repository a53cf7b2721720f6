"""Which dead letters a page is about: what its address says, and what its reader may see."""

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import request
from werkzeug.exceptions import BadRequest

from pushes.model import Reason
from pushes.read.dead_letters import Filter
from pushes.read.search import moments
from service import access
from service.ops.page import chosen_account


@dataclass(frozen=True, slots=True)
class ChosenLetters:
    """A filter, and the same as the arguments of an address."""

    wanted: Filter
    arguments: dict[str, str | None]

    @property
    def is_narrow(self) -> bool:
        """Whether anything is left out."""
        return any(self.arguments.values())


def read() -> ChosenLetters:
    """Read it from the address. Raises BadRequest naming what cannot be read."""
    who = access.principal()
    account = chosen_account(who)
    word, code = request.args.get("reason") or None, request.args.get("code") or None
    try:
        reason = Reason.of(word) if word else None
    except ValueError as error:
        raise BadRequest(f"A reason is one of {', '.join(Reason)}.") from error
    since, until = _moment("since"), _moment("until")
    if since and until and since >= until:
        raise BadRequest("“Died since” is not before “until”: nothing can match.")
    accounts = None if who.accounts is None else frozenset(who.accounts)
    return ChosenLetters(
        Filter(reason, account, since, until, code, accounts),
        {
            "reason": word,
            "code": code,
            "account": account,
            "since": request.args.get("since") or None,
            "until": request.args.get("until") or None,
        },
    )


def _moment(name: str) -> datetime | None:
    text = request.args.get(name, "").strip()
    try:
        return moments.parse(text, datetime.now(UTC)) if text else None
    except ValueError as error:
        raise BadRequest(
            f"“{name}” cannot be read. Give ISO 8601 such as 2026-01-31T08:15, in UTC unless it"
            " says otherwise, or an age such as 90m, 24h or 7d."
        ) from error
