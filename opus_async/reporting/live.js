"use strict";
// Keeps a page up to date with its server, which sends the parts of <main> that have changed. What a person
// does with the page stays: where it is scrolled to, what is unfolded, focused and selected.
(() => {
  const TRIES = 5;
  const main = document.querySelector("main");
  const bar = document.querySelector(".live");
  const held = new Map(); // name of a part -> its new HTML, which waits until nothing in it is selected
  let failures = 0;
  let gaveUp = false;

  function say(state, words) {
    bar.className = `live ${state}`;
    if (bar.textContent !== words) bar.textContent = words; // a screen reader reads each change
  }

  const tryAgain = () => say("lost", "No connection; trying again.");

  const nameOf = (part) => part.getAttribute("aria-labelledby") || part.localName;
  const shown = () => new Map([...main.children].filter((part) => part !== bar).map((part) => [nameOf(part), part]));

  function made(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  }

  function isSelected(part) {
    const selection = getSelection();
    return !selection.isCollapsed && selection.containsNode(part, true);
  }

  // Call `act` with what is alike in both, as long as they have as many of it.
  function each(selector, old, fresh, act) {
    const [from, to] = [old, fresh].map((part) => [part, ...part.querySelectorAll("*")].filter((e) => e.matches(selector)));
    if (from.length === to.length) from.forEach((element, place) => act(element, to[place]));
  }

  function replace(old, html) {
    const fresh = made(html);
    each("details", old, fresh, (from, to) => { to.open = from.open; });
    if (fresh.isEqualNode(old)) return;
    const focused = document.activeElement;
    const scrolled = [...old.querySelectorAll(".scroll")].map((region) => region.scrollLeft);
    let refocus = null;
    each("a, summary, [tabindex]", old, fresh, (from, to) => { if (from === focused) refocus = to; });
    old.replaceWith(fresh);
    fresh.querySelectorAll(".scroll").forEach((region, place) => { region.scrollLeft = scrolled[place] || 0; });
    if (refocus) refocus.focus({ preventScroll: true });
  }

  function arrange(order) {
    const parts = shown();
    for (const [name, part] of parts) if (!order.includes(name)) { part.remove(); held.delete(name); }
    let last = bar;
    for (const name of order) {
      const part = parts.get(name);
      if (!part) continue;
      if (last.nextElementSibling !== part) last.after(part);
      last = part;
    }
  }

  // Change the page, and keep in place the part at the upper edge of the window.
  function still(change) {
    const place = (part) => part.getBoundingClientRect();
    const found = scrollY > 0 && [...shown()].find(([, part]) => place(part).bottom > 0);
    const before = found && place(found[1]).top;
    change();
    const after = found && shown().get(found[0]);
    if (after) scrollBy(0, place(after).top - before);
  }

  function update({ title, order, parts }) {
    still(() => {
      const there = shown();
      for (const [name, html] of Object.entries(parts)) {
        const old = there.get(name);
        if (!old) main.append(made(html));
        else if (isSelected(old)) held.set(name, html);
        else { held.delete(name); replace(old, html); }
      }
      arrange(order);
    });
    document.title = title;
  }

  function release(isFree) {
    const there = shown();
    const free = [...held].filter(([name]) => isFree(there.get(name)));
    if (free.length) still(() => free.forEach(([name, html]) => { held.delete(name); replace(there.get(name), html); }));
  }

  document.addEventListener("selectionchange", () => release((part) => !isSelected(part)));

  function listen() {
    const source = new EventSource("events");
    const on = (name, act) => source.addEventListener(name, (event) => { failures = 0; act(JSON.parse(event.data)); });
    on("update", (told) => { update(told); say("going", "Live"); });
    on("trouble", (told) => say("trouble", `It cannot be read just now: ${told.message}`));
    on("end", ({ whole }) => {
      source.close();
      release(() => true); // the end is worth more than a selection
      say("over", whole ? "Ended. This is how it stands at the end." : "Ended. How it stands at the end could not be read.");
    });
    source.addEventListener("error", () => { // not left to the browser, which would try for ever
      source.close();
      failures += 1;
      if (failures > TRIES) {
        gaveUp = true;
        say("lost", "No connection: the run has ended, or is out of reach. This is how it stood when it was seen last.");
      } else {
        tryAgain();
        setTimeout(listen, 1000 * failures);
      }
    });
  }

  document.addEventListener("visibilitychange", () => { // a machine that slept, a tunnel that is there again
    if (!gaveUp || document.hidden) return;
    gaveUp = false;
    failures = 0;
    tryAgain();
    listen();
  });
  document.documentElement.style.overflowAnchor = "none"; // the browser's own way would move it twice
  listen();
})();
