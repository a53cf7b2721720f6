"""Every Redis key of ours, named once. RQ's own keys are RQ's: they begin with `rq:`.

One push has three keys: its record (a hash), its timeline (a list) and its RQ job. It is also a
member of one index per state and, when dead, of one index per account and reason; while it waits
for a worker, of the order in which its account is served. An account has a few keys of its own.
"""

from pushes.model import Lane, PushKey, Reason, State

PREFIX = "klarna-ack"

# The names of the accounts that ever had a push: what the dead-letter index is divided by.
ACCOUNTS = f"{PREFIX}:accounts"

# The names of the accounts that are held.
HOLDS = f"{PREFIX}:holds"

# The accounts for which Klarna asked for a pause, scored by its end: epoch seconds.
PAUSES = f"{PREFIX}:pauses"

# The accounts that got something to do since a worker last looked: one set.
WORK_ARRIVED = f"{PREFIX}:work:arrived"

# The accounts with something to do, scored by when a worker should look at them: epoch seconds.
WORK = f"{PREFIX}:work"

# The accounts that have held orders, or had some not long ago: one set.
HELD_ACCOUNTS = f"{PREFIX}:work:held"

# The groups of accounts that live workers serve, scored by until when: epoch seconds.
SERVED = f"{PREFIX}:served"

# The accounts with orders that no live worker serves, scored by since when: epoch seconds.
UNSERVED = f"{PREFIX}:unserved"

# The orders not acknowledged yet, in hand or dead, scored by their deadline: one sorted set.
UNACKNOWLEDGED = f"{PREFIX}:unacknowledged"

# The orders that Klarna should push again, scored by when that push counts as missed.
RESENDS = f"{PREFIX}:resends"

# The orders that wait for an attempt alone, since their worker died, scored by when it is due.
ALONE = f"{PREFIX}:alone"

# Held by the one process that makes attempts alone at this moment.
ALONE_LOCK = f"{PREFIX}:alone:lock"

# How many re-sends came and how many did not, since the ledger began: one hash.
RESEND_TOTALS = f"{PREFIX}:resends:totals"

# How often each event that operators watch has happened, over all processes: one hash.
COUNTERS = f"{PREFIX}:counters"

# The causes of death that some dead letter has or had of late, as `keys.cause` names their sets,
# scored by the last death: epoch seconds.
CAUSES = f"{PREFIX}:causes"

# What happened to all pushes, by kind: one hash; see `pushes.store.counted.totals`.
TOTALS = f"{PREFIX}:totals"

# How many slots of its quota each account used, and waited for how long: one hash.
QUOTA_TOTALS = f"{PREFIX}:totals:quota"

# What the same hash held at times gone by begins with this; see `pushes.store.counted.series`.
_SERIES = f"{PREFIX}:series"

# What operators did: one stream.
AUDIT = f"{PREFIX}:audit"

# The bulk runs, by when they were started: one sorted set; and those not at their end: one set.
RUNS = f"{PREFIX}:runs"
ACTIVE_RUNS = f"{PREFIX}:runs:active"

# Held by the one process that goes on with bulk runs at this moment.
RUNS_LOCK = f"{PREFIX}:runs:lock"

# How many pushes were refused, by account and reason, over all web processes: one hash.
REFUSED = f"{PREFIX}:refused"

# The users of the console, by name: one hash of JSON.
USERS = f"{PREFIX}:users"

# The tokens of the API, by digest: one hash of JSON; and when each was last used, epoch seconds.
TOKENS = f"{PREFIX}:tokens"
TOKENS_USED = f"{PREFIX}:tokens:used"

# What the console's cookies are signed with.
CONSOLE_SECRET = f"{PREFIX}:console:secret"

# What the counts of sign-in attempts begin with; they expire.
SIGN_IN_ATTEMPTS = f"{PREFIX}:sign-in-attempts"

# Held by the one worker that calls HEARTBEAT_URL in this minute.
PING_LOCK = f"{PREFIX}:ping:lock"

# What the keys of a recipient of NOTIFY_URLS begin with.

# Written to learn whether Redis takes writes; holds nothing.
WRITE_PROBE = f"{PREFIX}:write-probe"

# What stands for the error code of a death that has none.
NO_CODE = "none"

