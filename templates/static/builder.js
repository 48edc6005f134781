/* The halt builder: turns fields, or a press on the map, into halt specs; the form's address then holds the whole state. */
(function () {
"use strict";
const by = id => document.getElementById(id);
const LISTED = {stage: "country"}; // kinds whose targets are those of another
let form = null, names = {}, open = null, ticks = [];

const rows = kind => names[LISTED[kind] || kind] || [];
const nameOf = (kind, id) => { const row = rows(kind).find(([i]) => i === id); return row && row[1] !== "bloc" ? row[1] : id; };

function fill(list, found) {
  list.replaceChildren(...found.map(([id, name]) => {
    const option = document.createElement("option");
    option.value = id;
    option.label = name === id ? id : name + " (" + id + ")";
    return option;
  }));
}

function show() {
  const k = by("kind").value;
  by("target-label").textContent = say("builder.target." + k);
  by("destination-field").hidden = k !== "country";
  by("stage-field").hidden = k !== "stage";
  fill(by("target-list"), rows(k));
  by("target").value = "";
}

/* An id typed in full, or a name that one row has; else the text as it is, which the server refuses with the nearest. */
function idOf(text, found) {
  const wanted = text.trim().toLowerCase();
  const hit = found.find(([id]) => id.toLowerCase() === wanted) || found.find(([, name]) => name.toLowerCase() === wanted) ||
    found.find(([id, name]) => (name + " (" + id + ")").toLowerCase() === wanted);
  return hit ? hit[0] : text.trim();
}

function spec() {
  const k = by("kind").value, text = by("target").value.trim(), to = by("destination").value.trim();
  if (!text) return "";
  let out = k + ":" + idOf(text, rows(k));
  if (k === "stage") out += "/" + by("stage").value;
  if (k === "country" && to) out += ":" + idOf(to, names.destination);
  const part = Number(by("share").value);
  if (!(part > 0 && part <= 100)) throw new Error(say("builder.part_wrong"));
  if (part < 100) out += "@" + String(Math.round(part * 1e6) / 1e8);
  const chosen = ticks.filter(t => t.checked).map(t => t.value);
  if (chosen.length) out += "/" + chosen.join(",");
  return out;
}

/* A spec taken apart again; null where it is none that the fields can hold. */
function parts(text) {
  const found = /^(\w+):([^:@/]+)(?::([^@/]+))?(?:\/(mine|separation|metal|magnet|recycling)(?=@|\/|$))?(?:@([\d.]+))?(?:\/([\w,]+))?(?:@([\d.]+))?$/.exec(text);
  if (!found) return null;
  let [, kind, target, destination, stage, share, filter, late] = found;
  if (kind !== "stage" && stage) { filter = [stage, filter].filter(Boolean).join(","); stage = ""; }
  return {kind, target, destination: destination || "", stage: stage || "", share: Number(share || late || 1), filter: filter ? filter.split(",") : []};
}

/* What a spec means, in words. */
function meaning(text) {
  const p = parts(text);
  if (!p || !rows(p.kind).length) return "";
  const values = {target: nameOf(p.kind, p.target), to: nameOf("destination", p.destination), stage: p.stage};
  const what = say("builder.means." + p.kind + (p.kind === "country" && p.destination ? "_to" : ""), values);
  const share = p.share < 1 ? say("builder.means_part", {percent: Math.round(p.share * 1e4) / 100}) : "";
  return what + (p.filter.length ? say("builder.means_only", {list: p.filter.join(", ")}) : "") + share;
}

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function add(text) {
  if ([...by("halts").querySelectorAll("input[name=halt]")].some(i => i.value === text)) return;
  const item = make("li", {}, make("code", {}, text), make("input", {type: "hidden", name: "halt", value: text}),
    make("button", {type: "button", "data-do": "edit", "aria-label": say("builder.edit", {halt: text})}, "✎"),
    make("button", {type: "button", "data-do": "remove", "aria-label": say("builder.remove", {halt: text})}, "×"));
  const said = meaning(text);
  if (said) item.append(make("span", {class: "meaning"}, said));
  by("halts").append(item);
}

function clear() {
  by("target").value = by("destination").value = "";
  by("share").value = "100";
  ticks.forEach(t => { t.checked = false; });
}

/* Take what the fields say into the list: true, false where they say nothing, null where they say what cannot be. */
function take() {
  const said = by("builder-said");
  said.textContent = "";
  delete said.dataset.good;
  try {
    const text = spec();
    if (!text) return false;
    add(text);
    clear();
    return true;
  } catch (error) { said.textContent = error.message; return null; }
}

function edit(text) {
  const p = parts(text);
  if (!p) return false;
  by("kind").value = p.kind;
  show();
  by("target").value = p.target;
  by("destination").value = p.destination;
  if (p.stage) by("stage").value = p.stage;
  by("share").value = String(Math.round(p.share * 1e6) / 1e4);
  ticks.forEach(t => { t.checked = p.filter.includes(t.value); });
  by("target").focus();
  return true;
}

function unfold() {
  const fold = form.closest("details");
  if (fold) fold.open = true;
}

/* Whether a press on the map can be a halt here: its target is one that the layers know. */
function takes(fields) {
  if (!form || !form.isConnected) return false;
  if (!fields.target) return names.destination.some(([id]) => id === fields.destination);
  return rows(fields.kind).some(([id]) => id === fields.target);
}

/* Put what was pressed on the map into the builder; where only "to whom" is known, ask who. */
function put(fields, button) {
  unfold();
  by("kind").value = fields.kind;
  show();
  if (fields.target) {
    by("target").value = fields.target;
    take();
    by("builder-said").textContent = say("builder.added");
    by("builder-said").dataset.good = "yes";
    form.querySelector(".go").focus();
  } else {
    by("destination").value = fields.destination;
    by("builder-said").textContent = say("builder.whose");
    by("target").focus();
  }
  const popup = button.closest(".leaflet-popup");
  if (popup && window.Atlas && window.Atlas.shown) window.Atlas.shown.drawings.forEach(d => d.map.closePopup());
  form.scrollIntoView({block: "nearest"});
}

/* The address of what the form asks. */
function address() {
  const q = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (name && value && !(name === "bloc" && value === "us-allies")) q.append(name, value);
  return "/map?" + q;
}

function start(go) {
  open = go || open;
  form = by("builder");
  if (!form || form.dataset.ready) return;
  form.dataset.ready = "yes";
  names = JSON.parse(by("builder-names").textContent);
  ticks = [...form.querySelectorAll(".ticks input")];
  by("kind").addEventListener("change", show);
  by("halts").addEventListener("click", e => {
    const button = e.target.closest("button"), item = e.target.closest("li");
    if (!button) return;
    if (button.dataset.do !== "edit" || edit(item.querySelector("input").value)) item.remove();
    if (button.dataset.do !== "edit") by("kind").focus();
  });
  by("add-halt").addEventListener("click", () => {
    if (take() === false) by("builder-said").textContent = say("builder.target_first");
    by("target").focus();
  });
  form.addEventListener("submit", e => {
    if (take() === null) { e.preventDefault(); return; }
    if (!by("halts").children.length && !form.querySelector("input[name=buyer]")) {
      e.preventDefault();
      by("builder-said").textContent = say("builder.halt_first");
      by("target").focus();
      return;
    }
    if (open) {
      e.preventDefault();
      open(address());
      return;
    }
    if (by("bloc").value === "us-allies") by("bloc").disabled = true; // the address stays short
    const button = form.querySelector(".go");
    button.disabled = true;
    button.textContent = say("builder.solving");
  });
  for (const item of by("halts").querySelectorAll("li")) {
    const input = item.querySelector("input[name=halt]"), said = input && !item.querySelector(".meaning") ? meaning(input.value) : "";
    if (said) item.append(make("span", {class: "meaning"}, said));
  }
  fill(by("destination-list"), names.destination);
  show();
  const jump = by("to-builder"); // on a phone the form lies under the map
  if (jump) {
    jump.onclick = e => { e.preventDefault(); unfold(); form.scrollIntoView({block: "start"}); by("kind").focus({preventScroll: true}); };
    new IntersectionObserver(seen => { if (form.isConnected) jump.hidden = seen[seen.length - 1].isIntersecting; }).observe(form);
  }
}

window.addEventListener("pageshow", () => { // back from a page: the form works again
  const button = form && form.querySelector(".go");
  if (button && button.disabled) { button.disabled = false; button.textContent = say("builder.go"); by("bloc").disabled = false; }
});
window.AtlasBuilder = {start, put, takes, parts, meaning};
start();
})();
