"""The commands of a brand-new push, filled into a template; they are most of what intake writes.

A template is what the ledger would send for an example, with the example's own words cut out. So
it follows whatever the ledger writes. It is trusted only when it says of a second example what
the ledger says; a push that is like none seen so far gets a template of its own, or none.
"""

from collections.abc import Callable, Hashable
from dataclasses import fields, replace
from datetime import UTC, datetime
from operator import attrgetter

from pushes import resends
from pushes.model import Change, Entry, Push, PushKey
from pushes.store import codec, resend_counts, rq_job

# Pushes differ in account, event, and who queued them by hand.
_MAX_TEMPLATES = 256

_OWN = {"key", "first_push_at", "last_push_at", "changed_at"}
_PUSH = attrgetter(*(one.name for one in fields(Push) if one.name not in _OWN))
_ENTRY = attrgetter(*(one.name for one in fields(Entry) if one.name != "at"))

# Words that nothing else says. Milliseconds that end in a zero would be written in two ways.
_EXAMPLES = (
    ("00000000-1111-2222-3333-444444444444", datetime(2001, 2, 3, 4, 5, 6, 789123, UTC), "TOKEN-1"),
    ("55555555-6666-7777-8888-999999999999", datetime(2009, 8, 7, 6, 5, 4, 321987, UTC), "TOKEN-2"),
)


class Templates:
    """Texts of commands, by what all pushes like it have in common. Threads may share them."""

    def __init__(self, write: Callable[[Change], str]) -> None:
        self._write = write
        self._templates: dict[Hashable, str | None] = {}

    def text(self, change: Change) -> str:
        """Return what `write` makes of the change, by a template where there is one."""
        kind = _kind(change)
        if kind is None:
            return self._write(change)
        if kind not in self._templates and len(self._templates) < _MAX_TEMPLATES:
            self._templates[kind] = self._template_for(change)
        template = self._templates.get(kind)
        return self._write(change) if template is None else template % _words(change)

    def _template_for(self, change: Change) -> str | None:
        first, second = (_like(change, *example) for example in _EXAMPLES)
        template = self._write(first).replace("%", "%%")
        for name, word in _words(first).items():
            template = template.replace(word, f"%({name})s")
        return template if template % _words(second) == self._write(second) else None


def _kind(change: Change) -> Hashable | None:
    """Say what a template has to hold for; None when no template can: it tells of several times."""
    push = change.after
    if change.before is not None or len(change.entries) != 1:
        return None
    now, entry = push.changed_at, change.entries[0]
    if not now == push.first_push_at == push.last_push_at == entry.at:
        return None
    return (push.key.account, _PUSH(push), _ENTRY(entry))


def _words(change: Change) -> dict[str, str]:
    """List what differs between two pushes of a kind, each word as it is written."""
    push = change.after
    return {
        "order_id": push.key.order_id,
        "now": codec.epoch(push.changed_at),
        "deadline": codec.epoch(push.deadline_at),
        "missed": resend_counts.score(push.first_push_at + resends.SCHEDULE[0]),
        "stamp": rq_job.stamp(push.changed_at),
        "token": change.token,
    }


def _like(change: Change, order_id: str, now: datetime, token: str) -> Change:
    key = PushKey(change.after.key.account, order_id)
    return Change(
        None,
        replace(change.after, key=key, first_push_at=now, last_push_at=now, changed_at=now),
        (replace(change.entries[0], at=now),),
        token=token,
    )
