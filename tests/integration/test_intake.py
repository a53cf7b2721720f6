"""What `POST /push` takes and refuses, with a real server behind it: the answer, and everything
that is in Redis afterwards. Then the same door under the real gunicorn.
"""

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
import requests
import structlog
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis
from werkzeug.test import TestResponse

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import Processes, Web, poll
from pushes.model import PushKey
from pushes.read import overview
from pushes.store import keys, records
from pushes.store.ledger import Ledger
from service import create_app, deps
from tests.builders import NOW, an_order_id

ID = "0a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d"
OTHER = "ffffffff-0000-2000-8000-123456789abc"
CHECKOUT = f"https://api.klarna.com/checkout/v3/orders/{ID}"
NAMES = ("klarna_order_id", "kustom_order_id", "order_id", "kco_wc_order_id", "checkout_uri", "sid")
LIMIT = 64 * 1024


@dataclass(frozen=True)
class IntakeHarness:
    """The application and the Redis behind it."""

    client: FlaskClient
    redis: Redis

    def push(self, url: str, **kwargs: Any) -> TestResponse:  # noqa: ANN401 - werkzeug's own
        return self.client.post(url, **kwargs)

    def stored(self) -> dict[str, int]:
        """The job of every push that is in Redis with its number of pushes, after a look whether
        the ledger, the queue and the jobs say the same.
        """
        waiting = [job_id.decode() for job_id in cast(list[bytes], self.redis.lrange(QUEUE, 0, -1))]
        ledger = Ledger(self.redis)
        counts = overview.counts(ledger, NOW)
        assert {state: number for state, number in counts.items() if number} == (
            {"queued": len(waiting)} if waiting else {}
        )
        assert names_of(self.redis, "klarna-ack:push:*") == set(waiting)
        assert names_of(self.redis, "rq:job:*") == set(waiting)
        assert len(waiting) == len(set(waiting))
        pushes = records.get_many(ledger.redis, map(keys.parse_job_id, waiting))
        return {keys.job_id(push.key): push.pushes for push in pushes if push}


QUEUE = "rq:queue:klarna-ack"
MakeIntake = Callable[..., IntakeHarness]


def names_of(redis: Redis, pattern: str) -> set[str]:
    found = cast(list[bytes], redis.keys(pattern))
    return {name.decode().removeprefix(pattern.removesuffix("*")) for name in found}


@pytest.fixture
def make_intake(redis_client: Redis, redis_url: str) -> Iterator[MakeIntake]:
    """Makes the application of an environment, by default one that names nothing but Redis.

    Logging is left as it was: the application configures it for a process of its own.
    """
    made = []
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def make(**environment: str) -> IntakeHarness:
        app = create_app({"REDIS_URL": redis_url, **environment})
        structlog.reset_defaults()
        made.append(app)
        return IntakeHarness(app.test_client(), redis_client)

    yield make
    root.handlers[:] = handlers
    root.setLevel(level)
    for app in made:
        with app.app_context():
            deps.current().close()


@pytest.fixture
def intake(make_intake: MakeIntake) -> IntakeHarness:
    return make_intake()


