/* The form of a route: names as one types, closings as a list, a short address. Without it the form is a plain one. */
(function () {
"use strict";
const form = document.getElementById("route-form");
if (!form) return;
const by = id => document.getElementById(id), make = window.Atlas.make;
const closable = JSON.parse(by("closable").textContent);
const said = by("form-said"), closed = by("closed"), closeInput = by("close");
const WAIT_MS = 140, SHOWN = 8;
const POINT = /^\s*-?\d+(\.\d*)?\s*,/;

/* An input with a list under it: arrows move, Enter takes, Escape shuts; the list is read out by its active option. */
function combo(input, search, take) {
  const list = make("ul", {class: "options", role: "listbox", id: input.id + "-options", "aria-label": say("route.names")});
  list.hidden = true;
  input.after(list);
  for (const [k, v] of Object.entries({role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id})) input.setAttribute(k, v);
  let hits = [], active = -1, asked = 0, timer = 0;

  function shut() { window.clearTimeout(timer); asked++; list.hidden = true; active = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); }

  function mark(k) {
    active = k;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === k)));
    if (k >= 0) { input.setAttribute("aria-activedescendant", list.children[k].id); list.children[k].scrollIntoView({block: "nearest"}); }
    else input.removeAttribute("aria-activedescendant");
  }

  function show(found) {
    hits = found.slice(0, SHOWN);
    if (!hits.length) { shut(); return; }
    list.replaceChildren(...hits.map((h, i) => {
      const item = make("li", {role: "option", id: list.id + "-" + i, "aria-selected": "false"}, make("span", {}, h.name), make("small", {}, h.id + " · " + h.kind + (h.country ? ", " + h.country : "")));
      item.addEventListener("mousedown", e => { e.preventDefault(); pick(i); });
      return item;
    }));
    active = -1;
    input.removeAttribute("aria-activedescendant");
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  }

  function pick(k) { const hit = hits[k]; shut(); take(hit); }

  input.addEventListener("input", () => {
    window.clearTimeout(timer);
    const text = input.value.trim(), turn = ++asked;
    if (text.length < 2 || POINT.test(text)) { shut(); return; }
    timer = window.setTimeout(async () => {
      const found = await search(text);
      if (turn === asked && document.activeElement === input) show(found);
    }, WAIT_MS);
  });
  input.addEventListener("keydown", e => {
    if (list.hidden) return;
    if (e.key === "ArrowDown" || e.key === "ArrowUp") { e.preventDefault(); mark((active + (e.key === "ArrowDown" ? 1 : active < 0 ? 0 : -1) + hits.length) % hits.length); }
    else if (e.key === "Enter" && active >= 0) { e.preventDefault(); pick(active); }
    else if (e.key === "Escape") { e.preventDefault(); shut(); }
  });
  input.addEventListener("blur", shut);
}

async function ask(text) {
  try {
    const answer = await fetch("/api/find?kind=facility,port&q=" + encodeURIComponent(text));
    return answer.ok ? await answer.json() : [];
  } catch (error) { return []; } // no suggestions; what is typed still goes to the server
}

function setEnd(side, value, name) { by(side).value = value; by(side + "-said").textContent = name || ""; }

for (const side of ["from", "to"]) {
  combo(by(side), ask, hit => setEnd(side, hit.id, hit.name));
  by(side).addEventListener("input", () => { by(side + "-said").textContent = ""; });
}
by("swap").hidden = false;
by("swap").addEventListener("click", () => {
  const [a, b] = ["from", "to"].map(s => [by(s).value, by(s + "-said").textContent]);
  setEnd("from", ...b); setEnd("to", ...a);
});

/* ----- closings ----- */
const fold = text => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();

function like(text) {
  const wanted = fold(text), found = [];
  for (const [id, name, kind] of closable) {
    const words = fold(name), key = fold(id);
    const rank = key === wanted || words === wanted ? 0 : key.startsWith(wanted) || words.startsWith(wanted) ? 1 : words.includes(wanted) || key.includes(wanted) ? 2 : 3;
    if (rank < 3) found.push({id, name, kind, rank});
  }
  return found.sort((a, b) => a.rank - b.rank);
}

function close(id, name) {
  const had = [...closed.querySelectorAll("input")].find(i => i.value === id);
  if (had) { had.checked = true; return; }
  const box = make("input", {type: "checkbox", name: "close", value: id});
  box.checked = true;
  closed.append(make("li", {}, make("label", {}, box, " " + name)));
}

function takeClose() {
  for (const text of closeInput.value.split(/[,;]/).map(part => part.trim()).filter(Boolean)) {
    const hit = like(text)[0];
    if (hit && hit.rank === 0) close(hit.id, hit.name); else close(text, text); // the server offers the nearest names
  }
  closeInput.value = "";
}

combo(closeInput, async text => like(text), hit => { close(hit.id, hit.name); closeInput.value = ""; });
closeInput.addEventListener("keydown", e => { if (e.key === "Enter" && !e.defaultPrevented && closeInput.value.trim()) { e.preventDefault(); takeClose(); } });

/* ----- a press on the map ----- */
document.addEventListener("atlas-end", e => {
  const folded = by("question");
  if (folded) folded.open = true;
  setEnd(e.detail.side, e.detail.value, e.detail.name);
  const other = by(e.detail.side === "from" ? "to" : "from");
  (other.value ? form.querySelector(".go") : other).focus();
});

/* ----- sending: the shortest address ----- */
form.addEventListener("submit", e => {
  e.preventDefault();
  takeClose();
  const ticked = name => [...form.querySelectorAll("input[name=" + name + "]:checked")].map(i => i.value);
  const modes = ticked("modes"), missing = ["from", "to"].find(s => !by(s).value.trim());
  said.textContent = missing ? say(missing === "from" ? "route.no_start" : "route.no_end") : modes.length ? "" : say("route.no_modes");
  if (said.textContent) { if (missing) by(missing).focus(); return; }
  const pairs = [["from", by("from").value.trim()], ["to", by("to").value.trim()]];
  for (const name of ["close", "open", "surcharge"]) for (const id of ticked(name)) pairs.push([name, id]);
  if (by("surcharge").value.trim()) pairs.push(["surcharge", by("surcharge").value.trim()]);
  if (modes.join(",") !== "sea,rail,road") pairs.push(["modes", modes.join(",")]);
  if (by("commodity").value !== "magnet") pairs.push(["commodity", by("commodity").value]);
  if (by("alternatives").value !== "1") pairs.push(["alternatives", by("alternatives").value]);
  const go = form.querySelector(".go");
  go.disabled = true; go.textContent = say("route.finding");
  window.location.assign("/route?" + pairs.map(([k, v]) => k + "=" + encodeURIComponent(v).replace(/%2C/g, ",").replace(/%3D/g, "=")).join("&"));
});
window.addEventListener("pageshow", () => { const go = form.querySelector(".go"); go.disabled = false; go.textContent = say("route.go"); });

/* ----- the address, whole and to copy ----- */
const address = by("address"), copy = by("copy");
if (address && copy) {
  address.value = window.location.origin + address.value;
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    address.select();
    const whole = address.value + window.location.hash;
    try { await navigator.clipboard.writeText(whole); by("copied").textContent = say("route.copied"); }
    catch (error) { by("copied").textContent = say("route.selected"); }
  });
}
})();
