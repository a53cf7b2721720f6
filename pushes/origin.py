"""Who pushed, from where, and with what: what a push tells besides its order. Pure."""

from dataclasses import dataclass

from pushes.model import TRUSTED, Lane, Push


@dataclass(frozen=True, slots=True)
class Origin:
    """Who pushed: the event's name, an operator's, the network, its lane, its `traceparent`.

    `target` is what of its URL a shop's plugin is to get.
    """

    event: str = "pushed"
    by: str | None = None
    source: str | None = None
    lane: Lane = Lane.FRESH
    trace: str | None = None
    target: str | None = None


KLARNA = Origin()


def target_of(push: Push, origin: Origin) -> str | None:
    """Choose what a plugin gets of the URLs that an order was pushed to, while it gets any.

    The first counts, unless a trusted source brings another: anybody can push a known order.
    """
    if push.handed_over_at or origin.target is None:
        return push.push_target
    is_better = push.push_target is None or origin.source == TRUSTED
    return origin.target if is_better else push.push_target
