"""`python -m sandbox`: arguments, start, stop. Prints one line, when it listens."""

import argparse
import logging
import signal
import sys
from threading import Event, Thread

from sandbox.clock import MovableClock
from sandbox.pushing.sender import PushSender
from sandbox.serving.server import SandboxServer
from sandbox.settings import SandboxSettings
from sandbox.state import SandboxState

log = logging.getLogger("sandbox")

# How long a stop may take to be noticed.
_STOP_CHECK_S = 0.05


def main() -> int:
    """Run until SIGTERM or SIGINT: 0. 1 when the port cannot be had."""
    arguments = _arguments()
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
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
