"""Does something a moment after it was asked for, in a thread of its own.

What many requests note is handed on together, and none of them waits for it.
"""

import threading
from collections.abc import Callable


class Soon:
    """Calls `act` once, however often it is asked meanwhile. Threads share it."""

    def __init__(self, act: Callable[[], None], after_s: float) -> None:
        self._act = act
        self._after_s = after_s
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def ask(self) -> None:
        """Have it done soon. Never fails: when no thread is left, the next one asks again."""
        if self._timer is not None:
            return
        with self._lock:
            if self._timer is not None:
                return
            timer = threading.Timer(self._after_s, self._do)
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError:
                return
            self._timer = timer

    def close(self) -> None:
        """Do at once what was asked for, at the end of the process."""
        if (timer := self._timer) is not None:
            timer.cancel()
            self._do()

    def _do(self) -> None:
        self._timer = None
        self._act()
