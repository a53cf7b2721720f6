from dataclasses import dataclass

from sandbox.state import NumberedLog


@dataclass
class LogLine:
    seq: int
    order_id: str | None


def log_of(*order_ids: str | None) -> NumberedLog[LogLine]:
    log = NumberedLog[LogLine]()
    for order_id in order_ids:
        log.add(LogLine(log.next_seq, order_id))
    return log


def test_it_numbers_entries_from_1() -> None:
    assert [line.seq for line in log_of("a", None, "b").since(0)] == [1, 2, 3]


def test_it_gives_what_came_after_a_number() -> None:
    log = log_of("a", "b", "c")

    assert [line.seq for line in log.since(2)] == [3]
    assert log.since(3) == []
    assert log.since(99) == []


def test_it_gives_the_entries_of_one_order() -> None:
    assert [line.seq for line in log_of("a", "b", None, "a").since(1, "a")] == [4]


def test_it_goes_on_counting_after_it_forgot() -> None:
    log = log_of("a", "b")

    log.forget()
    log.add(LogLine(log.next_seq, "c"))

    assert [line.seq for line in log.since(0)] == [3]
    assert [line.seq for line in log.since(2)] == [3]
    assert log.since(3) == []
