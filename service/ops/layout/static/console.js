// What makes the pages better where there is JavaScript: local times, renewal, copying, keys.
"use strict";

(() => {
  const MANY_FAILURES = 2;
  const main = document.getElementById("main");
  const live = document.getElementById("live");

  // Times in the reader's zone; the exact UTC stays in the title.
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

  function localise(root) {
    for (const time of root.querySelectorAll("time[data-local]")) {
      const at = new Date(time.dateTime);
      const today = day.format(at) === day.format(new Date());
      time.textContent = today ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`;
    }
  }

  function enhance(root) {
    localise(root);
    for (const button of root.querySelectorAll("[data-copy]")) {
      button.hidden = !navigator.clipboard;
    }
    for (const box of root.querySelectorAll("[data-tick-all]")) {
      box.hidden = false;
    }
  }

  // Renewal: ask for the same page as a fragment, and put it in place of the old one. Not while
  // somebody writes, selects or has a form open: nothing is taken from under a hand.
  function isBusy() {
    const active = document.activeElement;
    const writes = active && main.contains(active) && active.matches("input, textarea, select");
    const selects = String(document.getSelection()) !== "";
    return writes || selects || document.hidden || main.querySelector("details[open]") !== null;
  }

  function keepFocus(renew) {
    const active = document.activeElement;
    const inside = main.contains(active) && active !== main;
    const all = inside ? [...main.querySelectorAll("a, button, summary, [tabindex]")] : [];
    const place = all.indexOf(active);
    renew();
    if (place >= 0) {
      main.querySelectorAll("a, button, summary, [tabindex]")[place]?.focus({ preventScroll: true });
    }
  }

  let failures = 0;

  async function renew() {
    if (isBusy()) {
      return;
    }
    try {
      const answer = await fetch(location.href, { headers: { "X-Fragment": "1" }, cache: "no-store" });
      if (answer.redirected || answer.status === 401) {
        location.reload();
        return;
      }
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!isBusy()) {
        enhance(page);
        keepFocus(() => main.replaceChildren(...page.body.childNodes));
      }
      failures = 0;
      tell("Live", false);
    } catch {
      failures += 1;
      if (failures >= MANY_FAILURES) {
        tell("Not live: the web process does not answer. What you see is old.", true);
      }
    }
  }

  function tell(text, isBad) {
    if (live.textContent !== text) {
      live.textContent = text;
      live.classList.toggle("bad", isBad);
    }
  }

  async function renewForEver(everyS) {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, everyS * 1000));
      await renew();
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
      button.textContent = "Copied";
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-tick-all]")) {
      for (const box of document.querySelectorAll("input[name=letter]")) {
        box.checked = event.target.checked;
      }
    }
  });

  document.addEventListener("keydown", (event) => {
    const writes = event.target.matches("input, textarea, select");
    if (event.key === "/" && !writes && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const find = document.querySelector("[data-key='/']");
      if (find) {
        event.preventDefault();
        find.focus();
      }
    }
  });

  enhance(document);
  if (main.dataset.live) {
    tell("Live", false);
    renewForEver(Number(main.dataset.live));
  }
})();
