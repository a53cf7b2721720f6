"""What the audit judges by: the sender's log, the sandbox's logs, the ledger's records."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from devtools.chaos.orders import ChaosOrder
from devtools.chaos.result import SenderLog
from devtools.chaos.testbed import ChaosTestbed
from devtools.local.sandbox_control import LoggedRequest, OrderBody
from pushes.accounts.settings import DEFAULT_ACCOUNT
from pushes.model import Push, PushKey, State
from pushes.store import records

_OK = 200


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was logged about a trial so far."""

    planned: list[ChaosOrder]
    accepted: frozenset[str]  # answered 200 at least once, whoever pushed
    at_klarna: Mapping[str, OrderBody]
    requests: list[LoggedRequest]
    records: Mapping[str, Push | None]

    @property
    def dead(self) -> Counter[str]:
        """Count the dead letters by reason."""
        dead = (push for push in self.records.values() if push and push.state is State.DEAD)
        return Counter(str(push.reason) for push in dead)

    @property
    def acknowledged_twice(self) -> int:
        """Count the orders for which an acknowledge took effect more than once."""
        return sum(order["acknowledge_effects"] > 1 for order in self.at_klarna.values())


def collect(testbed: ChaosTestbed, planned: list[ChaosOrder], sender_log: SenderLog) -> Evidence:
    """Read everything, once all is quiet."""
    pushed_by_sandbox = {
        push["order_id"] for push in testbed.sandbox.pushes() if push["status"] == _OK
    }
    keys = [PushKey(DEFAULT_ACCOUNT, order.order_id) for order in planned]
    pushes = records.get_many(testbed.ledger.redis, keys)
    return Evidence(
        planned=planned,
        accepted=frozenset(sender_log.accepted) | pushed_by_sandbox,
        at_klarna=testbed.orders_at_klarna(),
        requests=testbed.sandbox.requests(),
        records={key.order_id: push for key, push in zip(keys, pushes, strict=True)},
    )
