"""`python -m sandbox`: arguments, start, stop. Prints one line, when it listens."""

import argparse
import logging
import signal
import sys
from threading import Event, Thread

from sandbox.clock import MovableClock
from sandbox.settings import SandboxSettings, assumptions

try:
    from sandbox.pushing.sender import PushSender
    from sandbox.serving.server import SandboxServer
    from sandbox.state import SandboxState
except ModuleNotFoundError as missing:
    sys.exit(
        f"The sandbox needs the package {missing.name}, which is not installed: "
        "pip install 'klarna-ack[sandbox]'"
    )

log = logging.getLogger("sandbox")

# How long a stop may take to be noticed.
_STOP_CHECK_S = 0.05


def main() -> int:
    """Run until SIGTERM or SIGINT: 0. 1 when the port cannot be had."""
    arguments = _arguments()
    if arguments.assumptions:
        sys.stdout.write(_assumptions_table())
        return 0
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = SandboxSettings(
        username=arguments.username,
        password=arguments.password,
        auth_check=not arguments.no_auth_check,
    )
    state = SandboxState(settings, MovableClock())
    sender = PushSender(state)
    sender.start()
    try:
        server = SandboxServer(arguments.host, arguments.port, state, sender)
    except (OSError, OverflowError) as error:  # OverflowError: a port that cannot be one
        log.error("sandbox.cannot_listen port=%s reason=%s", arguments.port, error)  # noqa: TRY400 - the reason is enough
        return 1
    with server:
        Thread(target=server.serve_forever, args=(_STOP_CHECK_S,), daemon=True).start()
        url = f"http://{arguments.host}:{server.port}"
        sys.stdout.write(f"sandbox listening url={url}\n")
        sys.stdout.flush()
        stop.wait()
        server.shutdown()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m sandbox", description="A stand-in for Klarna.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free one")
    parser.add_argument("--username", default="sandbox")
    parser.add_argument("--password", default="sandbox")
    parser.add_argument(
        "--no-auth-check", action="store_true", help="take any credentials, or none"
    )
    parser.add_argument(
        "--assumptions",
        action="store_true",
        help="list what is assumed of Klarna, with its switch in the settings, and end",
    )
    return parser.parse_args()


def _assumptions_table() -> str:
    rows = [("SWITCH", "DEFAULT", "OR", "ASSUMED OF KLARNA")]
    rows += [(each.switch, each.default, each.others, each.what) for each in assumptions()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        + "\n"
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
