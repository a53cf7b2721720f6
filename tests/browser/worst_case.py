"""A Redis whose every text from outside is as long, and as hostile, as it may be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from redis import Redis

from pushes import life
from pushes.access import tokens, users
from pushes.access.principals import Principal, UserRole
from pushes.accounts.holds import Holds
from pushes.model import Change, Entry, HoldReason, OrderSnapshot, PushKey, Reason, State
from pushes.operate import hold
from pushes.operate.runs import steer
from pushes.operate.runs.steer import RunRequest
from pushes.read.dead_letters import Filter
from pushes.read.runs import RunAction
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import a_key, put

ACCOUNT = "a" * 32
SHOPS = tuple(f"shop-{number:04d}" for number in range(1000))
LIMITED = Principal("n" * 64, UserRole.OPERATOR, (ACCOUNT, *SHOPS[:30]))

_HOSTILE = "<script>alert(1)</script> <b>bold</b> \u202egnp.exe\u202c \x1b[31mred " + "W" * 200
_ERROR_CODE = "A_CODE_OF_FORTY_SIGNS_WITHOUT_ANY_BREAK0"
_AMOUNT = 10**11
_CORRELATION_ID = "c" * 36


def fill(redis: Redis, password: str) -> tuple[PushKey, str]:
    """Fill it, `LIMITED` has the password; return a dead letter and the id of a run."""
    now, ledger = datetime.now(UTC), Ledger(redis)
    redis.sadd(keys.ACCOUNTS, *SHOPS)
    letter = _a_dead_letter(ledger, now - timedelta(hours=50))
    for state in State:
        put(ledger, state, a_key(ACCOUNT), now - timedelta(hours=47))
        put(ledger, state, a_key(SHOPS[0]), now)
    Holds(redis).begin(ACCOUNT, HoldReason.CREDENTIALS, _HOSTILE)
    hold.pause(redis, SHOPS[1], by=LIMITED.name, why=_HOSTILE)
    request = RunRequest(RunAction.REPLAY, LIMITED.name, _HOSTILE, rate_per_s=0.001)
    run = steer.start(redis, request, Filter(account=SHOPS[0]), now)
    users.add(redis, LIMITED, password=password, by=LIMITED.name, now=now)
    tokens.add(redis, replace(LIMITED, name="t" * 64), by=LIMITED.name, now=now)
    return letter, run.id


def _a_dead_letter(ledger: Ledger, now: datetime) -> PushKey:
    """Commit the steps to a dead letter of whose order Klarna shows the worst."""
    key = a_key(ACCOUNT)
    pushed = life.first_pushed(key, now)
    started = life.started(pushed.after, "worker-1", "a" * 32, now)
    assert started
    dead = life.dead(started.after, Reason.REJECTED, now, _HOSTILE[:200])
    order = OrderSnapshot(
        status="AUTHORIZED",
        fraud_status="ACCEPTED",
        order_amount=_AMOUNT,
        remaining_authorized_amount=_AMOUNT,
        purchase_currency="SEK",
        expires_at=now,
        klarna_reference="K" * 64,
        merchant_reference1=_HOSTILE[:255],
        merchant_reference2="R" * 255,
    )
    after = replace(dead.after, order=order, error_code=_ERROR_CODE, correlation_id=_CORRELATION_ID)
    call = Entry(now, "call", "acknowledge", 400, 12345, _ERROR_CODE, _CORRELATION_ID, _HOSTILE)
    for change in (pushed, started, Change(dead.before, after, (call, *dead.entries))):
        assert ledger.commit_many([change]) == [True]
    return key
