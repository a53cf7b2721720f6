"""`python -m worker [--burst | --alone]`: make attempts until told to stop."""

import argparse
import os
from functools import partial
from importlib.metadata import version

from klarna import make_clients
from pushes import log, telemetry
from pushes.accounts.settings import Account
from pushes.settings import ConfigurationError, complain, log_not_reloaded
from pushes.store.connection import connect
from pushes.store.ledger import Ledger
from worker import alone
from worker.alone import AloneProcess
from worker.attempt.acknowledge import ServedAccount
from worker.attempt.hand_over.shop import MerchantSystem
from worker.periodic.heartbeat import Heartbeat
from worker.runner import Runner
from worker.settings import Configuration, load
from worker.wiring import Parts, assemble

_log = log.get(__name__)

# Long enough for an append-only file that is rewritten, short enough to notice a frozen Redis.
# A wait for work blocks for one second, well inside it.
_REDIS_TIMEOUT_S = 3.0
_REDIS_RETRIES = 1


def main() -> int:
    """Run a worker with the process's environment; return the exit code."""
    arguments = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    arguments.add_argument("--burst", action="store_true", help="end when nothing is waiting")
    arguments.add_argument(
        "--alone",
        action="store_true",
        help="attempt only orders whose worker died, one by one, then end; workers start this",
    )
    wanted = arguments.parse_args()
    try:
        configuration, accounts = _read()
    except ConfigurationError as error:
        return complain("worker", error)
    settings = configuration.settings
    log.configure(settings.log_level, settings.log_format or log.default_form(os.environ))
    telemetry.start(settings, "worker", version("klarna-ack"))
    redis = connect(settings.redis_url, timeout_s=_REDIS_TIMEOUT_S, retries=_REDIS_RETRIES)
    ledger = Ledger(redis, retention=settings.retention)
    heartbeat = Heartbeat(redis, ledger.rq, slots=settings.concurrency)
    parts = assemble(
        ledger,
        name=heartbeat.name,
        accounts=accounts,
        shares=configuration.shares,
        retry_policy=configuration.retry_policy,
        outage_after_failures=settings.outage_after_failures,
        concurrency=settings.concurrency,
        heartbeat_url=settings.heartbeat_url,
        recipients=settings.recipients or (),
        digest_at=settings.digest_at,
    )
    if wanted.alone:
        return alone.run(parts, ledger, heartbeat.name, configuration.accounts)
    reload = partial(_reload, parts, heartbeat)
    runner = Runner(parts, heartbeat, AloneProcess(redis), settings.concurrency, reload)
    return runner.work(burst=wanted.burst)


def _read() -> tuple[Configuration, dict[str, ServedAccount]]:
    """Read the settings and make of them what attempts need. Raises ConfigurationError."""
    found = load(os.environ)
    pool_size = found.settings.concurrency
    try:
        clients = make_clients(found.accounts, pool_size=pool_size, version=version("klarna-ack"))
    except ValueError as error:  # proxies and the CA bundle are the environment's, too
        raise ConfigurationError(str(error)) from error
    accounts = {
        name: ServedAccount(
            clients[name], account.policies, _shop_of(account, pool_size), clients[name]
        )
        for name, account in found.accounts.items()
    }
    return found, accounts


def _shop_of(account: Account, pool_size: int) -> MerchantSystem | None:
    hand_over = account.policies.hand_over
    if hand_over is None:
        return None
    user_agent = f"klarna-ack/{version('klarna-ack')}"
    return MerchantSystem(hand_over, pool_size=pool_size, user_agent=user_agent)


def _reload(parts: Parts, heartbeat: Heartbeat) -> None:
    """Serve the accounts as they are configured now; while that is not usable, change nothing."""
    try:
        found, accounts = _read()
    except ConfigurationError as error:
        log_not_reloaded(error)
        return
    parts.serve(accounts, found.shares)
    heartbeat.note_settings_read()
    _log.info("settings.reloaded", accounts=len(accounts))


if __name__ == "__main__":
    code = main()
    telemetry.stop()
    log.flush()
    # What hangs in a thread has been put back in the queue; it must not hold up the exit.
    os._exit(code)
