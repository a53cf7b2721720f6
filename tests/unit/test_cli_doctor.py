import errno
from datetime import timedelta
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from cli.doctor import account_checks, agreement, console, push_url, redis_checks, senders
from cli.doctor.check import Check, Severity
from cli.doctor.senders import ConnectionEnds
from klarna import KlarnaClient, resolve_api_url
from pushes.accounts import sources
from pushes.accounts.holds import AccountHold, Standing
from pushes.accounts.pauses import Pause
from pushes.accounts.sources import SourceNames
from pushes.model import HoldReason
from pushes.policy import SUSPICIOUS_UNKNOWN
from pushes.read.workers import LiveWorkers
from pushes.store.repair.differences import Difference, DifferenceKind
from pushes.store.server.durability import facts_of
from tests.builders import NOW

WELL = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "maxmemory_policy": "noeviction",
    "maxmemory": 0,
    "used_memory": 3 * 2**20,
}


@pytest.mark.parametrize(
    ("info", "severity", "seen"),
    [
        ({}, Severity.OK, "Redis 7.2.4"),
        ({"redis_version": "6.2.0"}, Severity.OK, "Redis 6.2.0"),
        ({"redis_version": "6.0.16"}, Severity.FAILED, "Redis 6.0.16"),
        ({"redis_version": ""}, Severity.FAILED, "Redis "),
        ({"valkey_version": "9.1.2"}, Severity.OK, "Valkey 9.1.2"),
        ({"redis_mode": "cluster"}, Severity.FAILED, "Redis 7.2.4, a cluster"),
    ],
)
def test_it_judges_the_server(info: dict[str, Any], severity: Severity, seen: str) -> None:
    check = redis_checks.server({**WELL, **info})

    assert (check.severity, check.seen, bool(check.remedy)) == (severity, seen, severity != "ok")


@pytest.mark.parametrize(
    ("info", "appendfsync", "severity"),
    [
        ({}, "everysec", Severity.OK),
        ({}, "always", Severity.OK),
        ({}, None, Severity.OK),
        ({}, "no", Severity.WARNING),
        ({"aof_enabled": 0}, "everysec", Severity.FAILED),
        ({"aof_last_write_status": "err"}, "everysec", Severity.FAILED),
    ],
)
def test_it_judges_whether_a_crash_loses_pushes(
    info: dict[str, Any], appendfsync: str | None, severity: Severity
) -> None:
    check = redis_checks.persistence({**WELL, **info}, appendfsync)

    assert (check.severity, bool(check.remedy)) == (severity, severity is not Severity.OK)


@pytest.mark.parametrize(
    ("info", "severity", "seen"),
    [
        ({}, Severity.OK, "maxmemory-policy noeviction, 3 MB used, no maxmemory"),
        ({"maxmemory_policy": "allkeys-lru"}, Severity.FAILED, None),
        (
            {"maxmemory": 4 * 2**20},
            Severity.OK,
            "maxmemory-policy noeviction, 3 MB used of 4 MB",
        ),
        ({"maxmemory": 3 * 2**20}, Severity.WARNING, None),
    ],
)
def test_it_judges_the_memory(info: dict[str, Any], severity: Severity, seen: str | None) -> None:
    check = redis_checks.memory({**WELL, **info})

    assert check.severity is severity
    assert seen in {None, check.seen}


@pytest.mark.parametrize(("apart_s", "severity"), [(0, "ok"), (-1.9, "ok"), (2.1, "warning")])
def test_it_compares_the_clocks(apart_s: float, severity: str) -> None:
    assert redis_checks.clocks(NOW + timedelta(seconds=apart_s), NOW).severity == severity


def test_it_wants_a_worker() -> None:
    assert [check.severity for check in redis_checks.workers(LiveWorkers())] == [Severity.FAILED]
    assert list(redis_checks.workers(LiveWorkers(2))) == [Check("workers", Severity.OK, "2 alive")]


def test_it_takes_workers_that_are_suspended_for_none() -> None:
    (check,) = redis_checks.workers(LiveWorkers(2, suspended=True))

    assert (check.severity, check.seen) == ("failed", "2 alive, suspended by `rq suspend`")


def test_it_tells_workers_that_cannot_do_what_they_take() -> None:
    ours, others = redis_checks.workers(LiveWorkers(0, others=3))

    assert (ours.severity, ours.seen) == ("failed", "none of ours is alive")
    assert (others.severity, others.seen) == ("warning", "3 of `rq worker`")


