"""`klarna-ack show`: everything known about one order, and what to do next. Changes nothing."""

from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options, order_ids
from cli.context import opened
from cli.exits import Refused
from pushes import policy
from pushes.model import PushKey, State
from pushes.read import views
from pushes.store import records
from pushes.store.ledger import Ledger

_COLUMNS = ("at", "event", "call", "answer", "correlation_id", "detail")


@click.command()
@click.argument("order_id")
@options.account
@options.as_json
def show(order_id: str, account: str | None, *, as_json: bool) -> None:
    """Show all that is known about an order's push.

    That is its state, its times, what Klarna showed of the order, and the timeline of its pushes
    and attempts, each call to Klarna with the correlation id that Klarna's support asks for.
    """
    (wanted,) = order_ids.from_arguments([order_id])
    with opened() as context:
        view = look_up(context.ledger, PushKey(context.choose_account(account), wanted))
    if as_json:
        output.emit_json(view)
    else:
        output.emit(*blocks(view))


def look_up(ledger: Ledger, key: PushKey) -> views.PushView:
    """Read one push. Raises Refused when none is known."""
    push = records.get(ledger.redis, key)
    if push is None:
        raise Refused(
            f"No push is known for order {key.order_id} in account {key.account!r}: it was never "
            f"pushed here, or was settled more than {policy.RETENTION.days} days ago. Check the id"
            f" and the account, or queue it with `klarna-ack push {key.order_id} --account"
            f" {key.account}`."
        )
    return views.full(push, records.timeline(ledger.redis, key), datetime.now(UTC))


def blocks(view: views.PushView) -> list[output.Block]:
    """Lay one push out for a reader."""
    shown: list[output.Block] = [output.Facts(f"Order {view['order_id']}", _facts(view))]
    order = [(name, _cell(value)) for name, value in view["order"].items()]
    if any(value is not None for _, value in order):
        shown.append(output.Facts("At Klarna, when last seen (amounts in minor units)", order))
    shown.append(_timeline(view["timeline"]))
    return shown


def _facts(view: views.PushView) -> list[tuple[str, output.Cell]]:
    late = ": passed, and the order is not acknowledged" if view["overdue"] else ""
    discarded = " Discarded by an operator." if view["discarded"] else ""
    return [
        ("account", view["account"]),
        ("state", f"{view['state']}: {State.of(view['state']).sentence}{discarded}"),
        ("reason", view["reason"]),
        ("next step", view["next_step"]),
        ("last error", view["last_error"]),
        ("next attempt", view["next_attempt_at"]),
        ("acknowledged", view["acknowledged_at"]),
        ("verified", view["verified_at"]),
        ("first push", view["first_push_at"]),
        ("last push", view["last_push_at"]),
        ("deadline", f"{view['deadline_at']}{late}"),
        ("pushes", view["pushes"]),
        ("attempts", view["attempts"]),
        ("crashes", view["crashes"] or None),
    ]


def _timeline(entries: list[views.EntryView]) -> output.Table:
    """Lay the timeline out, without the columns that have nothing to say."""
    lines = [_line(entry) for entry in entries]
    headers = [name for name in _COLUMNS if any(line[name] for line in lines)]
    return output.Table(headers, [[line[name] for name in headers] for line in lines])


def _line(entry: views.EntryView) -> dict[str, output.Cell]:
    took = None if entry["ms"] is None else f"in {entry['ms']} ms"
    answer = (entry["http_status"], entry["error_code"], took)
    by = f"by {entry['by']}" if entry["by"] else None
    return {
        "at": entry["at"],
        "event": entry["event"],
        "call": entry["call"],
        "answer": " ".join(str(part) for part in answer if part is not None),
        "correlation_id": entry["correlation_id"],
        "detail": ": ".join(part for part in (by, entry["detail"]) if part),
    }


def _cell(value: object) -> output.Cell:
    return value if value is None or isinstance(value, int) else str(value)
