"""The OpenAPI document, made by spectree of the schemas that validate.

What it cannot say is put in here: that refusals are problem documents.
"""

from copy import deepcopy
from functools import cache
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, jsonify
from spectree import Response as Answers
from spectree import SecurityScheme, SpecTree
from spectree.models import SecureType, SecuritySchemeData

from service import access
from service.api import gate
from service.api.schemas import Problem

# The refusals that every call may end with, and those of what changes something.
_ALWAYS = ("HTTP_400", "HTTP_401", "HTTP_403", "HTTP_503")
_PROBLEM = "application/problem+json"
_REFUSALS_FROM = 400

tree = SpecTree(
    "flask",
    mode="strict",
    title="klarna-ack",
    version=version("klarna-ack"),
    description="What the operations console shows and does, for scripts and dashboards.",
    before=gate.refuse_invalid,
    validation_error_model=Problem,
    naming_strategy=lambda model: model.__name__,
    nested_naming_strategy=lambda _parent, name: name,
    security_schemes=[
        SecurityScheme(
            name="token", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer")
        ),
    ],
    security={"token": []},
)


def answers(model: type, *refusals: int) -> Answers:
    """Say what a call answers when all is well, and with which other statuses it may refuse."""
    codes = {*_ALWAYS, *(f"HTTP_{status}" for status in refusals)}
    return Answers(HTTP_200=model, **dict.fromkeys(sorted(codes), Problem))


def register(api: Blueprint) -> None:
    """Serve the document; it is the same for the life of the process."""
    whole = cache(lambda: _with_problems(tree.spec))

    @api.get("/openapi.json")
    @access.public
    def openapi() -> Response:
        """Describe the API."""
        return jsonify(whole())


def _with_problems(spec: dict[str, Any]) -> dict[str, Any]:
    told = deepcopy(spec)
    for methods in told["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if int(status) >= _REFUSALS_FROM and "content" in answer:
                    answer["content"] = {_PROBLEM: answer["content"]["application/json"]}
    return told
