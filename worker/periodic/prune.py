"""Keeps the dead letters of made-up orders within bounds: cut, counted and logged, never silently.

Every worker runs it, once a minute.
"""

from pushes import log, policy
from pushes.read import dead_letters
from pushes.read.views import instant
from pushes.store.ledger import Ledger

_log = log.get(__name__)


def cut(ledger: Ledger, keep: int = policy.MAX_UNKNOWN_DEAD) -> int:
    """Forget what is too many of each account; return how many that were."""
    return sum(_cut(ledger, account, keep) for account in ledger.accounts())


def _cut(ledger: Ledger, account: str, keep: int) -> int:
    count, oldest = 0, ""
    while gone := dead_letters.cut_unknown(ledger, account, keep):
        count, oldest = count + len(gone), oldest or instant(gone[0].first_push_at)
    if count:
        ledger.count_event("unknown_cut", count)
        _log.error(
            "dead_letters.cut",
            account=account,
            count=count,
            oldest_first_push_at=oldest,
            kept=keep,
            meaning="these dead letters are orders that Klarna did not know, more than are kept; "
            "one that is pushed again is taken in anew",
            action="somebody floods the push URL: set PUSH_TOKEN, or block the sender at the proxy",
        )
    return count
