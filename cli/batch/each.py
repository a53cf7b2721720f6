"""Doing one thing to many orders, with an account of each: done, refused, or not reached.

When Redis fails on the way, or an operator presses ctrl-c, what was done is printed all the
same, and the rest stays as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from redis.exceptions import RedisError

from cli.batch.pace import Pace
from cli.exits import Refused, what_happened
from pushes.model import Push, PushKey
from pushes.operate.replay import NotDeadError
from pushes.read import views
from pushes.store.ledger import Ledger


class RefusedOrder(TypedDict):
    """An order that was left as it is, and why."""

    order_id: str
    account: str
    detail: str


@dataclass
class Done:
    """What was done to each order so far."""

    items: list[views.Brief] = field(default_factory=list)
    refused: list[RefusedOrder] = field(default_factory=list)

    def add(self, key: PushKey, act: Callable[[PushKey], Push]) -> None:
        """Do `act` to one order and note what came of it."""
        try:
            push = act(key)
        except NotDeadError as error:
            self.refused.append(
                {"order_id": key.order_id, "account": key.account, "detail": str(error)}
            )
        else:
            self.items.append(views.brief(push))

    def finish(self, tell: Callable[["Done"], None]) -> None:
        """Print it all. Raises Refused when any was refused."""
        tell(self)
        if self.refused:
            total = len(self.items) + len(self.refused)
            raise Refused(f"{len(self.refused)} of {total} were refused.")


def each(  # noqa: PLR0913 - the parts of one sentence: do this to these, at this pace, and tell
    ledger: Ledger,
    wanted: Sequence[PushKey],
    act: Callable[[PushKey], Push],
    *,
    participle: str,
    pace: Pace,
    tell: Callable[[Done], None],
) -> None:
    """Do `act` to every order, then `tell` what came of it.

    `participle` says what is done, for example "replayed". Raises RedisError when Redis is away
    before the first, and Refused when it fails later, after ctrl-c, or when any was refused.
    """
    ledger.redis.ping()
    done = Done()
    for key in wanted:
        try:
            pace.wait()
            done.add(key, act)
        except RedisError as error:
            happened = f"{what_happened(error)}: whether {key.order_id} was {participle} is not"
            remedy = "Accepted pushes are safe in Redis. Bring Redis back, then run"
            stopped = f"{happened} known. {remedy}"
        except KeyboardInterrupt:
            stopped = f"Interrupted at {key.order_id}. To go on, run"
        else:
            continue
        if done.items or done.refused:
            tell(done)
        raise Refused(
            f"{stopped} the same command again: what was {participle} is not {participle} twice."
            f" So far {len(done.items)} of {len(wanted)} were {participle}."
        )
    done.finish(tell)
