"""What a call of Klarna's is made of: what it gets, what it gives, and how it refuses."""

from dataclasses import dataclass

from sandbox.serving.answers import ApiAnswer
from sandbox.settings import SandboxSettings


class RefusedError(Exception):
    """The call is refused with one of Klarna's errors; nothing has changed.

    `code` None is the one that goes with the status, `message` None what Klarna says with it.
    """

    def __init__(self, status: int, message: str | None, code: str | None = None) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, whether a write really took place, and whether it is a replay."""

    answer: ApiAnswer
    effect: bool = False
    replayed: bool = False


#: A write that took place and has nothing to tell: neither Content-Length nor Content-Type (rec).
DONE = Outcome(ApiAnswer(204), effect=True)


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a call needs to know besides its order.

    `item` is the id of the capture or refund in the path, `url` the order's own.
    """

    settings: SandboxSettings
    now_s: float
    body: bytes
    item: str
    url: str

    def created(self, what: str, item: str, id_header: str) -> Outcome:
        """Answer 201 with the place and the id of what was created, and no body (rec)."""
        headers = (("Location", f"{self.url}/{what}/{item}"), (id_header, item))
        return Outcome(ApiAnswer(201, b"", content_type=None, headers=headers), effect=True)
