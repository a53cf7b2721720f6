import os
import subprocess
import sys

from worker.names import is_gone, new_name


def renamed(pid: int) -> str:
    return new_name().replace(f"-{os.getpid()}-", f"-{pid}-")


def an_ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_it_never_gives_a_name_twice() -> None:
    assert new_name() != new_name()


def test_it_knows_that_an_ended_process_is_gone() -> None:
    assert is_gone(renamed(an_ended_process()))


def test_it_takes_nobody_for_gone_who_is_there() -> None:
    assert not is_gone(new_name())
    assert not is_gone(renamed(os.getppid()))


def test_it_knows_nothing_of_processes_elsewhere() -> None:
    host, _pid, _space, random = new_name().rsplit("-", 3)

    assert not is_gone(f"{host}-{an_ended_process()}-00000000-{random}")
    assert not is_gone("")
    assert not is_gone("worker-1")
