from sandbox.pushing.schedule import KLARNA_SCHEDULE_S, due_at_s

_MINUTE_S = 60
_HOUR_S = 3600


def test_it_has_klarnas_times() -> None:
    early = [5 * _MINUTE_S, 15 * _MINUTE_S, 30 * _MINUTE_S, 60 * _MINUTE_S]
    late = [hours * _HOUR_S for hours in range(5, 48, 4)]

    assert list(KLARNA_SCHEDULE_S) == early + late
    assert len(KLARNA_SCHEDULE_S) == 15
    assert KLARNA_SCHEDULE_S[-1] + 4 * _HOUR_S > 48 * _HOUR_S >= KLARNA_SCHEDULE_S[-1]


def test_it_counts_every_push_from_the_first() -> None:
    due = [due_at_s(1000, (300, 900), taken) for taken in range(4)]

    assert due == [1000, 1300, 1900, None]


def test_it_pushes_once_when_there_are_no_resends() -> None:
    assert [due_at_s(5, (), taken) for taken in range(2)] == [5, None]
