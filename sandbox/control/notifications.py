"""Control of fraud notifications: send one now.

Klarna sends one when it has decided about the risk of an order, every 10 minutes for 24 hours,
until it gets 200 (doc). Here each is sent once, and changes nothing at the order: what a GET shows
in `fraud_status` is set there, so that the two can disagree.
"""

import json
import re
import time

from sandbox.control.call import ControlCall, http_url_of, order_id_of
from sandbox.control.inputs import BadInputError
from sandbox.pushing.sender import post
from sandbox.serving.answers import ApiAnswer, json_answer

_EVENT_TYPE = re.compile(r"[ -~]{1,64}")
_ACCEPTED = "FRAUD_RISK_ACCEPTED"


def notify(call: ControlCall) -> ApiAnswer:
    """Send a notification of one order; answers when it was answered (max 5 s)."""
    fields = call.fields(["order_id", "event_type", "url"])
    for name in ("order_id", "url"):
        if name not in fields:
            raise BadInputError(name, "given")
    order_id, url = order_id_of(fields, ""), http_url_of(fields, "url")
    event_type = fields.text("event_type", _ACCEPTED, _EVENT_TYPE)
    with call.state.lock:
        call.order(order_id)
    body = json.dumps({"order_id": order_id, "event_type": event_type}).encode()
    began = time.monotonic()
    status = post(url, body)
    ms = round((time.monotonic() - began) * 1000, 1)
    sent = {"order_id": order_id, "event_type": event_type, "url": url}
    return json_answer(201, {**sent, "status": status, "ms": ms})
