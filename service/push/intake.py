"""The push endpoint: check, enqueue, answer. Never talks to Klarna."""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint, Response, after_this_request, request
from redis.exceptions import RedisError
from werkzeug.exceptions import BadRequest, NotFound, RequestEntityTooLarge, ServiceUnavailable

from pushes import log, telemetry
from pushes.accounts.settings import DEFAULT_ACCOUNT
from pushes.accounts.sources import SEEN_FROM
from pushes.log import trace
from pushes.model import Push, PushKey, is_order_id
from pushes.origin import Origin
from pushes.store import codec
from pushes.store.counted.refusals import RefusalReason
from service import deps
from service.deps import Deps
from service.errors import RETRY_AFTER_S, not_stored
from service.push import order_id
from service.push.admission import TooManyWaitingError
from service.push.forwarded import MAX_CHARS, forwarded_part
from service.push.refusals import RefusedPushError
from service.settings import WebSettings

_log = log.get(__name__)

# A push has an empty body; whatever else comes along is read up to here and ignored.
MAX_BODY_BYTES = 64 * 1024

# So much of a body that is too large is still read; then the connection is closed on the sender.
_PATIENCE_BYTES = 2 * 1024 * 1024

blueprint = Blueprint("intake", __name__)
blueprint.register_error_handler(RedisError, not_stored)


def take(first: str | None = None, second: str | None = None) -> Response:
    """Take one push: `/push`, `/push/<order_id>`, `/push/<account>`, `/push/<account>/<order_id>`.

    And `/push/<account>/<path>`, where a shop's plugin gets the pushes: that is the plugin's path.

    Answers 200 only after Redis confirmed the push. Refuses a wrong account or token (404), a
    missing or malformed order id (400) and a large body (413); whatever fails on our side is a
    503, and Klarna sends the push again. So is a push from an unverified source while thousands
    of them wait.
    """
    uses = deps.current()
    account, in_path = _split_path(first, second, uses.settings)
    try:
        read_body()
        refuse_wrong_token(account, uses.settings)
        wanted = _order_id(account, in_path, uses.settings)
        key = PushKey(account, wanted)
        target = _target(key, in_path, uses.settings)
        push = store(
            account, uses, lambda origin: uses.ledger.accept(key, datetime.now(UTC), origin), target
        )
    except RefusedPushError as error:
        known = account if account in uses.settings.tokens else None
        if error.reason is RefusalReason.MALFORMED_ID and uses.settings.tokens[account]:
            after_this_request(_say_whence)
        uses.refusals.note(known, error.reason, _named_order(account, in_path, uses.settings))
        raise error.answer from error

    _log.info(
        "push.accepted",
        order_id=wanted,
        account=account,
        state=str(push.state),
        pushes=push.pushes,
        trace_id=trace.trace_id(push),
    )
    answer = {"order_id": wanted, "account": account, "state": str(push.state)}
    return Response(codec.to_json(answer), mimetype="application/json")


def take_with_path(first: str, second: str) -> Response:
    """Take a push whose URL has the path of a shop's plugin behind the account."""
    if first not in deps.current().settings.forwarded:
        raise NotFound
    return take(first, second)


def store(
    account: str, uses: Deps, take_in: Callable[[Origin], Push], target: str | None = None
) -> Push:
    """Store what came for an account, on Redis's word. Raises RefusedPushError or RedisError."""
    source = uses.sources.of(request.remote_addr, account)
    brought = trace.read(request.headers.get(trace.HEADER))
    with uses.breaker.guard():
        try:
            lane = uses.admission.lane_of(source, account)
        except TooManyWaitingError as error:
            detail = "Too many pushes of unknown senders wait. Send it again later."
            answer = ServiceUnavailable(detail, retry_after=RETRY_AFTER_S)
            raise RefusedPushError(RefusalReason.UNVERIFIED, answer) from error
        with telemetry.taking(brought) as span:
            push = take_in(Origin(source=source, lane=lane, trace=span.traceparent, target=target))
            span.note(push)
            return push


for _path, _view in (
    ("/push", take),
    ("/push/<first>", take),
    ("/push/<first>/<second>", take),
    ("/push/<first>/<path:second>", take_with_path),
):
    blueprint.add_url_rule(
        _path,
        view_func=_view,
        methods=["POST"],
        strict_slashes=False,
        provide_automatic_options=False,  # OPTIONS is refused like every method but POST
    )


