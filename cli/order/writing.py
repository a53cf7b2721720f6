"""One write to an order at Klarna: look at the order, ask, keep the write, send it, tell.

Refused: a write while an earlier one of its kind has no answer, unless it is its repetition.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import click
from redis.exceptions import RedisError

from cli import output
from cli.arguments.money import Money
from cli.calling import failures
from cli.calling.merchant import Merchant, calling_for
from cli.calling.traces import entry_of, snapshot_of
from cli.context import Context, opened
from cli.exits import Refused, remedy, what_happened
from cli.order.choices import Choices
from cli.order.shown import described_here, facts_of
from klarna import (
    Call,
    CreatedCapture,
    Exchange,
    KlarnaClient,
    KlarnaError,
    LocalError,
    Observe,
    Operation,
    Order,
    TransientError,
)
from klarna.documents import RequestDocument
from pushes.model import Push, PushKey
from pushes.operate import write as keeping
from pushes.operate.batch import Operator
from pushes.operate.write import BegunWrite, UnansweredError
from pushes.order_write import OrderAnswer, OrderWrite, WriteResult
from pushes.read import views

_AGAIN = (
    "Run the same command again: it is sent with its idempotency key, and Klarna does it once at"
    " most."
)

# Makes the call: with which client, for which order, with which key; tells what was heard.
Send = Callable[[KlarnaClient, str, str, Observe], CreatedCapture | None]


@dataclass(frozen=True, slots=True)
class OrderAct:
    """A write as a command wants it. `verb` is the command's own name, `done` says what it did.

    `detail` is what the audit keeps of `document`: amounts and names, never a person's data.
    """

    verb: str
    done: str
    operation: Operation
    send: Send
    document: RequestDocument | None = None
    detail: str | None = None

    def call(self, order_id: str) -> Call:
        """Return the request that is sent."""
        body = self.document.to_json() if self.document else None
        return Call(self.operation, order_id, body)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an operator works on one order of one account."""

    context: Context
    merchant: Merchant
    key: PushKey
    choices: Choices

    def look(self) -> Order:
        """Fetch the order before it is changed. Raises Refused when it cannot be seen."""
        try:
            order = self.merchant.client.get_order(self.key.order_id)
        except KlarnaError as error:
            told = failures.tell(error, "get", self.key)
            raise Refused(f"{told}\nNothing was sent that changes the order.") from error
        if order.order_id != self.key.order_id:
            raise Refused(
                f"Klarna answered with another order, {order.order_id[:36]}: nothing was sent."
                " Check proxies and the API address."
            )
        return order

    def ask(self, question: str) -> None:
        """Ask whether to go on, unless that was answered before. Raises Refused for a no."""
        if self.choices.yes or self.choices.dry_run:
            return
        try:
            agreed = click.confirm(output.safe(question), err=True)
        except click.Abort:  # ctrl-c, or nobody there to answer
            click.echo(err=True)
            agreed = False
        if not agreed:
            raise Refused("Nothing was sent. To act without being asked, add --yes.")

    def do(self, act: OrderAct) -> None:
        """Send a write and tell what came of it, or print it. Raises Refused when it failed."""
        call = act.call(self.key.order_id)
        if self.choices.dry_run:
            self._print(call)
            return
        operator = Operator(self.choices.by, f"order {act.verb}", self.choices.why)
        write = OrderWrite(self.key, str(call.operation), call.body, act.detail)
        now, anew = datetime.now(UTC), self.choices.anew
        try:
            begun = keeping.begin(self.context.ledger, write, operator, now, anew=anew)
        except UnansweredError as error:
            raise Refused(str(error)) from error
        _Sending(self, act, begun).run()

    def _print(self, call: Call) -> None:
        url = f"{self.merchant.api_url.url}{call.path}"
        body = json.loads(call.body) if call.body else None
        if self.choices.as_json:
            where = {"order_id": self.key.order_id, "account": self.key.account}
            output.emit_json({**where, "method": call.operation.method, "url": url, "body": body})
            return
        click.echo(f"{call.operation.method} {url}")
        if body is not None:
            click.echo(json.dumps(body, indent=2))
        click.echo("Nothing was sent that changes the order.", err=True)


@contextmanager
def desk(order_id: str, choices: Choices) -> Iterator[Desk]:
    """Open what a write needs. Raises ConfigurationError, and UsageError for the account."""
    with opened() as context:
        account = context.choose_configured_account(choices.account)
        with calling_for(account) as merchant:
            yield Desk(context, merchant, PushKey(account, order_id), choices)


