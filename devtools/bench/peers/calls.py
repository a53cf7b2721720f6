"""GET the order, then acknowledge it, as one would write it with `requests`."""

import os
import threading
from uuid import uuid4

import requests
from requests.adapters import HTTPAdapter

_TIMEOUT_S = 10
_local = threading.local()


def orders_url() -> str:
    """Name where the orders are."""
    return os.environ["KLARNA_API_URL"] + "/ordermanagement/v1/orders/"


def new_session(pool_size: int = 1) -> requests.Session:
    """Make a Session that keeps `pool_size` connections."""
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=pool_size))
    session.auth = ("bench", "bench")
    session.trust_env = False  # saves each call the look for proxies
    return session


def acknowledge(order_id: str) -> None:
    """Make the two calls through the thread's own Session."""
    if not hasattr(_local, "session"):
        _local.session = new_session()
    acknowledge_through(_local.session, order_id)


def acknowledge_through(session: requests.Session, order_id: str) -> None:
    """Make the two calls. Raises for whatever is not a success, or another order's."""
    url = orders_url() + order_id
    order = session.get(url, timeout=_TIMEOUT_S)
    order.raise_for_status()
    if order.json()["order_id"] != order_id:
        raise ValueError("another order's answer")
    headers = {"Klarna-Idempotency-Key": str(uuid4())}
    session.post(f"{url}/acknowledge", headers=headers, timeout=_TIMEOUT_S).raise_for_status()
