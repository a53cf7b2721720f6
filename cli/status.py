"""`klarna-ack status`: how many pushes are in each state, and whether anybody works on them."""

from collections.abc import Iterator
from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options
from cli.arguments.moments import describe_span
from cli.context import opened
from cli.output import watch as watching
from pushes.model import State
from pushes.policy import CLOCK_SLACK, SUSPICIOUS_UNKNOWN
from pushes.read import overview
from pushes.store.refusals import RefusalReason

_ACCOUNT_COLUMNS = ("account", "waiting", "dead", "held", "since", "next probe", "because")


@click.command()
@click.option("--watch", is_flag=True, help="Redraw every 2 seconds, until ctrl-c.")
@options.as_json
def status(*, watch: bool, as_json: bool) -> None:
    """Show how many pushes are in each state.

    It also tells how long the oldest one waits, how many workers are alive, which orders, worth how
    much, run out of Klarna's 48 hours, and which accounts are held. With --watch a Redis that goes
    away later is waited for; with --json as well, each reading is one line.
    """
    with opened() as context:

        def look() -> overview.StatusView:
            now = datetime.now(UTC)
            return overview.status(overview.read(context.redis, now, context.configured))

        if watch:
            watching.watch(look, blocks, as_json=as_json)
        elif as_json:
            output.emit_json(look())
        else:
            output.emit(*blocks(look()))


def blocks(view: overview.StatusView) -> list[output.Block]:
    """Lay the status out for a reader."""
    states = [(word, count, State.of(word).sentence) for word, count in view["states"].items()]
    waiting_s = view["oldest_waiting_s"]
    waiting = "nothing waits" if waiting_s is None else f"{describe_span(waiting_s)} ago"
    accounts = [_account(name, account) for name, account in view["accounts"].items()]
    work: list[tuple[str, output.Cell]] = [
        ("oldest waiting order first pushed", waiting),
        ("workers alive", view["workers"]),
    ]
    shown: list[output.Block] = [
        output.Table(("state", "pushes", "meaning"), states),
        output.Facts("Work", work),
        output.Table(_ACCOUNT_COLUMNS, accounts),
    ]
    if any(group["orders"] for group in view["at_risk"]):
        shown.insert(2, _at_risk(view["at_risk"]))
    shown += [
        f"Alarm since {alarm['since']}: {alarm['meaning']} {alarm['action']}"
        for alarm in view["alarms"]
    ]
    shown += [
        f"Klarna knew none of the last {count} orders of the account {name}: probably the wrong "
        "region or account, or made-up pushes."
        for name, account in view["accounts"].items()
        if (count := account["unknown_in_a_row"]) >= SUSPICIOUS_UNKNOWN
    ]
    shown += [
        f"The account {name} is not called for until {account['paused_until']}:"
        f" {account['pause_cause']}. `klarna-ack resume {name}` ends that."
        for name, account in view["accounts"].items()
        if account["paused_until"]
    ]
    shown += [
        f"No worker serves the account {name} since {account['unserved_since']}: its orders wait."
        for name, account in view["accounts"].items()
        if account["unserved_since"]
    ]
    if view["refused"]:
        shown.insert(2, _refused(view["refused"]))
    return [*shown, *_about_workers(view), *_about_unreadable(view["unreadable"])]


def _account(name: str, account: overview.AccountStatusView) -> tuple[output.Cell, ...]:
    more = "+" if account["states_partial"] else ""
    dead = account["states"]["dead"]
    waiting = sum(account["states"].values()) - dead
    held = (account["held"], account["since"], account["probe_at"], account["cause"])
    return (name, f"{waiting}{more}", f"{dead}{more}", *held)


def _refused(refused: list[overview.RefusedView]) -> output.Table:
    """Lay out what was refused since the first push."""
    rows = [
        (one["account"], one["reason"], one["pushes"], RefusalReason.of(one["reason"]).sentence)
        for one in refused
    ]
    return output.Table(("account", "refused for", "pushes", "meaning"), rows)


def _about_workers(view: overview.StatusView) -> Iterator[str]:
    if view["suspended"]:
        yield (
            "`rq suspend` keeps the workers from taking orders, so nothing is acknowledged:"
            ' `rq resume --url "$REDIS_URL"` lets them go on.'
        )
    if not view["workers"]:
        yield "No worker is alive, so nothing is acknowledged: start `python -m worker`."
    if skewed := view["skewed_workers"]:
        yield (
            f"{skewed} of the workers alive take no orders: their clocks are more than"
            f" {CLOCK_SLACK.total_seconds():g} s from Redis's. Run NTP on all machines."
        )
    if others := view["other_workers"]:
        yield (
            f"{others} of the workers on the queue are `rq worker`, which takes orders and cannot"
            " acknowledge them: stop them."
        )


def _about_unreadable(sentences: list[str]) -> Iterator[str]:
    for sentence in sentences:
        yield f"Not counted here: {sentence}. Find out who wrote that to this Redis."


def _at_risk(groups: list[overview.AtRiskView]) -> output.Table:
    """Lay out what runs out of time; sums in minor units, as Klarna gives them."""
    rows = [(_left(group["under_h"]), group["orders"], _amounts(group)) for group in groups]
    headers = ("not acknowledged, deadline", "orders", "amounts in minor units")
    return output.Table(headers, rows)


def _left(under_h: int) -> str:
    return f"in less than {under_h} h" if under_h else "passed"


def _amounts(group: overview.AtRiskView) -> str:
    sums = [f"{amount} {currency}" for currency, amount in group["amounts"].items()]
    unknown = [f"{group['amount_unknown']} unknown"] if group["amount_unknown"] else []
    more = ["and more, not read"] if group["amounts_partial"] else []
    return ", ".join([*sums, *unknown, *more])
