from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pushes.accounts.holds import AccountHold, Holds
from pushes.accounts.pauses import Pauses
from pushes.model import HoldReason
from pushes.read import views
from pushes.read.audit import AuditEntry
from pushes.store.ledger import Ledger
from tests.builders import NOW
from tests.integration.test_cli_support import (
    after,
    answer,
    at,
    audited,
    error,
    run,
    two_accounts,
)


@pytest.fixture
def holds(redis_client: "Redis") -> Holds:
    return Holds(Ledger(redis_client).redis)


def pause(redis_url: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    with at(after(3)):
        return answer(
            run(redis_url, "pause", *arguments, "--why", "moving", "--by", "ops", "--json")
        )


def test_it_holds_the_account_and_says_who_and_why(holds: Holds, redis_url: str) -> None:
    shown = pause(redis_url)

    hold = holds.get("default")
    assert hold == AccountHold(HoldReason.OPERATOR, "moving", hold.since if hold else NOW, "ops")
    assert shown == {
        "account": "default",
        "held": "operator",
        "cause": "moving",
        "since": views.instant(hold.since),
        "by": "ops",
        "probe_at": None,
        "paused_until": None,
        "pause_cause": None,
        "unknown_in_a_row": 0,
        "unserved_since": None,
    }


def test_it_overrules_what_holds_the_account_by_itself(holds: Holds, redis_url: str) -> None:
    holds.begin("default", HoldReason.OUTAGE, "HTTP 503")

    pause(redis_url, "default")

    hold = holds.get("default")
    assert hold
    assert hold.reason is HoldReason.OPERATOR


@pytest.mark.parametrize("reason", HoldReason)
def test_it_resumes_whatever_held_the_account(
    holds: Holds, redis_url: str, reason: HoldReason
) -> None:
    holds.begin("default", reason, "because")

    result = run(redis_url, "resume")

    assert result.exit_code == 0
    assert result.stdout.startswith(
        f"default: It is served again. It was held: {reason} since 2026-"
    )
    assert holds.get("default") is None


def test_it_keeps_in_the_audit_who_paused_and_resumed(
    redis_client: "Redis", redis_url: str
) -> None:
    pause(redis_url)
    run(redis_url, "resume", "--by", "anna", "--why", "moved")
    run(redis_url, "resume")  # refused: nothing is done

    assert audited(redis_client) == [
        AuditEntry("ops", "pause", "default", why="moving"),
        AuditEntry("anna", "resume", "default", why="moved"),
    ]


def test_it_ends_a_pause_that_klarna_asked_for(redis_client: "Redis", redis_url: str) -> None:
    pauses = Pauses(redis_client)
    for order in ("one", "another"):
        pauses.limited("default", order, 3600, "Klarna asks for a pause (429)")
    until = views.instant(pauses.active()["default"].until)

    shown = run(redis_url, "status").stdout
    result = run(redis_url, "resume")

    sentence = f"The account default is not called for until {until}: Klarna asks for a pause (429)"
    assert sentence in shown
    assert result.stdout == (
        f"default: It is served again. It was paused until {until}: Klarna asks for a pause (429)\n"
    )
    assert pauses.active() == {}


def test_it_refuses_to_resume_what_is_not_held(redis_url: str) -> None:
    complaint = error(run(redis_url, "resume"), 1)

    assert (
        complaint == "Error: The account 'default' is neither held nor paused. Nothing to resume.\n"
    )


def test_it_asks_which_of_several_accounts(redis_url: str, tmp_path: Path) -> None:
    complaint = error(run(redis_url, "resume", ACCOUNTS_FILE=two_accounts(tmp_path)), 2)

    assert "Several accounts are configured: eu, us." in complaint


def test_it_knows_no_account_of_that_name(redis_url: str) -> None:
    complaint = error(run(redis_url, "pause", "nobody", "--why", "x"), 2)

    assert "There is no account 'nobody'." in complaint
