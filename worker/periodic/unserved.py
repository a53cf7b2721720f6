"""The accounts with orders that no live worker has the credentials of.

Every worker runs it. What one finds, it says once; all of them see it in Redis.
"""

from redis import Redis

from pushes import log
from pushes.accounts import clock, serving
from pushes.accounts.clock import Now
from pushes.accounts.serving import Serving
from pushes.read import alarms
from pushes.read.alarms import Alarm

_log = log.get(__name__)


def scan(redis: Redis, served_here: Serving, now: Now | None = None) -> None:
    """Find them; log each once, and keep the alarm raised while there are any."""
    served_here.announce()  # Redis may have lost it
    for account in serving.note_unserved(redis, now):
        _log.error(
            "account.not_served",
            account=account.name,
            queued=account.queued,
            held=account.held,
            meaning="no worker has credentials for the account; its orders wait, and Klarna "
            "pushes each for 48 hours only",
            action="add the account to the ACCOUNTS_FILE of the workers and restart them",
        )
    if serving.unserved(redis):
        alarms.set_off(redis, Alarm.ACCOUNT_NOT_SERVED, clock.read(redis, now))
    else:
        alarms.clear(redis, Alarm.ACCOUNT_NOT_SERVED)
