"""What a fault is told: the parameters it was given, and the call it strikes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.answers import JSON


@dataclass(frozen=True, slots=True)
class FaultParams:
    """All parameters there are; each fault takes a few. `_s` are real seconds."""

    status: int = 500
    error_code: str | None = None
    body: str | None = None
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = 1
    hold_s: float = 30
    location: str = "https://login.example/"
    byte_interval_s: float = 0.05
    order_id: str = "0badc0de-0bad-40de-8bad-0badc0de0bad"
    size_bytes: int = 32 * 1024 * 1024
    missing_bytes: int = 100
    effect: bool = False


@dataclass(frozen=True, slots=True)
class ApiCall:
    """What a fault may know of the call it strikes."""

    operation: str
    order_id: str | None
    correlation_id: str
