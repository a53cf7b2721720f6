"""Our calls and models against Klarna's own OpenAPI file: KLARNA_OPENAPI names it."""

import json
import os
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from klarna import Operation, Order, OrderDetails
from klarna.calls import Call
from klarna.documents import (
    AddedShippingInfo,
    Address,
    AuthorizationUpdate,
    Capture,
    CaptureRequest,
    CustomerDetails,
    Document,
    InitialPaymentMethod,
    MerchantReferences,
    OrderLine,
    OrderLineType,
    ProductIdentifiers,
    Refund,
    ShippingInfo,
    ShippingMethod,
    Subscription,
)
from tests.klarna_documents import REQUESTS

ORDER_ID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"

Json = dict[str, Any]

# Which schema of Klarna's a model is; a request takes all of its fields, an answer may have more.
SCHEMAS: dict[type[Document], str] = {
    OrderDetails: "MerchantOrderDto",
    Address: "address",
    OrderLine: "order_line",
    ShippingInfo: "shipping_info",
    Capture: "Capture",
    Refund: "Refund",
    InitialPaymentMethod: "InitialPaymentMethodDto",
    ProductIdentifiers: "ProductIdentifiers",
    Subscription: "subscription",
    AuthorizationUpdate: "Update authorization",
    MerchantReferences: "Update merchant references",
    CustomerDetails: "UpdateConsumer",
    AddedShippingInfo: "UpdateShippingInfo",
    CaptureRequest: "CaptureObject",
}
BODIES: dict[Operation, type[Document]] = {
    Operation.UPDATE_AUTHORIZATION: AuthorizationUpdate,
    Operation.UPDATE_MERCHANT_REFERENCES: MerchantReferences,
    Operation.UPDATE_CUSTOMER_DETAILS: CustomerDetails,
    Operation.ADD_SHIPPING_INFO: AddedShippingInfo,
    Operation.CAPTURE: CaptureRequest,
}


@pytest.fixture(scope="module")
def openapi() -> Json:
    path = os.environ.get("KLARNA_OPENAPI")
    if not path:
        pytest.skip("KLARNA_OPENAPI does not say where Klarna's file is")
    read: Json = schemathesis.openapi.from_path(path).raw_schema
    # In the file the words of this set are one word, with bars in between.
    del read["components"]["schemas"]["order_line"]["properties"]["type"]["enum"]
    return read


def schema_of(openapi: Json, model: type[Document]) -> Json:
    found: Json = openapi["components"]["schemas"][SCHEMAS[model]]
    return found


def place_of(openapi: Json, operation: Operation) -> Json:
    path = Call(operation, ORDER_ID).path.replace(ORDER_ID, "{order_id}")
    found: Json = openapi["paths"][path][operation.method.lower()]
    return found


@pytest.mark.parametrize("operation", Operation)
def test_it_calls_what_klarna_describes(openapi: Json, operation: Operation) -> None:
    place = place_of(openapi, operation)
    parameters = {parameter["name"] for parameter in place["parameters"]}
    assert operation.is_write == ("Klarna-Idempotency-Key" in parameters)
    assert ("requestBody" in place) == (operation in BODIES)
    success = {Operation.GET_ORDER: "200", Operation.CAPTURE: "201"}.get(operation, "204")
    assert success in place["responses"]


@pytest.mark.parametrize("operation", BODIES)
def test_it_sends_the_body_that_klarna_describes(openapi: Json, operation: Operation) -> None:
    reference = {"$ref": f"#/components/schemas/{SCHEMAS[BODIES[operation]]}"}
    body = place_of(openapi, operation)["requestBody"]["content"]["application/json"]
    assert body["schema"] == reference


@pytest.mark.parametrize("model", SCHEMAS)
def test_it_has_klarnas_fields_and_no_other(openapi: Json, model: type[Document]) -> None:
    assert set(model.model_fields) == set(schema_of(openapi, model)["properties"])


@pytest.mark.parametrize("field", Order.__slots__)
def test_it_verifies_by_no_field_klarna_does_not_know(openapi: Json, field: str) -> None:
    assert field in schema_of(openapi, OrderDetails)["properties"]


def test_it_requires_what_klarna_requires(openapi: Json) -> None:
    # That deleting the lines has to be said is our addition, and so is an order's id and status.
    ours = {
        AuthorizationUpdate: {"order_lines"},
        CustomerDetails: {"shipping_address"},
        OrderDetails: {"order_id", "status"},
    }
    for model in SCHEMAS:
        required = {name for name, field in model.model_fields.items() if field.is_required()}
        theirs = set(schema_of(openapi, model).get("required", ()))
        assert required - ours.get(model, set()) == theirs, model


@pytest.mark.parametrize(
    ("words", "model", "field"),
    [(OrderLineType, OrderLine, "type"), (ShippingMethod, ShippingInfo, "shipping_method")],
)
def test_it_knows_klarnas_words(
    openapi: Json,
    words: type[OrderLineType] | type[ShippingMethod],
    model: type[Document],
    field: str,
) -> None:
    pattern = schema_of(openapi, model)["properties"][field]["pattern"]
    assert set(pattern.strip("()").split("|")) == {str(word) for word in words}


@pytest.mark.parametrize("model", REQUESTS)
def test_it_sends_nothing_that_klarnas_file_forbids(openapi: Json, model: type[Document]) -> None:
    schema = {**schema_of(openapi, model), "components": openapi["components"]}
    validator = jsonschema_rs.validator_for(schema)
    tolerated = {"pattern", "maximum", "maxLength"}  # of nested fields, which Klarna judges itself

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(REQUESTS[model])
    def sent(document: Json) -> None:
        body = json.loads(model.model_validate(document).to_json())
        for error in validator.iter_errors(body):
            where = [part for part in error.instance_path if isinstance(part, str)]
            assert len(where) > 1, error.message
            assert error.schema_path[-1] in tolerated, error.message

    sent()


@pytest.mark.parametrize("field", ["error_code", "error_messages", "correlation_id"])
@pytest.mark.parametrize("schema", ["Not allowed error message", "No such order error message"])
def test_it_reads_errors_as_klarna_describes_them(openapi: Json, schema: str, field: str) -> None:
    assert field in openapi["components"]["schemas"][schema]["properties"]
