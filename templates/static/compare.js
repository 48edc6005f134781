/* Comparing: the form's cases added, moved and taken away; figures or differences; maps that move together. */
(function () {
"use strict";

const page = document.getElementById("compare");
const MOST = 4, LETTERS = "ABCD";

/* ---------- the cases of the form ---------- */

const form = document.getElementById("cases"), list = document.getElementById("case-list");
const add = document.getElementById("add-case"), said = document.getElementById("cases-said");

function rows() { return Array.from(list.children); }
function shown() { return rows().filter(r => !r.classList.contains("spare")); }

/* Letters, names of buttons and what can be done follow the order of the rows. */
function renumber() {
  const here = shown();
  here.forEach((row, k) => {
    const letter = LETTERS[k] || String(k + 1);
    row.querySelector("label").textContent = say("compare.case", {letter});
    for (const b of row.querySelectorAll("[data-do]")) b.setAttribute("aria-label", say("compare.do." + b.dataset.do, {letter}));
    row.querySelector("[data-do=up]").disabled = k === 0;
    row.querySelector("[data-do=down]").disabled = k === here.length - 1;
    row.querySelector("[data-do=remove]").disabled = here.length <= 2 && !row.querySelector("input").value;
  });
  add.hidden = here.length >= MOST;
}

/* What was said of a case holds no longer once its text is another. */
function forget(row) {
  const told = row.querySelector(".label, .problems"), input = row.querySelector("input");
  if (told) told.remove();
  input.removeAttribute("aria-invalid");
  input.removeAttribute("aria-describedby");
}

function act(row, what) {
  const here = shown(), k = here.indexOf(row);
  if (what === "remove") {
    row.querySelector("input").value = "";
    forget(row);
    if (here.length > 2) { row.classList.add("spare"); list.append(row); }
    renumber();
    const left = shown();
    said.textContent = say("compare.removed", {n: left.filter(r => r.querySelector("input").value).length});
    left[Math.min(k, left.length - 1)].querySelector("input").focus();
    return;
  }
  if (what === "up" && k > 0) list.insertBefore(row, here[k - 1]);
  if (what === "down" && k < here.length - 1) list.insertBefore(here[k + 1], row);
  renumber();
  said.textContent = say("compare.moved", {letter: LETTERS[k], to: LETTERS[shown().indexOf(row)]});
  const button = row.querySelector("[data-do=" + what + "]");
  (button.disabled ? row.querySelector("input") : button).focus();
}

for (const row of rows()) {
  row.querySelector(".tools").hidden = false;
  row.querySelector("input").addEventListener("input", () => { forget(row); renumber(); });
  for (const b of row.querySelectorAll("[data-do]")) b.addEventListener("click", () => act(row, b.dataset.do));
}
add.addEventListener("click", () => {
  const next = rows().find(r => r.classList.contains("spare"));
  if (!next) { said.textContent = say("compare.full"); return; }
  next.classList.remove("spare");
  renumber();
  said.textContent = say("compare.added");
  next.querySelector("input").focus();
});
/* A known case goes into the first empty field; without a script it is a case of its own. */
const pick = document.getElementById("pick-case");
pick.addEventListener("change", () => {
  const text = pick.value;
  pick.value = "";
  if (!text) return;
  const row = [...shown(), ...rows()].find(r => !r.querySelector("input").value.trim());
  if (!row) { said.textContent = say("compare.full"); return; }
  row.classList.remove("spare");
  row.querySelector("input").value = text;
  forget(row);
  renumber();
  said.textContent = say("compare.picked", {text, letter: LETTERS[shown().indexOf(row)]});
});
/* Empty fields and an empty day stay out of the address. */
form.addEventListener("submit", () => {
  for (const input of form.querySelectorAll("input[name]")) if (!input.value.trim()) input.disabled = true;
  pick.disabled = true;
  const bloc = form.querySelector("select[name=bloc]");
  if (bloc.value === "us-allies") bloc.disabled = true;
});
window.addEventListener("pageshow", () => { for (const e of form.querySelectorAll("input[name], select[name]")) e.disabled = false; });
renumber();

/* ---------- figures or differences ---------- */

function keep(name, value, usual) {
  const address = new URL(window.location.href);
  if (value === usual) address.searchParams.delete(name); else address.searchParams.set(name, value);
  window.history.replaceState(null, "", address);
}

const choices = Array.from(page.querySelectorAll("a.choice[data-show]"));
for (const c of choices) {
  const choose = e => {
    e.preventDefault();
    page.dataset.show = c.dataset.show;
    for (const o of choices) o.setAttribute("aria-pressed", String(o === c));
    document.getElementById("show-said").textContent = say("compare.shown." + c.dataset.show);
    keep("show", c.dataset.show, "values");
  };
  c.addEventListener("click", choose);
  c.addEventListener("keydown", e => { if (e.key === " ") choose(e); });
}

/* ---------- maps side by side ---------- */

const frames = Array.from(document.querySelectorAll("#map-list iframe"));
const views = Array.from(document.querySelectorAll("#views button"));
const maps = new Map(); // frame -> what draws in it: {map, show}
let view = (views.find(b => b.getAttribute("aria-pressed") === "true") || {dataset: {view: "change"}}).dataset.view;
/* Where all maps look: [centre, zoom], from the address or from the map that was moved last. */
const kept = (new URL(window.location.href).searchParams.get("at") || "").split(",").map(Number);
let at = kept.length === 3 && kept.every(Number.isFinite) ? [{lat: kept[1], lng: kept[0], wrap() { return this; }}, kept[2]] : null;
let leader = null, waiting = 0;

/* The map of a frame, once it stands: {map, show, state}. */
function drawing(frame) {
  const inside = frame.contentWindow;
  return inside && inside.Atlas ? inside.Atlas.shown || null : null;
}

function follow(from) {
  if (leader && leader !== from) return;
  leader = from;
  const of = maps.get(from).map;
  at = [of.getCenter(), of.getZoom()];
  for (const [frame, other] of maps) if (frame !== from) other.map.setView(of.getCenter(), of.getZoom(), {animate: false});
  leader = null;
  if (!maps.get(from).touched) return; // a window that grew is no choice of its reader
  window.clearTimeout(waiting);
  waiting = window.setTimeout(() => {
    const c = at[0].wrap();
    keep("at", [c.lng.toFixed(3), c.lat.toFixed(3), String(Math.round(at[1] * 100) / 100)].join(","), "");
  }, 300);
}

function paint(frame) {
  const inside = frame.contentDocument;
  if (!inside) return;
  const chosen = document.documentElement.dataset.theme;
  if (chosen) inside.documentElement.dataset.theme = chosen; else delete inside.documentElement.dataset.theme;
  inside.dispatchEvent(new frame.contentWindow.CustomEvent("themechange", {detail: {dark: window.themeIsDark()}}));
}

function show(frame) {
  const drawn = maps.get(frame), inside = frame.contentDocument;
  if (drawn && inside.querySelector("[data-show]")) drawn.show(view);
}

/* Title, sentence and buttons of a frame stand in this page already: all its room is for the map. */
function bare(frame, map) {
  for (const part of frame.contentDocument.querySelectorAll(".lead, .bar, .skip")) part.hidden = true;
  map.invalidateSize({animate: false});
}

function stands(frame) {
  const drawn = drawing(frame);
  if (!drawn || !drawn.map) return;
  bare(frame, drawn.map);
  if (!at && maps.size) at = [maps.values().next().value.map.getCenter(), maps.values().next().value.map.getZoom()];
  maps.set(frame, drawn);
  if (at) drawn.map.setView(at[0], at[1], {animate: false});
  drawn.map.on("move zoom", () => follow(frame));
  show(frame);
  paint(frame);
  page.dataset.maps = String(maps.size);
}

for (const frame of frames) {
  const inside = frame.contentDocument;
  frame.addEventListener("load", () => stands(frame));
  if (inside && inside.readyState === "complete" && inside.URL !== "about:blank") stands(frame);
}
document.addEventListener("themechange", () => frames.forEach(paint));
if (views.length) {
  document.getElementById("views").hidden = false;
  for (const b of views) b.addEventListener("click", () => {
    view = b.dataset.view;
    for (const o of views) o.setAttribute("aria-pressed", String(o === b));
    frames.forEach(show);
    keep("view", view, "change");
  });
}
})();
