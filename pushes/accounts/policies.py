"""The policies of an account: what its merchant has decided, the defaults first."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# Nothing is left to acknowledge (Klarna docs, "View and change orders", order statuses).
CLOSED = ("CANCELLED", "EXPIRED", "CLOSED")

_STATUS = re.compile(r"[A-Z][A-Z_]*")


def _check_states(states: tuple[str, ...]) -> tuple[str, ...]:
    for state in states:
        if not _STATUS.fullmatch(state):
            raise ValueError(
                f"{state[:40]!r} is no order status of Klarna's; they look like CANCELLED"
            )
    return states


class Policies(BaseModel):
    """What an attempt for one account goes by; each is a key of its [accounts.NAME] table."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    acknowledge_pending: bool = Field(default=True, strict=True, description="true or false")
    not_needed_states: Annotated[tuple[str, ...], AfterValidator(_check_states)] = Field(
        default=CLOSED,
        description='a list of Klarna\'s order statuses, such as ["CANCELLED", "CAPTURED"]',
    )

    def leave_nothing_to_acknowledge(self, status: str) -> bool:
        """Whether an order of this status, one of Klarna's, is left as it is."""
        return status in self.not_needed_states


DEFAULT_POLICIES = Policies()
