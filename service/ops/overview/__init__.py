"""Overview: is everything all right? The oldest waiting order first, then what needs somebody."""

from dataclasses import replace

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from pushes.access.principals import Principal
from pushes.accounts import clock
from pushes.model import State
from pushes.read import accounts_at_work, by_account
from pushes.read.lately import quota, series
from pushes.read.lately.series import Series
from pushes.read.overview import Overview
from pushes.read.unreadable import Unreadable
from pushes.store.counted.series import Range
from service import access, deps
from service.ops.overview import charts
from service.ops.overview.headline import judge
from service.ops.page import neediest_first, render

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
    redis = deps.current().ledger.redis
    states, whose = {state: seen.states[state] for state in _STATES}, dict[State, str]()
    if who.accounts is not None:
        seen = _of_theirs(seen, who)
        states, whose = _states_of(seen)
    accounts = neediest_first(seen.standings)[:_ACCOUNTS_SHOWN]
    drawn = None if who.accounts is not None else _series()  # it is over all accounts
    return render(
        "overview/overview.html",
        quota=quota.read(redis, accounts, clock.read(redis), Unreadable()),
        accounts=accounts,
        series=drawn,
        charts=[charts.throughput(drawn), charts.times(drawn)] if drawn else [],
        ranges=list(Range),
        seen=seen,
        states=states,
        whose=whose,
        limited=who.accounts is not None,
        headline=judge(seen, states),
    )


def _of_theirs(seen: Overview, who: Principal) -> Overview:
    """Leave out what is of other accounts: standings, and the orders that run out of time."""
    redis = deps.current().ledger.redis
    standings = {name: it for name, it in seen.standings.items() if who.sees(name)}
    oldest = accounts_at_work.oldest_deadline(redis, standings, Unreadable())
    return replace(seen, standings=standings, oldest_deadline=oldest, at_risk=())


def _states_of(seen: Overview) -> tuple[dict[State, int], dict[State, str]]:
    """Count the orders of these accounts by state, and name an account that has such; not settled.

    What is settled is not counted by account.
    """
    states, whose = dict.fromkeys(by_account.STATES, 0), dict[State, str]()
    for name in seen.standings:
        for state, count in seen.by_account.of(name).items():
            states[state] += count
            if count:
                whose.setdefault(state, name)
    return {state: states[state] for state in _STATES if state in states}, whose


def _series() -> Series:
    """Read the range of time that is asked for. Raises BadRequest for one that there is not."""
    word = request.args.get("range", Range.HOUR)
    try:
        wanted = Range.of(word)
    except ValueError as error:
        raise BadRequest(f"range={word[:20]}: use {', '.join(Range)}.") from error
    redis = deps.current().ledger.redis
    return series.read(redis, wanted, clock.read(redis), Unreadable())
