"""The notification endpoint: check, store, answer. Never talks to Klarna.

What a notification says is believed only once a worker has seen it in Klarna's API.
"""

from datetime import UTC, datetime

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from redis.exceptions import RedisError
from werkzeug.exceptions import BadRequest

from pushes import fraud, log
from pushes.log import trace
from pushes.model import PushKey, is_order_id
from pushes.store import codec
from service import deps
from service.errors import not_stored
from service.push import intake
from service.push.refusals import RefusedPushError

_log = log.get(__name__)

blueprint = Blueprint("notification", __name__)
blueprint.register_error_handler(RedisError, not_stored)


class FraudNotification(BaseModel):
    """The body of a fraud notification; whatever else Klarna puts into it is ignored."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    order_id: str
    event_type: str

    @field_validator("order_id")
    @classmethod
    def _check_order_id(cls, text: str) -> str:
        if not is_order_id(text.lower()):
            raise ValueError("it must have the shape 8-4-4-4-12 of 0-9 and a-f")
        return text.lower()

    @field_validator("event_type")
    @classmethod
    def _check_event_type(cls, text: str) -> str:
        if not fraud.is_event_type(text):
            raise ValueError("it must be a word of at most 64 letters, digits, '_', '.' and '-'")
        return text


def take(account: str | None = None) -> Response:
    """Take one notification: `/notification`, `/notification/<account>`.

    Answers 200 only after Redis confirmed it. Refuses a wrong account or token (404), a body that
    is no notification (400) and a large one (413); whatever fails on our side is a 503, and Klarna
    sends it again. So is one from an unverified source while thousands of pushes of such wait.
    """
    uses = deps.current()
    name = intake.default_account(uses.settings) if account is None else account
    try:
        body = intake.read_body()
        intake.refuse_wrong_token(name, uses.settings)
        wanted = _read(body)
        key = PushKey(name, wanted.order_id)
        push = intake.store(
            name,
            uses,
            lambda origin: uses.ledger.notify(key, wanted.event_type, datetime.now(UTC), origin),
        )
    except RefusedPushError as error:
        known = name if name in uses.settings.tokens else None
        uses.refusals.note(known, error.reason)
        raise error.answer from error

    _log.info(
        "notification.accepted",
        order_id=key.order_id,
        account=name,
        event_type=wanted.event_type,
        state=str(push.state),
        trace_id=trace.trace_id(push),
    )
    answer = {"order_id": key.order_id, "account": name, "state": str(push.state)}
    return Response(codec.to_json(answer), mimetype="application/json")


for _path in ("/notification", "/notification/<account>"):
    blueprint.add_url_rule(
        _path,
        view_func=take,
        methods=["POST"],
        strict_slashes=False,
        provide_automatic_options=False,  # as for pushes
    )


def _read(body: bytes) -> FraudNotification:
    try:
        return FraudNotification.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise BadRequest(
            f"This is no fraud notification: {where}: {first['msg']}. Expected is JSON such as"
            ' {"order_id": "…", "event_type": "FRAUD_RISK_ACCEPTED"}.'
        ) from error
