import re

import pytest

from sandbox.control.inputs import BadInputError, Fields, parsed
from sandbox.settings import SandboxSettings, changed

_NAMES = ("word", "flag", "number", "whole", "list")


def fields(**raw: object) -> Fields:
    return Fields(raw, _NAMES)


def test_it_gives_the_default_for_what_is_absent() -> None:
    empty = fields()

    assert empty.text("word", "x") == "x"
    assert empty.choice("word", "a", ("a", "b")) == "a"
    assert empty.flag("flag", default=True) is True
    assert empty.number("number", 1.5, 0, 2) == 1.5
    assert empty.whole("whole", 3, 0, 5) == 3
    assert empty.whole_or_none("whole", None, 0, 5) is None
    assert empty.rising("list", (1, 2)) == (1, 2)


def test_it_gives_what_was_sent() -> None:
    given = fields(word="ab", flag=False, number=2, whole=None, list=[1, 2.5])

    assert given.text("word", "x", re.compile("[ab]+")) == "ab"
    assert given.flag("flag", default=True) is False
    assert given.number("number", 1, 0, 2) == 2
    assert given.whole_or_none("whole", 3, 0, 5) is None
    assert given.rising("list", ()) == (1, 2.5)


def test_it_takes_a_number_for_a_word_of_digits() -> None:
    assert fields(word=204).choice("word", "403", ("204", "403")) == "204"


@pytest.mark.parametrize("bad", ["", 5, None, "c", ["a"]])
def test_it_refuses_other_words(bad: object) -> None:
    with pytest.raises(BadInputError, match=r"^word: must be a string like \[ab\]\+$"):
        fields(word=bad).text("word", "a", re.compile("[ab]+"))


@pytest.mark.parametrize("bad", [1, "true", None])
def test_it_refuses_what_resembles_a_flag(bad: object) -> None:
    with pytest.raises(BadInputError, match="flag: must be true or false"):
        fields(flag=bad).flag("flag", default=True)


@pytest.mark.parametrize("bad", [-1, 2.1, True, "1", None, float("nan"), float("inf")])
def test_it_refuses_other_numbers(bad: object) -> None:
    with pytest.raises(BadInputError, match="number: must be a number from 0 to 2"):
        fields(number=bad).number("number", 1, 0, 2)


@pytest.mark.parametrize("bad", [-1, 6, 1.5, True, "1"])
def test_it_refuses_other_whole_numbers(bad: object) -> None:
    with pytest.raises(BadInputError, match="whole: must be a whole number from 0 to 5"):
        fields(whole=bad).whole("whole", 1, 0, 5)


@pytest.mark.parametrize("bad", [[2, 1], [1, 1], [0], ["1"], 5, [True], [float("nan")]])
def test_it_refuses_other_lists(bad: object) -> None:
    with pytest.raises(BadInputError, match="list: must be a list of rising numbers"):
        fields(list=bad).rising("list", ())


def test_it_refuses_a_field_it_does_not_know() -> None:
    with pytest.raises(BadInputError, match="wrod: must be one of the fields word, flag"):
        fields(wrod="x")
    with pytest.raises(BadInputError, match=r"params\.x: must be absent"):
        Fields({"x": 1}, (), "params")


@pytest.mark.parametrize("body", [b"[1]", b'"x"', b"1", b"null"])
def test_it_refuses_what_is_not_an_object(body: bytes) -> None:
    with pytest.raises(BadInputError, match="body: must be a JSON object"):
        Fields(parsed(body), ())


@pytest.mark.parametrize("body", [b"{", b"\xff", b"{} {}"])
def test_it_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(BadInputError, match="body: must be JSON"):
        parsed(body)


def test_it_reads_nothing_as_an_empty_object() -> None:
    assert parsed(b" \n") == {}


def test_it_changes_the_settings_that_are_given_and_no_others() -> None:
    before = SandboxSettings(latency_ms=5, rate_per_s=9)

    after = changed(before, Fields({"rate_per_s": None}, ["rate_per_s"]))

    assert after == SandboxSettings(latency_ms=5, rate_per_s=None)


def test_it_keeps_its_password_out_of_what_it_prints() -> None:
    assert "hush" not in repr(SandboxSettings(password="hush"))
