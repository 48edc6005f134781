/* The halt builder: turns fields into halt specs; the form's address then holds the whole state. */
(function () {
"use strict";
const form = document.getElementById("builder");
if (!form) return;
const names = JSON.parse(document.getElementById("builder-names").textContent);
const by = id => document.getElementById(id);
const kind = by("kind"), target = by("target"), destination = by("destination"), stage = by("stage"), share = by("share");
const halts = by("halts"), said = by("builder-said");
const LABELS = {country: "Country", stage: "Country", facility: "Facility", site: "Site", operator: "Operator", port: "Port", passage: "Strait or canal", border: "Border"};
const TICKS = [...form.querySelectorAll(".ticks input")];

function fill(list, rows) {
  list.replaceChildren(...rows.map(([id, name]) => {
    const option = document.createElement("option");
    option.value = id;
    option.label = name === id ? id : name + " (" + id + ")";
    return option;
  }));
}

function show() {
  const k = kind.value;
  by("target-label").textContent = LABELS[k];
  by("destination-field").hidden = k !== "country";
  by("stage-field").hidden = k !== "stage";
  fill(by("target-list"), names[k === "stage" ? "country" : k] || []);
  target.value = "";
}

/* An id typed in full, or a name that one row has; else the text as it is, which the server refuses with the nearest. */
function idOf(text, rows) {
  const wanted = text.trim().toLowerCase();
  const hit = rows.find(([id]) => id.toLowerCase() === wanted) || rows.find(([, name]) => name.toLowerCase() === wanted) ||
    rows.find(([id, name]) => (name + " (" + id + ")").toLowerCase() === wanted);
  return hit ? hit[0] : text.trim();
}

function spec() {
  const k = kind.value, text = target.value.trim();
  if (!text) return "";
  let out = k + ":" + idOf(text, names[k === "stage" ? "country" : k] || []);
  if (k === "stage") out += "/" + stage.value;
  if (k === "country" && destination.value.trim()) out += ":" + idOf(destination.value, names.destination);
  const part = Number(share.value);
  if (!(part > 0 && part <= 100)) throw new Error("The part lost is over 0 and at most 100 %.");
  if (part < 100) out += "@" + String(Math.round(part * 1e6) / 1e8);
  const chosen = TICKS.filter(t => t.checked).map(t => t.value);
  if (chosen.length) out += "/" + chosen.join(",");
  return out;
}

function add(text) {
  if ([...halts.querySelectorAll("input")].some(i => i.value === text)) return;
  const item = document.createElement("li"), code = document.createElement("code"), input = document.createElement("input"), remove = document.createElement("button");
  code.textContent = text;
  input.type = "hidden"; input.name = "halt"; input.value = text;
  remove.type = "button"; remove.textContent = "×"; remove.setAttribute("aria-label", "Remove " + text);
  item.append(code, input, remove);
  halts.append(item);
}

function take() {
  said.textContent = "";
  try {
    const text = spec();
    if (!text) return false;
    add(text);
    target.value = ""; destination.value = ""; share.value = "100";
    TICKS.forEach(t => { t.checked = false; });
    return true;
  } catch (error) { said.textContent = error.message; return null; }
}

kind.addEventListener("change", show);
halts.addEventListener("click", e => {
  const button = e.target.closest("button");
  if (button) { button.closest("li").remove(); kind.focus(); }
});
by("add-halt").addEventListener("click", () => {
  if (take() === false) said.textContent = "Name a target first.";
  target.focus();
});
form.addEventListener("submit", e => {
  if (take() === null) { e.preventDefault(); return; }
  if (!halts.children.length) {
    e.preventDefault();
    said.textContent = "Name what to halt first.";
    target.focus();
    return;
  }
  const bloc = by("bloc");
  if (bloc.value === "us-allies") bloc.disabled = true; // the address stays short
  const go = form.querySelector(".go");
  go.disabled = true; go.textContent = "Solving …";
});
window.addEventListener("pageshow", () => { // back from a page: the form works again
  const go = form.querySelector(".go");
  go.disabled = false; go.textContent = "Show what happens"; by("bloc").disabled = false;
});
fill(by("destination-list"), names.destination);
show();
})();
