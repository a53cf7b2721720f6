"""Which type each key of ours has to have, by its name; and which keys are indexes of orders. Pure.

Those of one order are looked at with its record, and are not here.
"""

from pushes.store import keys

_INDEXES = {keys.UNACKNOWLEDGED, keys.RESENDS, keys.ALONE}
_INDEX_FAMILIES = ("state", "ready", "held", "unknown", "dead", "references")

_TYPES = {
    **dict.fromkeys((*_INDEXES, keys.CAUSES, keys.PAUSES, keys.RUNS), "zset"),
    **dict.fromkeys((keys.WORK, keys.SERVED, keys.UNSERVED), "zset"),
    **dict.fromkeys((keys.USERS, keys.TOKENS, keys.TOKENS_USED), "hash"),
    **dict.fromkeys((keys.ACCOUNTS, keys.HOLDS, keys.WORK_ARRIVED, keys.HELD_ACCOUNTS), "set"),
    keys.ACTIVE_RUNS: "set",
    **dict.fromkeys((keys.COUNTERS, keys.RESEND_TOTALS, keys.REFUSED), "hash"),
    **dict.fromkeys((keys.TOTALS, keys.QUOTA_TOTALS), "hash"),
    **dict.fromkeys((keys.ALONE_LOCK, keys.RUNS_LOCK, keys.PING_LOCK), "string"),
    keys.WRITE_PROBE: "string",
    keys.CONSOLE_SECRET: "string",
    keys.AUDIT: "stream",
}
_FAMILIES = {
    **dict.fromkeys((*_INDEX_FAMILIES, "settled-references", "sources"), "zset"),
    **dict.fromkeys(("run-discards", "run-orders"), "zset"),
    **dict.fromkeys(("run", "run-results"), "hash"),
    **dict.fromkeys(("calls", "failing", "hold", "quota", "refused", "resends", "resumed"), "hash"),
    **dict.fromkeys(("alarm", "session", "sign-in-link", "unknown-in-a-row"), "string"),
    **dict.fromkeys(("notify-lease", "notify-digest"), "string"),
    "shares": "hash",
    "series": "stream",
    "notify-told": "hash",
    "limited": "set",
}


def type_of(name: str) -> str | None:
    """Name the type that a key has to have; None when that is not known here."""
    return _TYPES.get(name) or _FAMILIES.get(_family(name))


def is_index(name: str) -> bool:
    """Whether the members of a key are orders."""
    return name in _INDEXES or _family(name) in _INDEX_FAMILIES


def is_ready(name: str) -> bool:
    """Whether a key is an order in which queued pushes are served."""
    return _family(name) == "ready"


def account_of(name: str) -> str:
    """Name the account that a key is about, if it is about one."""
    _, _, rest = name.removeprefix(f"{keys.PREFIX}:").partition(":")
    return rest.partition(":")[0]


def family_of(name: str) -> str:
    """Name the kind of a key: what stands between our prefix and the next colon."""
    return _family(name)


def _family(name: str) -> str:
    return name.removeprefix(f"{keys.PREFIX}:").partition(":")[0] if ":" in name else ""