def test_it_names_accounts_that_nobody_has_configured() -> None:
    checks = list(redis_checks.unconfigured(["old", "eu"], ("eu", "us")))

    assert [(check.account, check.severity) for check in checks] == [("old", Severity.WARNING)]


@pytest.mark.parametrize(
    ("url", "severity", "seen"),
    [
        ("klarna-eu", "ok", "https://api.klarna.com (live), 200 requests/s"),
        ("http://127.0.0.1:8081", "ok", "http://127.0.0.1:8081 (not live), 200 requests/s"),
        ("http://klarna.example", "warning", "http://klarna.example (not live), 200 requests/s"),
    ],
)
def test_it_says_where_calls_go(url: str, severity: str, seen: str) -> None:
    check = account_checks.api_url("eu", resolve_api_url(url), 200)

    assert (check.severity, check.seen, check.account) == (severity, seen, "eu")


def test_it_does_not_send_for_klarna_what_this_machine_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(HTTPAdapter, "send", fail)
    with KlarnaClient(resolve_api_url("http://klarna.test"), "u", "p") as client:
        (check,) = account_checks.credentials("eu", client)
    assert check.severity is Severity.WARNING
    assert check.seen.startswith("no call: too many open files; raise")
    assert "Klarna" not in str(check.remedy)


def test_it_says_what_a_missing_token_means() -> None:
    check = account_checks.token("eu", is_set=False)

    assert check.severity is Severity.WARNING
    assert "never an acknowledgement" in check.seen
    assert account_checks.token("eu", is_set=True).severity is Severity.OK


@pytest.mark.parametrize(
    ("standing", "severities"),
    [
        (Standing(), ["ok"]),
        (Standing(AccountHold(HoldReason.OPERATOR, "moving", NOW)), ["warning"]),
        (Standing(AccountHold(HoldReason.OUTAGE, "HTTP 503", NOW)), ["failed"]),
        (Standing(pause=Pause("eu", NOW, "HTTP 429")), ["warning"]),
        (Standing(unserved_since=NOW), ["failed"]),
        (Standing(unknown_in_a_row=SUSPICIOUS_UNKNOWN), ["ok", "warning"]),
    ],
)
def test_it_judges_how_an_account_is(standing: Standing, severities: list[str]) -> None:
    assert [check.severity for check in account_checks.standing("eu", standing)] == severities


MB = 2**20


@pytest.mark.parametrize(
    ("maxmemory", "settled", "severity", "seen"),
    [
        (0, 10_000, Severity.OK, "no maxmemory: as much as the machine has"),
        (1000 * MB, 10_000, Severity.OK, "enough for 10000 orders a day, kept for 30 days"),
        (103 * MB, 10_000, Severity.WARNING, "full in 7.0 days with 10000 orders a day"),
        (13 * MB, 10_000, Severity.FAILED, "full in 0.7 days with 10000 orders a day"),
        (1, 10_000, Severity.FAILED, "full with 10000 orders a day"),
        (13 * MB, 0, Severity.OK, "enough for 0 orders a day, kept for 30 days"),
    ],
)
def test_it_tells_how_long_the_memory_lasts(
    maxmemory: int, settled: int, severity: Severity, seen: str
) -> None:
    facts = facts_of({**WELL, "maxmemory": maxmemory})

    check = redis_checks.headroom(facts, settled, timedelta(days=30))

    assert (check.severity, check.seen) == (severity, seen)


def test_it_tells_whether_replicas_follow() -> None:
    def looked_at(*lags: int) -> list[tuple[Severity, str]]:
        replicas = {f"slave{number}": {"lag": lag} for number, lag in enumerate(lags)}
        facts = facts_of({**WELL, "connected_slaves": len(lags), **replicas})
        return [(check.severity, check.seen) for check in redis_checks.replicas(facts)]

    assert looked_at() == []
    assert looked_at(0, 1) == [(Severity.OK, "2, the slowest answered 1 s ago")]
    assert looked_at(1, 60) == [(Severity.WARNING, "2, the slowest answered 60 s ago")]