class _Sending:
    """One write under way: it is kept, and now it is sent."""

    def __init__(self, where: Desk, act: OrderAct, begun: BegunWrite) -> None:
        self._desk = where
        self._act = act
        self._begun = begun
        self._heard: list[Exchange] = []

    def run(self) -> None:
        """Send it, note and tell what came of it. Raises Refused when it failed."""
        client, key = self._desk.merchant.client, self._desk.key
        try:
            made = self._act.send(
                client, key.order_id, self._begun.idempotency_key, self._heard.append
            )
        except KlarnaError as error:
            raise self._failed(error) from error
        except KeyboardInterrupt:
            with suppress(RedisError):
                self._note(WriteResult.UNKNOWN, error="interrupted")
            raise Refused(f"Interrupted: {WriteResult.UNKNOWN.value}. {_AGAIN}") from None
        order = self._look_again()
        try:
            push = self._note(WriteResult.DONE, order)
        except RedisError as error:
            raise Refused(
                f"Klarna did it, but {what_happened(error)}: that is not noted here."
                f" {remedy(error)}. {_AGAIN}"
            ) from error
        self._tell(made, order, push)

    def _failed(self, error: KlarnaError) -> Refused:
        result = _result_of(error, is_repeated=self._begun.is_repeated)
        is_unknown = result is WriteResult.UNKNOWN
        again = f"{_AGAIN} Or look at the order first." if is_unknown else None
        told = failures.tell(error, self._act.verb, self._desk.key, remedy=again)
        if is_unknown:
            told = f"{told}\n  Nobody knows whether Klarna did it."
        noted = f"{error}; {result.value}" if is_unknown else str(error)
        try:
            self._note(result, error=noted)
        except RedisError as lost:
            told = f"{told}\n{what_happened(lost)}: that is not noted here. {remedy(lost)}."
        return Refused(told)

    def _look_again(self) -> Order | None:
        """Fetch the order as it is now; None when Klarna does not show it at this moment."""
        with suppress(KlarnaError):
            return self._desk.merchant.client.get_order(self._desk.key.order_id)
        return None

    def _note(
        self, result: WriteResult, order: Order | None = None, error: str | None = None
    ) -> Push | None:
        entries = tuple(map(entry_of, self._heard))
        answer = OrderAnswer(result, entries, snapshot_of(order) if order else None)
        return keeping.end(self._desk.context.ledger, self._begun, answer, datetime.now(UTC), error)

    def _tell(self, made: CreatedCapture | None, order: Order | None, push: Push | None) -> None:
        key, begun = self._desk.key, self._begun
        correlation_id = self._heard[-1].correlation_id if self._heard else None
        capture_id = made.capture_id if made else None
        if self._desk.choices.as_json:
            output.emit_json(
                {
                    "order_id": key.order_id,
                    "account": key.account,
                    "call": begun.write.call,
                    "result": "done",
                    "repeated": begun.is_repeated,
                    "idempotency_key": begun.idempotency_key,
                    "correlation_id": correlation_id,
                    "capture_id": capture_id,
                    "state": str(push.state) if push else None,
                    "order": views.order(snapshot_of(order)) if order else None,
                }
            )
            return
        repeated = "yes, with its key: an earlier answer was lost" if begun.is_repeated else None
        facts: list[tuple[str, output.Cell]] = [
            ("account", key.account),
            ("done", self._act.done),
            ("capture id", capture_id),
            ("repeated", repeated),
            ("correlation id", correlation_id),
            ("here", described_here(push)),
        ]
        shown: list[output.Block] = [output.Facts(f"Order {key.order_id}", facts)]
        if order:
            shown.append(output.Facts("At Klarna now", facts_of(order)))
        output.emit(*shown)


def _result_of(error: KlarnaError, *, is_repeated: bool) -> WriteResult:
    """Say what a failure tells of the write: of a repetition, only Klarna's judgement tells it."""
    if isinstance(error, TransientError | LocalError):
        return WriteResult.UNKNOWN
    judged = failures.is_judgement(error)
    return WriteResult.REFUSED if judged or not is_repeated else WriteResult.UNKNOWN


def check_currency(order: Order, wanted: Money) -> None:
    """Raise Refused when the amount is in another currency: Klarna takes the number alone."""
    currency = order.purchase_currency
    if currency and currency.upper() != wanted.currency:
        raise Refused(
            f"The order is in {currency}, not {wanted.currency}: Klarna takes the number alone and"
            f" would make {Money(wanted.minor_units, currency.upper())} of it. Nothing was"
            " sent."
        )
