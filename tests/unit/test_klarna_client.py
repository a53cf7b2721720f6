"""What the client sends and reports, without a socket."""

import json
import socket
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import responses
from urllib3.exceptions import ProtocolError

from klarna import (
    Address,
    AuthorizationUpdate,
    Call,
    CaptureRequest,
    Exchange,
    KlarnaClient,
    LocalError,
    MerchantReferences,
    NoSuchOrderError,
    Operation,
    OrderLine,
    OrderLineType,
    RejectedError,
    ShippingInfo,
    TransientError,
    resolve_api_url,
)

ORDER_ID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
ORDER_URL = f"http://klarna.test/ordermanagement/v1/orders/{ORDER_ID}"
ORDER = {"order_id": ORDER_ID, "status": "AUTHORIZED"}
LINE = OrderLine(
    name="Sp\N{LATIN SMALL LETTER A WITH RING ABOVE}de",
    quantity=1,
    unit_price=600,
    total_amount=600,
    type=OrderLineType.PHYSICAL,
)
PROXY_VARIABLES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", *PROXY_VARIABLES]:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def new_client(
    url: str = "http://klarna.test", credentials: tuple[str, str] = ("K123_ada", "pä:ss")
) -> KlarnaClient:
    return KlarnaClient(
        resolve_api_url(url), *credentials, pool_size=1, user_agent="klarna-ack/9.8"
    )


@pytest.fixture
def client() -> Iterator[KlarnaClient]:
    with new_client() as client:
        yield client


@pytest.fixture
def klarna() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def test_it_gets_an_order(client: KlarnaClient, klarna: responses.RequestsMock) -> None:
    klarna.get(ORDER_URL, json=ORDER, headers={"Klarna-Correlation-Id": "c-1"})
    seen: list[Exchange] = []

    order = client.get_order(ORDER_ID.upper(), observe=seen.append)

    assert (order.order_id, order.status) == (ORDER_ID, "AUTHORIZED")
    assert [(seen[0].operation, seen[0].http_status, seen[0].correlation_id, len(seen))] == [
        (Operation.GET_ORDER, 200, "c-1", 1)
    ]


def test_it_acknowledges_with_the_idempotency_key(
    client: KlarnaClient, klarna: responses.RequestsMock
) -> None:
    klarna.post(f"{ORDER_URL}/acknowledge", status=204)
    seen: list[Exchange] = []

    client.acknowledge(ORDER_ID, idempotency_key="key-1", observe=seen.append)

    assert [(one.operation, one.http_status, one.error) for one in seen] == [
        (Operation.ACKNOWLEDGE, 204, None)
    ]
    sent = klarna.calls[0].request
    assert (sent.body, sent.headers["Klarna-Idempotency-Key"]) == (None, "key-1")


WRITES: dict[Operation, tuple[str, str, Callable[[KlarnaClient], object], object]] = {
    Operation.ACKNOWLEDGE: (
        "POST",
        "/acknowledge",
        lambda client: client.acknowledge(ORDER_ID, idempotency_key="key-1"),
        None,
    ),
    Operation.UPDATE_AUTHORIZATION: (
        "PATCH",
        "/authorization",
        lambda client: client.update_authorization(
            ORDER_ID,
            AuthorizationUpdate(order_amount=600, order_lines=[LINE], description=""),
            idempotency_key="key-1",
        ),
        {
            "order_amount": 600,
            "description": "",
            "order_lines": [
                {"name": "Sp\N{LATIN SMALL LETTER A WITH RING ABOVE}de", "quantity": 1}
                | {"unit_price": 600, "total_amount": 600, "type": "physical"}
            ],
        },
    ),
    Operation.UPDATE_MERCHANT_REFERENCES: (
        "PATCH",
        "/merchant-references",
        lambda client: client.update_merchant_references(
            ORDER_ID, MerchantReferences(merchant_reference1=""), idempotency_key="key-1"
        ),
        {"merchant_reference1": ""},
    ),
    Operation.UPDATE_CUSTOMER_DETAILS: (
        "PATCH",
        "/customer-details",
        lambda client: client.update_customer_details(
            ORDER_ID, Address(city="Ankeborg", region=""), idempotency_key="key-1"
        ),
        {"shipping_address": {"city": "Ankeborg", "region": ""}},
    ),
    Operation.ADD_SHIPPING_INFO: (
        "POST",
        "/shipping-info",
        lambda client: client.add_shipping_info(
            ORDER_ID, [ShippingInfo(tracking_number="7")], idempotency_key="key-1"
        ),
        {"shipping_info": [{"tracking_number": "7"}]},
    ),
    Operation.CANCEL: (
        "POST",
        "/cancel",
        lambda client: client.cancel(ORDER_ID, idempotency_key="key-1"),
        None,
    ),
    Operation.CAPTURE: (
        "POST",
        "/captures",
        lambda client: client.capture(
            ORDER_ID, CaptureRequest(captured_amount=600), idempotency_key="key-1"
        ),
        {"captured_amount": 600},
    ),
}


