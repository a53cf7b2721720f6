"""A client made of a description alone, by schemathesis, walks the calls of the sandbox.

The sandbox's own description always, Klarna's when `KLARNA_OPENAPI` says where it is.
"""

import os
from typing import Any

import pytest
import schemathesis
from pydantic import JsonValue
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from devtools.local.sandbox_control import SandboxControl
from klarna import Operation
from klarna.calls import Call
from sandbox.api.openapi import openapi
from tests.klarna_page import REFUSALS, REQUESTS, UNKNOWN_ORDER_ID, PageRefusal
from tests.sandboxes import RIGHT

KLARNAS = os.environ.get("KLARNA_OPENAPI")
# What the answer holds is checked by the description: Klarna's has no 400 and no 422.
CHECKS = [not_a_server_error, response_schema_conformance]
SUCCESS = {Operation.GET_ORDER: 200, Operation.CAPTURE: 201}


def own() -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_dict(openapi())


def klarnas() -> schemathesis.BaseSchema:
    read = schemathesis.openapi.from_path(KLARNAS or "").raw_schema
    # In the file the words of this set are one word, with bars in between, and a 204 has a body.
    del read["components"]["schemas"]["order_line"]["properties"]["type"]["enum"]
    for operations in read["paths"].values():
        for operation in operations.values():
            operation["responses"].get("204", {}).pop("content", None)
    return schemathesis.openapi.from_dict(read)


@pytest.fixture(
    params=[
        own,
        pytest.param(
            klarnas,
            marks=pytest.mark.skipif(
                not KLARNAS, reason="KLARNA_OPENAPI does not say where Klarna's file is"
            ),
        ),
    ]
)
def description(request: pytest.FixtureRequest) -> schemathesis.BaseSchema:
    found: schemathesis.BaseSchema = request.param()
    return found


def case(
    description: schemathesis.BaseSchema, operation: Operation, order_id: str, body: JsonValue
) -> Case[Any]:
    path = Call(operation, UNKNOWN_ORDER_ID).path.replace(UNKNOWN_ORDER_ID, "{order_id}")
    made: Case[Any] = description[path][operation.method].Case(
        path_parameters={"order_id": order_id}
    )
    if body is not None:
        made.body, made.media_type = body, "application/json"
    return made


def test_it_walks_every_call(description: schemathesis.BaseSchema, sandbox: SandboxControl) -> None:
    order_id, other_id = sandbox.create_order(amount=12_500), sandbox.create_order()
    for operation, body in REQUESTS.items():
        which = other_id if operation is Operation.CANCEL else order_id
        made = case(description, operation, which, body)
        answer = made.call_and_validate(sandbox.url, headers=dict(RIGHT), checks=CHECKS)
        assert answer.status_code == SUCCESS.get(operation, 204), operation

    seen = [(one["operation"], one["effect"]) for one in sandbox.requests()]
    assert seen == [(each, each is not Operation.GET_ORDER) for each in REQUESTS]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: f"{each.operation} {each.status}")
def test_it_finds_a_refusal_as_it_is_described(
    description: schemathesis.BaseSchema, sandbox: SandboxControl, refusal: PageRefusal
) -> None:
    body = refusal.body or REQUESTS[refusal.operation]
    made = case(description, refusal.operation, refusal.find_order(sandbox), body)
    answer = made.call_and_validate(sandbox.url, headers=dict(RIGHT), checks=CHECKS)
    assert answer.status_code == refusal.status
    assert answer.json()["error_code"] == refusal.error_code