def read_body() -> bytes:
    """Read what came along, so that the answer reaches a sender who is still sending.

    Raises RefusedPushError when it is too large.
    """
    body, size = b"", 0
    try:
        while size <= _PATIENCE_BYTES and (part := request.stream.read(MAX_BODY_BYTES)):
            size += len(part)
            body += part if size <= MAX_BODY_BYTES else b""
    except Exception as error:  # servers differ in how they say that a body is none
        raise BadRequest("The body could not be read to its end.") from error
    if size > MAX_BODY_BYTES:
        raise RefusedPushError(RefusalReason.TOO_LARGE, RequestEntityTooLarge())
    return body


def _split_path(
    first: str | None, second: str | None, settings: WebSettings
) -> tuple[str, str | None]:
    """Tell the account and the order id in the path apart."""
    if second is not None:
        return str(first), second
    names, alone = list(settings.tokens), default_account(settings)
    if first is None:
        return alone, None
    if first in names:
        return first, None
    if not is_order_id(first.lower()) and _names_an_order(settings):
        return first, None  # an account nobody knows: refused as such, not as an order id
    return alone, first


def default_account(settings: WebSettings) -> str:
    """Name the account that is meant when the path names none."""
    names = list(settings.tokens)
    return names[0] if len(names) == 1 else DEFAULT_ACCOUNT


def _names_an_order(settings: WebSettings) -> bool:
    """Whether the query names one, so that a single path segment must be meant as an account."""
    return any(request.args.get(name) for name in settings.order_id_params)


def refuse_wrong_token(account: str, settings: WebSettings) -> None:
    """Raise RefusedPushError for an account that is not configured, or without its token."""
    if account not in settings.tokens:
        raise RefusedPushError(RefusalReason.UNKNOWN_ACCOUNT, NotFound())
    token = settings.tokens[account]
    given = request.args.get("token", "")
    if token and not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        raise RefusedPushError(RefusalReason.WRONG_TOKEN, NotFound())


def _order_id(account: str, in_path: str | None, settings: WebSettings) -> str:
    try:
        if in_path is not None and account in settings.forwarded:  # then it is the plugin's path
            in_path = order_id.segment(in_path) or (None if _names_an_order(settings) else in_path)
        if in_path is not None:
            return order_id.read(in_path, "the path")
        found = order_id.find(settings.order_id_params, request.args)
    except order_id.OrderIdError as error:
        detail = f"{str(error)[0].upper()}{str(error)[1:]}"
        raise RefusedPushError(RefusalReason.MALFORMED_ID, BadRequest(detail)) from error
    if found is None:
        detail = (
            "The push names no order. Put the id into the URL, for example "
            "/push?klarna_order_id={checkout.order.id}; understood are "
            f"{', '.join(settings.order_id_params)} and /push/ORDER_ID."
        )
        raise RefusedPushError(RefusalReason.MALFORMED_ID, BadRequest(detail))
    return found


def _target(key: PushKey, in_path: str | None, settings: WebSettings) -> str | None:
    """Return what of this push's URL a plugin gets, if one does; log when it cannot get it."""
    if key.account not in settings.forwarded:
        return None
    token = settings.tokens[key.account]
    found = forwarded_part(
        in_path or "", request.query_string, token.get_secret_value() if token else None
    )
    if found is None:
        _log.warning(
            "push.not_forwardable",
            order_id=key.order_id,
            account=key.account,
            meaning="the shop's plugin gets the order id, and nothing else of this push's URL: it"
            f" has more than {MAX_CHARS} characters, or a path that leads elsewhere than it says",
            action="put the push URL at Klarna right",
        )
    return found


def _say_whence(answer: Response) -> Response:
    """Tell who has the token by which address it is known here: for `klarna-ack doctor`."""
    answer.headers[SEEN_FROM] = request.remote_addr or ""
    return answer


def _named_order(account: str, in_path: str | None, settings: WebSettings) -> str | None:
    """Return the order that a refused push names, if it names one."""
    try:
        return _order_id(account, in_path, settings)
    except RefusedPushError:
        return None
