"""How the sandbox behaves, switch by switch. Each assumed fact about Klarna is a switch here."""

from base64 import b64encode
from dataclasses import dataclass, field

from sandbox.control.inputs import Fields
from sandbox.pushing.schedule import KLARNA_SCHEDULE_S

_MAX_LATENCY_MS = 600_000
_MAX_RATE_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """The switches; `README.md` says what each means. Replaced whole, so a request sees one state.

    Assumed: `second_acknowledge`, `acknowledge_on_closed`, `hide_other_merchants`,
    `invalid_order_id`, `idempotency_keeps`. Documented: `push_schedule_s`.
    """

    latency_ms: float = 0
    rate_per_s: int | None = None
    username: str = "sandbox"
    password: str = field(default="sandbox", repr=False)
    auth_check: bool = True
    second_acknowledge: str = "204"
    acknowledge_on_closed: str = "403"
    hide_other_merchants: bool = True
    invalid_order_id: str = "400"
    idempotency_keeps: str = "any"
    push_schedule_s: tuple[float, ...] = KLARNA_SCHEDULE_S

    def basic_token(self) -> str:
        """Give what must follow `Basic ` in the Authorization header."""
        return b64encode(f"{self.username}:{self.password}".encode()).decode()


def changed(settings: SandboxSettings, given: Fields) -> SandboxSettings:
    """Give the settings with any subset of the switches changed. Raises BadInputError."""
    return SandboxSettings(
        latency_ms=given.number("latency_ms", settings.latency_ms, 0, _MAX_LATENCY_MS),
        rate_per_s=given.whole_or_none("rate_per_s", settings.rate_per_s, 1, _MAX_RATE_PER_S),
        username=given.text("username", settings.username),
        password=given.text("password", settings.password),
        auth_check=given.flag("auth_check", default=settings.auth_check),
        second_acknowledge=given.choice(
            "second_acknowledge", settings.second_acknowledge, ("204", "403")
        ),
        acknowledge_on_closed=given.choice(
            "acknowledge_on_closed", settings.acknowledge_on_closed, ("403", "204")
        ),
        hide_other_merchants=given.flag(
            "hide_other_merchants", default=settings.hide_other_merchants
        ),
        invalid_order_id=given.choice(
            "invalid_order_id", settings.invalid_order_id, ("400", "404")
        ),
        idempotency_keeps=given.choice(
            "idempotency_keeps", settings.idempotency_keeps, ("any", "2xx")
        ),
        push_schedule_s=given.rising("push_schedule_s", settings.push_schedule_s),
    )
