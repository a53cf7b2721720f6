"""Whom to tell, and when: read by whoever sends messages."""

from datetime import time
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from notify.recipients import Recipient, parse
from pushes.settings import Settings


def _parse(value: object) -> object:
    return parse(value) if isinstance(value, str) else value


def _check_time(value: time, info: ValidationInfo) -> time:
    if value.tzinfo is not None:
        raise ValueError("it is a time of UTC; give it without a zone, such as 07:00")
    if not info.data.get("recipients"):
        raise ValueError("it goes with NOTIFY_URLS, which says who gets the digest; set both")
    return value


class NotifySettings(Settings):
    """The settings of whoever sends messages."""

    recipients: Annotated[tuple[Recipient, ...], BeforeValidator(_parse)] | None = Field(
        None,
        alias="NOTIFY_URLS",
        repr=False,
        description="URLs of apprise such as slack://…, with spaces between",
    )
    digest_at: Annotated[time, AfterValidator(_check_time)] | None = Field(
        None,
        alias="NOTIFY_DIGEST_AT",
        description="a time of day in UTC, such as 07:00",
    )
