"""Our calls against Klarna's own OpenAPI file, where there is one: KLARNA_OPENAPI names it."""

import os
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import responses

from klarna import KlarnaClient, Order, resolve_api_url

ROOT = Path(__file__).parents[2]
API = "http://klarna.test"
ORDER_ID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"

Block = list[str]


@pytest.fixture(scope="module")
def openapi() -> Block:
    default = ROOT / "../shared/klarna/order-management.openapi.yml"
    path = Path(os.environ.get("KLARNA_OPENAPI") or default)
    if not path.exists():
        pytest.skip("Klarna's OpenAPI file is not here: name it in KLARNA_OPENAPI")
    return [line for line in path.read_text().splitlines() if line.strip()]


def depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def below(block: Block, *keys: str) -> Block:
    """The lines under nested keys: as much YAML as this file needs."""
    for key in keys:
        starts = [at for at, line in enumerate(block) if depth(line) == depth(block[0])]
        names = [block[at].strip().replace("'", "") for at in starts]
        assert f"{key}:" in names, f"no {key} in Klarna's OpenAPI file"
        here = names.index(f"{key}:")
        block = block[starts[here] + 1 : [*starts, len(block)][here + 1]]
    return block


def place_of(call: Callable[[KlarnaClient], object], method: str) -> Block:
    """Make the call and return what the file says of its method and path."""
    with (
        responses.RequestsMock() as klarna,
        KlarnaClient(resolve_api_url(API), "u", "p", pool_size=1, version="1") as client,
    ):
        klarna.add(method, re.compile(f"{API}/"), json={"order_id": ORDER_ID, "status": "CLOSED"})
        call(client)
        url = str(klarna.calls[0].request.url)
    return ["paths", url.removeprefix(API).replace(ORDER_ID, "{order_id}"), method.lower()]


def test_it_gets_an_order_as_klarna_describes_it(openapi: Block) -> None:
    place = place_of(lambda client: client.get_order(ORDER_ID), "GET")
    assert below(openapi, *place, "responses", "200", "content", "application/json")
    assert below(openapi, *place, "responses", "404", "content", "application/json")


def test_it_acknowledges_as_klarna_describes_it(openapi: Block) -> None:
    place = place_of(lambda client: client.acknowledge(ORDER_ID, idempotency_key="k"), "POST")
    assert below(openapi, *place, "responses", "204")
    assert below(openapi, *place, "responses", "403", "content", "application/json")
    assert below(openapi, *place, "responses", "404", "content", "application/json")
    parameters = [line.strip() for line in below(openapi, *place, "parameters")]
    assert "name: Klarna-Idempotency-Key" in parameters


@pytest.mark.parametrize("field", [field.name for field in fields(Order)])
def test_it_reads_no_field_klarna_does_not_know(openapi: Block, field: str) -> None:
    assert below(openapi, "components", "schemas", "MerchantOrderDto", "properties", field)


@pytest.mark.parametrize("field", ["error_code", "error_messages", "correlation_id"])
@pytest.mark.parametrize("schema", ["Not allowed error message", "No such order error message"])
def test_it_reads_errors_as_klarna_describes_them(openapi: Block, schema: str, field: str) -> None:
    assert below(openapi, "components", "schemas", schema, "properties", field)
