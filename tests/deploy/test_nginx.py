"""nginx with the sites of deploy/, in front of the web process as its unit file starts it."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from redis import Redis

from devtools.local.loopback import free_port
from devtools.local.processes import ROOT, LoggedProcess, poll
from pushes.access import users
from pushes.access.principals import Principal, UserRole
from pushes.accounts.sources import KLARNA_ADDRESSES, SourceNames
from pushes.model import PushKey
from pushes.store import records
from tests.builders import an_order_id
from tests.deploy.unit_files import ServiceUnit
from tests.raw_http import CERTIFICATE

SITE = ROOT / "deploy" / "nginx" / "klarna-ack.conf"
OPS_SITE = ROOT / "deploy" / "nginx" / "klarna-ack-ops.conf"
OPS_NAME = "ops.example.com"  # as in the file
TOKEN = "a-token-that-no-log-may-hold"
OFFICE, AT_THE_OFFICE = "127.7.0.0/16", "127.7.7.7"
_SLOW_CLIENTS = 50
_NOBODY = 65534
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class NginxSetup:
    """A folder with all that nginx reads and writes, and the two ports it knows."""

    directory: Path
    port: int
    web_port: int


def site(setup: NginxSetup, file: Path, *own: tuple[str, str]) -> str:
    """A site of deploy/ on this machine's free ports, its files in a folder of the test's."""
    text = file.read_text()
    for stands, instead in (
        ("    listen 443 ssl", f"    listen 127.0.0.1:{setup.port} ssl"),
        ("    listen [::]:443 ssl", "    # [::]:443"),  # not every machine has IPv6
        ("/etc/nginx/klarna-ack/", f"{setup.directory}/"),
        ("/var/log/nginx/", f"{setup.directory}/"),
        *own,
    ):
        assert stands in text
        text = text.replace(stands, instead)
    return text


def main_configuration(directory: Path) -> str:
    """An nginx.conf for both sites, without any path that needs root."""
    paths = "".join(f"{name}_temp_path {directory}/{name};\n" for name in _TEMPORARY)
    return (
        f"daemon off; pid {directory}/pid; error_log {directory}/main.error.log info;\n"
        f"events {{}}\nhttp {{\n{paths}include {directory}/klarna-ack*.conf;\n}}\n"
    )


@dataclass(frozen=True)
class BehindNginx:
    """The way of a push from outside."""

    port: int
    web: LoggedProcess
    directory: Path
    redis: Redis

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        source: str = "127.0.0.1",
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one over TLS from an address; the status, the headers, the body of the answer."""
        context = ssl.create_default_context(cadata=CERTIFICATE)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=20, context=context, source_address=(source, 0)
        )
        with closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def push(self, order_id: str, token: str = TOKEN, source: str = "127.0.0.1") -> int:
        path = f"/push?klarna_order_id={order_id}&token={token}"
        made_up = {"X-Forwarded-For": KLARNA_ADDRESSES[0]}
        return self.request("POST", path, headers=made_up, source=source)[0]

    def ask_ops(
        self, method: str, path: str, source: str = AT_THE_OFFICE, **form: str
    ) -> tuple[int, dict[str, str], str]:
        """As a browser does that was led to the console, with its cookie if there is one."""
        at = f"{OPS_NAME}:{self.port}"
        headers = {"Host": at, "Referer": f"https://{at}/ops/sign-in"}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        cookie = form.pop("cookie", "").partition(";")[0]
        body = urlencode(form).encode()
        answer = self.request(method, path, body, headers | {"Cookie": cookie}, source)
        return answer[0], answer[1], answer[2].decode()

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cadata=CERTIFICATE)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def nginx_logs(self) -> str:
        files = sorted(self.directory.glob("*.log"))
        return "\n".join(file.read_text() for file in files)


@pytest.fixture
def nginx_setup() -> Iterator[NginxSetup]:
    directory = Path(tempfile.mkdtemp(prefix="klarna-ack-nginx-"))
    setup = NginxSetup(directory, free_port(), free_port())
    for name, text in (
        (
            "klarna-ack.conf",
            site(setup, SITE, ("server 127.0.0.1:8000 ", f"server 127.0.0.1:{setup.web_port} ")),
        ),
        ("klarna-ack-ops.conf", site(setup, OPS_SITE, ("192.0.2.0/24", OFFICE))),
        ("nginx.conf", main_configuration(directory)),
        ("fullchain.pem", CERTIFICATE),
        ("privkey.pem", CERTIFICATE),
    ):
        (directory / name).write_text(text)
    if os.geteuid() == 0:  # pytest's own folders are for their owner alone
        os.chown(directory, _NOBODY, _NOBODY)
    yield setup
    shutil.rmtree(directory)


