from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from pushes import life
from pushes.model import PushKey, State
from pushes.read.audit import AuditEntry, AuditResult
from pushes.store import records
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, an_order_id, put
from tests.integration.test_cli_support import (
    acted_on,
    after,
    answer,
    at,
    audited,
    counts,
    error,
    events,
    everything,
    run,
    take,
    two_accounts,
)


@pytest.fixture
def ledger(redis_client: "Redis") -> Ledger:
    return Ledger(redis_client)


def waiting_jobs(ledger: Ledger) -> list[str]:
    raw = cast(list[bytes], ledger.redis.lrange(ledger.rq.queue.key, 0, -1))
    return [job_id.decode() for job_id in raw]


def queued(*keys: PushKey) -> dict[str, object]:
    return {
        "items": [acted_on(key, "queued") for key in keys],
        "refused": [],
        "bad_lines": [],
    }


def test_it_queues_orders_as_if_klarna_had_pushed_them(ledger: Ledger, redis_url: str) -> None:
    first, second = a_key(), a_key()
    with at():
        result = run(redis_url, "push", first.order_id.upper(), second.order_id, "--json")
    assert result.stderr == ""
    assert answer(result) == queued(first, second)
    assert counts(ledger) == {"queued": 2}
    assert events(ledger, first) == [("pushed_by_operator", None, "tester")]
    push = take(ledger, first)
    assert (push.first_push_at, push.pushes, push.attempts) == (NOW, 1, 0)
    assert waiting_jobs(ledger) == [f"default_{key.order_id}" for key in (first, second)]


def test_it_lists_them_in_aligned_text(redis_url: str) -> None:
    key = a_key()
    result = run(redis_url, "push", key.order_id)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "order_id                              account  result\n"
        f"{key.order_id}  default  queued\n"
        "\n"
        "1 queued.\n"
    )


def test_it_counts_an_order_in_hand_and_makes_no_second_job(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.QUEUED).key
    with at(after(2)):
        result = run(redis_url, "push", key.order_id, key.order_id.upper(), "--json")
    assert answer(result) == queued(key)
    assert take(ledger, key).pushes == 2
    assert waiting_jobs(ledger) == [f"default_{key.order_id}"]
    assert events(ledger, key)[1:] == [("pushed_by_operator", "already queued", "tester")]


def test_it_revives_a_dead_order(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.DEAD).key
    assert answer(run(redis_url, "push", key.order_id, "--json")) == queued(key)
    assert counts(ledger) == {"queued": 1}


def test_it_says_that_a_discarded_order_is_not_revived(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.DEAD).key
    assert ledger.advance(key, lambda push: life.discarded(push, "anna", "forged", NOW))
    result = run(redis_url, "push", key.order_id)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        f"{key.order_id}  default  discarded",
        "",
        "1 discarded.",
    ]
    assert result.stderr == (
        "Those discarded by an operator are counted, not queued. Replay them with `klarna-ack dead"
        " replay` to take that back.\n"
    )
    assert take(ledger, key).pushes == 2
    assert waiting_jobs(ledger) == []


@pytest.mark.parametrize("through", ["file", "stdin"])
def test_it_reads_a_file(ledger: Ledger, redis_url: str, tmp_path: Path, through: str) -> None:
    first, second = a_key(), a_key()
    text = (
        f"\ufeff# missed on Sunday\r\n{first.order_id.upper()}\r\n\r\n {second.order_id} # by hand"
    )
    path = tmp_path / "ids.txt"
    path.write_bytes(text.encode())
    if through == "file":
        result = run(redis_url, "push", "--file", str(path), "--json")
    else:
        result = run(redis_url, "push", "--file", "-", "--json", stdin=text.encode())
    assert answer(result) == queued(first, second)
    assert counts(ledger) == {"queued": 2}


@pytest.mark.parametrize("text", ["", "\n# none today\n"])
def test_it_queues_nothing_from_a_file_without_orders(redis_url: str, text: str) -> None:
    assert answer(run(redis_url, "push", "--file", "-", "--json", stdin=text)) == queued()
    result = run(redis_url, "push", "--file", "-", stdin=text)
    assert (result.exit_code, result.stdout) == (
        0,
        "The file names no order: nothing was queued.\n",
    )


def test_it_queues_what_it_can_read_and_names_the_other_lines(
    ledger: Ledger, redis_url: str
) -> None:
    first, second = a_key(), a_key()
    content = f"{first.order_id}\nnonsense\n# fine\n\xff\n{second.order_id}\n".encode("latin-1")
    details = ["line 2: 'nonsense' names no order id", "line 4: '\ufffd' names no order id"]
    result = run(redis_url, "push", "--file", "-", "--json", stdin=content)
    assert result.stderr == "Error: 2 of 4 were refused.\n"
    assert answer(result, 1) == queued(first, second) | {
        "bad_lines": [
            {"line": 2, "text": "nonsense", "detail": details[0]},
            {"line": 4, "text": "\ufffd", "detail": details[1]},
        ]
    }
    assert counts(ledger) == {"queued": 2}
    in_text = run(redis_url, "push", "--file", "-", stdin=content)
    assert in_text.stdout.endswith("\n\n2 queued, 2 lines name no order.\n")
    assert in_text.stderr == "\n".join([*details, "Error: 2 of 4 were refused.\n"])


