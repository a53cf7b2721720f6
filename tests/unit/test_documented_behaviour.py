"""docs/behaviour.md holds: what it says of answers, states, delays and limits is what happens."""

import errno
import json
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from requests.structures import CaseInsensitiveDict

from klarna import KlarnaError, Observe, Operation, Order
from klarna.answers import Answer, read_acceptance, read_order
from klarna.deadlines import DEFAULT_TIME_LIMITS
from klarna.failures import failure_of
from pushes import policy
from pushes.accounts.holds import PROBING
from pushes.accounts.policies import Policies
from pushes.accounts.settings import PushTable
from pushes.model import PUSH_WINDOW, HoldReason, Push, Reason, State
from pushes.policy import RetryPolicy
from pushes.store.rq_mirror import LEASE_S
from tests.builders import NOW, Unlimited, a_push
from tests.documents import BEHAVIOUR, table, words
from worker.attempt.acknowledge import Acknowledger, ServedAccount
from worker.attempt.attempt import Report
from worker.periodic import tasks

TEXT = BEHAVIOUR.read_text()
HOLDS = "## Held accounts"


def test_it_lists_the_states() -> None:
    assert [(words(word), meaning) for word, meaning in table(BEHAVIOUR, "## States")] == [
        ([str(state)], state.sentence) for state in State
    ]


def test_it_lists_the_reasons() -> None:
    assert [(words(word), step) for word, step in table(BEHAVIOUR, "## Reasons of `dead`")] == [
        ([str(reason)], reason.next_step) for reason in Reason
    ]


