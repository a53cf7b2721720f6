"""Whether everything is all right, in a sentence, and what is not. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pushes.accounts.holds import Standing
from pushes.model import State
from pushes.read.at_risk import OVERDUE
from pushes.read.overview import Overview
from service.ops.words import number, span

# With workers and Klarna well an order waits for a second. After so long something is wrong that
# may have no other sign yet.
_WAITING_LONG_S = 15 * 60

# Klarna's last pushes are hours apart: less than this is the time to look by hand.
_SOON_H = 4


class Level(StrEnum):
    """How things are, best first."""

    GOOD = "good"
    ATTENTION = "attention"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that is not all right: what it is, what to do, and the page to do it on."""

    level: Level
    what: str
    action: str
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Headline:
    """The sentence, and its points, the worst first."""

    level: Level
    sentence: str
    points: tuple[Point, ...]


def judge(seen: Overview, states: Mapping[State, int]) -> Headline:
    """Judge what was seen of the accounts that the reader may see; `states` are of those, too."""
    points = sorted(
        [
            *_of_workers(seen),
            *_of_accounts(seen.standings),
            *_of_orders(seen, states),
            *_of_us(seen),
        ],
        key=lambda point: list(Level).index(point.level),
        reverse=True,
    )
    if not points:
        waiting = sum(states[state] for state in states if state.is_waiting)
        sentence = "Everything is all right."
        sentence += f" {_orders(waiting)} on the way." if waiting else " Nothing waits."
        return Headline(Level.GOOD, sentence, ())
    worst = points[0].level
    if worst is Level.BAD:
        return Headline(worst, "Something is wrong.", tuple(points))
    needs = "One thing needs" if len(points) == 1 else f"{len(points)} things need"
    return Headline(worst, f"Pushes are served. {needs} you.", tuple(points))


def _of_workers(seen: Overview) -> Iterator[Point]:
    workers = seen.workers
    if not workers.ours:
        yield Point(
            Level.BAD,
            "No worker is alive, so no order is acknowledged.",
            "Start one: python -m worker. Pushes are accepted meanwhile and wait.",
        )
    if workers.suspended:
        yield Point(
            Level.BAD,
            "The workers are told to take no jobs, by `rq suspend`.",
            "`rq resume` lets them go on.",
        )
    if workers.skewed:
        yield Point(
            Level.BAD if workers.skewed == workers.ours else Level.ATTENTION,
            f"{number(workers.skewed)} of {number(workers.ours)} workers take no jobs, since their"
            " clocks are wrong.",
            "Let NTP set the clocks of those machines.",
        )
    if workers.others:
        yield Point(
            Level.ATTENTION,
            "Workers that are none of ours, and cannot do its jobs, are on our queue:"
            f" {number(workers.others)}.",
            "Stop whatever runs `rq worker` there.",
        )


def _of_accounts(standings: Mapping[str, Standing]) -> Iterator[Point]:
    for name, standing in standings.items():
        if standing.hold:
            hold = standing.hold
            yield Point(
                Level.ATTENTION if hold.by else Level.BAD,
                f"The account {name} is held ({hold.reason}): {hold.cause}",
                "Resume it when that is over."
                if hold.by
                else "It is tried once a minute and resumes by itself.",
                "ops.accounts.page",
            )
        if standing.unserved_since:
            yield Point(
                Level.BAD,
                f"Orders of the account {name} wait, and no worker has its credentials.",
                "Add it to the workers' ACCOUNTS_FILE and restart them.",
                "ops.accounts.page",
            )


def _of_orders(seen: Overview, states: Mapping[State, int]) -> Iterator[Point]:
    for group in seen.at_risk:
        if group.orders and group.under_h == OVERDUE:
            yield Point(
                Level.BAD,
                f"{_orders(group.orders)} past the deadline: Klarna pushes them no more.",
                "They are still tried. Look at them, and at what keeps them.",
                "ops.dead.page",
            )
        elif group.orders and group.under_h == _SOON_H:
            yield Point(
                Level.ATTENTION,
                f"{_orders(group.orders)} within {_SOON_H} hours of the deadline.",
                "Look at what keeps them.",
                "ops.dead.page",
            )
    if dead := states[State.DEAD]:
        yield Point(
            Level.ATTENTION,
            f"{number(dead)} dead {'letter waits' if dead == 1 else 'letters wait'} for you.",
            "Read why, then replay or discard.",
            "ops.dead.page",
        )
    waiting_s, is_held = seen.oldest_waiting_s, any(it.hold for it in seen.standings.values())
    if waiting_s and waiting_s > _WAITING_LONG_S and not is_held:
        yield Point(
            Level.ATTENTION,
            f"An order has waited for {span(waiting_s)}.",
            "Look at the orders that are retrying.",
            "ops.orders.page",
        )


def _of_us(seen: Overview) -> Iterator[Point]:
    for alarm in seen.alarms:
        yield Point(Level.BAD, alarm.meaning, alarm.action)
    if seen.unreadable:
        yield Point(
            Level.ATTENTION,
            f"{number(len(seen.unreadable))} facts in Redis cannot be read, and are missing here:"
            f" {seen.unreadable[0]}",
            "`klarna-ack doctor` says more.",
        )


def _orders(count: int) -> str:
    return "1 order is" if count == 1 else f"{number(count)} orders are"
