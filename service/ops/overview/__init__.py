"""Overview: is everything all right? The oldest waiting order first, then what needs somebody."""

from flask import Blueprint, Response

from pushes.model import State
from service import access, deps
from service.ops.overview.headline import judge
from service.ops.page import render

blueprint = Blueprint("overview", __name__)

# In the order of a push's life.
_STATES = (
    State.QUEUED,
    State.RUNNING,
    State.RETRYING,
    State.HELD,
    State.DEAD,
    State.ACKNOWLEDGED,
    State.NOT_NEEDED,
)


@blueprint.get("/")
def page() -> Response:
    """Show how everything is."""
    who = access.principal()
    seen = deps.current().recent.read()
    standings = {name: it for name, it in seen.standings.items() if who.sees(name)}
    if who.accounts is None:
        states = {state: seen.states[state] for state in _STATES}
    else:  # what is settled is not counted by account
        counts = [seen.by_account.of(name) for name in standings]
        states = {
            state: sum(each[state] for each in counts) for state in _STATES if not state.is_settled
        }
    return render(
        "overview/overview.html",
        seen=seen,
        standings=standings,
        states=states,
        limited=who.accounts is not None,
        headline=judge(seen, standings, states),
    )