def test_it_knows_every_write() -> None:
    assert set(WRITES) == {each for each in Operation if each.is_write}


@pytest.mark.parametrize("operation", WRITES)
def test_it_writes_with_a_key_and_a_body(
    client: KlarnaClient, klarna: responses.RequestsMock, operation: Operation
) -> None:
    method, suffix, write, body = WRITES[operation]
    klarna.add(method, ORDER_URL + suffix, status=204)

    write(client)

    sent = klarna.calls[0].request
    assert sent.headers["Klarna-Idempotency-Key"] == "key-1"
    if body is None:
        assert (sent.body, "Content-Type" in sent.headers) == (None, False)
    else:
        assert isinstance(sent.body, bytes)
        assert json.loads(sent.body) == body
        assert sent.headers["Content-Type"] == "application/json"
        assert sent.headers["Content-Length"] == str(len(sent.body))


def test_it_can_be_told_what_would_be_sent() -> None:
    call = Call(Operation.CANCEL, ORDER_ID.upper())
    shown = (call.operation.method, call.path, call.body)
    assert shown == ("POST", f"/ordermanagement/v1/orders/{ORDER_ID}/cancel", None)


def test_it_gets_the_whole_order(client: KlarnaClient, klarna: responses.RequestsMock) -> None:
    klarna.get(ORDER_URL, json={**ORDER, "order_lines": [LINE.model_dump(exclude_none=True)]})

    assert client.get_order_details(ORDER_ID).order_lines == [LINE]


def test_it_repeats_no_secret_that_klarna_repeats(klarna: responses.RequestsMock) -> None:
    password = 'p\u00e4:"secret"'
    with new_client(credentials=("K123_ada", password)) as client:
        token = str(client._headers["Authorization"]).removeprefix("Basic ")  # noqa: SLF001 - it is not shown
        said = {"error_code": "HM", "error_messages": [f"no {password}", f"no {token}"]}
        klarna.get(ORDER_URL, status=400, json=said)

        with pytest.raises(RejectedError) as caught:
            client.get_order(ORDER_ID)

    assert str(caught.value) == "HTTP 400 HM no ***; no ***"
    assert caught.value.exchange
    assert caught.value.exchange.error == "no ***; no ***"


def test_it_says_who_it_is(client: KlarnaClient, klarna: responses.RequestsMock) -> None:
    klarna.get(ORDER_URL, json=ORDER)

    client.get_order(ORDER_ID)

    headers = dict(klarna.calls[0].request.headers)
    scheme, _, credentials = headers.pop("Authorization").partition(" ")
    assert (scheme, b64decode(credentials).decode()) == ("Basic", "K123_ada:pä:ss")
    assert headers == {"User-Agent": "klarna-ack/9.8", "Accept": "application/json"}


