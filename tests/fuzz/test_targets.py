"""The properties, with as many examples as a commit has time for; `make fuzz` tries more."""

import pytest

from tests.fuzz.__main__ import NAMES
from tests.fuzz.targets import TARGETS


@pytest.mark.timeout(600)  # a counter-example is made small first
@pytest.mark.parametrize("name", NAMES)
def test_it_holds_whatever_comes(redis_url: str, name: str) -> None:
    with TARGETS[name](redis_url) as look_for_a_counter_example:
        look_for_a_counter_example()


def test_every_surface_can_be_fuzzed() -> None:
    assert tuple(TARGETS) == NAMES
