"""`klarna-ack show`: everything known about one order, and what to do next. Changes nothing."""

from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options, order_ids
from cli.context import Context, opened
from cli.exits import Refused
from pushes.model import PushKey, State
from pushes.read import views
from pushes.store import keys, records
from pushes.store.repair import quarantine

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
        key = find(context, wanted, account)
        push = records.get(context.redis, key)
        timeline = records.timeline(context.redis, key)
        kept_aside = quarantine.content(context.redis, key)
    if push is None:  # it expired in between
        raise Refused(_unknown(wanted, [key.account], context.ledger.retention.days))
    view = views.full(push, timeline, datetime.now(UTC), kept_aside)
    if as_json:
        output.emit_json(view)
    else:
        output.emit(*blocks(view))


def find(context: Context, order_id: str, account: str | None) -> PushKey:
    """Find an order in `account`, else in whichever account knows it.

    Raises Refused when none does, and UsageError when several do.
    """
    accounts = [context.choose_account(account)] if account else context.known_accounts()
    wanted = [PushKey(name, order_id) for name in accounts]
    pipeline = context.redis.pipeline(transaction=False)
    for key in wanted:
        pipeline.exists(keys.record(key))
    found = [key for key, exists in zip(wanted, pipeline.execute(), strict=True) if exists]
    if not found:
        raise Refused(_unknown(order_id, accounts, context.ledger.retention.days))
    if len(found) > 1:
        names = ", ".join(key.account for key in found)
        raise click.UsageError(
            f"Several accounts know this order: {names}. Say which one with --account."
        )
    return found[0]


def _unknown(order_id: str, accounts: list[str], days: int) -> str:
    where = f"account {accounts[0]!r}" if len(accounts) == 1 else f"accounts {', '.join(accounts)}"
    name = accounts[0] if len(accounts) == 1 else "NAME"
    return (
        f"No push is known for order {order_id} in {where}: it was never pushed here, or was"
        f" settled more than {days} days ago. Check the id and the account, or"
        f" queue it with `klarna-ack push {order_id} --account {name}`."
    )


def blocks(view: views.PushView) -> list[output.Block]:
    """Lay one push out for a reader."""
    shown: list[output.Block] = [output.Facts(f"Order {view['order_id']}", _facts(view))]
    order = [(name, _cell(value)) for name, value in view["order"].items()]
    if any(value is not None for _, value in order):
        shown.append(output.Facts("At Klarna, when last seen (amounts in minor units)", order))
    shown.append(_timeline(view["timeline"], view["last_error"]))
    if view["kept_aside"]:
        shown.append(output.Facts("Kept aside, unreadable", list(view["kept_aside"].items())))
    return shown


def _facts(view: views.PushView) -> list[tuple[str, output.Cell]]:
    late = ": passed, and the order is not acknowledged" if view["overdue"] else ""
    meaning = State.of(view["state"]).sentence
    if view["discarded"]:
        meaning = "Discarded by an operator: later pushes are counted, and do not revive it."
    return [
        ("account", view["account"]),
        ("state", f"{view['state']}: {meaning}"),
        ("reason", view["reason"]),
        ("next step", view["next_step"]),
        ("last error", view["last_error"]),
        ("next attempt", view["next_attempt_at"]),
        ("fraud notification", view["fraud_event"] and f"{view['fraud_event']}: not verified yet"),
        ("acknowledged", view["acknowledged_at"]),
        ("fraud decision handed over", view["decision_handed_over_at"]),
        ("references set", view["references_set_at"]),
        ("handed over", view["handed_over_at"]),
        ("verified", view["verified_at"]),
        ("first push", view["first_push_at"]),
        ("last push", view["last_push_at"]),
        ("deadline", f"{view['deadline_at']}{late}"),
        ("pushes", view["pushes"]),
        ("attempts", view["attempts"]),
        ("crashes", view["crashes"] or None),
        ("trace id", view["trace_id"]),
    ]


def _timeline(entries: list[views.EntryView], last_error: str | None) -> output.Table:
    """Lay the timeline out, without the columns that have nothing to say.

    An error is told once: what failed says it again, and so do the entries after it.
    """
    told = [last_error] if last_error else []
    lines = [_line(entry, told) for entry in entries]
    headers = [name for name in _COLUMNS if any(line[name] for line in lines)]
    rows = [[line[name] for name in headers] for line in lines]
    return output.Table(headers, rows, prose="detail", titles=2)


def _line(entry: views.EntryView, told: list[str]) -> dict[str, output.Cell]:
    took = None if entry["ms"] is None else f"in {entry['ms']} ms"
    answer = (entry["http_status"], entry["error_code"], took)
    if entry["by"]:
        detail = ": ".join(part for part in (f"by {entry['by']}", entry["detail"]) if part)
    else:
        detail = _news(entry["detail"] or "", told)
    return {
        "at": entry["at"],
        "event": entry["event"],
        "call": entry["call"],
        "answer": " ".join(str(part) for part in answer if part is not None),
        "correlation_id": entry["correlation_id"],
        "detail": detail,
    }


def _news(detail: str, told: list[str]) -> str:
    """Return what a detail says that was not told yet, and note it."""
    if not detail or any(detail in text for text in told):
        return ""
    for text in told:  # `no_such_order: HTTP 404 …`
        if detail.endswith(f": {text}"):
            return detail.removesuffix(f": {text}")
    told.append(detail)
    return detail


def _cell(value: object) -> output.Cell:
    return value if value is None or isinstance(value, int) else str(value)