def assert_problem(answer: TestResponse, status: int) -> str:
    """Check that it is a problem document of this status; return what it says one can do."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json is not None
    assert answer.json["status"] == status
    assert {"type", "title", "detail"} <= answer.json.keys()
    assert answer.json["title"]
    detail: str = answer.json["detail"]
    assert detail
    return detail


def everything_encoded(text: str) -> str:
    return "".join(f"%{ord(char):02X}" for char in text)


@pytest.mark.parametrize(
    "url",
    [
        *(f"/push?{name}={ID}" for name in NAMES),
        *(f"/push?{name}={quote(CHECKOUT, safe='')}" for name in NAMES),
        f"/push/{ID}",
        f"/push/{ID}/",
        f"/push/default/{ID}",
        f"/push/default/{ID}/",
        f"/push/default?order_id={ID}",
        f"/push/default/?order_id={ID}",
        f"/push/?order_id={ID}",
        f"/push/{ID.upper()}",
        f"/push?sid={ID.upper()}",
        f"/push/{everything_encoded(ID)}",
        f"/push?order_id={everything_encoded(ID)}",
        f"/push?order%5Fid={ID}",
        f"/push?order_id=%20{ID}%0A",
        f"/push?order_id=+{ID}+",
        f"/push?checkout_uri={CHECKOUT}",
        f"/push?checkout_uri={CHECKOUT}/",
        f"/push?checkout_uri={CHECKOUT}?a=1",
        f"/push?checkout_uri={CHECKOUT}/?a=1",
        f"/push?checkout_uri={CHECKOUT.upper()}",
        f"/push?checkout_uri={quote(CHECKOUT + '?a=1&b=2', safe='')}",
        f"/push?checkout_uri={quote(CHECKOUT + '#there', safe='')}",
        f"/push?checkout_uri=/orders/{ID}",
        f"/push?order_id=&order_id={ID}",
        f"/push?klarna_order_id=&order_id={ID}",
        f"/push?klarna_order_id=%20&order_id={ID}",
        f"/push?klarna_order_id&order_id={ID}",
        f"/push?order_id={ID}&order_id={OTHER}",
        f"/push?order_id={OTHER}&klarna_order_id={ID}",
        f"/push?sid={OTHER}&checkout_uri={CHECKOUT}",
        f"/push?unknown=1&order_id={ID}&unknown=2",
        f"/push?order_id={ID}&unknown=%ff%00",
        f"/push?%ff={OTHER}&order_id={ID}",
        f"/push?&&order_id={ID}&&=&",
        f"/push?filler={'x' * 10_000}&order_id={ID}",
        f"/push?order_id={ID}&" + "&".join(f"p{number}={number}" for number in range(900)),
        f"/push?token=of-no-interest&order_id={ID}",
    ],
)
def test_it_takes_a_push_however_the_url_is_written(intake: IntakeHarness, url: str) -> None:
    answer = intake.push(url)

    assert answer.status_code == 200, answer.text
    assert answer.json == {"order_id": ID, "account": "default", "state": "queued"}
    assert intake.stored() == {f"default_{ID}": 1}


@pytest.mark.parametrize(
    "url",
    [
        "/push",
        "/push/",
        "/push?",
        "/push?klarna_order_id=",
        "/push?klarna_order_id",
        f"/push?unknown={ID}",
        f"/push?Order_Id={ID}",
        f"/push?klarna_order_id=1&order_id={ID}",
        "/push?order_id={checkout.order.id}",
        "/push?order_id=%7Bcheckout.order.id%7D",
        f"/push?order_id={ID}0",
        f"/push?order_id={ID[:-1]}",
        f"/push?order_id={ID[:-1]}g",
        f"/push?order_id={ID.replace('-', '')}",
        f"/push?order_id={{{ID}}}",
        f"/push?order_id={ID},{OTHER}",
        f"/push?order_id={ID}%00",
        f"/push?order_id=%00{ID}",
        f"/push?order_id={ID}%ff",
        "/push?order_id=%ff%fe",
        f"/push?order_id={quote(ID[:-1] + chr(0xFF15))}",
        f"/push?order_id={'0' * 10_000}",
        f"/push?order_id={quote('😀' * 9)}",
        f"/push?checkout_uri={CHECKOUT}/captures",
        "/push?checkout_uri=https://[::1",
        "/push?checkout_uri=https:///",
        "/push?checkout_uri=///",
        f"/push?checkout_uri=https://shop.example/?id={ID}",
        f"/push/default/{ID}0",
        f"/push/default/{ID}%00",
        f"/push/default/%00{ID}",
        "/push/default/%ff",
        f"/push/{ID}%00",
        "/push/not_an_id",
        "/push/%7Border.id%7D",
        "/push/default/x",
    ],
)
def test_it_refuses_what_names_no_order(intake: IntakeHarness, url: str) -> None:
    answer = intake.push(url)

    assert_problem(answer, 400)
    assert intake.stored() == {}


@pytest.mark.parametrize(
    "url",
    [
        f"/push/nobody/{ID}",
        f"/push/DEFAULT/{ID}",
        f"/push/default%00/{ID}",
        f"/push/%ff/{ID}",
        f"/push/-/{ID}",
        f"/push/{'a' * 33}/{ID}",
        f"/push/{'a' * 10_000}/{ID}",
        f"/push/nobody?order_id={ID}",
        f"/push/default/{ID}/more",
        f"/pushes?order_id={ID}",
        f"/?order_id={ID}",
        f"/push%3Forder_id={ID}",
    ],
)
def test_it_does_not_know_other_accounts_and_paths(intake: IntakeHarness, url: str) -> None:
    answer = intake.push(url)

    assert_problem(answer, 404)
    assert intake.stored() == {}


@pytest.mark.parametrize(
    "url", [f"//push?order_id={ID}", f"/push//{ID}", f"/push//default//{ID}", f"/push/./{ID}"]
)
def test_it_never_redirects_since_klarna_would_not_follow(intake: IntakeHarness, url: str) -> None:
    answer = intake.push(f"http://localhost{url}")

    assert answer.status_code in {200, 400, 404}
    assert intake.stored() == ({f"default_{ID}": 1} if answer.status_code == 200 else {})


def test_it_tells_an_unfilled_placeholder_from_a_wrong_id(intake: IntakeHarness) -> None:
    unfilled = assert_problem(intake.push("/push?order_id={checkout.order.id}"), 400)
    wrong = assert_problem(intake.push("/push?order_id=17"), 400)

    assert "placeholder" in unfilled
    assert "order_id" in unfilled
    assert "8-4-4-4-12" in wrong


def test_it_counts_a_repetition_and_makes_no_second_job(intake: IntakeHarness) -> None:
    urls = [f"/push/{ID}", f"/push?order_id={ID.upper()}", f"/push/default?checkout_uri={CHECKOUT}"]

    answers = [intake.push(url).status_code for url in urls]

    assert answers == [200, 200, 200]
    assert intake.stored() == {f"default_{ID}": 3}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("application/json", b"{not json"),
        ("application/json; charset=nonsense", b"\xff"),
        ("application/x-www-form-urlencoded", f"order_id={OTHER}&token=x".encode()),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(3000))),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="order_id"\r\n\r\n%b\r\n--b--'
            % OTHER.encode(),
        ),
        ("multipart/form-data; boundary=b", b"--c no part at all"),
        ("multipart/form-data", b"no boundary"),
        ("text/xml", b"<order/>"),
        ("\xff", b"\x00"),
        ("", b"anything"),
        ("application/octet-stream", b"\x00" * LIMIT),
    ],
)
def test_it_ignores_a_body_whatever_it_is(
    intake: IntakeHarness, content_type: str, body: bytes
) -> None:
    answer = intake.push(f"/push?order_id={ID}", data=body, content_type=content_type)

    assert answer.status_code == 200
    assert intake.stored() == {f"default_{ID}": 1}


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/json"])
def test_it_takes_no_order_out_of_a_body(intake: IntakeHarness, content_type: str) -> None:
    body = json.dumps({"order_id": ID}) if content_type.endswith("json") else f"order_id={ID}"

    answer = intake.push("/push", data=body, content_type=content_type)

    assert_problem(answer, 400)
    assert intake.stored() == {}


@pytest.mark.parametrize("size", [LIMIT + 1, 80 * 1024, 1024 * 1024])
@pytest.mark.parametrize("url", [f"/push/{ID}", f"/push/nobody/{ID}", "/push"])
def test_it_refuses_a_large_body_before_anything_else(
    intake: IntakeHarness, url: str, size: int
) -> None:
    answer = intake.push(url, data=b"x" * size)

    assert_problem(answer, 413)
    assert intake.stored() == {}


@pytest.mark.parametrize("size", [LIMIT + 1, 80 * 1024, 1024 * 1024])
def test_it_refuses_a_large_body_of_undeclared_length(intake: IntakeHarness, size: int) -> None:
    answer = intake.push(f"/push/{ID}", **chunked(size))

    assert_problem(answer, 413)
    assert intake.stored() == {}


def test_it_takes_a_body_of_undeclared_length_up_to_the_limit(intake: IntakeHarness) -> None:
    answers = [intake.push(f"/push/{ID}", **chunked(size)) for size in (0, 1, LIMIT)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert intake.stored() == {f"default_{ID}": 3}


def chunked(size: int) -> dict[str, Any]:
    """A body as a server hands over one that came in chunks."""
    overrides = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return {"input_stream": BytesIO(b"x" * size), "environ_overrides": overrides}


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", ["/push", f"/push/{ID}", f"/push/default/{ID}", "/push/nobody"])
def test_it_takes_pushes_by_post_alone(intake: IntakeHarness, path: str, method: str) -> None:
    answer = intake.client.open(f"{path}?order_id={ID}", method=method)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert answer.content_type == "application/problem+json"
    assert intake.stored() == {}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("token=right%2Btoken", 200),
        ("a=1&token=right%2Btoken&b=2", 200),
        ("token=right%2Btoken&token=wrong", 200),
        ("token=wrong&token=right%2Btoken", 404),
        ("", 404),
        ("token=", 404),
        ("token", 404),
        ("token=wrong", 404),
        ("token=right+token", 404),
        ("token=RIGHT%2BTOKEN", 404),
        ("token=right%2Btoken%00", 404),
        ("token=right%2Btoke", 404),
        ("token=%ff", 404),
        ("Token=right%2Btoken", 404),
        (f"token={'x' * 10_000}", 404),
        (f"token={quote('😀')}", 404),
    ],
)
def test_it_lets_in_whoever_knows_the_token(
    make_intake: MakeIntake, query: str, status: int
) -> None:
    intake = make_intake(PUSH_TOKEN="right+token")

    answer = intake.push(f"/push/{ID}?{query}")

    assert answer.status_code == status
    assert intake.stored() == ({f"default_{ID}": 1} if status == 200 else {})


def test_it_does_not_say_whether_token_account_or_path_was_wrong(make_intake: MakeIntake) -> None:
    intake = make_intake(PUSH_TOKEN="right-one")

    answers = {
        intake.push(url).data
        for url in (f"/push/{ID}", f"/push/nobody/{ID}?token=right-one", "/none", "/push?token=x")
    }

    assert len(answers) == 1


def test_it_looks_for_the_token_before_it_looks_for_an_order(make_intake: MakeIntake) -> None:
    intake = make_intake(PUSH_TOKEN="right-one")

    assert_problem(intake.push("/push/not-an-id?token=wrong"), 404)
    assert_problem(intake.push("/push?order_id=17&token=right-one"), 400)
    assert intake.stored() == {}


def test_it_reads_the_parameters_it_is_told_to(make_intake: MakeIntake) -> None:
    intake = make_intake(PUSH_ORDER_ID_PARAMS="best, second-best")

    assert intake.push(f"/push?best=&second-best={ID}&best={OTHER}").status_code == 200
    assert_problem(intake.push(f"/push?klarna_order_id={ID}"), 400)
    assert intake.stored() == {f"default_{OTHER}": 1}


@pytest.fixture
def accounts_file(tmp_path: Path) -> str:
    file = tmp_path / "accounts.toml"
    credentials = 'api_url = "klarna-eu-playground"\nusername = "u"\npassword = "p"\n'
    file.write_text(
        f'[accounts.shop-se]\n{credentials}push_token = "for-shop-se"\n'
        f"[accounts.shop-de]\n{credentials}"
    )
    return str(file)


@pytest.mark.parametrize(
    ("url", "account"),
    [
        (f"/push/shop-se/{ID}?token=for-shop-se", "shop-se"),
        (f"/push/shop-se?token=for-shop-se&order_id={ID}", "shop-se"),
        (f"/push/shop-de/{ID}?token=for-all-of-them", "shop-de"),
        (f"/push/shop-de?token=for-all-of-them&checkout_uri={CHECKOUT}", "shop-de"),
        (f"/push/shop-se/{ID}?token=for-all-of-them", None),
        (f"/push/shop-de/{ID}?token=for-shop-se", None),
        (f"/push/shop-de/{ID}", None),
        (f"/push/shop-no/{ID}?token=for-all-of-them", None),
        (f"/push/shop-no?order_id={ID}&token=for-all-of-them", None),
        (f"/push/default/{ID}?token=for-all-of-them", None),
        (f"/push/{ID}?token=for-all-of-them", None),
        (f"/push?order_id={ID}&token=for-all-of-them", None),
    ],
)
def test_it_tells_several_accounts_apart(
    make_intake: MakeIntake, accounts_file: str, url: str, account: str | None
) -> None:
    intake = make_intake(ACCOUNTS_FILE=accounts_file, PUSH_TOKEN="for-all-of-them")

    answer = intake.push(url)

    if account is None:
        assert_problem(answer, 404)
        assert intake.stored() == {}
    else:
        assert answer.json == {"order_id": ID, "account": account, "state": "queued"}
        assert intake.stored() == {f"{account}_{ID}": 1}


def test_it_keeps_one_order_of_two_accounts_apart(
    make_intake: MakeIntake, accounts_file: str
) -> None:
    intake = make_intake(ACCOUNTS_FILE=accounts_file)

    intake.push(f"/push/shop-se/{ID}?token=for-shop-se")
    intake.push(f"/push/shop-de/{ID}")

    assert intake.stored() == {f"shop-se_{ID}": 1, f"shop-de_{ID}": 1}


def test_it_takes_the_only_account_for_meant_when_none_is_named(
    make_intake: MakeIntake, tmp_path: Path
) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text('[accounts.only-one]\napi_url = "kustom"\nusername = "u"\npassword = "p"\n')
    intake = make_intake(ACCOUNTS_FILE=str(file))

    answers = [intake.push(url).json for url in (f"/push/{ID}", f"/push?order_id={OTHER}")]

    assert [answer["account"] for answer in answers if answer] == ["only-one", "only-one"]
    assert intake.stored() == {f"only-one_{ID}": 1, f"only-one_{OTHER}": 1}


@pytest.fixture
def both_intakes(make_intake: MakeIntake) -> tuple[IntakeHarness, IntakeHarness]:
    """One that asks for a token and one that does not, over the same Redis."""
    return make_intake(), make_intake(PUSH_TOKEN="right-one")


ODD = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.sampled_from([ID, ID.upper(), CHECKOUT, f"{ID}0", f" {ID} ", "default", "..", "%"]).map(
        str.encode
    ),
)


def raw(part: bytes) -> bytes:
    """What of it a server hands over as it came."""
    return bytes(byte for byte in part if byte > 0x20 and byte != 0x7F)


@settings(
    max_examples=300,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # what is stored may pile up
)
@given(path=st.lists(ODD, max_size=3), query=st.lists(st.tuples(ODD, ODD), max_size=3), token=ODD)
@example(path=[], query=[(b"order_id", ID.encode())], token=b"right-one")
def test_it_survives_whatever_is_in_the_url(
    both_intakes: tuple[IntakeHarness, IntakeHarness],
    path: list[bytes],
    query: list[tuple[bytes, bytes]],
    token: bytes,
) -> None:
    for intake in both_intakes:
        asked = [*query, (b"token", token)]
        for encode in (raw, lambda part: quote(part).encode()):
            answer = intake.client.post(
                "/",
                environ_overrides={
                    "PATH_INFO": b"/".join([b"/push", *path]).decode("latin-1"),
                    "QUERY_STRING": b"&".join(
                        encode(name) + b"=" + encode(value) for name, value in asked
                    ).decode("latin-1"),
                },
            )
            assert answer.status_code < 500
            if answer.status_code == 200:
                assert answer.json is not None
                assert re.fullmatch(
                    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.json["order_id"]
                )
                assert answer.json["account"] == "default"
    assert both_intakes[0].stored().keys() <= {f"default_{ID}"}


@pytest.fixture
def troubled(make_intake: MakeIntake) -> Iterator[IntakeHarness]:
    """An application over a Redis of its own, whose configuration a test may spoil."""
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        intake = make_intake(REDIS_URL=server.url)
        yield IntakeHarness(intake.client, redis)


def out_of_memory(redis: Redis) -> None:
    redis.config_set("maxmemory", 1)


def read_only(redis: Redis) -> None:
    redis.replicaof("127.0.0.1", 1)


def too_few_replicas(redis: Redis) -> None:
    redis.config_set("min-replicas-to-write", 1)


def password_changed(redis: Redis) -> None:
    redis.config_set("requirepass", "another")
    redis.client_kill_filter(_type="normal")


def queue_is_no_queue(redis: Redis) -> None:
    redis.set(QUEUE, "rubbish")


NOBODY_CAN_PUSH = [out_of_memory, read_only, too_few_replicas, password_changed, queue_is_no_queue]


@pytest.mark.parametrize("spoil", NOBODY_CAN_PUSH)
def test_it_answers_503_for_its_own_trouble(
    troubled: IntakeHarness, spoil: Callable[[Redis], None]
) -> None:
    spoil(troubled.redis)

    answer = troubled.push(f"/push/{ID}")

    assert_problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("spoil", "seen"),
    [
        (out_of_memory, "Redis is full and refuses to write: raise its maxmemory, or make room."),
        (read_only, "This Redis is a read-only replica: lead REDIS_URL to the master."),
        (too_few_replicas, "Redis has too few replicas and refuses to write: bring its replicas"),
        (password_changed, "Redis refuses the user name or password: correct them in REDIS_URL,"),
    ],
)
def test_it_is_not_ready_when_pushes_cannot_be_stored(
    troubled: IntakeHarness, spoil: Callable[[Redis], None], seen: str
) -> None:
    assert troubled.client.get("/readyz").status_code == 200

    spoil(troubled.redis)

    assert assert_problem(troubled.client.get("/readyz"), 503).startswith(seen)
    assert troubled.client.get("/healthz").status_code == 200


def test_it_is_not_ready_when_redis_does_not_persist(troubled: IntakeHarness) -> None:
    troubled.redis.config_set("appendonly", "no")

    detail = assert_problem(troubled.client.get("/readyz"), 503)

    assert "appendonly yes" in detail


def test_it_takes_pushes_again_once_the_trouble_is_over(troubled: IntakeHarness) -> None:
    troubled.redis.config_set("maxmemory", 1)
    assert troubled.push(f"/push/{ID}").status_code == 503
    assert troubled.stored() == {}

    troubled.redis.config_set("maxmemory", 0)

    assert troubled.push(f"/push/{ID}").status_code == 200
    assert troubled.stored() == {f"default_{ID}": 1}


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "redis://no-such-host.invalid"])
def test_it_answers_503_when_there_is_no_redis(make_intake: MakeIntake, url: str) -> None:
    intake = make_intake(REDIS_URL=url)

    assert_problem(intake.push(f"/push/{ID}"), 503)
    for path in ("/readyz", "/metrics"):
        detail = assert_problem(intake.client.get(path), 503)
        assert "does not answer: bring Redis back, or correct REDIS_URL." in detail
        assert url.removeprefix("redis://") not in detail
    assert intake.client.get("/healthz").status_code == 200
    assert_problem(intake.push("/push/not_an_id"), 400)  # bad input stays bad input


@dataclass(frozen=True)
class Served:
    """The real gunicorn, spoken to in bytes."""

    web: Web
    redis: Redis

    def say(self, *parts: bytes) -> bytes:
        """Send the parts one after the other; the first line of the answer, b"" for none."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            return status_line(connection)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.web.port), timeout=20)

    def logged(self, text: str) -> list[dict[str, Any]]:
        """The lines of the log that have a text in them."""
        return [json.loads(line) for line in self.web.log.splitlines() if text in line]

    def outcome(self, order_id: str) -> int | None:
        """The status of the only answer to pushes of an order; None while there is none."""
        statuses = [
            200 if line["event"] == "push.accepted" else line["status"]
            for line in self.logged(order_id)
            if line["event"] in {"push.accepted", "http.request"}
        ]
        assert len(statuses) <= 1
        return statuses[0] if statuses else None

    def pushes(self, order_id: str) -> int:
        push = records.get(self.redis, PushKey("default", order_id))
        return push.pushes if push else 0


