"""`klarna-ack status`: how many pushes are in each state, and whether anybody works on them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.output import watch as watching
from cli.output.watch import LiveView
from pushes.model import Reason, State
from pushes.policy import CLOCK_SLACK, SUSPICIOUS_UNKNOWN
from pushes.read import overview
from pushes.read.search.moments import describe_span
from pushes.store.counted.refusals import RefusalReason

_ACCOUNT_COLUMNS = ("account", "waiting", "dead", "held", "since", "next probe", "because")


@click.command()
@click.option("--watch", is_flag=True, help="Redraw every 2 seconds, until ctrl-c.")
@options.as_json
def status(*, watch: bool, as_json: bool) -> None:
    """Show how many pushes are in each state.

    It also tells how long the oldest one waits, how many workers are alive, which orders, worth how
    much, run out of Klarna's 48 hours, and which accounts are held. With --watch it fills the
    screen, and waits for a Redis that goes away later; with --json, too, each reading is one line.
    """
    with opened() as context:

        def look() -> overview.StatusView:
            now = datetime.now(UTC)
            return overview.status(overview.read(context.ledger, now, context.configured))

        if watch:
            watching.watch(
                LiveView(
                    look, blocks, _screen, _screen_without, "`klarna-ack status` has them all"
                ),
                as_json=as_json,
            )
        elif as_json:
            output.emit_json(look())
        else:
            output.emit(*blocks(look()))


def blocks(view: overview.StatusView) -> list[output.Block]:
    """Lay the status out for a reader."""
    accounts = [_account(name, account) for name, account in view["accounts"].items()]
    return [
        _states(view),
        _work(view),
        *_dead(view["dead_by_reason"]),
        *_refused(view["refused"]),
        *_at_risk(view["at_risk"]),
        output.Table(_ACCOUNT_COLUMNS, accounts, prose="because"),
        *_warnings(view),
    ]


def _screen(view: overview.StatusView) -> list[output.Block]:
    """Lay it out for a screen, what matters most at the top."""
    accounts = sorted(view["accounts"].items(), key=lambda item: item[1]["held"] is None)
    rows = [_account(name, account) for name, account in accounts]
    return [
        f"klarna-ack status, read {view['read_at']}",
        *_warnings(view),
        _work(view),
        output.Table(list(view["states"]), [list(view["states"].values())]),
        *_dead(view["dead_by_reason"]),
        *_refused(view["refused"]),
        *_at_risk(view["at_risk"]),
        output.Table(_ACCOUNT_COLUMNS, rows, prose="because"),
    ]


def _screen_without(loss: str, last: overview.StatusView) -> list[output.Block]:
    """Lay out that there is nothing to read for now."""
    return [
        f"klarna-ack status, not read since {last['read_at']}",
        loss,
        "Accepted pushes are safe in Redis. New ones are answered 503; Klarna sends them again.",
    ]


def _states(view: overview.StatusView) -> output.Table:
    states = [(word, count, State.of(word).sentence) for word, count in view["states"].items()]
    return output.Table(("state", "pushes", "meaning"), states, prose="meaning")


def _dead(by_reason: Mapping[str, int]) -> Iterator[output.Table]:
    """Lay out what is dead by its reason, if anything is."""
    rows = [
        (reason, count, Reason.of(reason).next_step) for reason, count in by_reason.items() if count
    ]
    if rows:
        yield output.Table(("dead because", "pushes", "next step"), rows, prose="next step")


def _work(view: overview.StatusView) -> output.Facts:
    waiting_s = view["oldest_waiting_s"]
    waiting = "nothing waits" if waiting_s is None else f"{describe_span(waiting_s)} ago"
    oldest = ("oldest waiting order first pushed", waiting)
    return output.Facts("Work", [oldest, ("workers alive", view["workers"])])


def _warnings(view: overview.StatusView) -> Iterator[str]:
    for alarm in view["alarms"]:
        yield f"Alarm since {alarm['since']}: {alarm['meaning']} {alarm['action']}"
    for name, account in view["accounts"].items():
        yield from _about_account(name, account)
    yield from _about_workers(view)
    for sentence in view["unreadable"]:
        yield f"Not counted here: {sentence}. Find out who wrote that to this Redis."


def _about_account(name: str, account: overview.AccountStatusView) -> Iterator[str]:
    if account["unknown_in_a_row"] >= SUSPICIOUS_UNKNOWN:
        yield (
            f"Klarna knew none of the last {account['unknown_in_a_row']} orders of the account"
            f" {name}: probably the wrong region or account, or made-up pushes."
        )
    if account["paused_until"]:
        yield (
            f"The account {name} is not called for until {account['paused_until']}:"
            f" {account['pause_cause']}. `klarna-ack resume {name}` ends that."
        )
    if account["unserved_since"]:
        yield (
            f"No worker serves the account {name} since {account['unserved_since']}: its orders"
            " wait."
        )


def _account(name: str, account: overview.AccountStatusView) -> tuple[output.Cell, ...]:
    more = "+" if account["states_partial"] else ""
    dead = account["states"]["dead"]
    waiting = sum(account["states"].values()) - dead
    held = (account["held"], account["since"], account["probe_at"], account["cause"])
    return (name, f"{waiting}{more}", f"{dead}{more}", *held)


def _refused(refused: list[overview.RefusedView]) -> Iterator[output.Table]:
    """Lay out what was refused since the first push, if anything was."""
    if not refused:
        return
    rows = [
        (one["account"], one["reason"], one["pushes"], RefusalReason.of(one["reason"]).sentence)
        for one in refused
    ]
    yield output.Table(("account", "refused for", "pushes", "meaning"), rows, prose="meaning")


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


def _at_risk(groups: list[overview.AtRiskView]) -> Iterator[output.Table]:
    """Lay out what runs out of time, if anything does; sums in minor units, as Klarna's are."""
    if not any(group["orders"] for group in groups):
        return
    rows = [(_left(group["under_h"]), group["orders"], _amounts(group)) for group in groups]
    headers = ("not acknowledged, deadline", "orders", "amounts in minor units")
    yield output.Table(headers, rows, prose="amounts in minor units")


def _left(under_h: int) -> str:
    return f"in less than {under_h} h" if under_h else "passed"


def _amounts(group: overview.AtRiskView) -> str:
    sums = [f"{amount} {currency}" for currency, amount in group["amounts"].items()]
    unknown = [f"{group['amount_unknown']} unknown"] if group["amount_unknown"] else []
    more = ["and more, not read"] if group["amounts_partial"] else []
    return ", ".join([*sums, *unknown, *more])
