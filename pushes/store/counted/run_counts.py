"""What came of the orders of bulk runs, counted in the step in which it happens to each.

So a process that dies between two notes of its own neither loses nor doubles a count.
"""

from pushes import policy
from pushes.model import Change
from pushes.store import codec, keys
from pushes.store.rq_mirror import Command

# The count of the orders that a run replayed, discarded or restored.
ACTED = "acted"

# What a run counted is kept as long as the run itself.
KEPT_S = int(policy.RETENTION.total_seconds())


def commands(change: Change) -> list[Command]:
    """List what counts an order for its bulk run: that it was acted on, or what came of that.

    A discarded one is remembered for as long as that may be undone.
    """
    before, after = change.before, change.after
    if before is None:
        return []
    if after.run and after.run != before.run:
        counted = _count(after.run, ACTED)
        if after.discarded:
            name, member = keys.run_discards(after.run), keys.job_id(after.key)
            counted.append(("ZADD", name, codec.epoch(before.changed_at), member))
            counted.append(("EXPIRE", name, int(policy.UNDONE_WITHIN.total_seconds())))
        return counted
    if before.run and before.state.is_waiting and not after.state.is_waiting:
        return _count(before.run, str(after.state))
    return []


def _count(run: str, word: str) -> list[Command]:
    name = keys.run_results(run)
    return [("HINCRBY", name, word, 1), ("EXPIRE", name, KEPT_S)]