def status_line(connection: socket.socket) -> bytes:
    answer = b""
    while b"\r\n" not in answer and (more := connection.recv(65536)):
        answer += more
    return answer.partition(b"\r\n")[0]


def head(order_id: str, *headers: str, query: str = "", version: str = "HTTP/1.1") -> bytes:
    lines = [f"POST /push?order_id={order_id}{query} {version}", "Host: shop", *headers, "", ""]
    return "\r\n".join(lines).encode()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        directory = tmp_path_factory.mktemp("served")
        processes = Processes({"REDIS_URL": server.url}, directory)
        try:
            yield Served(processes.web().wait_ready(), redis)
        finally:
            processes.kill_all()


def test_gunicorn_takes_a_push_as_klarna_sends_it(served: Served) -> None:
    order_id = an_order_id()

    answer = served.say(head(order_id, "Content-Length: 0"))

    assert answer == b"HTTP/1.1 200 OK"
    assert served.pushes(order_id) == 1


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_gunicorn_takes_a_push_without_a_word_about_its_length(
    served: Served, version: str
) -> None:
    order_id = an_order_id()

    answer = served.say(head(order_id, version=version))

    assert answer.endswith(b"200 OK")
    assert served.pushes(order_id) == 1


def test_gunicorn_takes_a_long_url(served: Served) -> None:
    order_id = an_order_id()

    answer = served.say(head(order_id, query="&filler=" + "x" * 8000))

    assert answer == b"HTTP/1.1 200 OK"
    assert served.pushes(order_id) == 1