@pytest.fixture
def nginx_command(nginx_setup: NginxSetup, debian_tool: Callable[[str, str], str]) -> list[str]:
    """Debian's nginx for that folder; root starts it as nobody."""
    directory = nginx_setup.directory
    command = [
        debian_tool("nginx", "nginx"),
        *("-e", f"{directory}/main.error.log", "-c", f"{directory}/nginx.conf"),
    ]
    if os.geteuid() != 0:
        return command
    nobody = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    return [debian_tool("setpriv", "util-linux"), *nobody, *command]


@pytest.fixture
def web(
    nginx_setup: NginxSetup, release: Path, redis_url: str, tmp_path: Path
) -> Iterator[LoggedProcess]:
    """The web process by its unit's ExecStart line, with its environment and its credentials."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name, secret in {"redis-url": redis_url, "push-token": TOKEN}.items():
        (credentials / name).write_text(secret)
    service = ServiceUnit.of("klarna-ack-web.service")
    environment = service.environment(credentials)
    environment["PORT"] = str(nginx_setup.web_port)
    environment["OPS_URL"] = f"https://{OPS_NAME}:{nginx_setup.port}"
    command, log = service.command(release), tmp_path / "web.log"
    with LoggedProcess("web", command, environment, log, cwd=release) as web:
        web.wait_until(lambda: accepts(nginx_setup.web_port))
        yield web


@pytest.fixture
def served(
    nginx_setup: NginxSetup, nginx_command: list[str], web: LoggedProcess, redis_client: Redis
) -> Iterator[BehindNginx]:
    log = nginx_setup.directory / "stderr.log"
    with LoggedProcess("nginx", nginx_command, {}, log) as nginx:
        nginx.wait_until(lambda: accepts(nginx_setup.port))
        yield BehindNginx(nginx_setup.port, web, nginx_setup.directory, redis_client)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_nginx_has_nothing_to_complain_of(nginx_command: list[str]) -> None:
    said = subprocess.run(
        [*nginx_command, "-t", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout) == (0, "")


def test_a_push_is_stored_with_the_address_it_came_from(served: BehindNginx) -> None:
    order_id = an_order_id()
    assert served.push(order_id, source="127.9.9.9") == 200
    push = records.get(served.redis, PushKey("default", order_id))
    assert push
    assert push.source == SourceNames().of("127.9.9.9")


def test_an_order_id_in_the_path_goes_through_too(served: BehindNginx) -> None:
    order_id = an_order_id()
    status, _, body = served.request("POST", f"/push/{order_id}?token={TOKEN}")
    assert (status, json.loads(body)) == (
        200,
        {"order_id": order_id, "account": "default", "state": "queued"},
    )


def test_a_notification_goes_through_too(served: BehindNginx) -> None:
    notification = {"order_id": an_order_id(), "event_type": "FRAUD_RISK_ACCEPTED"}
    body = json.dumps(notification).encode()
    paths = (f"/notification?token={TOKEN}", f"/notification/default?token={TOKEN}")
    assert [served.request("POST", path, body)[0] for path in paths] == [200, 200]
    poll(lambda: served.nginx_logs().count("/notification") == 2)
    assert TOKEN not in served.nginx_logs()


def test_nothing_else_is_public(served: BehindNginx) -> None:
    inside = ("/", "/metrics", "/healthz", "/readyz", "/ops/", "/pushes", "/push/../metrics")
    assert {path: served.request("GET", path)[0] for path in inside} == dict.fromkeys(inside, 404)


def test_a_body_that_is_no_push_is_refused(served: BehindNginx) -> None:
    assert served.request("POST", f"/push?token={TOKEN}", b"x" * 70_000)[0] == 413


def test_slow_clients_do_not_stop_a_push(served: BehindNginx) -> None:
    head = f"POST /push?klarna_order_id={an_order_id()}&token={TOKEN} HTTP/1.1\r\nHost: shop\r\n"
    in_the_head, in_the_body = head.encode(), f"{head}Content-Length: 9\r\n\r\n1".encode()
    order_ids = [an_order_id() for _ in range(10)]
    with ExitStack() as open_connections:
        slow = [open_connections.enter_context(served.connect()) for _ in range(_SLOW_CLIENTS)]
        for number, connection in enumerate(slow):
            connection.sendall(in_the_body if number % 2 else in_the_head)
        answers = [served.push(order_id) for order_id in order_ids]
        for connection in slow[1::2]:  # all still wait in their body, and none was cut off
            connection.sendall(b"23456789")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert answers == [200] * len(order_ids)


def test_no_log_holds_the_token(served: BehindNginx) -> None:
    assert served.push(an_order_id()) == 200
    assert served.push(an_order_id(), token=f"{TOKEN}-wrong") == 404
    assert served.request("POST", f"/push?token={TOKEN}", b"x" * 70_000)[0] == 413
    assert served.request("GET", f"/push?token={TOKEN}")[0] == 405
    assert served.request("POST", "/push?token=" + TOKEN * 400)[0] == 414
    served.web.terminate()
    assert served.push(an_order_id()) == 503
    poll(lambda: served.nginx_logs().count(" 503 ") or None)
    assert served.nginx_logs().count("/push") == 5  # 414 has no path
    assert TOKEN not in served.nginx_logs()
    assert TOKEN not in served.web.log


@pytest.mark.parametrize("path", ["%3F{}", ";{}", "%20{}", "/%3F{}", "/default&{}", "/{}", "%2F{}"])
def test_no_log_holds_a_token_in_the_path(served: BehindNginx, path: str) -> None:
    form = path.format(f"token={TOKEN}")
    assert served.request("POST", f"/push{form}")[0] in {400, 404}
    poll(lambda: "POST" in served.nginx_logs() or None)
    assert TOKEN not in served.nginx_logs()
    assert TOKEN not in served.web.log


def test_it_says_that_a_push_was_not_stored_while_the_web_process_is_away(
    served: BehindNginx,
) -> None:
    served.web.kill9()
    status, headers, body = served.request(
        "POST", f"/push?klarna_order_id={an_order_id()}&token={TOKEN}"
    )
    assert (status, headers["Content-Type"], headers["Retry-After"], json.loads(body)) == (
        503,
        "application/problem+json",
        "10",
        {
            "title": "Service Unavailable",
            "status": 503,
            "detail": "The push was not stored. Send it again.",
        },
    )


PASSWORD = "a long password that nobody has"


@pytest.fixture
def anna(redis_client: Redis) -> None:
    who = Principal("anna", UserRole.VIEWER, None)
    users.add(redis_client, who, password=PASSWORD, by="root", now=datetime.now(UTC))


@pytest.mark.usefixtures("anna")
def test_the_console_is_signed_in_to_by_its_own_name(served: BehindNginx) -> None:
    assert served.ask_ops("GET", "/")[:2][1]["Location"].endswith(f":{served.port}/ops/")
    status, headers, page = served.ask_ops("GET", "/ops/sign-in")
    cookie = headers["Set-Cookie"]
    assert (status, set(cookie.split("; ")[1:])) == (
        200,
        {"Secure", "HttpOnly", "Path=/ops", "SameSite=Lax"},
    )
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    form = {"name": "anna", "password": PASSWORD}
    assert served.ask_ops("POST", "/ops/sign-in", cookie=cookie, **form)[0] == 400
    form["csrf_token"] = token[1]
    status, headers, _ = served.ask_ops("POST", "/ops/sign-in", cookie=cookie, **form)
    assert (status, headers["Location"]) == (302, "/ops/")
    assert "Secure" in headers["Set-Cookie"]
    status, _, page = served.ask_ops("GET", "/ops/", cookie=headers["Set-Cookie"])
    assert (status, "anna" in page) == (200, True)


@pytest.mark.usefixtures("anna")
def test_the_console_takes_no_form_that_another_site_sent(served: BehindNginx) -> None:
    _, headers, page = served.ask_ops("GET", "/ops/sign-in")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    sent = {
        "Host": f"{OPS_NAME}:{served.port}",
        "Referer": "https://elsewhere.example.com/",
        "Cookie": headers["Set-Cookie"].partition(";")[0],
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = urlencode({"csrf_token": token[1], "name": "anna", "password": PASSWORD}).encode()
    assert served.request("POST", "/ops/sign-in", body, sent, AT_THE_OFFICE)[0] == 400


@pytest.mark.parametrize("path", ["/ops/", "/ops/sign-in", "/ops/api/v1/status", "/ops/static/x"])
def test_the_console_is_reached_by_its_name_and_from_the_office_alone(
    served: BehindNginx, path: str
) -> None:
    def status(host: str, source: str) -> int:
        return served.request("GET", path, headers={"Host": host}, source=source)[0]

    assert served.ask_ops("GET", path)[0] in {200, 302, 401, 404}
    assert status(f"{OPS_NAME}:{served.port}", "127.0.0.1") == 403
    for source in (AT_THE_OFFICE, "127.0.0.1"):
        assert status("push.example.com", source) == 404
        assert status("whatever.example.com", source) == 404


def test_the_name_of_the_console_takes_no_pushes_and_shows_no_numbers(served: BehindNginx) -> None:
    paths = ("/push", "/notification", "/metrics", "/readyz", "/healthz")
    assert {path: served.ask_ops("POST", path)[0] for path in paths} == dict.fromkeys(paths, 404)


def test_no_log_holds_the_word_of_a_one_time_link(served: BehindNginx) -> None:
    assert served.ask_ops("GET", "/ops/link?code=a-word-that-signs-in")[0] == 410
    served.web.kill9()
    assert served.ask_ops("GET", "/ops/link?code=a-word-that-signs-in")[0] == 502
    poll(lambda: served.nginx_logs().count("/ops/link") == 2)
    assert "a-word-that-signs-in" not in served.nginx_logs() + served.web.log
