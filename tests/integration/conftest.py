"""What the tests of this folder share besides."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from flask import Flask
from redis.exceptions import RedisError

from service import deps
from service.deps import Deps
from service.settings import WebSettings


@pytest.fixture(autouse=True)
def _closed_applications(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the applications that a test has made.

    What they count reaches Redis some seconds later, which would be during another test.
    """
    install, made = deps.install, list[Deps]()

    def install_and_note(app: Flask, settings: WebSettings) -> Deps:
        made.append(install(app, settings))
        return made[-1]

    monkeypatch.setattr(deps, "install", install_and_note)
    yield
    for each in made:
        with suppress(RedisError):  # the test may have killed its server
            each.close()
