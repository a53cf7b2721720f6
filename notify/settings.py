"""Whom to tell, and when: read by whoever sends messages."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from notify.recipients import Recipient, parse
from pushes.settings import Settings


def _parse(value: object) -> object:
    return parse(value) if isinstance(value, str) else value


class NotifySettings(Settings):
    """The settings of whoever sends messages."""

    recipients: Annotated[tuple[Recipient, ...], BeforeValidator(_parse)] | None = Field(
        None,
        alias="NOTIFY_URLS",
        repr=False,
        description="URLs of apprise such as slack://…, with spaces between",
    )
