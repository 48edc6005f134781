/* The map of routes: the chosen way in the colours of its modes, the others thin; what it passes is named. */
(function () {
"use strict";
const {decode, latlngs, make, landLayer, short, Stretch, Mark, Words, COPIES, SANS} = window.Atlas;
const tone = name => window.themeColour(name); // of the style sheet, as it is in this theme
/* A colour from the page's data: a plain one, or a variable such as "var(--plot-blue, #0072B2)". */
const painted = colour => colour.startsWith("var(") ? tone(colour.slice(4, -1)) : colour;
const SQUARE = [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]], DIAMOND = [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]];

function start(map, id, options) {
  const data = JSON.parse(document.getElementById(id).textContent);
  const legend = document.getElementById("legend");
  map.createPane("land").style.zIndex = 200;
  map.createPane("words").style.zIndex = 620;
  map.getPane("words").classList.add("atlas-words-pane");
  const canvas = L.canvas({padding: 0.2, tolerance: 5});
  map.attributionControl.setPrefix(false);
  map.attributionControl.addAttribution(options.attribution);
  map.setMinZoom(0.5);
  map.setMaxZoom(12);
  map.getContainer().setAttribute("aria-label", options.label || "Map");
  if (map.getSize().x < 760) legend.open = false;
  look(data.box);
  landLayer(data.land.countries, () => "plain").addTo(map);

  /* ----- where to look: the whole of all ways, clear of the legend ----- */
  function look(box) {
    const size = map.getSize(), over = legend && legend.open && size.x >= 600 ? 215 : 0;
    if (box) {
      const [w, s, e, n] = box, pad = size.x < 600 ? 26 : 44;
      map.fitBounds([[s, w], [n, e]], {animate: false, paddingTopLeft: [pad, pad], paddingBottomRight: [pad + over, pad], maxZoom: 9});
    } else {
      const zoom = Math.max(0.75, Math.floor(4 * Math.log2(Math.max(size.x - over, size.y) / 256)) / 4);
      map.setView([30, (size.x < 600 ? 105 : 90) + over / 2 * 360 / (256 * Math.pow(2, zoom))], zoom, {animate: false});
    }
  }

  /* ----- ways ----- */
  let chosen = 0;
  const ways = data.ways.map((way, k) => way.legs.map(leg => {
    const line = new Stretch(latlngs(decode(leg.line, data.decimals), 0), {renderer: canvas, bubblingMouseEvents: false, mode: leg.mode});
    line.on("click", () => choose(k));
    line.bindTooltip(() => make("span", {}, (ways.length > 1 ? say("route.way", {n: k + 1}) + ", " : "") + (data.modes[leg.mode] || {label: leg.mode}).label), {sticky: true});
    return line.addTo(map);
  }));

  function drawWays() {
    ways.forEach((legs, k) => legs.forEach(line => {
      const style = data.modes[line.options.mode] || data.modes.sea, own = k === chosen;
      line.setStrands([{width: own ? 4.6 : 2, colour: painted(own ? style.colour : data.other), dash: style.dash}], own ? 1 : 0);
      line._update();
    }));
    if (ways[chosen]) for (const line of ways[chosen]) line.bringToFront();
  }

  /* ----- marks of the chosen way, and what is closed ----- */
  const marks = L.layerGroup().addTo(map);
  const looks = () => ({
    end: {shape: "circle", radius: 6.5, fillColor: tone("--map-ink"), edge: tone("--paper")},
    port: {shape: SQUARE, radius: 4.5, fillColor: tone("--paper"), edge: tone("--map-ink")},
    border: {shape: DIAMOND, radius: 5, fillColor: painted(data.border), edge: tone("--map-ink")}
  });

  function gateLines(gates, style) {
    const at = [];
    for (const gate of gates) for (const shift of COPIES) at.push(latlngs(style.whole ? gate : short(gate), shift));
    return L.polyline(at, {renderer: canvas, interactive: false, ...style});
  }

  function spot(at, look) { return COPIES.map(shift => new Mark([at[1], at[0] + shift], {renderer: canvas, bubblingMouseEvents: false, ...look})); }

  function named(mark, name) { return mark.bindTooltip(() => make("span", {}, name), {direction: "top", offset: [0, -6]}); }

  function drawMarks() {
    marks.clearLayers();
    const LOOKS = looks(), INK = tone("--map-ink"), HALT = tone("--halt"), PAPER = tone("--paper");
    for (const p of data.passages) marks.addLayer(gateLines(p.gates, p.shut ? {color: painted(data.unused.colour), weight: 2, dashArray: data.unused.dash} : {color: INK, weight: 2, dashArray: "4 3"}));
    for (const p of data.closed) {
      marks.addLayer(gateLines(p.gates, {color: HALT, weight: 4.5, whole: true}));
      for (const m of spot(p.at, {shape: "circle", radius: 1, fillColor: HALT, halted: true})) marks.addLayer(named(m, say("route.closed", {name: p.name})));
    }
    for (const p of data.shut) for (const m of spot(p.at, {shape: SQUARE, radius: 4.5, fillColor: PAPER, halted: true})) marks.addLayer(named(m, say("route.closed", {name: p.name})));
    for (const p of data.ports) for (const m of spot(p.at, {shape: SQUARE, radius: 3, fillColor: PAPER, edge: tone("--map-soft"), hollow: true})) {
      m.on("click", () => offer(m.getLatLng(), p.name, p.id));
      marks.addLayer(named(m, p.name));
    }
    for (const p of data.ends) for (const m of spot(p.at, LOOKS.end)) marks.addLayer(named(m, p.name));
    const way = data.ways[chosen];
    if (!way) return;
    for (const kind of ["passage", "border", "port", "end"]) for (const p of way.marks) {
      if (p.kind !== kind) continue;
      if (kind === "passage") marks.addLayer(gateLines(p.gates, {color: INK, weight: 2.2, dashArray: "4 3"}));
      else for (const m of spot(p.at, LOOKS[kind])) marks.addLayer(named(m, p.name));
    }
  }

  function candidates() {
    const INK = tone("--map-ink"), SOFT = tone("--map-soft"), HALT = tone("--halt");
    const out = [], add = (p, text, weight, colour, font, minZoom, whole) =>
      out.push({text, at: p.at, dx: whole ? 15 : 11, far: whole, lines: p.gates && (whole ? p.gates : p.gates.map(short)), weight, colour, font: font + SANS, minZoom});
    for (const p of data.closed) add(p, "✕ " + p.name, 1e11 + p.rank, HALT, "700 11.5px ", 0, true);
    for (const p of data.shut) add(p, "✕ " + p.name, 1e11, HALT, "700 11.5px ", 0, true);
    for (const p of data.ends) add(p, p.name, 1e10, INK, "700 12.5px ", 0);
    for (const p of (data.ways[chosen] || {marks: []}).marks) {
      if (p.kind === "end") add(p, p.name, 1e10, INK, "700 12.5px ", 0);
      else if (p.kind === "passage") add(p, p.name, 1e6 + p.rank, INK, "600 11.5px ", 0);
      else if (p.kind === "port") add(p, p.name, 1e5, INK, "600 11px ", 0);
      else add(p, p.name, 1e4, tone("--note-edge"), "11px ", 0);
    }
    for (const p of data.passages) {
      if (p.shut) add(p, say("route.shut", {name: p.name}), 900, painted(data.unused.colour), "11px ", 1.5);
      else add(p, p.name, 1e3 + p.rank, INK, "600 11px ", p.rank >= 1e4 ? 0.5 : 1.5);
    }
    for (const p of data.ports) add(p, p.name, 10, SOFT, "10.5px ", 4.5);
    for (const c of data.land.countries) out.push({text: c.name, at: c.at, wide: c.wide, weight: -1e6 + c.wide, colour: SOFT, font: "italic 11.5px " + SANS, minZoom: 1.5});
    return out.sort((a, b) => b.weight - a.weight);
  }
  const words = new Words(candidates);

  /* ----- choosing a way, from the table, by a press on its line, or by the address ----- */
  function choose(k, quiet) {
    chosen = k;
    for (const part of document.querySelectorAll("[data-way]")) part.hidden = Number(part.dataset.way) !== k + 1;
    for (const row of document.querySelectorAll("[data-row]")) row.classList.toggle("chosen", Number(row.dataset.row) === k + 1);
    for (const link of document.querySelectorAll("[data-pick]")) {
      if (Number(link.dataset.pick) === k + 1) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
    drawWays();
    drawMarks();
    words.renew();
    document.body.dataset.chosen = String(k + 1);
    if (!quiet) window.history.replaceState(null, "", k ? "#way-" + (k + 1) : window.location.pathname + window.location.search);
  }

  for (const link of document.querySelectorAll("[data-pick]")) link.addEventListener("click", e => { e.preventDefault(); choose(Number(link.dataset.pick) - 1); });
  for (const row of document.querySelectorAll("[data-row]")) row.addEventListener("click", e => { if (!e.target.closest("a")) choose(Number(row.dataset.row) - 1); });

  /* ----- a press on the map: a route from or to there ----- */
  function offer(at, name, value) {
    const fill = (side, text) => {
      const button = make("button", {type: "button", class: "plain"}, text);
      button.addEventListener("click", () => {
        map.closePopup();
        document.dispatchEvent(new CustomEvent("atlas-end", {detail: {side, value, name: name === value ? "" : name}}));
      });
      return button;
    };
    const box = make("div", {class: "popup"}, make("h3", {}, name), make("p", {class: "ends"}, fill("from", say("route.from_here")), fill("to", say("route.to_here"))));
    L.popup({maxWidth: 280, autoPanPaddingTopLeft: [10, 10]}).setLatLng(at).setContent(box).openOn(map);
  }
  map.on("click", e => {
    const at = e.latlng.wrap(), text = at.lng.toFixed(3) + "," + at.lat.toFixed(3);
    offer(e.latlng, text, text);
  });

  words.addTo(map);
  document.addEventListener("themechange", () => { drawWays(); drawMarks(); words.renew(); });
  map.on("resize", () => look(data.box));
  if (legend) legend.addEventListener("toggle", () => words.draw());
  const asked = /^#way-(\d+)$/.exec(window.location.hash);
  choose(asked && ways[asked[1] - 1] ? asked[1] - 1 : 0, true);
  map.whenReady(() => L.Util.requestAnimFrame(() => L.Util.requestAnimFrame(() => { document.body.dataset.ready = "yes"; })));
  window.AtlasRoute.shown = {map, ways, choose, data, words};
  return window.AtlasRoute.shown;
}

window.AtlasRoute = {start};
})();
