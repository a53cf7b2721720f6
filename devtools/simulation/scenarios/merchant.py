"""A merchant's own system fails, then hangs, then is slow, an hour each; another account is served.

Orders are handed over to it before they are acknowledged. What waits when it is well again is
handed over in the order of the deadlines, which is that of the first pushes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from devtools.reporting.goals import Bound, Goal
from devtools.reporting.markdown import duration
from devtools.reporting.numbers import percentile
from devtools.simulation import audit
from devtools.simulation.merchant import HANGING_S, WELL_S, MerchantModel
from devtools.simulation.outcome import ResultBuilder
from devtools.simulation.result import ScenarioResult
from devtools.simulation.testbed import SimulationTestbed

_HOURS = 1.0
_RATE_PER_S = 2.0
# While it is slow so many orders come that those under way would take all places of both workers.
_BUSY_RATE_PER_S = 12.0
_SLOW_S = (13.0, 14.5)
_OTHERS_RATE_PER_S = 2.0
_PATIENCE_S = 2 * 3600.0
_P95 = 0.95
_NOTICED_S = 0.01
# The probe that ends a hold is one of the most urgent orders or the last one that came; what was
# under way when the hold began has a retry planned. Nothing else may be out of order.
_OUT_OF_ORDER_S = 60.0
_PROBES = 2
# A smaller run has too few orders for its median to say anything of 10 ms.
_JUDGED_FROM_SCALE = 0.5


@dataclass(frozen=True, slots=True)
class _ShopTrouble:
    """One way to be in trouble, at which rate of orders, and whether the account is held for it."""

    name: str
    begin: Callable[[MerchantModel], None]
    rate_per_s: float
    is_held: bool


def _fail(merchant: MerchantModel) -> None:
    merchant.is_failing = True


def _hang(merchant: MerchantModel) -> None:
    merchant.is_failing, merchant.takes_s = True, (HANGING_S, HANGING_S)


def _be_slow(merchant: MerchantModel) -> None:
    merchant.takes_s = _SLOW_S


def _be_well(merchant: MerchantModel) -> None:
    merchant.is_failing, merchant.takes_s = False, WELL_S


_TROUBLES = (
    _ShopTrouble("failing", _fail, _RATE_PER_S, is_held=True),
    _ShopTrouble("hanging", _hang, _RATE_PER_S, is_held=True),
    _ShopTrouble("slow", _be_slow, _BUSY_RATE_PER_S, is_held=False),
)


def run(testbed: SimulationTestbed, scale: float) -> ScenarioResult:
    """Play it; `scale` shortens each of the three hours, and the one before."""
    over_s = _HOURS * 3600 * scale
    clock, shop = testbed.clock, testbed.shop
    testbed.other_shop.sell(_OTHERS_RATE_PER_S)
    shop.sell(_RATE_PER_S)
    clock.sleep(over_s)
    alone = _others_waits_s(testbed, 0, clock.monotonic())
    goals: list[Goal] = []
    notes: list[str] = []
    for trouble in _TROUBLES:
        shop.sell(trouble.rate_per_s)
        trouble.begin(testbed.merchant)
        since_s = clock.monotonic()
        clock.sleep(over_s)
        _be_well(testbed.merchant)
        shop.sell(0)
        well_s = clock.monotonic()
        left = [one for one in shop.pushed_at if one not in testbed.merchant.taken_at]
        testbed.await_(_is_drained(testbed, left), _PATIENCE_S, every_s=1.0)
        beside = _others_waits_s(testbed, since_s, well_s)
        goals += _goals(trouble.name, alone, beside, scale)
        handed_over = sorted(left, key=lambda one: testbed.merchant.asked_at.get(one, float("inf")))
        ahead = _out_of_order(handed_over, shop.pushed_at)
        which = f"{trouble.name}: orders handed over before earlier ones"
        goals.append(Goal(which, ahead, _PROBES))
        notes.append(
            f"{trouble.name}: {len(left):,} orders wait when it is well again, and are handed over"
            f" {duration(clock.monotonic() - well_s)} later; the other account's median is"
            f" {median(beside) * 1000:.1f} ms, {median(alone) * 1000:.1f} ms without"
        )
    testbed.other_shop.sell(0)
    testbed.await_(testbed.is_quiet, 3600, every_s=10.0)

    builder = ResultBuilder(
        "merchant",
        f"the merchant's own system fails, hangs for {HANGING_S:g} s a call, then takes"
        f" {_SLOW_S[0]:g} to {_SLOW_S[1]:g} s an order, {duration(over_s)} each; with"
        f" {_RATE_PER_S:g} orders/s, {_BUSY_RATE_PER_S:g} orders/s while it is slow",
        testbed,
    )
    result = builder.result
    result.notes += notes
    builder.measure_fresh("in all", 0, over_s)
    held = sum(trouble.is_held for trouble in _TROUBLES)
    result.goals += [
        *builder.always(),
        Goal("orders handed over again", testbed.merchant.repeats, 0),
        Goal("alerts raised", result.alarms, held, bound=Bound.EXACTLY),
        *goals,
    ]
    return result


def _is_drained(testbed: SimulationTestbed, left: list[str]) -> Callable[[], bool]:
    """Tell whether the merchant has all that was left, as a condition to wait for."""
    waiting = list(left)

    def is_drained() -> bool:
        while waiting and waiting[-1] in testbed.merchant.taken_at:
            waiting.pop()
        return not waiting

    return is_drained


def _goals(trouble: str, alone: list[float], beside: list[float], scale: float) -> list[Goal]:
    longer_s = {
        "median": median(beside) - median(alone),
        "p95": percentile(beside, _P95) - percentile(alone, _P95),
    }
    return [
        Goal(
            f"{trouble}: what another account's push takes longer, {which}",
            by_s * 1000,
            _NOTICED_S * 1000,
            "ms",
            is_judged=scale >= _JUDGED_FROM_SCALE,
        )
        for which, by_s in longer_s.items()
    ]


def _others_waits_s(testbed: SimulationTestbed, since_s: float, until_s: float) -> list[float]:
    return audit.waits_s(testbed.other_shop, testbed.other_klarna, since_s, until_s)


def _out_of_order(handed_over: list[str], pushed_at: dict[str, float]) -> int:
    """Count the orders that overtook another by more than a minute, in the order of hand-over."""
    earliest_s, overtaking = float("inf"), 0
    for order_id in reversed(handed_over):
        overtaking += pushed_at[order_id] > earliest_s + _OUT_OF_ORDER_S
        earliest_s = min(earliest_s, pushed_at[order_id])
    return overtaking
