"""An entry of the request log: one call on Klarna's side, numbered in the order of deciding.

Never shows a body or a password.
"""

from dataclasses import dataclass

from sandbox.arrival import Arrival
from sandbox.clock import iso


@dataclass(slots=True)
class JournalEntry:
    """One call. `status` is None when no answer was sent; `effect`: an acknowledge took place."""

    seq: int
    at_s: float
    arrival: Arrival
    status: int | None
    effect: bool
    replayed: bool
    correlated: bool
    fault: str | None

    @property
    def order_id(self) -> str | None:
        """The id in the path, None outside the paths of orders."""
        return self.arrival.order_id

    def view(self) -> dict[str, object]:
        """Show it as the control side does. A correlation id the client was not told is null."""
        arrival = self.arrival
        told = self.correlated and self.status is not None
        return {
            "seq": self.seq,
            "at": iso(self.at_s),
            "method": arrival.method,
            "path": arrival.path,
            "order_id": arrival.order_id,
            "operation": arrival.name,
            "status": self.status,
            "effect": self.effect,
            "idempotency_key": arrival.idempotency_key,
            "replayed": self.replayed,
            "correlation_id": arrival.correlation_id if told else None,
            "user_agent": arrival.user_agent,
            "authorized": arrival.authorized,
            "fault": self.fault,
        }
