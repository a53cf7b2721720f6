"""What the ends of attempts say of their account: hold it, serve it again, or slow down.

The judgement is `policy.is_outage` and the signs of the outcomes; here it is put to Redis, where
all workers share it. An attempt that failed on a held account's trouble is not the order's fault:
its outcome becomes a hold, which spends nothing.
"""

from datetime import datetime

from pushes import log, policy
from pushes.accounts.holds import AccountHold, Holds
from pushes.accounts.pauses import Pauses
from pushes.model import HoldReason, PushKey
from pushes.store import keys
from worker.attempt.attempt import Ending
from worker.attempt.outcomes import (
    AccountSignal,
    Acknowledged,
    Hold,
    Looked,
    NotNeeded,
    RateLimited,
    Retry,
    Spends,
)

_log = log.get(__name__)

_FAILING = {AccountSignal.FAILING, AccountSignal.REFUSED, AccountSignal.MERCHANT}

_MEANING = "its orders wait and spend no attempt; none is lost"
_ACTION = {
    HoldReason.OUTAGE: (
        "look at Klarna's status page and at the network path from here (proxy, DNS, firewall); "
        "work resumes by itself when Klarna answers again"
    ),
    HoldReason.MERCHANT: (
        "look at the merchant's own system, at the url of the account's hand_over and at its log; "
        "work resumes by itself when it takes an order"
    ),
    HoldReason.CREDENTIALS: (
        "put the account's settings right and reload the workers (SIGHUP); work resumes by itself "
        "within a minute"
    ),
}


class AccountHealth:
    """Judges the accounts of one worker's attempts."""

    def __init__(self, holds: Holds, pauses: Pauses, outage_after: int) -> None:
        self._holds = holds
        self._pauses = pauses
        self._outage_after = outage_after

    def judge(self, endings: list[Ending]) -> list[Ending]:
        """Hold, resume or slow down accounts; return the endings as they are to be settled.

        Raises RedisError; then calling it again with the same endings is safe.
        """
        endings = [self._note(ending) for ending in endings]
        failing = {ending.account for ending in endings if _is_failing(ending)}
        held = {account: self._holds.get(account) for account in failing}
        return [_settled_with_account(ending, held.get(ending.account)) for ending in endings]

    def has_outage(self, account: str) -> bool:
        """Whether an account is held because Klarna fails. Raises RedisError."""
        hold = self._holds.get(account)
        return hold is not None and hold.reason is HoldReason.OUTAGE

    def _note(self, ending: Ending) -> Ending:
        """Note what an ending says of its account; return it as it is now known to be."""
        key, outcome = ending.attempt.push.key, ending.outcome
        if ending.attempt.is_probe:
            self._note_probe(ending)
        if _is_first_not_found(ending):
            self._suspect(key.account)
        elif outcome.signal is AccountSignal.FAILING:
            if self._holds.failed(key.account, keys.job_id(key), self._outage_after):
                self._hold(key.account, HoldReason.OUTAGE, _error_of(ending))
        elif outcome.signal is AccountSignal.MERCHANT:
            job_id, after = keys.job_id(key), self._outage_after
            if self._holds.failed(key.account, job_id, after, of_merchant=True):
                self._hold(key.account, HoldReason.MERCHANT, _error_of(ending))
        elif outcome.signal is AccountSignal.REFUSED:
            self._hold(key.account, HoldReason.CREDENTIALS, _error_of(ending))
        elif isinstance(outcome, RateLimited) and self._is_limited_alone(key, outcome):
            return ending.with_outcome(outcome.if_alone)
        return ending

    def _note_probe(self, ending: Ending) -> None:
        """Serve a held account again when this shows that what held it is over.

        Klarna's answer does not show that of the merchant's own system, nor the other way round.
        That no longer matters once the account's orders are not handed over any more.
        """
        signal = ending.outcome.signal
        if signal in {AccountSignal.WELL, AccountSignal.MERCHANT}:
            self._resume(ending.account, ending.at)
        unneeded = signal is AccountSignal.WELL and not ending.report.hands_over
        if ending.merchant_answered or unneeded:
            self._resume(ending.account, ending.at, HoldReason.MERCHANT)

    def _is_limited_alone(self, key: PushKey, outcome: RateLimited) -> bool:
        pause_s = outcome.pause.total_seconds()
        return self._pauses.limited(key.account, keys.job_id(key), pause_s, outcome.error)

    def _suspect(self, account: str) -> None:
        """Count an order that Klarna does not know; say so when it knows hardly any."""
        if self._holds.unknown(account) == policy.SUSPICIOUS_UNKNOWN:
            _log.error(
                "account.probably_wrong",
                account=account,
                unknown_in_a_row=policy.SUSPICIOUS_UNKNOWN,
                meaning="Klarna knows none of the last orders: probably the wrong region or "
                "account, or somebody pushes made-up ids; they are dead in about 20 minutes",
                action="check that KLARNA_API_URL and the credentials are those of the shop",
            )

    def _hold(self, account: str, reason: HoldReason, cause: str) -> None:
        if self._holds.begin(account, reason, cause):
            _log.error(
                "account.held",
                account=account,
                reason=str(reason),
                cause=cause,
                meaning=_MEANING,
                action=_ACTION[reason],
            )

    def _resume(self, account: str, now: datetime, reason: HoldReason | None = None) -> None:
        if hold := self._holds.end(account, reason):
            _log.info(
                "account.resumed",
                account=account,
                reason=str(hold.reason),
                held_s=round((now - hold.since).total_seconds()),
            )


def _is_first_not_found(ending: Ending) -> bool:
    outcome, push = ending.outcome, ending.attempt.push
    not_found = isinstance(outcome, Retry) and outcome.spends is Spends.NOT_FOUND
    return not_found and not push.not_found and push.verified_at is None


def _is_failing(ending: Ending) -> bool:
    return ending.outcome.signal in _FAILING


def _error_of(ending: Ending) -> str:
    match ending.outcome:
        case Acknowledged() | NotNeeded() | Looked():
            return ""
        case failed:
            return failed.error


def _settled_with_account(ending: Ending, hold: AccountHold | None) -> Ending:
    if hold is None or not _is_failing(ending):
        return ending
    return ending.with_outcome(Hold(hold.reason, _error_of(ending)))
