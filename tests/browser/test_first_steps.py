"""A newcomer's first steps: from the link that the demo prints to a replayed letter."""

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from devtools.local.processes import ROOT, poll


def test_it_is_a_few_clicks_from_the_printed_link_to_a_replayed_letter(
    page: Page, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    command = [str(Path(sys.executable).with_name("klarna-ack")), "dev"]
    with output.open("wb") as file, subprocess.Popen(command, cwd=ROOT, stdout=file) as demo:
        try:
            link = re.compile(r"^console +(\S+)$", re.MULTILINE)
            page.goto(poll(lambda: link.search(output.read_text()), 60)[1])
            page.get_by_role("button", name="Sign in").click()
            waits = page.get_by_role("listitem").filter(has_text=re.compile("dead letters? wait"))
            waits.get_by_role("link", name="Show").click()
            page.locator(".cause", has_text="BAD_VALUE").get_by_role("link").click()
            page.locator("tbody a.id").first.click()
            page.locator("summary", has_text="Replay").click()
            page.locator("#why-replay").fill("Klarna takes it now")
            page.get_by_role("button", name="Replay").click()
            expect(page.get_by_text("queued again with fresh attempts")).to_be_visible()
            expect(page.get_by_label("Steps").get_by_text("not yet")).to_have_count(0)
        finally:
            demo.terminate()