def test_it_looks_whether_workers_are_alike_and_busy_with_their_tasks() -> None:
    live = LiveWorkers(2, versions={"0.1.0": 2}, tasks={"due": NOW})

    assert [check.severity for check in redis_checks.versions(live, "0.1.0")] == [Severity.OK]
    assert [check.severity for check in redis_checks.versions(live, "0.2.0")] == [Severity.WARNING]
    (well,) = redis_checks.tasks(live, NOW + timedelta(minutes=1))
    (hangs,) = redis_checks.tasks(live, NOW + timedelta(minutes=4))
    assert (well.severity, hangs.severity) == (Severity.OK, Severity.FAILED)
    assert hangs.seen == "without success: due for 240 s"


@pytest.mark.parametrize(
    ("status", "content_type", "severity"),
    [
        (400, "application/problem+json", Severity.OK),
        (404, "application/problem+json", Severity.FAILED),
        (503, "application/problem+json", Severity.FAILED),
        (404, "text/html", Severity.FAILED),
        (301, "text/html", Severity.FAILED),
        (200, "text/html", Severity.FAILED),
    ],
)
def test_it_judges_what_answers_at_the_push_url(
    status: int, content_type: str, severity: Severity
) -> None:
    check = push_url.judge(status, content_type)

    assert (check.severity, bool(check.remedy)) == (severity, severity is not Severity.OK)


@pytest.mark.parametrize(("days", "severity"), [(60, Severity.OK), (13, Severity.WARNING)])
def test_it_tells_how_long_the_certificate_is_valid(days: int, severity: Severity) -> None:
    check = push_url.expiry(NOW + timedelta(days=days), NOW)

    assert (check.severity, check.seen) == (severity, f"valid for {days} days")


@pytest.mark.parametrize(
    ("date", "severities"),
    [
        ("Sun, 01 Mar 2026 12:00:04 GMT", ["ok"]),
        ("Sun, 01 Mar 2026 11:59:30 GMT", ["warning"]),
        ("some day", []),
        (None, []),
    ],
)
def test_it_compares_the_clock_with_klarnas(date: str | None, severities: list[str]) -> None:
    checks = list(account_checks.klarnas_clock("eu", date, NOW))

    assert [check.severity for check in checks] == severities


@pytest.mark.parametrize(
    ("seen_from", "severity", "seen"),
    [
        ("192.0.2.1", Severity.FAILED, "anybody passes for Klarna"),
        ("10.0.0.7", Severity.OK, "as it does"),
        ("8.8.8.8", Severity.OK, "the public address of this machine?"),
        ("10.0.0.8", Severity.FAILED, "that is a proxy's"),
        ("9.9.9.9", Severity.FAILED, "that is a proxy's"),
        ("", Severity.FAILED, "nobody: that is a proxy's"),
    ],
)
def test_it_judges_by_which_address_it_is_seen(
    seen_from: str, severity: Severity, seen: str
) -> None:
    check = senders.whence(seen_from, ConnectionEnds(ours="10.0.0.7", theirs="9.9.9.9"))

    assert (check.severity, check.seen.endswith(seen)) == (severity, True)
    assert bool(check.remedy) == (severity is not Severity.OK)


def test_it_finds_sources_that_are_networks_of_ours() -> None:
    name = SourceNames().of
    seen = {str(name(address)) for address in ("127.0.0.1", "10.255.3.9", "192.0.2.1")}

    assert sources.networks_of_ours(seen) == ["127.0.0.0/24", "10.255.3.0/24"]


@pytest.mark.parametrize(
    ("status", "location", "text", "severity"),
    [
        (200, "", "<title>Overview · klarna-ack</title>", Severity.FAILED),
        (200, "", "<title>The shop</title>", Severity.OK),
        (302, "/ops/sign-in?next=/ops/", "", Severity.WARNING),
        (302, "https://push.example.com/ops/closed", "", Severity.WARNING),
        (302, "https://shop.example.com/", "", Severity.OK),
        (404, "", "", Severity.OK),
    ],
)
def test_it_judges_who_sees_the_console(
    status: int, location: str, text: str, severity: Severity
) -> None:
    check = console.judge(status, location, text)

    assert (check.severity, bool(check.remedy)) == (severity, severity is not Severity.OK)


def test_it_says_what_does_not_agree() -> None:
    found = [Difference(DifferenceKind.PHANTOM, "here"), Difference(DifferenceKind.ORPHAN, "there")]

    assert agreement.judge([], is_whole=True).severity is Severity.OK
    assert agreement.judge([], is_whole=False).seen == "what was looked at agrees"
    check = agreement.judge(found, is_whole=True)
    assert (check.severity, check.seen) == (
        Severity.WARNING,
        "not as the records say: 1 orphan, 1 phantom",
    )
