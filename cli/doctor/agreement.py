"""Whether indexes, RQ's registries and jobs agree with the records: a short look at all of it."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from cli.doctor.check import Check, Severity
from pushes.store.ledger import Ledger
from pushes.store.repair.differences import Difference
from pushes.store.repair.sweep import Sweep

# A million records take minutes; the workers go through all of them again and again.
_LOOKED_FOR_S = 2.0

# A job that stands nowhere may be on its way from one place to the other.
_ON_ITS_WAY_S = 1.0


def look(ledger: Ledger) -> Check:
    """Hold what fits into two seconds against the records; change nothing. Raises RedisError."""
    sweep = Sweep(ledger, dry_run=True)
    until = time.monotonic() + _LOOKED_FOR_S
    found: list[Difference] = []
    while not sweep.is_round_over and time.monotonic() < until:
        found += sweep.step(datetime.now(UTC))
    if sweep.suspects:
        time.sleep(_ON_ITS_WAY_S)
        found += sweep.finish(datetime.now(UTC))
    return judge(found, is_whole=sweep.is_round_over)


def judge(found: Sequence[Difference], *, is_whole: bool) -> Check:
    """Say what was found. Pure."""
    if not found:
        seen = "all agree with the records" if is_whole else "what was looked at agrees"
        return Check("indexes", Severity.OK, seen)
    count = Counter(str(one.kind) for one in found)
    seen = ", ".join(f"{number} {kind}" for kind, number in sorted(count.items()))
    remedy = (
        "`klarna-ack repair --dry-run` says which, `klarna-ack repair` mends them; the workers do"
        " so, too, in minutes. Find out who else writes to this Redis."
    )
    return Check("indexes", Severity.WARNING, f"not as the records say: {seen}", remedy)
