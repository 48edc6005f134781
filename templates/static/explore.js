/* Places on maps: all facilities beside their table (filters change both), and the paths of one thing. */
(function () {
"use strict";
const {decode, latlngs, make, landLayer, Stretch, Mark, Words, COPIES, SANS} = window.Atlas;
const tone = name => window.themeColour(name);
const NUMBER = new Intl.NumberFormat("en-US", {maximumSignificantDigits: 3});
const by = id => document.getElementById(id);

/* What both maps share: panes, attribution, land, the wheel that scrolls the page until the map is clicked. */
function prepare(map, data, options) {
  map.createPane("land").style.zIndex = 200;
  map.createPane("words").style.zIndex = 620;
  map.getPane("words").classList.add("atlas-words-pane");
  map.attributionControl.setPrefix(false);
  map.attributionControl.addAttribution(options.attribution);
  map.setMinZoom(0.5);
  map.scrollWheelZoom.disable();
  map.on("click", () => map.scrollWheelZoom.enable());
  map.getContainer().setAttribute("aria-label", options.label || "Map");
  const allies = new Set(data.allies || []);
  const landed = data.land.href ? fetch(data.land.href).then(r => { if (!r.ok) throw new Error(String(r.status)); return r.json(); }) : Promise.resolve(data.land);
  return landed.then(land => { landLayer(land.countries, c => allies.has(c.id) ? "ally" : "plain").addTo(map); return land.countries; }, () => {
    map.attributionControl.addAttribution(say("explore.no_land"));
    return [];
  });
}
function ready() { L.Util.requestAnimFrame(() => L.Util.requestAnimFrame(() => { document.body.dataset.ready = "yes"; })); }
function countryWords(countries) {
  return countries.map(c => ({text: c.name, at: c.at, wide: c.wide, weight: -1e3 + c.wide, colour: tone("--map-soft"), font: "italic 11.5px " + SANS, minZoom: 1.5}));
}

/* ---------- all facilities ---------- */
function explore(map, id, options) {
  const data = JSON.parse(by(id).textContent), canvas = L.canvas({padding: 0.2, tolerance: 4});
  const marks = L.layerGroup().addTo(map), ring = L.layerGroup().addTo(map);
  let places = [], countries = [], chosen = "";
  const words = new Words(() => [
    ...places.map((p, k) => ({text: p.name, at: p.at, dx: p.r + 5, weight: 1e6 - k, colour: tone("--map-ink"), font: "600 11px " + SANS, minZoom: k < 6 ? 2.5 : k < 30 ? 4 : 6})),
    ...countryWords(countries)
  ]);
  prepare(map, data, options).then(found => { countries = found; words.addTo(map); ready(); });

  function marked(p, at, more) {
    return new Mark(at, {renderer: canvas, shape: data.looks.shapes[p.kind], fillColor: p.hollow ? tone("--paper") : data.looks.colours[p.kind],
      edge: p.hollow ? data.looks.colours[p.kind] : tone("--map-ink"), hollow: p.hollow, dim: p.dim, radius: p.r, ...more});
  }
  function draw() {
    marks.clearLayers();
    for (const p of places) for (const shift of COPIES) {
      marked(p, [p.at[1], p.at[0] + shift], {})
        .bindTooltip(() => make("span", {}, say(p.t ? "explore.tip" : "explore.tip_none", {name: p.name, t: NUMBER.format(p.t), unit: p.unit})), {direction: "top", offset: [0, -6]})
        .on("click", () => choose(p.id, true))
        .on("mouseover", () => point(p.id)).on("mouseout", () => point(""))
        .addTo(marks);
    }
    words.renew();
  }
  function circle(id, near) {
    ring.clearLayers();
    const p = places.find(q => q.id === id);
    if (!p) return;
    for (const shift of COPIES) {
      L.circleMarker([p.at[1], p.at[0] + shift], {renderer: canvas, radius: p.r + 7, color: tone("--focus"), weight: 3, fill: false, interactive: false}).addTo(ring);
    }
    if (near && !map.getBounds().contains([p.at[1], p.at[0]])) map.panTo([p.at[1], p.at[0]], {animate: !window.matchMedia("(prefers-reduced-motion: reduce)").matches});
  }
  const row = id => by("f-" + id);
  function point(id) {
    document.querySelectorAll("tr.pointed").forEach(r => r.classList.remove("pointed"));
    if (id && row(id)) row(id).classList.add("pointed");
    circle(id || chosen, false);
  }
  function choose(id, scroll) {
    chosen = id;
    document.querySelectorAll("tr.chosen").forEach(r => r.classList.remove("chosen"));
    const found = row(id);
    circle(id, !scroll);
    if (!found) return;
    found.classList.add("chosen");
    window.history.replaceState(null, "", window.location.pathname + window.location.search + "#f-" + id);
    if (!scroll) return;
    const box = by("rows"), head = found.closest("table").tHead.offsetHeight;
    box.scrollTop += found.getBoundingClientRect().top - box.getBoundingClientRect().top - head - 8;
    box.scrollIntoView({block: "nearest"});
    found.querySelector("a").focus({preventScroll: true});
  }

  const results = by("results"), form = by("filter-form");
  function live() { return JSON.parse(results.querySelector("script.live").textContent); }
  function look() {
    if (!places.length) return;
    const box = L.latLngBounds(places.map(p => [p.at[1], p.at[0]]));
    map.fitBounds(box, {animate: false, padding: [26, 26], maxZoom: 6});
  }
  function renew() {
    const now = live();
    places = now.places;
    chosen = "";
    ring.clearLayers();
    for (const [name, counts] of Object.entries(now.facets)) for (const control of form.querySelectorAll('[name="' + name + '"]')) {
      if (control.type === "checkbox") {
        const n = counts[control.value] || 0, label = control.closest("label");
        label.querySelector(".n").textContent = n;
        control.disabled = !n && !control.checked;
        label.classList.toggle("none", control.disabled);
      } else for (const option of control.options) if (option.value) {
        const n = counts[option.value] || 0;
        option.textContent = option.dataset.text + " (" + n + ")";
        option.disabled = !n && !option.selected;
      }
    }
    draw();
    if (window.sortTables) window.sortTables(results);
  }

  /* The order of the table outlives a change of the filters. */
  function order() {
    const heads = [...results.querySelectorAll("#rows thead th")], k = heads.findIndex(h => h.hasAttribute("aria-sort"));
    return k < 0 ? null : {k, way: heads[k].getAttribute("aria-sort")};
  }
  function reorder(was) {
    const head = was && results.querySelectorAll("#rows thead th")[was.k], button = head && head.querySelector("button");
    for (let n = 0; button && n < 2 && head.getAttribute("aria-sort") !== was.way; n++) button.click();
  }

  /* Filters: each change asks for the list anew; the address holds what is asked. */
  let asked = null, waiting = 0;
  function query() {
    const said = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) said.append(name, value);
    return said.toString();
  }
  function fill(said) {
    const wanted = new URLSearchParams(said);
    for (const control of form.elements) {
      if (!control.name) continue;
      const values = wanted.getAll(control.name).flatMap(v => v.split(","));
      if (control.type === "checkbox") { control.checked = values.includes(control.value); control.disabled = false; }
      else control.value = wanted.get(control.name) || "";
    }
  }
  function load(said, push) {
    if (asked) asked.abort();
    asked = new AbortController();
    results.classList.add("busy");
    const tail = said ? "?" + said : "";
    return fetch("/facilities?part=list" + (said ? "&" + said : ""), {signal: asked.signal}).then(r => { if (!r.ok) throw new Error(String(r.status)); return r.text(); }).then(html => {
      const was = order(), made = new DOMParser().parseFromString(html, "text/html");
      results.replaceChildren(...made.body.childNodes, ...(made.querySelector("body script.live") ? [] : made.querySelectorAll("script.live")));
      results.classList.remove("busy");
      if (push) window.history.pushState(null, "", "/facilities" + tail);
      renew();
      reorder(was);
      look();
      by("explore-said").textContent = say("explore.found", {n: places.length});
    }).catch(error => {
      if (error.name === "AbortError") return;
      results.classList.remove("busy");
      by("explore-said").textContent = say("explore.failed");
    });
  }
  const change = delay => { window.clearTimeout(waiting); waiting = window.setTimeout(() => load(query(), true), delay); };
  form.addEventListener("input", e => { if (e.target.type === "search") change(250); });
  form.addEventListener("change", e => { if (e.target.type !== "search") change(0); });
  form.addEventListener("submit", e => { e.preventDefault(); change(0); });
  results.addEventListener("click", e => {
    const link = e.target.closest('a[href^="/facilities"]');
    if (link && !e.ctrlKey && !e.metaKey && !e.shiftKey) {
      e.preventDefault();
      const said = new URL(link.href).search.slice(1);
      fill(said);
      load(said, true).then(() => by("rows") && by("rows").focus({preventScroll: true}));
      return;
    }
    const line = e.target.closest("tr[data-id]");
    if (line && !e.target.closest("a")) choose(line.dataset.id, false);
  });
  const over = e => { const line = e.target.closest("tr[data-id]"); point(line ? line.dataset.id : ""); };
  results.addEventListener("mouseover", over);
  results.addEventListener("mouseleave", () => point(""));
  results.addEventListener("focusin", over);
  window.addEventListener("popstate", () => { const said = window.location.search.slice(1); fill(said); load(said, false); });
  if (window.matchMedia("(max-width: 900px)").matches) by("filters").open = false; // what is set stands above the list

  renew();
  look();
  const named = window.location.hash.startsWith("#f-") ? window.location.hash.slice(3) : "";
  if (named) choose(named, false);
  document.addEventListener("themechange", draw);
  map.on("resize", () => words.renew());
  window.AtlasExplore.shown = {map, places: () => places, choose, point, chosen: () => chosen, ring};
  return window.AtlasExplore.shown;
}

/* ---------- the paths of one thing ---------- */
function thing(map, id, options) {
  const data = JSON.parse(by(id).textContent), canvas = L.canvas({padding: 0.2, tolerance: 4});
  let countries = [];
  function look() {
    if (!data.box) return;
    const [w, s, e, n] = data.box, pad = map.getSize().x < 600 ? 18 : 36;
    map.fitBounds([[s, w], [n, e]], {animate: false, padding: [pad, pad], maxZoom: data.stretches.length ? 8 : 4}); // a lone place is seen with its surroundings
  }
  look();
  const lines = data.stretches.map(s => {
    const line = new Stretch(latlngs(decode(s.line, 3), 0), {renderer: canvas});
    line.setStrands(s.strands.map(([c, , width]) => ({width, colour: data.looks.commodities[c].colour, dash: []})), s.heading);
    line.bindTooltip(() => make("span", {}, s.strands.map(([c, t]) => data.looks.commodities[c].label + " " + NUMBER.format(t) + " t").join(", ")), {sticky: true});
    return line.addTo(map);
  });
  const gates = L.layerGroup().addTo(map), marks = L.layerGroup().addTo(map), ring = L.layerGroup().addTo(map);
  function draw() {
    marks.clearLayers();
    gates.clearLayers();
    for (const gate of data.gates || []) for (const shift of COPIES) {
      L.polyline(latlngs(gate, shift), {renderer: canvas, color: tone("--halt"), weight: 3, dashArray: "5 4", interactive: false}).addTo(gates);
    }
    for (const p of [...data.places].reverse()) for (const shift of COPIES) {
      const mark = new Mark([p.at[1], p.at[0] + shift], {renderer: canvas, shape: data.looks.shapes[p.kind], fillColor: p.hollow ? tone("--paper") : data.looks.colours[p.kind],
        edge: p.hollow ? data.looks.colours[p.kind] : tone("--map-ink"), hollow: p.hollow, radius: p.own ? 9 : 6})
        .bindTooltip(() => make("span", {}, p.t ? say("explore.tip_t", {name: p.name, t: NUMBER.format(p.t)}) : p.name), {direction: "top", offset: [0, -6]}).addTo(marks);
      if (p.href) mark.on("click", () => { window.location.href = p.href; });
    }
  }
  draw();
  const words = new Words(() => [
    ...data.places.map(p => ({text: p.name, at: p.at, dx: 11, weight: p.own ? 1e6 : p.t || 0, colour: tone("--map-ink"), font: (p.own ? "700 12.5px " : "600 11px ") + SANS, minZoom: 0})),
    ...countryWords(countries)
  ].sort((a, b) => b.weight - a.weight));
  prepare(map, data, options).then(found => { countries = found; words.addTo(map); ready(); });
  function point(at) {
    ring.clearLayers();
    const p = at && data.places.find(q => q.id === at);
    if (p) for (const shift of COPIES) L.circleMarker([p.at[1], p.at[0] + shift], {renderer: canvas, radius: 14, color: tone("--focus"), weight: 3, fill: false, interactive: false}).addTo(ring);
  }
  const over = e => { const line = e.target.closest && e.target.closest("tr[data-place]"); point(line ? line.dataset.place : ""); };
  document.addEventListener("mouseover", over);
  document.addEventListener("focusin", over);
  document.addEventListener("themechange", () => { for (const line of lines) line.redraw(); draw(); words.renew(); });
  map.on("resize", look);
  window.AtlasThing.shown = {map, lines, data};
  return window.AtlasThing.shown;
}

window.AtlasExplore = {start: explore};
window.AtlasThing = {start: thing};
})();
