"""Overview: is everything all right? The oldest waiting order first, then what needs somebody."""

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from pushes.accounts import clock
from pushes.model import State
from pushes.read.lately import quota, series
from pushes.read.lately.series import Series
from pushes.read.unreadable import Unreadable
from pushes.store.counted.series import Range
from service import access, deps
from service.ops.overview import charts
from service.ops.overview.headline import judge
from service.ops.page import render

blueprint = Blueprint("overview", __name__)

# So many have a line here; the others are on the page of the accounts.
_ACCOUNTS_SHOWN = 20

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
    seen = deps.current().recent.read(access.changed_at())
    standings = {name: it for name, it in seen.standings.items() if who.sees(name)}
    if who.accounts is None:
        states = {state: seen.states[state] for state in _STATES}
    else:  # what is settled is not counted by account
        counts = [seen.by_account.of(name) for name in standings]
        states = {
            state: sum(each[state] for each in counts) for state in _STATES if not state.is_settled
        }
    redis = deps.current().ledger.redis
    drawn = None if who.accounts is not None else _series()  # it is over all accounts
    return render(
        "overview/overview.html",
        quota=quota.read(redis, list(standings)[:_ACCOUNTS_SHOWN], clock.read(redis), Unreadable()),
        accounts_shown=_ACCOUNTS_SHOWN,
        series=drawn,
        charts=[charts.throughput(drawn), charts.times(drawn)] if drawn else [],
        ranges=list(Range),
        seen=seen,
        standings=standings,
        states=states,
        limited=who.accounts is not None,
        headline=judge(seen, standings, states),
    )


def _series() -> Series:
    """Read the range of time that is asked for. Raises BadRequest for one that there is not."""
    word = request.args.get("range", Range.HOUR)
    try:
        wanted = Range.of(word)
    except ValueError as error:
        raise BadRequest(f"range={word[:20]}: use {', '.join(Range)}.") from error
    redis = deps.current().ledger.redis
    return series.read(redis, wanted, clock.read(redis), Unreadable())
