"""Doing one thing to many orders, one after the other, and keeping who did it and what came of it.

Each order's own timeline says what was done to it; here it is audited how many they were.
"""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from redis import Redis
from redis.exceptions import RedisError

from pushes.model import Push, PushKey
from pushes.operate import audit
from pushes.operate.step import WrongStateError
from pushes.read.audit import AuditEntry, AuditResult

Act = Callable[[PushKey], Push]


@dataclass(frozen=True, slots=True)
class Operator:
    """Who does what, and why, if that was asked for."""

    by: str
    action: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class BatchStep:
    """What came of one order: the push after the act, or why it was refused."""

    key: PushKey
    push: Push | None = None
    refused: str | None = None


def run(
    redis: Redis, wanted: Sequence[PushKey], act: Act, operator: Operator
) -> Generator[BatchStep, None, None]:
    """Do `act` to each order and yield what came of it; close it to end early.

    Audited by account: several orders when it begins, and what was done when it ends, however that
    is. Raises RedisError: then the order that comes next is not known to be done.
    """
    if len(wanted) > 1:
        audit.append(redis, *_entries(operator, AuditResult.BEGUN, Counter(map(_account, wanted))))
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    result = AuditResult.INTERRUPTED
    try:
        for key in wanted:
            try:
                push = act(key)
            except WrongStateError as error:
                refused[key.account] += 1
                yield BatchStep(key, refused=str(error))
            else:
                done[key.account] += 1
                yield BatchStep(key, push=push)
        result = AuditResult.DONE
    except RedisError:
        result = AuditResult.FAILED
        raise
    finally:
        entries = _entries(operator, result, done, refused)
        if len(wanted) == 1:
            entries = [replace(entry, order_id=wanted[0].order_id) for entry in entries if done]
        if result is AuditResult.DONE:
            audit.append(redis, *entries)
        else:  # why it ended is what has to be heard of
            with suppress(RedisError):
                audit.append(redis, *entries)


def _entries(
    operator: Operator,
    result: AuditResult,
    orders: Counter[str],
    refused: Counter[str] | None = None,
) -> list[AuditEntry]:
    refused = refused or Counter()
    return [
        AuditEntry(
            operator.by,
            operator.action,
            account,
            result,
            operator.why,
            orders=orders[account],
            refused=refused[account],
        )
        for account in sorted({*orders, *refused})
    ]


def _account(key: PushKey) -> str:
    return key.account
