"""The console as people use it: in a browser, from signing in to a replayed letter."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Page, expect
from redis import Redis

from devtools.local.processes import Web, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.model import PushKey, State
from pushes.operate import hold
from pushes.store import records
from tests.browser import worst_case
from tests.browser.conftest import PASSWORD, SignIn, fill_in_and_enter

NAMES = ("orders", "dead", "accounts", "workers", "replays", "audit", "settings")
PAGES = ("/", *(f"/{name}/" for name in NAMES), "/nothing")


def is_dead(redis: Redis, order_id: str) -> bool:
    push = records.get(redis, PushKey("default", order_id))
    return push is not None and push.state is State.DEAD


def make_dead(redis: Redis, sandbox: SandboxControl, web: Web) -> str:
    """An order that Klarna does not let us acknowledge, dead; and no more fault."""
    sandbox.pusher(web.push_url + "{checkout.order.id}")
    order_id = sandbox.create_order()
    sandbox.add_fault(
        "status",
        operation="acknowledge",
        order_id=order_id,
        params={"status": 400, "error_code": "BAD_VALUE"},
    )
    sandbox.push(order_id)
    poll(lambda: is_dead(redis, order_id), 30)
    sandbox.clear_faults()
    return order_id


def test_it_shows_an_order_go_through_live(
    web: Web, sandbox: SandboxControl, sign_in: SignIn
) -> None:
    page = sign_in("viewer")
    expect(page.get_by_role("heading", name="Everything is all right.")).to_be_visible()
    acknowledged = page.get_by_role("link", name=re.compile("Acknowledged"))
    expect(acknowledged).to_contain_text("0")
    sandbox.pusher(web.push_url + "{checkout.order.id}")
    order_id = sandbox.create_order(push=True)
    expect(acknowledged).to_contain_text("1")  # nobody has loaded the page again
    acknowledged.click()
    page.get_by_role("link", name=order_id).click()
    expect(page.get_by_text("acknowledged", exact=True).first).to_be_visible()
    expect(page.get_by_label("Steps").get_by_text("not yet")).to_have_count(0)
    correlation_id = page.locator("table .id").filter(has_text=re.compile("[0-9a-f]{8}")).last
    page.get_by_label("Find an order").fill(correlation_id.inner_text())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=order_id)).to_be_visible()


def test_it_says_why_a_letter_is_dead_and_replays_it(
    web: Web, redis_client: Redis, sandbox: SandboxControl, sign_in: SignIn
) -> None:
    order_id = make_dead(redis_client, sandbox, web)
    page = sign_in("operator")
    page.get_by_role("link", name="Show").click()
    page.get_by_role("link", name=order_id).click()
    expect(page.get_by_text("Klarna called the request itself wrong")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value(re.compile("HTTP 400"))
    page.locator("summary", has_text="Replay").click()
    page.locator("#why-replay").fill("Klarna mended it")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("queued again with fresh attempts")).to_be_visible()
    expect(page.get_by_label("Steps").get_by_text("not yet")).to_have_count(0)  # by itself
    page.get_by_role("link", name="Audit").click()
    row = page.get_by_role("row").filter(has_text=order_id)
    expect(row).to_contain_text("operator")
    expect(row).to_contain_text("Klarna mended it")


def test_it_replays_what_matches_and_cancels_a_run(
    web: Web, redis_client: Redis, sandbox: SandboxControl, sign_in: SignIn
) -> None:
    for _ in range(3):
        make_dead(redis_client, sandbox, web)
    page = sign_in("operator")
    page.goto(f"{web.url}/ops/dead/")
    page.get_by_role("link", name="Rejected").click()
    page.get_by_role("link", name="Replay all 3").click()
    expect(page.get_by_role("heading", name="Replay 3 dead letters?")).to_be_visible()
    page.get_by_label("At most a second").fill("1")
    page.get_by_label("Why?").fill("Klarna mended it")
    page.get_by_role("button", name="Replay 3").click()
    page.locator("summary", has_text="Cancel").click()
    page.locator("#why-cancel").fill("One is enough")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
    page.goto(f"{web.url}/ops/replays/new?act=replay&reason=rejected")
    page.get_by_label("Why?").fill("All of them")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()  # by itself
    expect(page.get_by_text("Dead again").locator("xpath=..")).to_contain_text("0")
    page.goto(f"{web.url}/ops/dead/")
    expect(page.get_by_text("nothing waits for you here")).to_be_visible()


def test_it_refuses_a_viewer_and_forgets_whoever_signed_out(
    web: Web, redis_client: Redis, sandbox: SandboxControl, sign_in: SignIn, context: BrowserContext
) -> None:
    order_id = make_dead(redis_client, sandbox, web)
    page = sign_in("viewer")
    page.goto(f"{web.url}/ops/orders/default/{order_id}/")
    expect(page.get_by_text("You are a viewer")).to_be_visible()
    expect(page.locator("summary", has_text="Replay")).to_have_count(0)
    token = page.locator("[name=csrf_token]").first.get_attribute("value") or ""
    answer = context.request.post(
        f"{web.url}/ops/orders/default/{order_id}/replay",
        form={"csrf_token": token, "why": "I may not"},
    )
    assert answer.status == 403
    stolen = context.cookies()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    context.clear_cookies()
    context.add_cookies(stolen)  # type: ignore[arg-type]  # as it gave them
    page.goto(f"{web.url}/ops/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert is_dead(redis_client, order_id)


def test_it_works_without_a_script(
    web: Web, redis_client: Redis, sandbox: SandboxControl, browser: Browser
) -> None:
    order_id = make_dead(redis_client, sandbox, web)
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{web.url}/ops/dead/")
        page.get_by_label("Name").fill("operator")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label(f"Tick {order_id}").check()
        page.get_by_label("Why?").fill("Klarna mended it")
        page.get_by_role("button", name="Replay").first.click()
        expect(page.get_by_text("1 letter was replayed.")).to_be_visible()
        page.goto(f"{web.url}/ops/orders/default/{order_id}/")
        expect(page.locator("time").first).to_contain_text("UTC")


def test_it_is_used_by_keys_alone(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Find an order")).to_be_focused()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_no_page_is_wider_than_the_screen(  # noqa: PLR0913, PLR0917 - fixtures
    web: Web,
    redis_client: Redis,
    sandbox: SandboxControl,
    browser: Browser,
    scheme: str,
    width: int,
) -> None:
    order_id = make_dead(redis_client, sandbox, web)
    hold.pause(redis_client, "norway", by="anna", why="<b>moving</b>")
    with browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme="dark" if scheme == "dark" else "light",
    ) as context:
        page = context.new_page()
        page.goto(f"{web.url}/ops/")
        look(page, width)
        fill_in_and_enter(page, web, "admin")
        order = f"/orders/default/{order_id}/"
        for path in (*PAGES, order, "/orders/?q=stat:x", "/replays/new?act=replay"):
            page.goto(f"{web.url}/ops{path}")
            look(page, width)
            for summary in page.locator("main summary").all():
                summary.click()
            look(page, width)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways_whatever_is_shown(
    web: Web, redis_client: Redis, browser: Browser, scheme: str, width: int
) -> None:
    letter, run_id = worst_case.fill(redis_client, PASSWORD)
    order, run = f"/orders/{letter.account}/{letter.order_id}/", f"/replays/{run_id}/"
    paths = (*PAGES, order, run, "/orders/?state=held", "/orders/?q=stat:x", "/dead/?code=none")
    for name in ("admin", worst_case.LIMITED.name):
        with browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if scheme == "dark" else "light",
        ) as context:
            page = context.new_page()
            page.goto(f"{web.url}/ops/")
            fill_in_and_enter(page, web, name)
            for path in (*paths, f"/replays/new?act=replay&account={letter.account}"):
                page.goto(f"{web.url}/ops{path}")
                for summary in page.locator("main summary").all()[:5]:
                    summary.click()
                assert scrolled_sideways(page) == [], page.url


def scrolled_sideways(page: Page) -> list[str]:
    """Name what is wider than the screen, or than its place in the page."""
    found: list[str] = page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll("body *")]
            .filter((it) => it.scrollWidth > it.clientWidth + 1)
            .filter((it) => it === document.documentElement
                || ["auto", "scroll"].includes(getComputedStyle(it).overflowX))
            .map((it) => `${it.tagName} ${it.className}: ${it.scrollWidth} > ${it.clientWidth}`)"""
    )
    return found


def look(page: Page, width: int) -> None:
    """Let axe look at a page, and hold it against the width of the screen."""
    found = Axe().run(page).response["violations"]
    serious = [
        (page.url, it["id"], [node["target"] for node in it["nodes"]])
        for it in found
        if it["impact"] in {"serious", "critical"}
    ]
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
