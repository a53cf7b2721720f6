"""Each scenario of the simulator in its small form. `make simulate` plays the large one."""

from collections import Counter
from dataclasses import replace

import pytest

from devtools.simulation import audit, plan, program, stage
from devtools.simulation.plan import SCENARIOS
from tests.builders import an_order_id

SEED = "1"

# How small a scenario is played here, and which goals so short a one cannot show: after an outage
# of less than a minute, the wait for the probe that ends it is most of the time.
SMALL: dict[str, tuple[float, set[str]]] = {
    "outage": (0.002, {"drained, against the optimum", "fresh pushes meanwhile, p95"}),
    "password": (0.01, set()),
    "flood": (0.0005, set()),
    "calm": (0.005, set()),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_keeps_the_promise_through(name: str) -> None:
    scale, not_shown = SMALL[name]

    result = plan.play(name, scale, SEED)

    assert (result.lost, result.waiting, result.unverified) == (0, 0, 0)
    assert (result.dead, result.faults) == (Counter(), {})
    assert {goal.text for goal in result.missed} <= not_shown
    assert result.orders > 10
    assert result.attempts >= result.orders


def test_it_plays_the_same_again() -> None:
    first, second = (plan.play("calm", 0.002, SEED) for _ in range(2))

    unlike = {"took_s": 0.0, "memory_bytes": 0}
    assert replace(first, **unlike) == replace(second, **unlike)  # type: ignore[arg-type]  # fields of Result


def test_it_gives_up_when_redis_grows_out_of_all_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_MEMORY_LIMIT_BYTES", 1)

    result = plan.play("calm", 0.001, SEED)

    assert [goal.text for goal in result.missed] == ["played to the end"]


def test_it_sees_what_is_lost_and_what_is_dead() -> None:
    with stage.opened(SEED) as opened:
        lost, unknown = an_order_id(), an_order_id()
        opened.shop.pushed_at = dict.fromkeys([lost, unknown], 0.0)
        opened.shop.accepted = {lost, unknown}
        intake = program.SimulatedIntake(opened.ledger, opened.clock)
        intake.push(unknown, "klarna-1")

        assert opened.await_(lambda: not opened.is_quiet(), 10, every_s=1)
        assert opened.await_(opened.is_quiet, 3600, every_s=10)

        ends = audit.look(opened)
    assert (ends.lost, ends.dead) == ([lost], Counter({"no_such_order": 1}))
    assert (ends.acknowledged, ends.waiting) == (0, 0)
