"""What a plugin gets of a push URL, from the URL that came to the one that is called."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.push.forwarded import MAX_CHARS, forwarded_part
from tests.builders import a_push
from worker.attempt.failures import NoPathError
from worker.attempt.hand_over.messages import push_url

PUSH = a_push()
ID = PUSH.key.order_id
TOKEN = "the-token/of our+own"


def called(url: str, target: str | None) -> str:
    """The URL of the plugin, with the order's id as ID."""
    push = a_push(key=PUSH.key, push_target=target and target.replace("ID", ID))
    return push_url(url, push).replace(ID, "ID")


@pytest.mark.parametrize(
    ("url", "target", "expected"),
    [
        ("https://shop/?wc-api=Push", "?klarna_order_id=ID", "?wc-api=Push&klarna_order_id=ID"),
        (
            "https://shop/wc-api/Push/",
            "?kco_wc_order_id=ID&a=1",
            "wc-api/Push/?kco_wc_order_id=ID&a=1",
        ),
        ("https://shop/push/id/{order_id}", "ID?store=2", "push/id/ID?store=2"),
        ("https://shop/{path}", "checkout/klarna/push/id/ID?", "checkout/klarna/push/id/ID"),
        (
            "https://shop/{path}",
            "kco/1042/push?klarna_order_id=ID",
            "kco/1042/push?klarna_order_id=ID",
        ),
        (
            "https://shop/kco/{path}/push",
            "17?checkout_uri=https%3A%2F%2Fx%2FID",
            "kco/17/push?checkout_uri=https%3A%2F%2Fx%2FID",
        ),
        ("https://shop/?", "?sid=ID", "?sid=ID"),
        ("https://shop/?a=1&", "?sid=ID", "?a=1&sid=ID"),
        # what the URL of the account says itself counts
        (
            "https://shop/?sid={checkout.order.id}&store=1",
            "?sid=ID&store=2&b=3",
            "?sid=ID&store=1&b=3",
        ),
        # queued by hand, or by an older version: only the order id is known
        ("https://shop/?wc-api=Push", None, "?wc-api=Push&klarna_order_id=ID"),
        ("https://shop/push", "?", "push?klarna_order_id=ID"),
        ("https://shop/{order.id}", None, "ID"),
    ],
)
def test_it_passes_path_and_query_on(url: str, target: str | None, expected: str) -> None:
    assert called(url, target) == f"https://shop/{expected}"


def test_it_calls_no_url_that_lacks_its_path() -> None:
    for target in (None, f"?klarna_order_id={ID}"):
        with pytest.raises(NoPathError, match="brought no path"):
            called("https://shop/{path}", target)


@pytest.mark.parametrize(
    ("path", "query", "token", "expected"),
    [
        ("", b"sid=1", None, "?sid=1"),
        ("", b"sid=1&token=x", None, "?sid=1&token=x"),
        ("", b"token=the-token%2Fof+our%2Bown&sid=1&token=x", TOKEN, "?sid=1&token=x"),
        ("", b"t%6fken=the-token/of%20our%2bown", TOKEN, "?"),
        ("klarna/1/push/", b"&&a=1&", None, "klarna/1/push/?a=1"),
        ("klarna/\u00e9 ?#", b"a=\xff #%20", None, "klarna/%C3%A9%20%3F%23?a=%FF%20%23%20"),
        ("..", b"", None, None),
        ("klarna/../admin", b"", None, None),
        ("klarna//admin", b"", None, None),
        ("/admin", b"", None, None),
        ("klarna\\admin", b"", None, None),
        ("", b"a" * (MAX_CHARS - 1), None, "?" + "a" * (MAX_CHARS - 1)),
        ("", b"a" * MAX_CHARS, None, None),
    ],
)
def test_it_keeps_what_can_be_passed_on_without_our_token(
    path: str, query: bytes, token: str | None, expected: str | None
) -> None:
    assert forwarded_part(path, query, token) == expected


@given(st.text(), st.binary())
def test_whatever_is_pushed_leads_to_the_host_of_the_account(path: str, query: bytes) -> None:
    target = forwarded_part(path.encode(errors="replace").decode(), query, TOKEN)
    push = a_push(key=PUSH.key, push_target=f"x/{target}" if target else None)

    found = (
        push_url("https://shop.example/{path}?own=1", push) if target else "https://shop.example/x/"
    )

    parts = urlsplit(found)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "shop.example", "")
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
    assert parts.path.startswith("/x/")
    assert [value for name, value in parse_qsl(parts.query) if name == "own"] in ([], ["1"])
