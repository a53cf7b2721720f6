"""The surfaces. Each makes its property over an empty Redis of its own."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

from tests.fuzz import klarna_answers, requests_in, stored_records

# Called, it looks for a counter-example; its `hypothesis.fuzz_one_input` tries one input.
Property = Callable[[], None]
Target = Callable[[str], AbstractContextManager[Property]]

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "requests": requests_in.opened,
        "answers": klarna_answers.opened,
        "records": stored_records.opened,
    }
)
