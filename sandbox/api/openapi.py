"""Klarna's side described as OpenAPI 3.1, from the table of calls and the bodies they take."""

import re

from pydantic.json_schema import models_json_schema

from sandbox.api.operations import OPERATIONS, PREFIX, ServedOperation
from sandbox.api.orders import STATUSES, JsonObject

_REF = "#/components/schemas/{model}"
_TEXT: JsonObject = {"type": "string"}
_AMOUNT: JsonObject = {"type": "integer", "minimum": 0, "description": "minor units"}
_KEY: JsonObject = {
    "name": "Klarna-Idempotency-Key",
    "in": "header",
    "description": "Only the key counts: for 24 h a duplicate gets the first answer.",
    "schema": _TEXT,
}
_ERROR: JsonObject = {
    "type": "object",
    "required": ["error_code", "error_messages", "correlation_id"],
    "properties": {
        "error_code": _TEXT,
        "error_messages": {"type": "array", "items": _TEXT},
        "correlation_id": _TEXT,
    },
}
_ORDER: JsonObject = {
    "type": "object",
    "required": ["order_id", "status", "order_amount", "purchase_currency", "captures"],
    "properties": {
        "order_id": _TEXT,
        "status": _TEXT | {"examples": list(STATUSES)},
        "fraud_status": _TEXT,
        "order_amount": _AMOUNT,
        "original_order_amount": _AMOUNT,
        "captured_amount": _AMOUNT,
        "refunded_amount": _AMOUNT,
        "remaining_authorized_amount": _AMOUNT,
        "purchase_currency": _TEXT,
        "captures": {"type": "array", "items": {"type": "object"}},
        "refunds": {"type": "array", "items": {"type": "object"}},
    },
}
_ANSWERS: dict[str, JsonObject] = {"get_order": _ORDER, "get_captures": {"type": "array"}}


def openapi() -> JsonObject:
    """Describe the calls that the sandbox knows."""
    bodies = {each.body for each in OPERATIONS.values() if each.body}
    _, schemas = models_json_schema(
        [(body, "validation") for body in sorted(bodies, key=lambda body: body.__name__)],
        ref_template=_REF,
    )
    paths: dict[str, dict[str, JsonObject]] = {}
    for (method, rest), operation in OPERATIONS.items():
        path = f"{PREFIX}{{order_id}}/{rest}".rstrip("/")
        paths.setdefault(path, {})[method.lower()] = _described(method, path, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "The sandbox's Order Management", "version": "1"},
        "security": [{"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "schemas": {"Error": _ERROR, **schemas["$defs"]},
        },
    }


def _described(method: str, path: str, operation: ServedOperation) -> JsonObject:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"{(\w+)}", path)
    ]
    error: JsonObject = {"schema": {"$ref": _REF.format(model="Error")}}
    described: JsonObject = {
        "operationId": operation.name,
        "summary": (operation.run.__doc__ or "").partition("\n")[0],
        "parameters": parameters if method == "GET" else [*parameters, _KEY],
        "responses": {
            str(operation.success): _success(operation),
            "401": {"description": "Wrong credentials.", "content": {"text/html": {}}},
            "default": {"description": "Refused.", "content": {"application/json": error}},
        },
    }
    if operation.body:
        schema = {"$ref": _REF.format(model=operation.body.__name__)}
        content = {"application/json": {"schema": schema}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _success(operation: ServedOperation) -> JsonObject:
    if operation.success != 200:  # noqa: PLR2004 - nothing else comes with a body
        return {"description": "Done."}
    schema = _ANSWERS.get(operation.name, {"type": "object"})
    return {"description": "Shown.", "content": {"application/json": {"schema": schema}}}
