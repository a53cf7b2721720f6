"""Whoever asks: a user of the console or a token of the API, with a role and accounts. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import TypedDict

from pushes.model import ExplainedWord, is_account

# As an e-mail address or a login name, lower-cased: what a proxy or a directory calls its users.
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


class UserRole(ExplainedWord):
    """What somebody may do. Each role may do what those before it may."""

    VIEWER = "viewer", "Sees everything and changes nothing."
    OPERATOR = "operator", "Replays, discards, retries, pauses and resumes."
    ADMIN = "admin", "Sees the settings and who has access, too."

    def includes(self, other: "UserRole") -> bool:
        """Whether this role may do what `other` may."""
        order = list(UserRole)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `accounts` limits it to some; None is every account."""

    name: str
    role: UserRole
    accounts: tuple[str, ...] | None = None

    def __str__(self) -> str:
        limit = "" if self.accounts is None else f", only {', '.join(self.accounts)}"
        return f"{self.name}, {self.role}{limit}"

    def may(self, role: UserRole) -> bool:
        """Whether it may do what this role may."""
        return self.role.includes(role)

    def sees(self, account: str) -> bool:
        """Whether it may see and touch this account."""
        return self.accounts is None or account in self.accounts


class GrantView(TypedDict):
    """What somebody may do. `accounts` is null when that is every account."""

    name: str
    role: str
    accounts: list[str] | None
    made_at: str
    made_by: str


class AccessNameError(ValueError):
    """A name or an account that nobody can have."""


def check_name(name: str) -> str:
    """Return `name`, lower-cased. Raises AccessNameError unless it has the shape of a name."""
    lowered = name.strip().lower()
    if not _NAME.fullmatch(lowered):
        raise AccessNameError(
            f"name {name[:40]!r}: use 1 to 64 of a-z, 0-9 and '.', '_', '@', '+', '-', beginning"
            " with a letter or a digit"
        )
    return lowered


def check_accounts(accounts: Sequence[str]) -> tuple[str, ...] | None:
    """Return the accounts of a limit; None when there are none. Raises AccessNameError."""
    for account in accounts:
        if not is_account(account):
            raise AccessNameError(f"account {account[:40]!r}: use 1 to 32 of a-z, 0-9 and '-'")
    return tuple(dict.fromkeys(accounts)) or None
