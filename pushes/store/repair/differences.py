"""What a sweep finds to differ from the records, and mends."""

from dataclasses import dataclass

from pushes.model import ExplainedWord, PushKey


class DifferenceKind(ExplainedWord):
    """What was found, with what it means."""

    PHANTOM = "phantom", "It stands in an index that its record knows nothing of."
    MISSING = "missing", "It does not stand in an index where its record says it should."
    ORPHAN = "orphan", "It waits, and its job stands nowhere."
    JOBLESS = "jobless", "It is dead, and its job stands nowhere."
    UNREADABLE = "unreadable", "Its record cannot be read."
    FOREIGN = "foreign", "An index names what is no order."
    WRONG_TYPE = "wrong_type", "A key is of a wrong type."
    FORGOTTEN = "forgotten", "An account with orders stands in no list of accounts with some."


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: where, and of which order, if of one."""

    kind: DifferenceKind
    place: str
    key: PushKey | None = None

    def __str__(self) -> str:
        order = f" {self.key.account} {self.key.order_id}" if self.key else ""
        return f"{self.kind} {self.place}{order}"
