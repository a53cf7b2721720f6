from datetime import timedelta
from typing import Any

import pytest

from cli.doctor import account_checks, redis_checks
from cli.doctor.check import Check, Verdict
from klarna import resolve_api_url
from pushes.holds import Hold, Standing
from pushes.model import HoldReason
from pushes.policy import SUSPICIOUS_UNKNOWN
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
    ("info", "verdict", "seen"),
    [
        ({}, Verdict.OK, "Redis 7.2.4"),
        ({"redis_version": "6.2.0"}, Verdict.OK, "Redis 6.2.0"),
        ({"redis_version": "6.0.16"}, Verdict.FAILED, "Redis 6.0.16"),
        ({"redis_version": ""}, Verdict.FAILED, "Redis "),
        ({"valkey_version": "9.1.2"}, Verdict.OK, "Valkey 9.1.2"),
        ({"redis_mode": "cluster"}, Verdict.FAILED, "Redis 7.2.4, a cluster"),
    ],
)
def test_it_judges_the_server(info: dict[str, Any], verdict: Verdict, seen: str) -> None:
    check = redis_checks.server({**WELL, **info})

    assert (check.verdict, check.seen, bool(check.way_out)) == (verdict, seen, verdict != "ok")


@pytest.mark.parametrize(
    ("info", "appendfsync", "verdict"),
    [
        ({}, "everysec", Verdict.OK),
        ({}, "always", Verdict.OK),
        ({}, None, Verdict.OK),
        ({}, "no", Verdict.WARNING),
        ({"aof_enabled": 0}, "everysec", Verdict.FAILED),
        ({"aof_last_write_status": "err"}, "everysec", Verdict.FAILED),
    ],
)
def test_it_judges_whether_a_crash_loses_pushes(
    info: dict[str, Any], appendfsync: str | None, verdict: Verdict
) -> None:
    check = redis_checks.persistence({**WELL, **info}, appendfsync)

    assert (check.verdict, bool(check.way_out)) == (verdict, verdict is not Verdict.OK)


@pytest.mark.parametrize(
    ("info", "verdict", "seen"),
    [
        ({}, Verdict.OK, "maxmemory-policy noeviction, 3 MB used, no maxmemory"),
        ({"maxmemory_policy": "allkeys-lru"}, Verdict.FAILED, None),
        (
            {"maxmemory": 4 * 2**20},
            Verdict.OK,
            "maxmemory-policy noeviction, 3 MB used of 4 MB",
        ),
        ({"maxmemory": 3 * 2**20}, Verdict.WARNING, None),
    ],
)
def test_it_judges_the_memory(info: dict[str, Any], verdict: Verdict, seen: str | None) -> None:
    check = redis_checks.memory({**WELL, **info})

    assert check.verdict is verdict
    assert seen in {None, check.seen}


@pytest.mark.parametrize(("apart_s", "verdict"), [(0, "ok"), (-1.9, "ok"), (2.1, "warning")])
def test_it_compares_the_clocks(apart_s: float, verdict: str) -> None:
    assert redis_checks.clocks(NOW + timedelta(seconds=apart_s), NOW).verdict == verdict


def test_it_wants_a_worker() -> None:
    assert redis_checks.workers(0).verdict is Verdict.FAILED
    assert redis_checks.workers(2) == Check("workers", Verdict.OK, "2 alive")


def test_it_names_accounts_that_nobody_has_configured() -> None:
    checks = list(redis_checks.strangers(["old", "eu"], ("eu", "us")))

    assert [(check.account, check.verdict) for check in checks] == [("old", Verdict.WARNING)]


@pytest.mark.parametrize(
    ("url", "verdict", "seen"),
    [
        ("klarna-eu", "ok", "https://api.klarna.com (live), 200 requests/s"),
        ("http://127.0.0.1:8081", "ok", "http://127.0.0.1:8081 (not live), 200 requests/s"),
        ("http://klarna.example", "warning", "http://klarna.example (not live), 200 requests/s"),
    ],
)
def test_it_says_where_calls_go(url: str, verdict: str, seen: str) -> None:
    check = account_checks.api_url("eu", resolve_api_url(url), 200)

    assert (check.verdict, check.seen, check.account) == (verdict, seen, "eu")


def test_it_says_what_a_missing_token_means() -> None:
    check = account_checks.token("eu", is_set=False)

    assert check.verdict is Verdict.WARNING
    assert "never an acknowledgement" in check.seen
    assert account_checks.token("eu", is_set=True).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("standing", "verdicts"),
    [
        (Standing(), ["ok"]),
        (Standing(Hold(HoldReason.OPERATOR, "moving", NOW)), ["warning"]),
        (Standing(Hold(HoldReason.OUTAGE, "HTTP 503", NOW)), ["failed"]),
        (Standing(unknown_in_a_row=SUSPICIOUS_UNKNOWN), ["ok", "warning"]),
    ],
)
def test_it_judges_how_an_account_is(standing: Standing, verdicts: list[str]) -> None:
    assert [check.verdict for check in account_checks.standing("eu", standing)] == verdicts
