import pytest

from sandbox.api.merchant import KEPT_S, FirstAnswers
from sandbox.serving.answers import ApiAnswer


def test_it_gives_the_first_answer_to_a_known_key() -> None:
    first = FirstAnswers()
    first.keep("key", ApiAnswer(204), 0, keeps="any")

    assert first.find("key", 1) == ApiAnswer(204)
    assert first.find("another", 1) is None


def test_it_remembers_nothing_without_a_key() -> None:
    first = FirstAnswers()
    first.keep(None, ApiAnswer(204), 0, keeps="any")

    assert first.find(None, 0) is None


def test_it_forgets_a_key_after_24_hours() -> None:
    first = FirstAnswers()
    first.keep("key", ApiAnswer(204), 100, keeps="any")

    assert KEPT_S == 24 * 3600
    assert first.find("key", 100 + KEPT_S - 1) == ApiAnswer(204)
    assert first.find("key", 100 + KEPT_S) is None


def test_it_keeps_a_new_first_answer_once_the_old_one_expired() -> None:
    first = FirstAnswers()
    first.keep("key", ApiAnswer(403), 0, keeps="any")
    first.keep("key", ApiAnswer(204), KEPT_S, keeps="any")

    assert first.find("key", KEPT_S + 1) == ApiAnswer(204)


@pytest.mark.parametrize(
    ("status", "keeps", "kept"),
    [
        (204, "any", True),
        (204, "2xx", True),
        (404, "any", True),
        (404, "2xx", False),
        (500, "any", False),
        (503, "2xx", False),
    ],
)
def test_it_keeps_errors_as_told_and_never_a_5xx(status: int, keeps: str, *, kept: bool) -> None:
    first = FirstAnswers()

    first.keep("key", ApiAnswer(status), 0, keeps=keeps)

    assert (first.find("key", 1) is not None) is kept