# The field by which RQ's entry of a worker tells that it is one of ours: it holds our version.
WORKER_VERSION_FIELD = "klarna_ack_version"

# The field of the same entry that tells by how many seconds its clock is ahead of Redis's.
WORKER_SKEW_FIELD = "klarna_ack_clock_skew_s"

# The field of the same entry that tells when it read its settings, in epoch seconds.
WORKER_SETTINGS_FIELD = "klarna_ack_settings_read_at"

# The fields of the same entry that tell how many attempts it can make at a time, and makes now.
WORKER_SLOTS_FIELD = "klarna_ack_slots"
WORKER_BUSY_FIELD = "klarna_ack_slots_busy"

# The field of the same entry that names the hash of the accounts that it serves.
WORKER_SERVES_FIELD = "klarna_ack_serves"

# The field of the same entry that tells when each periodic task succeeded last: JSON.
WORKER_TASKS_FIELD = "klarna_ack_tasks"


def record(key: PushKey) -> str:
    """Name the hash that holds a `pushes.model.Push`."""
    return f"{PREFIX}:push:{job_id(key)}"


def timeline(key: PushKey) -> str:
    """Name the list of a push's last entries, oldest first."""
    return f"{PREFIX}:timeline:{job_id(key)}"


def index(state: State) -> str:
    """Name the sorted set of the pushes in one state.

    The score is the deadline for a state that waits, else the time the state was entered: epoch
    seconds either way.
    """
    return f"{PREFIX}:state:{state}"


def ready(account: str, lane: Lane) -> str:
    """Name the sorted set of one account's queued pushes that no worker has taken, by deadline."""
    return f"{PREFIX}:ready:{account}:{lane}"


def held(account: str) -> str:
    """Name the sorted set of one account's held pushes, scored by deadline."""
    return f"{PREFIX}:held:{account}"


def hold(account: str) -> str:
    """Name the hash that says why an account is held; absent while it is not."""
    return f"{PREFIX}:hold:{account}"


def resumed(account: str) -> str:
    """Name the hash that says which operator resumed an account last, and why; it expires."""
    return f"{PREFIX}:resumed:{account}"


def failing(account: str) -> str:
    """Name the hash that counts an account's failures in a row, by push."""
    return f"{PREFIX}:failing:{account}"


def merchant_failing(account: str) -> str:
    """Name the hash that counts an account's failed hand-overs in a row, by push."""
    return f"{PREFIX}:merchant-failing:{account}"


def limited(account: str) -> str:
    """Name the set of an account's orders answered 429 since the last sensible answer."""
    return f"{PREFIX}:limited:{account}"


def sources(account: str) -> str:
    """Name the sorted set of the sources that pushed real orders, by what they earned."""
    return f"{PREFIX}:sources:{account}"


def unknown(account: str) -> str:
    """Name the sorted set of waiting pushes in the lane `unknown`, scored by deadline."""
    return f"{PREFIX}:unknown:{account}"


def waiting_of(account: str, source: str) -> str:
    """Name the sorted set of waiting pushes of one network in the other lanes, by deadline."""
    return f"{PREFIX}:waiting-of:{account}:{source}"


def unknown_in_a_row(account: str) -> str:
    """Name the count of orders that Klarna did not know when it was first asked, in a row."""
    return f"{PREFIX}:unknown-in-a-row:{account}"


def quota(account: str) -> str:
    """Name the hash that says when the next call for an account may be made."""
    return f"{PREFIX}:quota:{account}"


def quota_used(minute: int) -> str:
    """Name the hash that counts the calls of each account in one minute; it expires."""
    return f"{PREFIX}:quota-used:{minute}"


def shares(group: str) -> str:
    """Name the hash of a group of accounts that workers serve: each one's share of a second."""
    return f"{PREFIX}:shares:{group}"


def series(range_word: str) -> str:
    """Name the stream of samples for one range of time: hour, day or week."""
    return f"{_SERIES}:{range_word}"


def resends_counted(bucket: int) -> str:
    """Name the hash that counts the re-sends expected in one span of time; it expires."""
    return f"{PREFIX}:resends:{bucket}"


