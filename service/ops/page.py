"""Making a page: what every template knows, and whether it is the whole page or what renews it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, Response, flash, g, make_response, render_template, request
from werkzeug.exceptions import BadRequest, NotFound

from pushes.access.principals import Principal, UserRole
from pushes.accounts.holds import Standing
from pushes.model import State
from service import deps
from service.ops import words

# What a script sends that wants only what may have changed.
_FRAGMENT_HEADER = "X-Fragment"

# Enough to say why, and to be read in a list.
_LONGEST_REASON = 500

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of the navigation."""

    title: str
    endpoint: str
    role: UserRole = UserRole.VIEWER


NAVIGATION = (
    Link("Overview", "ops.overview.page"),
    Link("Orders", "ops.orders.page"),
    Link("Dead letters", "ops.dead.page"),
    Link("Replays", "ops.replays.page"),
    Link("Accounts", "ops.accounts.page"),
    Link("Workers", "ops.workers.page"),
    Link("Audit", "ops.audit.page"),
    Link("Settings", "ops.settings.page", UserRole.ADMIN),
)


def register(app: Flask, console: Blueprint) -> None:
    """Teach the templates how things are written."""
    app.jinja_options = {"finalize": words.visible, "trim_blocks": True, "lstrip_blocks": True}

    @console.context_processor
    def known() -> dict[str, Any]:
        now = datetime.now(UTC)
        who: Principal | None = g.get("principal")
        return {
            "who": who,
            "now": now,
            "navigation": [link for link in NAVIGATION if who and who.may(link.role)],
            "may_operate": who is not None and who.may(UserRole.OPERATOR),
            "State": State,
            "words": words,
            "layout": "layout/fragment.html"
            if _FRAGMENT_HEADER in request.headers
            else "layout/whole.html",
        }


def render(template: str, **facts: Any) -> Response:  # noqa: ANN401 - whatever a template shows
    """Make the answer from a template."""
    return make_response(render_template(template, **facts))


def visible_accounts(who: Principal) -> tuple[str, ...] | None:
    """Name the accounts that somebody is limited to; None for all."""
    return who.accounts


def chosen_account(who: Principal) -> str | None:
    """Return the account that the page is asked for; one of theirs for whoever is limited.

    Raises NotFound for an account that is not theirs.
    """
    name = request.args.get("account") or None
    if name is None and who.accounts is not None:
        return who.accounts[0]
    if name is not None and not who.sees(name):
        raise NotFound(f"There is no account {name[:40]!r} that you may see.")
    return name


def reason() -> str:
    """Return the reason that a form gives. Raises BadRequest without one."""
    why = " ".join(request.form.get("why", "").split())
    if not why:
        raise BadRequest("Say why: the reason is kept in the audit. Nothing was changed.")
    if len(why) > _LONGEST_REASON:
        raise BadRequest(
            f"The reason has {len(why)} characters; use up to {_LONGEST_REASON}. Nothing was"
            " changed."
        )
    return why


def say(text: str, kind: str = "good") -> None:
    """Show a sentence on the next page."""
    flash(text, kind)


def neediest_first(standings: Mapping[str, Standing]) -> list[str]:
    """Name the accounts, those first that somebody should look at."""

    def place(name: str) -> tuple[bool, bool, str]:
        standing = standings[name]
        return not (standing.hold or standing.unserved_since), not standing.pause, name

    return sorted(standings, key=place)


def known_accounts(who: Principal) -> list[str]:
    """Name the accounts that somebody may choose from: those configured."""
    names = sorted(deps.current().settings.tokens)
    return [name for name in names if who.sees(name)]
