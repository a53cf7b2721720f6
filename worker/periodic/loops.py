"""Periodic tasks in threads of their own, which no failure ends."""

import threading
from datetime import UTC, datetime

from redis.exceptions import RedisError

from pushes import log
from worker.periodic.tasks import PeriodicTask

_log = log.get(__name__)


class Loop:
    """Does a task again and again until stopped, the first time at once.

    A failure is logged when it begins and when it is over; the task is done again regardless.
    `succeeded_at` is when the task was done last.
    """

    def __init__(self, task: PeriodicTask) -> None:
        self._task = task
        self._stop = threading.Event()
        self._failing = False
        self.succeeded_at: datetime | None = None
        self._thread = threading.Thread(target=self._run, name=task.name, daemon=True)

    @property
    def name(self) -> str:
        """Name the task."""
        return self._task.name

    def start(self) -> None:
        """Begin in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the loop to end; it does so after what it is doing, if anything."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._once()
            self._stop.wait(self._task.every_s)

    def _once(self) -> None:
        try:
            self._task.act()
        except RedisError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - a task that ends is a promise broken later
            self._failed(error)
            _log.exception("worker.task_failed_here", task=self._task.name)
        else:
            if self._failing:
                _log.info("worker.task_works_again", task=self._task.name)
            self._failing = False
            self.succeeded_at = datetime.now(UTC)

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            _log.warning(
                "worker.task_failed",
                task=self._task.name,
                error=f"{type(error).__name__}: {error}"[:200],
                meaning="no push is lost; what waits stays where it is",
                action="bring Redis back if it is down; the worker goes on by itself",
            )
        self._failing = True
