"""The steps of an attempt between its GET and its acknowledge, where the account asks for them.

What a step has done is remembered at once, so that a crash repeats one call at the most.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID, uuid5

from klarna import MerchantReferences, Observe, Order
from pushes.accounts.policies import Policies
from pushes.model import Push, PushKey
from pushes.store import codec, keys
from worker.attempt.attempt import Report
from worker.attempt.failures import MerchantFailedError, RefusedByMerchantError
from worker.attempt.hand_over.shop import MerchantSystem
from worker.clock import Clock

# Ours alone, so that no other program's UUIDv5 of the same name is the same key.
_NAMESPACE = UUID("9c0e6c0a-2f0b-5f3e-8d6e-6b1f2a7c4d11")

# Writes to the record of a running push what its attempt has done so far. Raises nothing.
Remember = Callable[[Push, Report], None]


def forget(_push: Push, _report: Report) -> None:
    """Leave it to the end of the attempt, which a crash may prevent."""


class ReferencesClient(Protocol):
    """What setting references needs of `klarna.KlarnaClient`."""

    def update_merchant_references(
        self,
        order_id: str,
        references: MerchantReferences,
        *,
        idempotency_key: str,
        observe: Observe,
    ) -> None:
        """Set what the shop calls the order."""


class Steps:
    """Makes the steps of attempts, each only when it is not done yet. Threads share it."""

    def __init__(self, await_slot: Callable[[str], None], remember: Remember, clock: Clock) -> None:
        self._await_slot = await_slot
        self._remember = remember
        self._clock = clock

    def hand_over(self, shop: MerchantSystem, push: Push, order: Order, report: Report) -> None:
        """Hand the order over. Raises MerchantFailedError or RefusedByMerchantError."""
        if push.handed_over_at:
            return
        given = shop.hand_over(push, order, report.entries)
        report.reference1, report.reference2 = given.merchant_reference1, given.merchant_reference2
        report.handed_over_at = self._clock.now()
        self._remember(push, report)

    def hand_over_decision(
        self, shop: MerchantSystem, push: Push, order: Order, report: Report
    ) -> None:
        """Hand the fraud decision over that is due and verified. Raises as `hand_over` does."""
        look = report.fraud
        if look is None or not (look.agrees and shop.takes_decisions):
            return
        if push.decision_handed_over_at is None:
            report.fraud = replace(look, awaits_shop=True)
            shop.hand_over_decision(push, order, report.entries)
            report.notified_at = push.notified_at
            report.decision_handed_over_at = self._clock.now()
            self._remember(push, report)
        report.fraud = look

    def try_to_hand_over_decision(
        self, shop: MerchantSystem, push: Push, order: Order, report: Report
    ) -> None:
        """Hand the fraud decision over, or leave it due: the acknowledge does not wait for it."""
        with suppress(MerchantFailedError, RefusedByMerchantError):
            self.hand_over_decision(shop, push, order, report)

    def set_references(
        self, client: ReferencesClient, policies: Policies, push: Push, order: Order, report: Report
    ) -> None:
        """Set at Klarna what the shop calls the order, or else its account. Raises KlarnaError.

        What the shop answers counts; its account says something only where Klarna shows nothing.
        """
        known, key = report.added_to(push), push.key
        facts = {"order_id": key.order_id, "account": key.account}
        of_account = partial(
            policies.reference, facts=facts | {"klarna_reference": order.klarna_reference}
        )
        reference1, reference2 = known.reference1, known.reference2
        if not reference1 and not order.merchant_reference1:
            reference1 = of_account("merchant_reference1")
        if not reference2 and not order.merchant_reference2:
            reference2 = of_account("merchant_reference2")
        if known.references_set_at or not (reference1 or reference2):
            return
        self._await_slot(push.key.account)
        client.update_merchant_references(
            push.key.order_id,
            MerchantReferences(merchant_reference1=reference1, merchant_reference2=reference2),
            idempotency_key=idempotency_key(push.key, push.idempotent_since, "references"),
            observe=report.observe,
        )
        report.references_set_at = self._clock.now()
        self._remember(push, report)


def idempotency_key(key: PushKey, since: datetime | None, what: str = "acknowledge") -> str:
    """Name the acknowledge of one order, or `what` else is written, until its outcome is known.

    For 24 h at most.

    Klarna remembers a key for 24 h and looks at nothing else (Klarna docs, "Idempotency"), so
    `since`, the start of the window the record fixed, is part of the name.
    """
    window = codec.epoch(since) if since else 0  # as it is read back after a crash
    return str(uuid5(_NAMESPACE, f"{what}:{keys.job_id(key)}:{window}"))
