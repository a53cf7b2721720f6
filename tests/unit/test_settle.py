from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from pushes.model import State
from tests.builders import NOW, a_push
from worker.attempt.settle import log_step


@pytest.mark.parametrize("state", [State.RETRYING, State.HELD, State.DEAD])
@pytest.mark.parametrize(("hours", "overdue"), [(47, False), (48, True)])
def test_it_marks_what_is_not_settled_by_its_deadline(
    state: State,
    hours: float,
    overdue: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    push = a_push(state, changed_at=NOW + timedelta(hours=hours))

    with capture_logs() as logged:
        log_step(push)

    assert [(line["event"], line["overdue"]) for line in logged] == [(f"push.{state}", overdue)]


def test_it_writes_the_time_of_the_next_attempt_like_every_other() -> None:
    with capture_logs() as logged:
        log_step(a_push(State.RETRYING))

    assert [line["next_attempt_at"] for line in logged] == ["2026-03-01T12:00:05.000Z"]
