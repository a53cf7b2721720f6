"""What is written down of a user or a token: its role, its accounts, who made it and when."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pushes.access.principals import GrantView, Principal, UserRole
from pushes.read.views import instant
from pushes.store import codec


@dataclass(frozen=True, slots=True)
class Grant:
    """A principal with its origin."""

    principal: Principal
    made_at: datetime
    made_by: str

    def view(self) -> GrantView:
        """Show it; never a secret."""
        who = self.principal
        return {
            "name": who.name,
            "role": str(who.role),
            "accounts": None if who.accounts is None else list(who.accounts),
            "made_at": instant(self.made_at),
            "made_by": self.made_by,
        }

    def encode(self, **more: str | None) -> str:
        """Write it as JSON, with `more` facts."""
        who = self.principal
        return json.dumps(
            {
                "name": who.name,
                "role": str(who.role),
                "accounts": who.accounts,
                "made_at": codec.epoch(self.made_at),
                "made_by": self.made_by,
                **more,
            }
        )

    @classmethod
    def decode(cls, raw: bytes) -> tuple[Self, Mapping[str, str | None]]:
        """Read it back, with all facts. Raises one of `UNREADABLE` for what is none."""
        facts = json.loads(raw)
        accounts = facts["accounts"]
        who = Principal(
            str(facts["name"]),
            UserRole.of(facts["role"]),
            None if accounts is None else tuple(map(str, accounts)),
        )
        return cls(who, codec.moment(facts["made_at"]), str(facts["made_by"])), facts


# What `Grant.decode` raises.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)
