import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushes.log.writer import MAX_WAITING, LogWriter

PAGE = 4096


@pytest.fixture
def writer() -> Iterator[LogWriter]:
    writer = LogWriter()
    yield writer
    writer.open(None, str)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PAGE)
    yield ends
    for end in ends:
        os.close(end)


def dropped(lines: int) -> str:
    return f"dropped {lines}"


def read_all(end: int) -> list[str]:
    """What is written until a quarter of a second passes without any."""
    os.set_blocking(end, False)
    read, until = b"", time.monotonic() + 0.25
    while time.monotonic() < until:
        try:
            read += os.read(end, 1 << 20)
            until = time.monotonic() + 0.25
        except BlockingIOError:
            time.sleep(0.005)
    return read.decode().splitlines()


def test_it_writes_every_line_in_order(writer: LogWriter, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer.open(file.fileno(), dropped)
        for number in range(1000):
            writer.write(f"{number} \udcff ü " + "x" * (number * 9))
        writer.close()

    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == [f"{number} \\udcff ü " + "x" * (number * 9) for number in range(1000)]


def test_it_writes_on_after_it_was_closed(writer: LogWriter, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer.open(file.fileno(), dropped)
        for line in ("one", "two"):
            writer.write(line)
            writer.close()

    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_nobody_waits_for_a_reader_that_sleeps(writer: LogWriter, pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer.open(end, dropped)
    started = time.monotonic()

    for number in range(2 * MAX_WAITING):
        writer.write(str(number))
    writer.close(timeout_s=0)

    assert time.monotonic() - started < 5
    lines = read_all(reader)
    numbers = [int(line) for line in lines if line.isdigit()]
    told = sum(int(line.removeprefix("dropped ")) for line in lines if not line.isdigit())
    assert numbers == sorted(set(numbers))
    assert MAX_WAITING <= len(numbers) < 2 * MAX_WAITING
    assert len(numbers) + told == 2 * MAX_WAITING


def test_it_waits_for_a_reader_that_others_do_not_wait_for(
    writer: LogWriter, pipe: tuple[int, int]
) -> None:
    reader, end = pipe
    os.set_blocking(end, False)
    writer.open(end, dropped)

    for number in range(5000):
        writer.write(str(number))

    assert read_all(reader) == [str(number) for number in range(5000)]


def test_a_reader_that_is_gone_harms_nobody(writer: LogWriter, tmp_path: Path) -> None:
    reader, end = os.pipe()
    os.close(reader)
    writer.open(end, dropped)
    os.close(end)
    for _ in range(3):
        writer.write("lost")
        writer.close()

    with (tmp_path / "log").open("wb") as file:
        writer.open(file.fileno(), dropped)
        writer.write("found")
        writer.close()

    assert (tmp_path / "log").read_text() == "dropped 3\nfound\n"


def test_a_full_disk_harms_nobody(
    writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file, Path("/dev/full").open("wb") as full:
        writer.open(full.fileno(), dropped)
        writer.write("lost")
        writer.open(file.fileno(), dropped)
        writer.write("found")
        writer.close()
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:2]) if data else 0)
        writer.write("in parts")
        writer.close()

    assert log.read_text() == "dropped 1\nfound\nin parts\n"


def test_a_line_of_which_a_part_was_written_stands_alone(
    writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = os.write, iter([3, -1])

    def half(fd: int, data: bytes) -> int:
        length = next(calls, len(data))
        if length < 0:
            raise OSError(28, "No space left on device")
        return write(fd, data[:length])

    with (tmp_path / "log").open("wb") as file:
        writer.open(file.fileno(), dropped)
        monkeypatch.setattr(os, "write", half)
        writer.write("torn line")
        writer.close()
        writer.write("whole line")
        writer.close()

    assert (tmp_path / "log").read_text() == "tor\ndropped 1\nwhole line\n"


def test_it_needs_neither_a_log_nor_a_thread(
    writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.open(None, dropped)
    writer.write("lost")
    writer.close()
    with (tmp_path / "log").open("wb") as file:
        writer.open(file.fileno(), dropped)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_thread)
            writer.write("late")
        writer.write("found")
        writer.close()

    assert (tmp_path / "log").read_text() == "dropped 1\nlate\nfound\n"


def no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
