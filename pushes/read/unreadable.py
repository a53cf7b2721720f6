"""Facts in Redis that this program did not write like that: each is left out and named.

So one of them costs only itself: whoever asks how everything is gets all the others.
"""

from collections.abc import Callable
from typing import TypeVar

from redis.exceptions import ResponseError

_Raw = TypeVar("_Raw")
_Fact = TypeVar("_Fact")
_Default = TypeVar("_Default")

# So much is said of what is wrong with a fact.
_SAID = 60


class Unreadable:
    """Collects what could not be read, a sentence each."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def ask(self, name: str, ask: Callable[[], _Fact], otherwise: _Default) -> _Fact | _Default:
        """Return what `ask` returns; `otherwise`, and note the fact's name, when it is no fact.

        Raises the RedisError of whatever else than a key of a wrong type.
        """
        try:
            return ask()
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):  # behind the command, from a pipeline
                raise
            self.sentences.append(f"{name} is a key of a wrong type")
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            said = " ".join(str(error).split())[:_SAID]
            self.sentences.append(f"{name} cannot be read ({type(error).__name__}: {said})")
        return otherwise

    def read(
        self,
        name: str,
        raw: _Raw | Exception,
        decode: Callable[[_Raw], _Fact],
        otherwise: _Default,
    ) -> _Fact | _Default:
        """Return what `decode` makes of an answer of a pipeline, as `ask` does."""

        def fact() -> _Fact:
            if isinstance(raw, Exception):
                raise raw
            return decode(raw)

        return self.ask(name, fact, otherwise)
