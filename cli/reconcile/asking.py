"""Asking Klarna about orders that were never heard of: slowly, for the workers use the same quota.

A 429 is waited out. When Klarna does not answer many times in a row, nothing more is asked.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import click

from cli.batch.run import Pace
from cli.calling import failures
from cli.calling.merchant import Merchant, calling_for
from cli.exits import Refused
from cli.reconcile.findings import Finding, Reconciled
from klarna import (
    KlarnaError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    Order,
    RateLimitedError,
)

# So much of the account's quota is used at most, unless the operator says otherwise.
SHARE: Final = 0.1

# A capture acknowledges, too (Klarna docs, "Capture").
_CAPTURED: Final = frozenset({"PART_CAPTURED", "CAPTURED"})

# So often one order may be answered 429, and so long is waited after each at most.
_PATIENCE = 5
_LONGEST_PAUSE_S = 60.0
_USUAL_PAUSE_S = 1.0

# So many failures in a row are an outage.
_GIVEN_UP_AFTER = 10

# Fewer are asked before a bar is seen.
_BAR_FROM = 20


def ask(account: str, unheard: Sequence[Reconciled], rate_per_s: float | None) -> list[Reconciled]:
    """Ask Klarna about each order, and say what was found of it.

    Raises ConfigurationError, and Refused when Klarna refuses the account.
    """
    with calling_for(account) as merchant:
        inquiry = _Inquiry(merchant, rate_per_s or max(1.0, merchant.rate_per_s * SHARE))
        with click.progressbar(
            unheard,
            label="Asking Klarna",
            file=sys.stderr,
            hidden=len(unheard) < _BAR_FROM or not sys.stderr.isatty(),
            show_pos=True,
        ) as bar:
            return [inquiry.about(order) for order in bar]


class _Inquiry:
    """Many GETs, one after the other, at most so many a second."""

    def __init__(self, merchant: Merchant, rate_per_s: float) -> None:
        self._merchant = merchant
        self._pace = Pace(rate_per_s)
        self._failed_in_a_row = 0

    def about(self, order: Reconciled) -> Reconciled:
        """Ask about one order. Raises Refused when Klarna refuses the account."""
        if self._failed_in_a_row >= _GIVEN_UP_AFTER:
            return _not_told(order, f"not asked: {_GIVEN_UP_AFTER} failures in a row before it")
        try:
            seen = self._get(order.key.order_id)
        except NoSuchOrderError as error:
            self._failed_in_a_row = 0
            return replace(order, finding=Finding.NO_SUCH_ORDER, detail=str(error))
        except MisconfigurationError as error:
            # Klarna may refuse one order, another merchant's, and answer for all others.
            if error.cause is not MisconfigurationCause.FORBIDDEN:
                raise Refused(failures.tell(error, "get", order.key)) from error
            return _not_told(order, str(error))
        except KlarnaError as error:
            self._failed_in_a_row += 1
            return _not_told(order, str(error))
        self._failed_in_a_row = 0
        if seen.order_id != order.key.order_id:
            return _not_told(order, f"Klarna answered with another order, {seen.order_id[:36]}")
        return replace(order, finding=self._finding_of(seen), klarna_status=seen.status)

    def _finding_of(self, order: Order) -> Finding:
        if self._merchant.policies.leave_nothing_to_acknowledge(order.status):
            return Finding.CLOSED
        return Finding.CAPTURED if order.status in _CAPTURED else Finding.NEVER_HEARD_OF

    def _get(self, order_id: str) -> Order:
        """Fetch an order, waiting out what Klarna asks for. Raises KlarnaError."""
        for _ in range(_PATIENCE):
            self._pace.wait()
            try:
                return self._merchant.client.get_order(order_id)
            except RateLimitedError as error:
                pause_s = _USUAL_PAUSE_S if error.retry_after_s is None else error.retry_after_s
                time.sleep(min(pause_s, _LONGEST_PAUSE_S))
        self._pace.wait()
        return self._merchant.client.get_order(order_id)


def _not_told(order: Reconciled, detail: str) -> Reconciled:
    return replace(order, finding=Finding.NOT_TOLD, detail=detail)
