"""Our processes, keeping settled orders for as many seconds as SOAK_RETENTION_S says.

No setting allows less than a day, since Klarna repeats a push for two. The spans of time by which
orders are found are as much shorter; nothing else is changed.
"""

import os
import runpy
import sys
from datetime import timedelta
from functools import partial

from pushes import policy
from pushes.settings import Settings
from pushes.store.texts import search_index

VARIABLE = "SOAK_RETENTION_S"
_NAME = "devtools.soak.short_retention"

#: In place of the Procfile's.
WEB = ("gunicorn", "-c", "deploy/gunicorn.conf.py", f"{_NAME}:create_app()")
WORKER = (sys.executable, "-m", _NAME)


def create_app() -> object:
    """Make the web process's application."""
    _shorten()
    from service import create_app as create  # noqa: PLC0415 - a worker never loads it

    return create()


def _shorten() -> None:
    retention = timedelta(seconds=float(os.environ[VARIABLE]))
    Settings.retention = property(lambda _self: retention)  # type: ignore[assignment,method-assign]  # on purpose
    search_index.PERIOD *= retention / policy.RETENTION


def _work() -> None:
    from worker import alone  # noqa: PLC0415 - a web process never loads it

    _shorten()
    child = (*WORKER, "--alone")
    alone.AloneProcess = partial(alone.AloneProcess, command=child)  # type: ignore[assignment,misc]  # as above
    runpy.run_module("worker", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _work()
