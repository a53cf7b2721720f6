"""Each scenario of the simulator in its small form. `make simulate` plays the large one."""

from collections import Counter
from dataclasses import replace

import pytest

from devtools.simulation import audit, plan, program, testbed
from devtools.simulation.klarna import faults
from devtools.simulation.plan import SCENARIOS
from devtools.simulation.scenarios import calm
from tests.builders import an_order_id

SEED = "1"

# How small a scenario is played here.
SMALL = {"outage": 0.002, "password": 0.01, "flood": 0.005, "calm": 0.005, "merchant": 0.005}


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_keeps_the_promise_through(name: str) -> None:
    result = plan.play(name, SMALL[name], SEED)

    assert (result.lost, result.waiting, result.unverified) == (0, 0, 0)
    assert (result.dead, result.faults) == (Counter(), {})
    assert result.missed == []
    assert bool(result.not_judged) is (name != "calm")
    assert result.orders > 10
    assert result.attempts >= result.orders


def test_it_plays_the_same_again() -> None:
    first, second = (plan.play("calm", 0.002, SEED) for _ in range(2))

    unlike = {"took_s": 0.0, "memory_bytes": 0}
    assert replace(first, **unlike) == replace(second, **unlike)  # type: ignore[arg-type]  # fields of Result


def test_it_gives_up_when_redis_grows_out_of_all_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testbed, "_MEMORY_LIMIT_BYTES", 1)

    result = plan.play("calm", 0.001, SEED)

    assert [goal.text for goal in result.missed] == ["played to the end"]


def test_it_sees_what_is_lost_and_what_is_dead() -> None:
    with testbed.running_testbed(SEED) as running:
        lost, unknown = an_order_id(), an_order_id()
        running.shop.pushed_at = dict.fromkeys([lost, unknown], 0.0)
        running.shop.accepted = {lost, unknown}
        intake = program.SimulatedIntake(running.ledger, running.clock)
        intake.push(unknown, "klarna-1")

        assert running.await_(lambda: not running.is_quiet(), 10, every_s=1)
        assert running.await_(running.is_quiet, 3600, every_s=10)

        found = audit.look(running)
    assert (found.lost, found.dead) == ([lost], Counter({"no_such_order": 1}))
    assert (found.acknowledged, found.waiting) == (0, 0)


def test_it_tells_of_an_alert_in_a_week_that_is_not_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "rare", faults.outage)
    monkeypatch.setattr(calm, "_PATIENCE_S", 0.0)

    result = plan.play("calm", 0.002, SEED)

    assert "alerts raised" in [goal.text for goal in result.missed]
