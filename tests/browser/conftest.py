"""A real browser over whole processes: Debian's Chromium, driven by Playwright.

`.ci/run` installs it; CHROMIUM names another. A missing browser fails the tests.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from redis import Redis

from devtools.local.processes import Processes, Web
from pushes.access import users
from pushes.access.principals import Principal, UserRole

PASSWORD = "three words or more"
_TIMEOUT_MS = 15_000

SignIn = Callable[[str], Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "chromium is not installed"
    with sync_playwright() as playwright:
        # In a container there is no sandbox of its own, and all pages are ours.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def web(processes: Processes, redis_client: Redis) -> Web:
    """The web process and a worker, with a user of each role, named as it."""
    web, worker = processes.web(), processes.worker()
    for role in UserRole:
        who = Principal(str(role), role)
        users.add(redis_client, who, password=PASSWORD, by="test", now=datetime.now(UTC))
    worker.wait_ready()
    return web.wait_ready()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.set_default_timeout(_TIMEOUT_MS)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which nothing may go wrong unnoticed: neither the policy nor the script."""
    page, complaints = context.new_page(), list[str]()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    yield page
    statuses = r"the server responded with a status of \d+"
    assert [text for text in complaints if not re.search(statuses, text)] == []


@pytest.fixture
def sign_in(page: Page, web: Web) -> SignIn:
    def sign_in(name: str) -> Page:
        page.goto(f"{web.url}/ops/")
        fill_in_and_enter(page, web, name)
        return page

    return sign_in


def fill_in_and_enter(page: Page, web: Web, name: str) -> None:
    """Sign somebody in on the page that asks for that."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{web.url}/ops/")
