"""`make screenshots`: the pictures of the console in the documents, taken from the demo.

Needs Debian's package chromium, or CHROMIUM naming another.
"""

import os
import shutil
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from devtools.local.demo.scene import OpeningScene, make_link
from devtools.local.demo.stack import Stack, running_stack

_IMAGES = Path(__file__).parents[1] / "docs" / "images"

# Long enough for the orders in trouble to be dead, and the others to be acknowledged.
_SETTLING_S = 8.0
_ORDERS = 25


def main() -> None:
    """Run the demo and take every picture anew."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    _IMAGES.mkdir(exist_ok=True)
    with running_stack(verbose=False) as stack, sync_playwright() as playwright:
        stack.sandbox.create_orders(push=True, count=_ORDERS)
        opening = OpeningScene(stack)
        opening.set_up()
        _wait(stack, opening)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = _signed_in(browser, stack, width=1280, is_dark=False)
        _take(page, "overview")
        page.get_by_role("link", name="Dead letters").click()
        _take(page, "dead-letters")
        _take(_signed_in(browser, stack, width=390, is_dark=True), "overview-phone-dark")
        browser.close()


def _wait(stack: Stack, opening: OpeningScene) -> None:
    until = time.monotonic() + _SETTLING_S
    while time.monotonic() < until:
        stack.tick()
        opening.go_on()


def _signed_in(browser: Browser, stack: Stack, *, width: int, is_dark: bool) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if is_dark else "light",
        locale="en-GB",
    )
    page = context.new_page()
    page.goto(make_link(stack))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Orders by state").wait_for()
    return page


def _take(page: Page, name: str) -> None:
    page.wait_for_load_state()
    page.screenshot(path=_IMAGES / f"{name}.png", full_page=True)


if __name__ == "__main__":
    main()
