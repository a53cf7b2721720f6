"""How the sandbox behaves, switch by switch. Each assumed fact about Klarna is a switch here."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from sandbox.control.inputs import Fields
from sandbox.pushing.schedule import KLARNA_SCHEDULE_S

_MAX_LATENCY_MS = 600_000
_MAX_RATE_PER_S = 1_000_000
_MAX_RETRY_AFTER_S = 86_400
_MAX_BODY_BYTES = 16 * 1024 * 1024
# As Standard Webhooks writes a secret: at least 24 bytes in base64.
_SECRET_SHAPE = re.compile(
    r"whsec_(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
)
_SECRET = "whsec_" + b64encode(b"the receiver of the sandbox").decode()


def _assumed(what: str, *, default: Any, others: tuple[Any, ...] = ()) -> Any:  # noqa: ANN401 - as `field` itself
    """Make a switch for a fact that nobody could confirm. No `others`: any number."""
    return field(default=default, metadata={"assumed": what, "others": others})


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """The switches. Replaced whole, so a request sees one state."""

    latency_ms: float = 0
    rate_per_s: int | None = None
    username: str = "sandbox"
    password: str = field(default="sandbox", repr=False)
    merchants: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth_check: bool = True
    push_schedule_s: tuple[float, ...] = KLARNA_SCHEDULE_S
    receiver_secret: str = field(default=_SECRET, repr=False)
    receiver_reference1: str | None = None
    receiver_reference2: str | None = None
    second_acknowledge: str = _assumed(
        "The answer to a second acknowledge", default="204", others=("403",)
    )
    acknowledge_on_closed: str = _assumed(
        "The answer to an acknowledge of a CANCELLED, EXPIRED or CLOSED order",
        default="403",
        others=("204",),
    )
    hide_other_merchants: bool = _assumed(
        "An order of another merchant is 404, else 403", default=True, others=(False,)
    )
    invalid_order_id: str = _assumed(
        "The status that goes with INVALID_ORDER_ID", default="400", others=("404",)
    )
    idempotency_keeps: str = _assumed(
        "Which first answers a key repeats: all but 5xx, or 2xx only",
        default="any",
        others=("2xx",),
    )
    retry_after_s: int | None = _assumed("The Retry-After of a 429; null: it has none", default=1)
    bad_value: str = _assumed("The status that goes with BAD_VALUE", default="400", others=("422",))
    max_body_bytes: int = _assumed(
        "From how many bytes on a request is too large", default=1_048_576
    )
    increase: str = _assumed(
        "The answer to a higher amount, which depends on payment method and market",
        default="204",
        others=("403",),
    )
    references_on_closed: str = _assumed(
        "The answer to new references of an EXPIRED or CLOSED order (CANCELLED is 403)",
        default="204",
        others=("403",),
    )
    address_on_captured: str = _assumed(
        "The answer to a new address of a CAPTURED order", default="403", others=("204",)
    )
    shipping_info_on_closed: str = _assumed(
        "The answer to shipping info for a CANCELLED, EXPIRED or CLOSED order",
        default="403",
        others=("204",),
    )
    second_cancel: str = _assumed("The answer to a second cancel", default="403", others=("204",))
    capture_while_pending: str = _assumed(
        "The answer to a capture whose fraud status is not ACCEPTED", default="201", others=("403",)
    )

    def merchants_by_token(self) -> Mapping[str, str]:
        """Give each merchant's name by what must follow `Basic ` in the Authorization header."""
        known = {**self.merchants, self.username: self.password}
        return {_basic_token(name, password): name for name, password in known.items()}


class Assumption(NamedTuple):
    """A fact about Klarna that is assumed, its switch, the switch's default and other choices."""

    what: str
    switch: str
    default: str
    others: str


def assumptions() -> list[Assumption]:
    """List what is assumed of Klarna, in the order of the settings."""
    return [
        Assumption(
            switch.metadata["assumed"],
            switch.name,
            written(switch.default),
            ", ".join(map(written, switch.metadata["others"])) or "another number",
        )
        for switch in fields(SandboxSettings)
        if "assumed" in switch.metadata
    ]


def written(value: object) -> str:
    """Write a setting's value as it stands in JSON, a word without its quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def changed(settings: SandboxSettings, given: Fields) -> SandboxSettings:
    """Give the settings with any subset of the switches changed. Raises BadInputError."""
    words = {
        switch.name: given.choice(
            switch.name,
            getattr(settings, switch.name),
            (switch.default, *switch.metadata["others"]),
        )
        for switch in fields(SandboxSettings)
        if "assumed" in switch.metadata and isinstance(switch.default, str)
    }
    return SandboxSettings(
        latency_ms=given.number("latency_ms", settings.latency_ms, 0, _MAX_LATENCY_MS),
        rate_per_s=given.whole_or_none("rate_per_s", settings.rate_per_s, 1, _MAX_RATE_PER_S),
        username=given.text("username", settings.username),
        password=given.text("password", settings.password),
        merchants=given.texts("merchants", settings.merchants),
        auth_check=given.flag("auth_check", default=settings.auth_check),
        receiver_secret=given.text("receiver_secret", settings.receiver_secret, _SECRET_SHAPE),
        receiver_reference1=given.text_or_none("receiver_reference1", settings.receiver_reference1),
        receiver_reference2=given.text_or_none("receiver_reference2", settings.receiver_reference2),
        push_schedule_s=given.rising("push_schedule_s", settings.push_schedule_s),
        hide_other_merchants=given.flag(
            "hide_other_merchants", default=settings.hide_other_merchants
        ),
        retry_after_s=given.whole_or_none(
            "retry_after_s", settings.retry_after_s, 0, _MAX_RETRY_AFTER_S
        ),
        max_body_bytes=given.whole("max_body_bytes", settings.max_body_bytes, 1, _MAX_BODY_BYTES),
        **words,
    )


def _basic_token(username: str, password: str) -> str:
    return b64encode(f"{username}:{password}".encode()).decode()