def test_it_names_the_first_ten_lines_at_fault(redis_client: "Redis", redis_url: str) -> None:
    result = run(redis_url, "push", "--file", "-", stdin="rubbish\n" * 100_000)
    assert (result.exit_code, result.stdout) == (1, "100,000 lines name no order.\n")
    assert result.stderr.splitlines() == [
        *(f"line {number}: 'rubbish' names no order id" for number in range(1, 11)),
        "… and 99,990 more; --json lists them all.",
        "Error: 100,000 of 100,000 were refused.",
    ]
    assert everything(redis_client) == {}


def test_it_tells_the_totals_of_many_orders(ledger: Ledger, redis_url: str) -> None:
    settled = put(ledger, State.ACKNOWLEDGED).key
    ids = "\n".join([settled.order_id, *(an_order_id() for _ in range(50))])
    with at(after(1)):
        result = run(redis_url, "push", "--file", "-", stdin=ids)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "50 queued, 1 acknowledged.\n"


def test_it_keeps_in_the_audit_who_pushed_how_many(ledger: Ledger, redis_url: str) -> None:
    key = a_key()
    run(redis_url, "push", key.order_id)
    run(
        redis_url, "push", "--by", "anna", "--file", "-", stdin=f"{key.order_id}\n{an_order_id()}\n"
    )
    one = AuditEntry("tester", "push", "default", orders=1, order_id=key.order_id)
    many = AuditEntry("anna", "push", "default", AuditResult.BEGUN, orders=2)
    assert audited(ledger.redis) == [one, many, replace(many, result=AuditResult.DONE)]


def test_it_queues_nothing_at_all_when_an_argument_is_no_order_id(
    redis_client: "Redis", redis_url: str
) -> None:
    result = run(redis_url, "push", an_order_id(), "nonsense")
    assert error(result, 2).splitlines()[-2] == "  argument 2: 'nonsense'"
    assert everything(redis_client) == {}


def test_it_queues_in_the_account_that_is_named(
    ledger: Ledger, redis_url: str, tmp_path: Path
) -> None:
    key = a_key("us")
    arguments = ("push", key.order_id, "--account", "us", "--json")
    result = run(redis_url, *arguments, ACCOUNTS_FILE=two_accounts(tmp_path))
    assert answer(result) == queued(key)
    assert records.get(ledger.redis, PushKey("eu", key.order_id)) is None


def test_it_asks_which_of_several_accounts_is_meant(redis_url: str, tmp_path: Path) -> None:
    result = run(redis_url, "push", an_order_id(), ACCOUNTS_FILE=two_accounts(tmp_path))
    assert error(result, 2).splitlines()[-1] == (
        "Error: Several accounts are configured: eu, us. Say which one with --account."
    )


def test_it_queues_for_no_account_without_credentials(ledger: Ledger, redis_url: str) -> None:
    put(ledger, State.DEAD, a_key("closed-shop"))
    result = run(redis_url, "push", an_order_id(), "--account", "closed-shop")
    assert error(result, 2).splitlines()[-1] == (
        "Error: There is no account 'closed-shop'. Known: default."
    )
    assert counts(ledger) == {"dead": 1}


def test_it_changes_nothing_when_redis_is_away(redis_url: str, valkey: EmbeddedServer) -> None:
    valkey.kill()
    complaint = error(run(redis_url, "push", an_order_id(), "--json"), 1)
    assert complaint.startswith("Error: Redis does not answer (ConnectionError: ")
    assert complaint.endswith(
        ": nothing was changed, and accepted pushes are safe in Redis. Bring Redis back, or"
        " correct REDIS_URL. Then run this again.\n"
    )


def before_the_second(monkeypatch: pytest.MonkeyPatch, happening: Callable[[], object]) -> None:
    """Let something happen between the first and the second order."""
    accept, calls = Ledger.accept, []

    def watched(*arguments: Any, **options: Any) -> object:  # noqa: ANN401 - as `accept`
        calls.append(arguments)
        if len(calls) == 2:
            happening()
        return accept(*arguments, **options)

    monkeypatch.setattr(Ledger, "accept", watched)


def test_it_says_how_far_it_came_when_redis_goes_away(
    redis_url: str, valkey: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [a_key(), a_key(), a_key()]
    before_the_second(monkeypatch, valkey.kill)
    result = run(redis_url, "push", *(key.order_id for key in keys), "--json")
    assert answer(result, 1) == queued(keys[0])
    assert result.stderr.startswith("Error: Redis does not answer (ConnectionError: ")
    assert result.stderr.endswith(
        f"): whether {keys[1].order_id} was queued is not known. Accepted pushes are safe in Redis."
        " Bring Redis back, or correct REDIS_URL. Then run the same command again: what was queued"
        " is not queued twice. So far 1 of 3 were queued.\n"
    )


def test_it_says_how_far_it_came_when_interrupted(
    ledger: Ledger, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    keys = [a_key(), a_key()]
    before_the_second(monkeypatch, interrupt)
    result = run(redis_url, "push", *(key.order_id for key in keys), "--json")
    assert answer(result, 1) == queued(keys[0])
    assert result.stderr == (
        f"Error: Interrupted at {keys[1].order_id}. To go on, run the same command again: what was"
        " queued is not queued twice. So far 1 of 2 were queued.\n"
    )
    assert counts(ledger) == {"queued": 1}
