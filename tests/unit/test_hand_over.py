"""The address guard and the settings of a hand-over."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pushes.accounts.policies import HandOver, Style
from pushes.accounts.settings import read_accounts
from pushes.settings import ConfigurationError
from pushes.store.codec import decode, encode
from tests.builders import NOW, a_key, a_push
from worker.attempt.hand_over.guard import is_public
from worker.attempt.hand_over.messages import decision_message_id, order_message_id

SECRET = "whsec_" + "AAAA" * 8
ACCOUNT = """
[accounts.shop]
api_url = "klarna-eu"
username = "U1"
password = "secret"

[accounts.shop.hand_over]
"""


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1"),
        *("::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "ff02::1"),
        *("::127.0.0.1", "::ffff:0:10.0.0.1", "fec0::1", "64:ff9b:1::7f00:1", "e000::1"),
    ],
)
def test_others_may_not(address: str) -> None:
    assert not is_public(address)


def test_the_message_id_of_an_order_is_always_the_same() -> None:
    key = a_key()
    again = type(key)(key.account, key.order_id)
    assert order_message_id(key) == order_message_id(again) != order_message_id(a_key())


def test_the_message_id_of_a_decision_is_that_of_its_notification() -> None:
    accepted = a_push(fraud_event="FRAUD_RISK_ACCEPTED", notified_at=NOW)
    read_back = decode(accepted.key, encode(accepted))
    stopped = replace(accepted, fraud_event="FRAUD_RISK_STOPPED")
    later = replace(accepted, notified_at=NOW + timedelta(minutes=1))
    of_old_record = replace(accepted, notified_at=None)

    every = [accepted, stopped, later, of_old_record]
    assert decision_message_id(accepted) == decision_message_id(read_back)
    ids = {decision_message_id(push) for push in every}
    assert len(ids | {order_message_id(accepted.key)}) == len(every) + 1


def read(tmp_path: Path, *lines: str) -> HandOver | None:
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNT + "\n".join(lines))
    accounts = read_accounts({"ACCOUNTS_FILE": str(path)}, lambda _url: None, None)
    return accounts["shop"].policies.hand_over


def test_it_reads_where_orders_are_handed_over_to(tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text(f"{SECRET}\n")

    signed = read(tmp_path, 'url = "https://shop.example/x"', f'secret_file = "{secret_file}"')
    forward = read(
        tmp_path,
        'url = "http://10.0.0.1/?id={order_id}"',
        'style = "forward"',
        "allow_private = true",
    )

    assert signed
    assert (signed.style, signed.allow_private) == (Style.SIGNED, False)
    assert signed.url.get_secret_value() == "https://shop.example/x"
    assert signed.secret
    assert signed.secret.get_secret_value() == SECRET
    assert forward
    assert (forward.style, forward.allow_private, forward.secret) == (Style.FORWARD, True, None)


URL = 'url = "https://shop.example/x"'
GIVEN = f'secret = "{SECRET}"'


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([GIVEN], "accounts.shop.hand_over.url: is not set; it must be an https:// URL"),
        ([URL], "accounts.shop.hand_over.secret: must be whsec_ and 24 to 64 bytes in base64"),
        ([URL, 'secret = "whsec_hush"'], "accounts.shop.hand_over.secret: must be whsec_ and"),
        ([URL, GIVEN, 'style = "forward"'], "accounts.shop.hand_over.secret: is set beside style"),
        ([URL, GIVEN, 'style = "x"'], "accounts.shop.hand_over.style: 'x' cannot be used"),
        ([URL, GIVEN, "hush = 1"], "accounts.shop.hand_over.hush: is no setting here"),
        ([URL, GIVEN, 'allow_private = "yes"'], "accounts.shop.hand_over.allow_private: 'yes'"),
        ([GIVEN, 'url = "http://shop.example"'], "hand_over.url: must begin with https://"),
        ([GIVEN, 'url = "https://hush:x@shop.example"'], "hand_over.url: must hold no user name"),
        ([GIVEN, 'url = "ftp://shop.example/hush"'], "hand_over.url: must be an https:// URL"),
        ([GIVEN, 'url = "https://[hush"'], "hand_over.url: is no URL"),
        ([GIVEN, 'url = "https://{path}/"'], "hand_over.url: may hold {path} in its path, and"),
        ([GIVEN, 'url = "https://s/?p={path}"'], "hand_over.url: may hold {path} in its path,"),
        ([GIVEN, URL, 'fraud_url = "http://hush"'], "hand_over.fraud_url: must begin with https"),
    ],
)
def test_it_says_what_is_wrong_and_shows_no_secret(
    tmp_path: Path, lines: list[str], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, *lines)

    (line,) = str(raised.value).splitlines()
    assert problem in line
    assert "hush" not in line.partition(": ")[2]


def test_it_must_be_a_table(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNT.replace("\n[accounts.shop.hand_over]\n", 'hand_over = "hush"\n'))

    with pytest.raises(ConfigurationError) as raised:
        read_accounts({"ACCOUNTS_FILE": str(path)}, lambda _url: None, None)

    assert str(raised.value) == (
        "accounts.shop.hand_over: must be a table, [accounts.shop.hand_over]"
    )
