/* The address of the page to copy, the lines that show the map in another page, and small tables as CSV. */
(function () {
"use strict";
const {make} = window.Atlas;
const by = id => document.getElementById(id);

async function copy(field) {
  const said = by("copied");
  try { await navigator.clipboard.writeText(field.value); said.textContent = say("map.copied"); }
  catch {
    field.select();
    said.textContent = document.execCommand("copy") ? say("map.copied") : say("map.not_copied");
  }
}

function fill() {
  const box = by("share");
  if (!box) return;
  box.hidden = false;
  by("address").value = window.location.href;
  const own = new URL(window.location.href);
  own.pathname = "/embed/map";
  const frame = make("iframe", {src: own.href, title: document.title, width: "800", height: "520", loading: "lazy"});
  by("embed").value = frame.outerHTML;
}

/* A cell as it stands, figures without their unit where a column holds figures. */
function csv(table) {
  const cell = text => /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  const rows = [...table.rows].map(r => [...r.cells].map(c => {
    const text = c.textContent.trim().replace(/ /g, " ").replace(/^([=+\-@])(?!\d)/, "'$1"); // a spreadsheet runs what begins so
    return cell(c.tagName === "TD" && c.classList.contains("num") && /^−?[\d,.]+ t$/.test(text) ? text.replace(/[, t]/g, "").replace("−", "-") : text);
  }).join(","));
  return rows.join("\r\n") + "\r\n";
}

function controls() {
  fill();
  if (by("share")) {
    by("copy").onclick = () => copy(by("address"));
    by("copy-embed").onclick = () => copy(by("embed"));
  }
  for (const button of document.querySelectorAll("[data-csv]")) {
    button.hidden = false;
    button.onclick = () => {
      const table = button.closest("details").querySelector("table");
      const url = URL.createObjectURL(new Blob([csv(table)], {type: "text/csv"}));
      const link = make("a", {href: url, download: table.dataset.name.toLowerCase().replace(/[^a-z0-9]+/g, "-") + ".csv"});
      link.click();
      window.setTimeout(() => URL.revokeObjectURL(url), 10000);
    };
  }
}

window.Atlas.share = controls;
(window.Atlas.parts = window.Atlas.parts || []).push(atlas => { controls(); atlas.on(fill); });
})();