def test_it_tells_how_long_records_are_kept() -> None:
    assert f"are kept for {policy.RETENTION.days} days" in TEXT
    minutes = int(policy.ALREADY_ACKNOWLEDGED.total_seconds() // 60)
    assert f"settled less than {minutes} minutes ago" in TEXT


def test_it_tells_when_a_repeated_push_expedites_a_retry() -> None:
    minutes = int(policy.EXPEDITED_AFTER.total_seconds() // 60)
    assert f"`retrying` after a failure for {minutes} minutes or longer" in TEXT


def test_it_tells_how_long_an_unknown_order_is_remembered() -> None:
    minutes = int(policy.UNKNOWN_REMEMBERED.total_seconds() // 60)
    assert f"for {minutes} minutes repeats are only counted" in TEXT


def test_it_tells_when_the_last_attempt_before_the_deadline_is_made() -> None:
    minutes = int(policy.LAST_ATTEMPT_BEFORE.total_seconds() // 60)
    hours = int(PUSH_WINDOW.total_seconds() // 3600)
    assert f"The deadline is {hours} hours after the first push" in TEXT
    assert f"is made {minutes} minutes before it" in TEXT


def test_it_tells_when_an_account_is_held_and_tried_again() -> None:
    held = {words(reason)[0]: (when, end) for reason, when, end in table(BEHAVIOUR, HOLDS)}
    assert list(held) == [str(reason) for reason in HoldReason]
    assert f"{policy.OUTAGE_AFTER_FAILURES} failures in a row" in held["outage"][0]
    assert f"of {policy._OUTAGE_ORDERS} orders or more" in held["outage"][0]  # noqa: SLF001 - it has no other name
    outage, credentials = PROBING[HoldReason.OUTAGE], PROBING[HoldReason.CREDENTIALS]
    pauses_s = [outage.first.total_seconds() * 2**tries for tries in range(4)]
    assert ", ".join(f"{pause_s:g} s" for pause_s in pauses_s) in held["outage"][1]
    assert outage.longest == credentials.first == credentials.longest == timedelta(minutes=1)
    assert "every minute" in held["outage"][1]
    assert "every minute" in held["credentials"][1]


def test_it_tells_what_unverified_sources_get() -> None:
    assert policy.UNKNOWN_SHARE == 1 / 5
    assert "get a fifth at most" in TEXT
    assert f"once it has pushed {policy.PROVEN_BY_ORDERS} orders" in TEXT
    assert f"costs it what {policy.MADE_UP_COSTS} real ones earned" in TEXT
    assert f"none of its orders was real for {policy.PROVEN_FOR.days} days" in TEXT
    assert f"Beyond {policy.MAX_UNKNOWN_WAITING:,} of them" in TEXT
    assert f"{policy.FRESH_OF_A_NETWORK} pushes of an account stand among the fresh" in TEXT
    assert f"Beyond {policy.MAX_WAITING_OF_A_NETWORK:,} waiting" in TEXT
    assert f"the last {policy.MAX_UNKNOWN_DEAD:,} dead letters" in TEXT


def test_it_tells_how_long_a_call_may_take() -> None:
    limits = DEFAULT_TIME_LIMITS
    assert (
        f"at most {limits.total_s:g} s: {limits.connect_s:g} s to connect, "
        f"{limits.read_s:g} s without a byte"
    ) in TEXT


def test_it_tells_how_long_an_idempotency_key_is_used() -> None:
    hours = int(policy.IDEMPOTENCY_WINDOW.total_seconds() // 3600)
    assert f"until Klarna has judged the order, for {hours} hours at most" in TEXT


def test_it_tells_when_what_a_dead_worker_had_is_queued_again() -> None:
    assert f"after at most {LEASE_S + tasks._RECOVER_EVERY_S} seconds" in TEXT  # noqa: SLF001 - it has no other name


ATTEMPT = a_push(State.RUNNING)
ORDER_ID = ATTEMPT.key.order_id
OPEN = f'{{"order_id": "{ORDER_ID}", "status": "AUTHORIZED"}}'
CLOSED = OPEN.replace("AUTHORIZED", "CANCELLED")
ERROR = '{"error_code": "SOME_CODE", "error_messages": ["some message"]}'
PAGE = "<html>some page</html>"
UNTRUSTED = ssl.SSLCertVerificationError()

# What Klarna may say: a status and a body, or what the network layers raise.
Said = tuple[int, str] | OSError

SAMPLES: dict[str, list[Said]] = {
    "`2xx` with the order, open": [(200, OPEN)],
    "`2xx` with the order, CANCELLED, EXPIRED or CLOSED": [
        (200, OPEN.replace("AUTHORIZED", status)) for status in ("CANCELLED", "EXPIRED", "CLOSED")
    ],
    "`2xx` with another order": [(200, OPEN.replace(ORDER_ID[:8], "ffffffff"))],
    "`2xx`, empty or a JSON object without an error code": [(204, ""), (200, "{}"), (201, "{}")],
    "`404` in JSON, or empty": [(404, ERROR), (404, ERROR[:9]), (404, "")],
    "`401`": [(401, PAGE), (401, ERROR), (401, "")],
    "`403` in JSON": [(403, ERROR)],
    "`403` not in JSON": [(403, PAGE), (403, "")],
    "`3xx`, never followed": [(301, PAGE), (302, ""), (308, ERROR)],
    "`404` with a page": [(404, PAGE)],
    "no answer: the certificate is not trusted": [UNTRUSTED],
    "no answer: time-out, reset, host not found": [
        TimeoutError(),
        ConnectionResetError(),
        socket.gaierror(),
    ],
    "`408`, `409`, `425` or `5xx`": [
        *((408, ""), (409, ERROR), (425, PAGE)),
        *((500, ERROR), (502, PAGE), (503, ""), (504, PAGE)),
    ],
    "no call: this machine has no open file, memory, port or thread left": [
        OSError(errno.EMFILE, ""),
        OSError(errno.ENOMEM, ""),
        OSError(errno.EADDRNOTAVAIL, ""),
    ],
    "`2xx` that cannot be read": [(200, PAGE), (200, OPEN[:9]), (200, ERROR), (200, "[1]")],
    "`429`": [(429, ERROR), (429, PAGE)],
    "any other `4xx`": [(400, ERROR), (405, PAGE), (413, PAGE), (422, ERROR), (410, "")],
}


@dataclass
class KlarnaDouble:
    """Gives the answers it is told to, read as the client reads them."""

    to_get: list[Said]
    to_acknowledge: Said = (204, "")
    calls: list[Operation] = field(default_factory=list)

    def get_order(self, order_id: str, *, observe: Observe) -> Order:  # noqa: ARG002 - the Protocol's names
        said = self.to_get.pop(0) if len(self.to_get) > 1 else self.to_get[0]
        order, _ = read_order(self._answer(Operation.GET_ORDER, said))
        return order

    def acknowledge(self, order_id: str, *, idempotency_key: str, observe: Observe) -> None:  # noqa: ARG002 - as above
        read_acceptance(self._answer(Operation.ACKNOWLEDGE, self.to_acknowledge))

    def _answer(self, operation: Operation, said: Said) -> Answer:
        self.calls.append(operation)
        if isinstance(said, OSError):
            raise self._failure(said, operation) from said
        status, body = said
        return Answer(operation, status, CaseInsensitiveDict(), body.encode(), 5, NOW)

    def _failure(self, error: OSError, operation: Operation) -> KlarnaError:
        return failure_of(error, operation, 5, time_is_up=False)


def life_with(klarna: KlarnaDouble) -> list[str]:
    """The words for what becomes of a push while Klarna answers like this, to the end."""
    acknowledger = Acknowledger(
        {"default": ServedAccount(klarna)}, RetryPolicy(), lambda: 0.5, Unlimited()
    )
    told: list[str] = []
    push = ATTEMPT
    while True:
        after = acknowledger.attempt(push, Report()).step(push, NOW).after
        told += said_of(push, after)
        if after.state is not State.RETRYING or spent(push, after) is None:
            return list(dict.fromkeys(told))
        push = replace(push, failures=after.failures, not_found=after.not_found)


def said_of(push: Push, after: Push) -> Iterable[str]:
    yield str(after.state)
    if delays := spent(push, after):
        yield delays
    if after.state is State.DEAD:
        yield str(after.reason)


def spent(push: Push, after: Push) -> str | None:
    if after.failures > push.failures:
        return "RETRY_DELAYS_S"
    return "NOT_FOUND_DELAYS_S" if after.not_found > push.not_found else None


KNOWN_WORDS = {*State, *Reason, "RETRY_DELAYS_S", "NOT_FOUND_DELAYS_S"}
ANSWERS = table(BEHAVIOUR, "## Klarna's answers")


def test_it_has_a_sample_for_every_answer_in_the_table() -> None:
    assert [row[0] for row in ANSWERS] == list(SAMPLES)


@pytest.mark.parametrize(("answer", "to_get"), [row[:2] for row in ANSWERS if row[1]])
def test_it_tells_what_an_answer_to_get_means(answer: str, to_get: str) -> None:
    for said in SAMPLES[answer]:
        klarna = KlarnaDouble([said])
        told = life_with(klarna)
        if Operation.ACKNOWLEDGE in klarna.calls:
            assert to_get == "goes on to acknowledge"
        else:
            assert [word for word in words(to_get) if word in KNOWN_WORDS] == told, said


@pytest.mark.parametrize(
    ("answer", "to_acknowledge"),
    [(row[0], row[1] if row[2] == "the same" else row[2]) for row in ANSWERS if row[2]],
)
def test_it_tells_what_an_answer_to_acknowledge_means(answer: str, to_acknowledge: str) -> None:
    for said in SAMPLES[answer]:
        closed_meanwhile = life_with(KlarnaDouble([(200, OPEN), (200, CLOSED)], said))
        still_open = life_with(KlarnaDouble([(200, OPEN)], said))
        told = list(dict.fromkeys([*closed_meanwhile, *still_open]))
        if closed_meanwhile != [State.NOT_NEEDED]:
            told = still_open
        assert [word for word in words(to_acknowledge) if word in KNOWN_WORDS] == told, said


def test_it_lists_the_policies_of_an_account_with_their_defaults() -> None:
    rows = {
        words(key)[0]: words(default)
        for key, default, _ in table(BEHAVIOUR, "## Policies of an account")
    }

    shown = {
        name: [json.dumps(field.get_default())]
        for name, field in (Policies.model_fields | PushTable.model_fields).items()
        if name != "push_token"
    }
    assert rows == shown