def test_gunicorn_refuses_a_request_line_of_10_kb(served: Served) -> None:
    order_id = an_order_id()

    answer = served.say(head(order_id, query="&filler=" + "x" * 10_000))

    assert answer.split()[1] in {b"400", b"414"}
    assert served.pushes(order_id) == 0


CHUNKS = "Transfer-Encoding: chunked"


def chunk(size: int) -> bytes:
    return b"%x\r\n" % size + b"x" * size + b"\r\n"


END = b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        pytest.param([END], "200", id="none"),
        pytest.param([chunk(100), END], "200", id="a small one"),
        pytest.param([*[chunk(LIMIT // 4)] * 4, END], "200", id="as much as is allowed"),
        pytest.param([*[chunk(LIMIT // 4)] * 5, END], "413", id="one too many"),
        pytest.param([chunk(LIMIT + 1), END], "413", id="a byte too many"),
        pytest.param([chunk(16 * LIMIT), END], "413", id="a huge one"),
        pytest.param([b"zzz\r\n\r\n"], "4", id="no number"),
        pytest.param([b"-1\r\n\r\n"], "4", id="a negative number"),
        pytest.param([b"5\r\nxx\r\n", END], "4", id="shorter than announced"),
        pytest.param([b"f" * 20 + b"\r\n"], "4", id="longer than the world"),
    ],
)
def test_gunicorn_hands_over_a_body_in_chunks(
    served: Served, chunks: list[bytes], status: str
) -> None:
    order_id = an_order_id()
    path = f"/push/{order_id}"
    request = f"POST {path} HTTP/1.1\r\nHost: shop\r\n{CHUNKS}\r\n\r\n".encode()

    with served.connect() as connection, suppress(OSError):  # it closes when it has seen enough
        for part in (request, *chunks):
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        status_line(connection)

    answered = poll(lambda: served.outcome(order_id))
    assert str(answered).startswith(status)
    assert served.pushes(order_id) == (1 if status == "200" else 0)


@pytest.mark.parametrize(
    "broken",
    [
        head("ID", "Content-Length: many"),
        head("ID", "Content-Length: -1"),
        head("ID", "Content-Length: 5", "Content-Length: 6"),
        head("ID", "No colon"),
        head("ID", "X: " + "y" * 100_000),
        head("ID", *(f"X-{number}: y" for number in range(200))),
        head("ID", "Transfer-Encoding: nonsense"),
        head("ID", version="HTTP/9.9"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_gunicorn_refuses_a_broken_request_and_serves_the_next(
    served: Served, broken: bytes
) -> None:
    order_id, next_id = an_order_id(), an_order_id()

    answer = served.say(broken.replace(b"ID", order_id.encode()))
    next_answer = served.say(head(next_id))

    assert answer == b"" or answer.split()[1].startswith((b"4", b"501"))
    assert served.pushes(order_id) == 0
    assert next_answer == b"HTTP/1.1 200 OK"


def test_gunicorn_serves_others_while_a_client_is_slow(served: Served) -> None:
    slow_id, other_id = an_order_id(), an_order_id()
    request = head(slow_id, "Content-Length: 3") + b"abc"

    with served.connect() as slow:
        for place, byte in enumerate(request):
            slow.sendall(bytes([byte]))
            if place % 20 == 0:
                assert served.say(head(other_id)) == b"HTTP/1.1 200 OK"
        answer = status_line(slow)

    assert answer == b"HTTP/1.1 200 OK"
    assert served.pushes(slow_id) == 1


def test_gunicorn_bears_clients_that_leave_in_the_middle(served: Served) -> None:
    gone, after = [an_order_id() for _ in range(20)], an_order_id()
    before = len(served.web.log)

    for number, order_id in enumerate(gone):
        with served.connect() as connection:
            announced = "Content-Length: 1000" if number % 2 else CHUNKS
            connection.sendall(head(order_id, announced) + b"10\r\nx")
    answer = served.say(head(after))

    assert answer == b"HTTP/1.1 200 OK"
    log = served.web.log[before:]
    assert '"level": "error"' not in log
    assert '"status": 5' not in log


@pytest.mark.parametrize("raw", [b"&x=\xb3", b"&\xff=1", b"&token=\xc3", "&x=å".encode()])
def test_gunicorn_takes_bytes_in_a_query_that_are_not_encoded(served: Served, raw: bytes) -> None:
    order_id = an_order_id()

    answer = served.say(head(order_id, query="RAW").replace(b"RAW", raw))

    assert answer.split()[1] in {b"200", b"400"}
    assert served.pushes(order_id) == (1 if b"200" in answer else 0)


def test_gunicorn_logs_paths_and_never_what_follows_them(served: Served) -> None:
    order_id = an_order_id()
    url = f"{served.web.url}/push/stranger/{order_id}"

    requests.post(url, params={"token": "unlikely-token", "x": "?unlikely"}, timeout=10)
    (line,) = poll(lambda: served.logged(order_id))

    assert {"method", "path", "status", "ms", "event"} <= line.keys()
    assert (line["event"], line["method"], line["path"], line["status"]) == (
        "http.request",
        "POST",
        f"/push/stranger/{order_id}",
        404,
    )
    assert "unlikely" not in served.web.log


def test_gunicorn_leaves_one_line_of_an_accepted_push(served: Served) -> None:
    first, second = an_order_id(), an_order_id()

    for order_id in (first, second):
        url = f"{served.web.url}/push/{order_id}"
        requests.post(url, params={"token": "unlikely-token"}, timeout=10)
    for order_id in (first, second):  # each process writes its lines in its own time
        poll(partial(served.logged, order_id))

    (line,) = served.logged(first)
    assert (line["event"], line["order_id"], line["state"]) == ("push.accepted", first, "queued")
    assert "unlikely" not in served.web.log


def test_gunicorn_answers_every_refusal_of_ours_as_a_problem(served: Served) -> None:
    for method, path, body, status in (
        ("POST", "/push/not_an_id", b"", 400),
        ("POST", "/nowhere", b"", 404),
        ("GET", "/push", b"", 405),
        ("OPTIONS", "/push", b"", 405),
        ("POST", "/push", b"x" * (LIMIT + 1), 413),
    ):
        answer = requests.request(method, served.web.url + path, data=body, timeout=10)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status
    head_answer = requests.head(f"{served.web.url}/push", timeout=10)
    assert (head_answer.status_code, head_answer.content) == (405, b"")
