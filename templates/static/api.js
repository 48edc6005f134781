/* The page of the interface: forms become addresses, answers are shown as trees, tables or text. */
(function () {
"use strict";

const READ_MOST = 1500000, RAW_MOST = 200000; // bytes that are read of an answer, characters of it that are shown
const ROWS = 50, CHILDREN = 100; // rows of a table and children of a tree that are shown at once

const ops = Array.from(document.querySelectorAll(".op"));

function make(tag, attributes, ...inside) {
  const made = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) if (v !== null && v !== undefined) made.setAttribute(k, v);
  made.append(...inside);
  return made;
}

function size(bytes) {
  if (bytes < 1000) return bytes + " B";
  return bytes < 1e6 ? (bytes / 1e3).toFixed(1) + " kB" : (bytes / 1e6).toFixed(1) + " MB";
}

/* ---------- find an operation ---------- */

const filter = document.querySelector(".filter"), filterText = document.getElementById("filter"), filterSaid = document.getElementById("filter-said");

function narrow() {
  const words = filterText.value.toLowerCase().split(/\s+/).filter(Boolean);
  let n = 0;
  for (const op of ops) {
    const names = Array.from(op.querySelectorAll("[data-name]"), f => f.dataset.name).join(" ");
    const text = (op.querySelector("summary").textContent + " " + names).toLowerCase();
    op.hidden = !words.every(w => text.includes(w));
    n += op.hidden ? 0 : 1;
  }
  for (const g of document.querySelectorAll(".group")) g.hidden = !g.querySelector(".op:not([hidden])");
  filterSaid.textContent = !words.length ? "" : n ? say("api.shown", {n, all: ops.length}) : say("api.none");
}
filter.hidden = false;
filter.addEventListener("submit", e => e.preventDefault());
filterText.addEventListener("input", narrow);

/* ---------- the form as an address ---------- */

function values(field) {
  const kind = field.dataset.kind;
  if (kind === "boxes") return Array.from(field.querySelectorAll("input:checked"), i => i.value);
  const box = field.querySelector("input, select, textarea");
  if (kind === "list") return Array.from(box.selectedOptions, o => o.value);
  if (kind === "lines") return box.value.split("\n").map(v => v.trim()).filter(Boolean);
  return box.value.trim() === "" ? [] : [box.value.trim()];
}

/* encodeURIComponent without the characters that may stand in a query and read better as they are. */
function plain(text) { return encodeURIComponent(text).replace(/%(3A|2F|2C|40)/g, decodeURIComponent); }

function addressOf(op) {
  let path = op.dataset.path;
  const asked = [], missing = [];
  for (const field of op.querySelectorAll("[data-name]")) {
    const name = field.dataset.name, found = values(field);
    if (!found.length && field.hasAttribute("data-required")) missing.push(field);
    if (field.dataset.where === "path") path = path.replace("{" + name + "}", encodeURIComponent(found[0] || ""));
    else if (field.hasAttribute("data-joined")) { if (found.length) asked.push(name + "=" + plain(found.join(","))); }
    else for (const v of found) asked.push(name + "=" + plain(v));
  }
  return {address: path + (asked.length ? "?" + asked.join("&") : ""), missing};
}

function curlOf(op, address) {
  const quoted = text => "'" + text.replace(/'/g, "'\\''") + "'";
  const body = op.querySelector("textarea.body");
  const sent = body ? " -H 'Content-Type: application/json' --data " + quoted(body.value) : "";
  return "curl " + quoted(location.origin + address) + sent;
}

function tell(op) {
  const {address} = addressOf(op);
  op.querySelector("code.address").textContent = location.origin + address;
  op.querySelector("code.curl").textContent = curlOf(op, address);
}

async function copy(op, button) {
  const text = op.querySelector("code." + button.dataset.copy).textContent, said = op.querySelector(".said");
  try { await navigator.clipboard.writeText(text); said.textContent = say("api.copied"); }
  catch { // no clipboard without HTTPS: the text is there to be selected
    const range = document.createRange();
    range.selectNodeContents(op.querySelector("code." + button.dataset.copy));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    said.textContent = say("api.not_copied");
  }
}

/* ---------- asking ---------- */

async function read(response) {
  const reader = response.body ? response.body.getReader() : null;
  if (!reader) return {text: "", bytes: 0, cut: false};
  const decoder = new TextDecoder();
  let text = "", bytes = 0;
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return {text: text + decoder.decode(), bytes, cut: false};
    bytes += value.length;
    text += decoder.decode(value, {stream: true});
    if (bytes > READ_MOST) { reader.cancel().catch(() => {}); return {text, bytes, cut: true}; }
  }
}

async function send(op) {
  const said = op.querySelector(".said"), go = op.querySelector(".go"), stop = op.querySelector(".stop"), answer = op.querySelector(".answer");
  const {address, missing} = addressOf(op);
  for (const f of op.querySelectorAll("[aria-invalid]")) f.removeAttribute("aria-invalid");
  if (missing.length) {
    const box = missing[0].querySelector("input, select, textarea");
    box.setAttribute("aria-invalid", "true");
    box.focus();
    said.textContent = say("api.missing", {name: missing[0].dataset.name});
    return;
  }
  const control = new AbortController(), start = performance.now();
  const body = op.querySelector("textarea.body");
  stop.onclick = () => control.abort();
  go.disabled = true;
  stop.hidden = false;
  answer.hidden = true;
  said.textContent = say("api.asking");
  const clock = setInterval(() => { said.textContent = say("api.working", {s: Math.round((performance.now() - start) / 1000)}); }, 5000);
  try {
    const how = {method: op.dataset.method, signal: control.signal, headers: {Accept: "*/*"}};
    if (body) { how.body = body.value; how.headers["Content-Type"] = "application/json"; }
    const response = await fetch(address, how);
    const made = await read(response);
    said.textContent = "";
    show(answer, response, made, address, Math.round(performance.now() - start));
  } catch (error) {
    said.textContent = control.signal.aborted ? say("api.stopped") : say("api.failed", {why: error.message});
  } finally {
    clearInterval(clock);
    go.disabled = false;
    stop.hidden = true;
  }
}

/* ---------- showing an answer ---------- */

function show(answer, response, made, address, ms) {
  answer.replaceChildren();
  const status = say("api.status", {status: response.status, text: response.statusText, ms, size: (made.cut ? "> " : "") + size(made.bytes)});
  answer.append(make("p", {class: "state " + (response.ok ? "good" : "bad"), role: "status"}, status));
  if (made.cut) answer.append(make("p", {class: "fine"}, say("api.cut", {size: size(READ_MOST)})));
  const links = make("p", {class: "links"});
  if (response.ok && response.url && !answer.closest(".op").querySelector("textarea.body")) {
    links.append(make("a", {href: address}, say("api.open")), make("a", {href: address, download: ""}, say("api.download")));
  }
  const body = make("div", {class: "body", tabindex: "0", role: "region", "aria-label": answer.getAttribute("aria-label")});
  const forms = formsOf(response, made);
  if (forms.length > 1) {
    const ways = make("span", {class: "ways", role: "group", "aria-label": say("api.show")});
    forms.forEach((form, k) => {
      const button = make("button", {type: "button", class: "quiet", "aria-pressed": String(k === 0)}, form.name);
      button.addEventListener("click", () => {
        for (const b of ways.children) b.setAttribute("aria-pressed", String(b === button));
        body.replaceChildren(...form.draw());
      });
      ways.append(button);
    });
    links.append(ways);
  }
  body.append(...forms[0].draw());
  if (links.childNodes.length) answer.append(links);
  answer.append(body, headers(response));
  answer.hidden = false;
}

function formsOf(response, made) {
  const kind = response.headers.get("Content-Type") || "", raw = {name: say("api.raw"), draw: () => rawOf(made.text)};
  if (made.text === "") return [{name: "", draw: () => [say("api.empty")]}];
  if (/[/+]json/.test(kind) && !made.cut) {
    try {
      const value = JSON.parse(made.text);
      const map = value && value.type === "FeatureCollection" ? [make("p", {class: "fine"}, say("api.map", {n: value.features.length}))] : [];
      return [{name: say("api.tree"), draw: () => [...map, treeOf(value)]}, raw];
    } catch { /* shown as it came */ }
  }
  if (kind.startsWith("text/csv")) return [{name: say("api.table"), draw: () => tableOf(made)}, raw];
  return [raw];
}

function rawOf(text) {
  const shown = text.length > RAW_MOST ? text.slice(0, RAW_MOST) + " …" : text;
  return [make("pre", {}, shown)];
}

function headers(response) {
  const list = make("dl", {});
  for (const [k, v] of response.headers) list.append(make("dt", {}, k), make("dd", {}, v));
  return make("details", {class: "heads"}, make("summary", {}, say("api.headers")), list);
}

/* A tree whose branches are made when they are unfolded: an answer may hold a hundred thousand values. */
function treeOf(value) {
  const root = make("div", {class: "tree"}), list = make("ul", {});
  list.append(branch(null, value, true));
  root.append(list);
  return root;
}

function branch(key, value, open) {
  const item = make("li", {}), name = key === null ? [] : [make("span", {class: "key"}, String(key)), ": "];
  if (value === null || typeof value !== "object") {
    const text = make("span", {class: typeof value === "string" ? "text" : "value"}, typeof value === "string" ? JSON.stringify(value) : String(value));
    item.append(...name, text);
    return item;
  }
  const keys = Object.keys(value), many = Array.isArray(value) ? "api.items" : "api.fields";
  if (!keys.length) { item.append(...name, Array.isArray(value) ? "[]" : "{}"); return item; }
  const list = make("ul", {}), fold = make("details", {}, make("summary", {}, ...name, make("span", {class: "count"}, say(many, {n: keys.length}))), list);
  let done = 0;
  function grow() {
    const more = list.querySelector(":scope > .more");
    if (more) more.remove();
    for (const k of keys.slice(done, done + CHILDREN)) list.append(branch(k, value[k], false));
    done = Math.min(done + CHILDREN, keys.length);
    if (done < keys.length) {
      const button = make("button", {type: "button", class: "quiet"}, say("api.more", {n: keys.length - done}));
      button.addEventListener("click", grow);
      list.append(make("li", {class: "more"}, button));
    }
  }
  fold.addEventListener("toggle", () => { if (fold.open && !done) grow(); });
  if (open) { grow(); fold.open = true; }
  item.append(fold);
  return item;
}

/* RFC 4180: quoted cells may hold commas, quotes and ends of lines. */
function cells(text) {
  const rows = [];
  let row = [], cell = "", quoted = false;
  for (let k = 0; k < text.length; k++) {
    const c = text[k];
    if (quoted) {
      if (c === "\"" && text[k + 1] === "\"") { cell += c; k++; }
      else if (c === "\"") quoted = false;
      else cell += c;
    } else if (c === "\"") quoted = true;
    else if (c === ",") { row.push(cell); cell = ""; }
    else if (c === "\n") { row.push(cell.replace(/\r$/, "")); rows.push(row); row = []; cell = ""; }
    else cell += c;
  }
  if (cell || row.length) { row.push(cell); rows.push(row); }
  return rows;
}

function tableOf(made) {
  const [head, ...rows] = cells(made.text);
  const table = make("table", {}), top = make("tr", {}), body = make("tbody", {});
  for (const name of head || []) top.append(make("th", {scope: "col"}, name));
  for (const row of rows.slice(0, ROWS)) body.append(make("tr", {}, ...row.map(v => make("td", {}, v))));
  const said = rows.length > ROWS ? say("api.rows", {n: ROWS, all: (made.cut ? "> " : "") + rows.length}) : say("api.all_rows", {all: rows.length});
  table.append(make("caption", {class: "fine"}, said), make("thead", {}, top), body);
  return [table];
}

/* ---------- each operation, and its address ---------- */

for (const op of ops) {
  const form = op.querySelector(".ask");
  op.querySelector(".go").hidden = false;
  op.querySelector(".take").hidden = false;
  form.addEventListener("submit", e => { e.preventDefault(); send(op); });
  form.addEventListener("input", () => tell(op));
  form.addEventListener("change", () => tell(op));
  for (const b of form.querySelectorAll("[data-copy]")) b.addEventListener("click", () => copy(op, b));
  tell(op);
  op.addEventListener("toggle", () => {
    const here = location.hash === "#" + op.id;
    if (op.open && !here) history.replaceState(null, "", "#" + op.id);
    else if (!op.open && here) history.replaceState(null, "", location.pathname + location.search);
  });
}

function unfold() {
  const op = ops.find(o => "#" + o.id === location.hash);
  if (op) { op.open = true; op.scrollIntoView(); }
}
window.addEventListener("hashchange", unfold);
unfold();
})();