def refused_lately(span: int) -> str:
    """Name the hash that counts pushes with a wrong token in one span of time; it expires."""
    return f"{PREFIX}:refused:{span}"


def alarm(word: str) -> str:
    """Name the flag of an alarm: it holds the time since when, and expires."""
    return f"{PREFIX}:alarm:{word}"


def dead_letters(account: str, reason: Reason) -> str:
    """Name the sorted set of one account's dead pushes of one reason, scored by time of death."""
    return f"{PREFIX}:dead:{account}:{reason}"


def dead_of(reason: Reason) -> str:
    """Name the sorted set of all dead pushes of one reason, scored by time of death."""
    return f"{PREFIX}:dead:{reason}"


def cause(account: str, reason: Reason, code: str | None) -> str:
    """Name the sorted set of one account's dead pushes of one cause, scored by time of death."""
    return f"{dead_letters(account, reason)}:{code or NO_CODE}"


def references(kind: str, bucket: int) -> str:
    """Name a part of the index of texts by which orders are found that are not settled.

    A sorted set scored by the digest of the text; see `pushes.store.texts`.
    """
    return f"{PREFIX}:references:{kind}:{bucket:x}"


def settled_references(period: int, kind: str, bucket: int) -> str:
    """Name a part of the same index, of orders settled in one span of time; it expires."""
    return f"{PREFIX}:settled-references:{period}:{kind}:{bucket:x}"


def calls(period: int, bucket: int) -> str:
    """Name a hash that tells orders by the correlation ids of one span of time; it expires."""
    return f"{PREFIX}:calls:{period}:{bucket:x}"


def run(run_id: str) -> str:
    """Name the hash that holds a `pushes.read.runs.BulkRun`."""
    return f"{PREFIX}:run:{run_id}"


def run_results(run_id: str) -> str:
    """Name the hash that counts what a bulk run did, and what came of it; it expires."""
    return f"{PREFIX}:run-results:{run_id}"


def run_orders(run_id: str) -> str:
    """Name the sorted set of the orders that a bulk run is about, when no filter says which."""
    return f"{PREFIX}:run-orders:{run_id}"


def run_discards(run_id: str) -> str:
    """Name the sorted set of the orders that a bulk run discarded, by time of death; it expires."""
    return f"{PREFIX}:run-discards:{run_id}"


def unreadable(name: str) -> str:
    """Name where a key is kept that was set aside, because nobody could read it."""
    return f"{PREFIX}:unreadable:{name.removeprefix(f'{PREFIX}:')}"


def session(digest: str) -> str:
    """Name the string that says whose session it is; it expires."""
    return f"{PREFIX}:session:{digest}"


def sign_in_link(digest: str) -> str:
    """Name the string that says whom a one-time link signs in; it expires."""
    return f"{PREFIX}:sign-in-link:{digest}"


def notify_lease(recipient: str) -> str:
    """Name what the one process holds that looks for a recipient in this minute."""
    return f"{PREFIX}:notify-lease:{recipient}"


def notify_told(recipient: str) -> str:
    """Name the hash of what a recipient was told, by trouble: JSON; it expires."""
    return f"{PREFIX}:notify-told:{recipient}"


def notify_digest(recipient: str) -> str:
    """Name the string that holds the day of the digest that a recipient got last; it expires."""
    return f"{PREFIX}:notify-digest:{recipient}"


def unanswered(key: PushKey, call: str) -> str:
    """Name where an operator's write to an order is kept until its outcome is known; it expires."""
    return f"{PREFIX}:unanswered:{call}:{job_id(key)}"


def job_id(key: PushKey) -> str:
    """Name the RQ job, which is also the member in every index: account, underscore, order id."""
    return f"{key.account}_{key.order_id}"


def find_key(job_id: bytes) -> PushKey | None:
    """Read a key back from what stands in Redis; None for what names no push of ours."""
    try:
        return parse_job_id(job_id.decode())
    except ValueError:  # which UnicodeDecodeError is, too
        return None


def parse_job_id(text: str) -> PushKey:
    """Read a key back from `job_id`. Raises ValueError for anything else."""
    account, separator, order_id = text.partition("_")
    if not separator:
        raise ValueError(f"job id {text[:60]!r}: expected ACCOUNT_ORDERID")
    return PushKey(account, order_id)
