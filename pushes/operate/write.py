"""A write to an order at Klarna, at an operator's word: kept before it is sent, told when answered.

Its idempotency key is in Redis before the call is made. So a write whose answer was lost is sent
again with the same key, and Klarna answers what it answered first. Refused: another write of that
kind meanwhile, since nobody knows what became of the first.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import cast

from pushes import order_write, policy
from pushes.model import Push
from pushes.operate import audit
from pushes.operate.batch import Operator
from pushes.order_write import OrderAnswer, OrderWrite, WriteResult
from pushes.read.audit import AuditEntry, AuditResult
from pushes.read.views import instant
from pushes.store import codec, keys
from pushes.store.connection import read_script
from pushes.store.ledger import Ledger

_ANEW = "To leave it at that and send this as a new write, add --anew."


class UnansweredError(Exception):
    """An earlier write of this kind has no answer, and this one cannot be its repetition.

    The message says who sent it when, and what to do. Nothing was changed, and nothing sent.
    """


@dataclass(frozen=True, slots=True)
class BegunWrite:
    """A write that is kept and may be sent, with its key; `kept` is how it stands in Redis.

    `is_repeated`: it may have been sent before, and nobody knows what became of that.
    """

    write: OrderWrite
    operator: Operator
    idempotency_key: str
    kept: str
    is_repeated: bool = False


def begin(
    ledger: Ledger, write: OrderWrite, operator: Operator, now: datetime, *, anew: bool = False
) -> BegunWrite:
    """Keep a write, and note who asks for it, in the audit and in the order's timeline.

    Raises UnansweredError unless `anew`, and RedisError; then nothing may be sent.
    """
    begun = _keep(ledger, write, operator, now, anew=anew)
    audit.append(ledger.redis, _entry(begun, AuditResult.BEGUN))
    asked = partial(order_write.asked, write=write, by=operator.by, why=operator.why, now=now)
    ledger.advance(write.key, asked)
    ledger.replicas.confirm()
    return begun


def end(
    ledger: Ledger, begun: BegunWrite, answer: OrderAnswer, now: datetime, error: str | None = None
) -> Push | None:
    """Note what came of a write; return the push, None when none is known of the order.

    Forgets the write unless nobody knows whether Klarna did it. Raises RedisError: then the write
    stays kept, and sending it again is safe.
    """
    answered = partial(order_write.answered, write=begun.write, answer=answer, now=now)
    change = ledger.advance(begun.write.key, answered)
    is_done = answer.result is WriteResult.DONE
    result = AuditResult.DONE if is_done else AuditResult.FAILED
    audit.append(ledger.redis, _entry(begun, result, error))
    name = keys.unanswered(begun.write.key, begun.write.call)
    if answer.result is WriteResult.UNKNOWN:  # whoever sent it as well may have forgotten it
        ledger.redis.set(name, begun.kept, nx=True, ex=ledger.retention)
    else:
        forget = ledger.redis.register_script(read_script("pushes.operate", "forget_write.lua"))
        forget([name], [begun.kept])
    return change.after if change else None


def _keep(
    ledger: Ledger, write: OrderWrite, operator: Operator, now: datetime, *, anew: bool
) -> BegunWrite:
    redis, name = ledger.redis, keys.unanswered(write.key, write.call)
    since = codec.moment(codec.epoch(now))  # as it is read back
    encoded = _encode(write, operator, since)
    new = BegunWrite(write, operator, write.idempotency_key(since), encoded)
    if anew:
        redis.set(name, new.kept, ex=ledger.retention)
        return new
    while not redis.set(name, new.kept, nx=True, ex=ledger.retention):
        if raw := cast(bytes | None, redis.get(name)):
            kept = raw.decode(errors="replace")
            key = _key_to_repeat(write, kept, now)
            return BegunWrite(write, operator, key, kept, is_repeated=True)
    return new


def _encode(write: OrderWrite, operator: Operator, since: datetime) -> str:
    return codec.to_json(
        {
            "key": write.idempotency_key(since),
            "since": codec.epoch(since),
            "by": operator.by,
            "detail": write.detail,
        }
    )


def _key_to_repeat(write: OrderWrite, kept: str, now: datetime) -> str:
    """Return the key of the earlier write that this one repeats. Raises UnansweredError."""
    try:
        facts = json.loads(kept)
        key, since = str(facts["key"]), codec.moment(facts["since"])
        by, detail = str(facts["by"]), facts["detail"]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UnansweredError(
            f"What is kept of an earlier {write.call} of this order cannot be read, so nobody knows"
            f" what became of it. Look at the order at Klarna. {_ANEW}"
        ) from error
    what = f"{write.call} ({detail})" if detail else write.call
    sent = f"{by} sent {what} of this order at {instant(since)}, and its answer was lost."
    if write.idempotency_key(since) != key:
        raise UnansweredError(
            f"{sent} What is asked for now is not the same. Run that command again first: it is"
            f" sent with its key, so that Klarna does it once at most. {_ANEW}"
        )
    if now - since >= policy.IDEMPOTENCY_WINDOW:
        raise UnansweredError(
            f"{sent} Klarna has forgotten its key since, and would do it a second time. Look at the"
            f" order at Klarna. {_ANEW}"
        )
    return key


def _entry(begun: BegunWrite, result: AuditResult, error: str | None = None) -> AuditEntry:
    write, operator = begun.write, begun.operator
    return AuditEntry(
        operator.by,
        operator.action,
        write.key.account,
        result,
        operator.why,
        orders=1,
        order_id=write.key.order_id,
        detail="; ".join(part for part in (write.detail, error) if part) or None,
    )
