/* The search box: an ARIA 1.2 combobox over /api/suggest. Enter without a choice goes to /search. */
(function () {
"use strict";
const WAIT_MS = 90, LIMIT = 8;

function begin() {
  const input = document.getElementById("search");
  if (!input) return;
  const form = input.form, list = document.createElement("ul"), told = document.createElement("span");
  list.id = "search-hits";
  list.className = "hits-box";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", say("search.list"));
  told.className = "unseen";
  told.setAttribute("role", "status");
  told.setAttribute("aria-live", "polite");
  form.append(list, told);
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"], ["aria-controls", list.id]]) input.setAttribute(name, value);

  let hits = [], at = -1, asked = null, timer = 0;
  function open(on) {
    list.hidden = !on;
    input.setAttribute("aria-expanded", String(on));
    if (!on) mark(-1);
  }
  function mark(k) {
    at = k;
    [...list.children].forEach((line, n) => line.setAttribute("aria-selected", String(n === k)));
    if (k < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", list.children[k].id);
      list.children[k].scrollIntoView({block: "nearest"});
    }
  }
  function show(found) {
    hits = found;
    list.replaceChildren(...hits.map((h, k) => {
      const line = document.createElement("li"), small = document.createElement("small");
      line.id = "search-hit-" + k;
      line.setAttribute("role", "option");
      line.setAttribute("aria-selected", "false");
      line.append(h.name);
      small.textContent = h.kind_name + (h.country_name && h.country_name !== h.name ? ", " + h.country_name : "");
      line.append(small);
      line.addEventListener("mousedown", e => e.preventDefault()); // the box keeps the focus
      line.addEventListener("click", () => go(h));
      return line;
    }));
    open(hits.length > 0);
    mark(-1);
    told.textContent = hits.length > 1 ? say("search.count", {n: hits.length}) : say(hits.length ? "search.one" : "search.none");
  }
  function go(hit) { open(false); window.location.href = hit.address; }
  function stop() { window.clearTimeout(timer); if (asked) asked.abort(); asked = null; }
  function ask() {
    stop();
    const text = input.value.trim().slice(0, 120);
    if (!text) { hits = []; open(false); told.textContent = ""; return; }
    timer = window.setTimeout(() => {
      asked = new AbortController();
      const address = "/api/suggest?" + new URLSearchParams({q: text, limit: String(LIMIT)});
      fetch(address, {signal: asked.signal, headers: {Accept: "application/json"}})
        .then(r => { if (!r.ok) throw new Error(String(r.status)); return r.json(); })
        .then(found => { if (document.activeElement === input) show(found.hits); })
        .catch(error => { if (error.name !== "AbortError") { open(false); told.textContent = say("search.failed"); } });
    }, WAIT_MS);
  }
  input.addEventListener("input", ask);
  if (document.activeElement === input && input.value.trim()) ask(); // typed before this script was here
  input.addEventListener("focus", () => { if (hits.length && input.value.trim()) open(true); });
  input.addEventListener("blur", () => { stop(); open(false); });
  input.addEventListener("keydown", e => {
    if (e.isComposing) return;
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      if (!hits.length) return;
      e.preventDefault();
      if (list.hidden) { open(true); mark(e.key === "ArrowDown" ? 0 : hits.length - 1); return; }
      const step = e.key === "ArrowDown" ? 1 : -1, next = at + step;
      mark(next < -1 ? hits.length - 1 : next >= hits.length ? -1 : next);
    } else if (e.key === "Enter" && !list.hidden && at >= 0) {
      e.preventDefault();
      go(hits[at]);
    } else if (e.key === "Escape") {
      if (!list.hidden) { e.preventDefault(); e.stopPropagation(); open(false); } else input.value = "";
      stop();
    } else if (e.key === "Tab") open(false);
  });
}
begin(); // it is fetched when the box is first used
})();