def test_it_reports_a_refused_call_once(
    client: KlarnaClient, klarna: responses.RequestsMock
) -> None:
    klarna.post(f"{ORDER_URL}/acknowledge", status=404, json={"error_code": "NO_SUCH_ORDER"})
    seen: list[Exchange] = []

    with pytest.raises(NoSuchOrderError) as caught:
        client.acknowledge(ORDER_ID, idempotency_key="key-1", observe=seen.append)

    assert [(one.http_status, one.error_code) for one in seen] == [(404, "NO_SUCH_ORDER")]
    assert caught.value.exchange == seen[0]


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        (requests.ConnectionError(ProtocolError("Connection aborted.")), "connection broken off"),
        (requests.ReadTimeout(), "time-out"),
        (socket.gaierror(-2, "Name or service not known"), "host name not found"),
    ],
)
def test_it_reports_a_call_without_an_answer_once(
    client: KlarnaClient, klarna: responses.RequestsMock, trouble: Exception, text: str
) -> None:
    klarna.get(ORDER_URL, body=trouble)
    seen: list[Exchange] = []

    with pytest.raises(TransientError) as caught:
        client.get_order(ORDER_ID, observe=seen.append)

    assert caught.value.exchange == seen[0]
    assert (len(seen), seen[0].http_status) == (1, None)
    assert str(seen[0].error).startswith(text)


def test_it_calls_it_ours_when_there_is_no_memory_to_read_an_answer(
    client: KlarnaClient, klarna: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    klarna.get(ORDER_URL, json=ORDER)
    monkeypatch.setattr(json, "loads", fail)
    seen: list[Exchange] = []

    with pytest.raises(LocalError, match="out of memory") as caught:
        client.get_order(ORDER_ID, observe=seen.append)

    assert seen == [caught.value.exchange]


@pytest.mark.usefixtures("klarna")
@pytest.mark.parametrize("order_id", ["", "../../etc", ORDER_ID + "/cancel", "{checkout.order.id}"])
def test_it_refuses_an_id_before_there_is_a_call(client: KlarnaClient, order_id: str) -> None:
    seen: list[Exchange] = []
    with pytest.raises(ValueError, match="8-4-4-4-12"):
        client.get_order(order_id, observe=seen.append)
    with pytest.raises(ValueError, match="8-4-4-4-12"):
        client.acknowledge(order_id, idempotency_key="key-1", observe=seen.append)
    assert seen == []


@pytest.mark.usefixtures("klarna")
@pytest.mark.parametrize("key", ["", "a\r\nX-Injected: 1", "schlüssel"])
def test_it_refuses_an_idempotency_key_no_header_can_carry(client: KlarnaClient, key: str) -> None:
    with pytest.raises(ValueError, match="idempotency key"):
        client.acknowledge(ORDER_ID, idempotency_key=key)


@pytest.mark.parametrize(
    ("credentials", "said"),
    [
        (("", "p"), "the user name is empty"),
        (("u", ""), "the password is empty"),
        (("u:v", "p"), "the user name must not hold a colon"),
    ],
)
def test_it_refuses_credentials_that_cannot_be_any(credentials: tuple[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        new_client(credentials=credentials)


def test_it_takes_a_base_path_and_a_name_of_any_script(klarna: responses.RequestsMock) -> None:
    path = f"ordermanagement/v1/orders/{ORDER_ID}"
    klarna.get(f"http://xn--mller-kva.test/mock/{path}", json=ORDER)
    with new_client("http://müller.test/mock/") as client:
        assert client.get_order(ORDER_ID).order_id == ORDER_ID


@pytest.mark.parametrize(("name", "content"), [("missing.pem", None), ("empty.pem", "none")])
def test_it_refuses_a_ca_bundle_it_cannot_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: str | None
) -> None:
    bundle = tmp_path / name
    if content:
        bundle.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with pytest.raises(ValueError, match="REQUESTS_CA_BUNDLE"):
        new_client()


def test_it_refuses_a_proxy_it_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for proxy in ("http://", "socks5://127.0.0.1:1080"):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        with pytest.raises(ValueError, match="proxy"):
            new_client()
