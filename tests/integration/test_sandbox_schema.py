"""Schemathesis against the sandbox: what an OpenAPI file allows and what it does not, call by call.

The sandbox's own description always, Klarna's when `KLARNA_OPENAPI` says where it is.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sandbox.api.openapi import openapi
from sandbox.api.operations import OPERATIONS
from sandbox.api.orders import STATUSES
from tests.sandboxes import RIGHT, RunningSandbox, running

_KLARNAS = os.environ.get("KLARNA_OPENAPI")
_EXAMPLES = 8  # of each kind for each call; a hundred, run by hand, found no more
_OWN_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# Klarna's file names neither 400 nor 422, gives a 204 a body, and makes one word of all line types.
_KLARNAS_CHECKS = [not_a_server_error]

Call = APIOperation[Any, Any, Any, Any]


def calls_of(schema: schemathesis.BaseSchema) -> dict[str, Call]:
    calls = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    return {call.label: call for call in calls}


OWN = calls_of(schemathesis.openapi.from_dict(openapi()))
KLARNAS = calls_of(schemathesis.openapi.from_path(_KLARNAS)) if _KLARNAS else {}


@pytest.fixture(scope="module")
def klarna() -> Iterator[RunningSandbox]:
    yield from running()


def try_out(
    klarna: RunningSandbox,
    call: Call,
    mode: GenerationMode,
    checks: list[Any],
) -> set[int]:
    """Make the call on orders in every state; give the statuses of the answers."""
    seen = set()

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=True,  # the same in every run: no test of everybody's depends on luck
        suppress_health_check=list(HealthCheck),
    )
    @given(case=call.as_strategy(generation_mode=mode), status=st.sampled_from(STATUSES))
    def attempt(case: Case[Any], status: str) -> None:
        order_id = klarna.new_order(status=status)
        made_up_capture = order_id[:-1] + "c"
        case.path_parameters = dict.fromkeys(case.path_parameters, made_up_capture)
        case.path_parameters["order_id"] = order_id
        case.headers.pop("Klarna-Idempotency-Key", None)  # it would repeat another call's answer
        answer = case.call(base_url=klarna.url, headers=dict(RIGHT))
        case.validate_response(answer, checks=checks)
        seen.add(answer.status_code)

    attempt()
    return seen


@pytest.mark.parametrize("label", OWN)
def test_it_takes_what_its_own_description_allows(klarna: RunningSandbox, label: str) -> None:
    seen = try_out(klarna, OWN[label], GenerationMode.POSITIVE, _OWN_CHECKS)

    assert seen.isdisjoint({400, 422})


@pytest.mark.parametrize("label", OWN)
def test_it_survives_what_its_own_description_does_not_allow(
    klarna: RunningSandbox, label: str
) -> None:
    assert try_out(klarna, OWN[label], GenerationMode.NEGATIVE, _OWN_CHECKS)


def test_it_describes_every_call() -> None:
    assert len(OWN) == len(OPERATIONS)


@pytest.mark.skipif(not _KLARNAS, reason="KLARNA_OPENAPI does not say where Klarna's file is")
@pytest.mark.parametrize("label", KLARNAS)
def test_it_survives_what_klarnas_description_allows(klarna: RunningSandbox, label: str) -> None:
    assert try_out(klarna, KLARNAS[label], GenerationMode.POSITIVE, _KLARNAS_CHECKS)


@pytest.mark.skipif(not _KLARNAS, reason="KLARNA_OPENAPI does not say where Klarna's file is")
@pytest.mark.parametrize("label", [label for label, call in KLARNAS.items() if call.body])
def test_it_survives_what_klarnas_description_does_not_allow(
    klarna: RunningSandbox, label: str
) -> None:
    assert try_out(klarna, KLARNAS[label], GenerationMode.NEGATIVE, _KLARNAS_CHECKS)
