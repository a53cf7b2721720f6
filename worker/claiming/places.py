"""The places of one worker process, an attempt in each, and who may not take all of them.

A shop may keep a place for as long as it likes, up to the time limit of a call, and one that is
only slow is never held. So an account whose orders are handed over has at most as many places as
are free: one takes half of them, a second one a third, and some are always left for the others.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from pushes.store import codec


class Places:
    """Counts the places of one worker process; `under_way` names the account of each attempt."""

    def __init__(self, count: int, under_way: Callable[[], list[str]]) -> None:
        self._count = count
        self._under_way = under_way
        self._limited: frozenset[str] = frozenset()

    def limit(self, accounts: Iterable[str]) -> None:
        """From now on limit these accounts, and no others."""
        self._limited = frozenset(accounts)

    def asked(self, at_most: int) -> str:
        """Say as JSON how many places are free, and how many each limited account has.

        Empty when nobody is limited. At least `at_most` are free, those that are to be filled: an
        attempt that is being settled is under way without a place, and a few are begun ahead.
        """
        if not self._limited:
            return ""
        under_way = self._under_way()
        taken = Counter(account for account in under_way if account in self._limited)
        return codec.to_json({"free": max(at_most, self._count - len(under_way)), "taken": taken})
