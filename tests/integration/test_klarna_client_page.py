"""docs/klarna-client.md holds: its example runs, and its tables are those of the code."""

import contextlib
import inspect
import io
import re

import klarna
from devtools.local.processes import ROOT
from devtools.local.sandbox_control import SandboxControl
from klarna import KlarnaClient, KlarnaError, Operation, PermanentError
from klarna.answers import MAX_BODY_BYTES
from klarna.deadlines import DEFAULT_TIME_LIMITS
from tests.documents import table, words

PAGE = ROOT / "docs" / "klarna-client.md"
TEXT = PAGE.read_text()


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_its_example_does_what_it_says(sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order(amount=12_500, currency="SEK")
    names = {"api_url": sandbox.url, "username": "sandbox", "password": "sandbox"}
    printed = io.StringIO()

    with contextlib.redirect_stdout(printed):
        exec(block("python"), {**names, "order_id": order_id})  # noqa: S102 - the page's example

    assert printed.getvalue() == block("text")
    assert sandbox.order(order_id)["acknowledged"]
    with KlarnaClient(klarna.resolve_api_url(sandbox.url), "sandbox", "sandbox") as client:
        assert client.get_order(order_id).merchant_reference1 == "1001"


def test_it_lists_every_call() -> None:
    listed = [
        (words(method)[0], words(request)[0]) for method, request, _ in table(PAGE, "## Calls")
    ]
    requests = {f"{each.method} {each.suffix}".strip() for each in Operation}
    assert {request for _, request in listed} == requests
    methods = {
        name
        for name, method in inspect.getmembers(KlarnaClient, inspect.isfunction)
        if "observe" in inspect.signature(method).parameters and not name.startswith("_")
    }
    assert {method for method, _ in listed} == methods


def test_it_lists_every_error_that_is_raised() -> None:
    listed = [words(error)[0] for error, *_ in table(PAGE, "## Errors")]
    raised = {
        name
        for name in klarna.__all__
        if inspect.isclass(error := getattr(klarna, name)) and issubclass(error, KlarnaError)
    } - {"KlarnaError", "PermanentError"}
    assert set(listed) == raised
    assert all(issubclass(getattr(klarna, name), PermanentError) for name in listed[-3:])


def test_it_tells_the_limits() -> None:
    limits = DEFAULT_TIME_LIMITS
    assert f"after {limits.total_s:g} seconds" in TEXT
    assert f"{limits.connect_s:g} seconds to connect" in TEXT
    assert f"{limits.read_s:g} without a byte" in TEXT
    assert f"more than {MAX_BODY_BYTES // 1024**2} MiB" in TEXT


def test_it_documents_every_call_with_its_source() -> None:
    for operation in Operation:
        if operation in {Operation.GET_ORDER, Operation.ACKNOWLEDGE}:
            continue
        method = getattr(KlarnaClient, operation)
        assert "Source: Klarna docs, " in (inspect.getdoc(method) or ""), operation
