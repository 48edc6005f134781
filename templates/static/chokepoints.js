/* The map of what costs most to lose: tinted countries, gates, places as large as the loss. Text is only text. */
(function () {
"use strict";
const {decode, latlngs, make, landLayer, Mark, Words, COPIES, SANS} = window.Atlas;
const tone = name => window.themeColour(name); // of the style sheet, as it is in this theme
/* A colour from the page's data: a plain one, or a variable such as "var(--plot-blue, #0072B2)". */
const painted = colour => colour.startsWith("var(") ? tone(colour.slice(4, -1)) : colour;

function popup(thing) {
  const rows = thing.facts.map(([what, figure]) => what ? make("tr", {}, make("th", {scope: "row"}, what), make("td", {}, figure)) : make("tr", {}, make("td", {colspan: "2"}, figure)));
  return make("div", {class: "popup"}, make("h3", {}, thing.name), make("table", {}, make("tbody", {}, ...rows)));
}

/* The middle of a gate: of its longest line. */
function middle(gate) {
  if (!gate.lines.length) return gate.posts[0];
  const line = gate.lines.reduce((a, b) => a.length >= b.length ? a : b), half = (line.length - 1) / 2;
  const a = line[Math.floor(half)], b = line[Math.ceil(half)];
  return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
}

function start(map, id, options) {
  const data = JSON.parse(document.getElementById(id).textContent), allies = new Set(data.allies);
  map.createPane("land").style.zIndex = 200;
  map.createPane("words").style.zIndex = 620;
  map.getPane("words").classList.add("atlas-words-pane");
  const canvas = L.canvas({padding: 0.2, tolerance: 4});
  map.attributionControl.setPrefix(false);
  map.attributionControl.addAttribution(options.attribution);
  map.setMinZoom(0);
  map.scrollWheelZoom.disable();  // the page scrolls past the map
  map.on("click", () => map.scrollWheelZoom.enable());
  map.getContainer().setAttribute("aria-label", options.label || "Map");
  const look = () => map.fitBounds([[-42, -125], [66, 152]], {animate: false});
  look();
  landLayer(data.land.countries, c => allies.has(c.id) ? "ally" : "plain").addTo(map);
  const open = (thing, at) => L.popup({maxWidth: 320, maxHeight: Math.max(map.getSize().y - 110, 140), autoPanPaddingTopLeft: [10, 30]}).setLatLng(at).setContent(popup(thing)).openOn(map);

  const land = new Map(data.land.countries.map(c => [c.id, c]));
  const outlines = data.countries.filter(c => land.has(c.id)).map(c => [c, land.get(c.id).rings.map(r => decode(r, 2))]);
  const drawn = L.layerGroup().addTo(map);
  const mark = (thing, at, radius, hollow) => {
    const own = data.looks[thing.kind];
    for (const shift of COPIES) {
      new Mark([at[1], at[0] + shift], {renderer: canvas, shape: own.shape, fillColor: hollow ? tone("--paper") : painted(own.colour), edge: hollow ? painted(own.colour) : tone("--map-ink"), hollow, radius, bubblingMouseEvents: false})
        .bindTooltip(() => make("span", {}, thing.name), {direction: "top", offset: [0, -6]})
        .on("click", e => open(thing, e.latlng)).addTo(drawn);
    }
  };
  /* All of it in the colours of the theme; once more when that changes. */
  function draw() {
    drawn.clearLayers();
    for (const [c, rings] of outlines) for (const shift of COPIES) {
      L.polygon(rings.map(r => latlngs(r, shift)), {renderer: canvas, stroke: false, fillColor: painted(data.tints[c.level]), fillOpacity: 0.85, smoothFactor: 0.6})
        .bindTooltip(() => make("span", {}, say("findings.of_supply", {name: c.name, share: c.share})), {sticky: true})
        .on("click", e => { L.DomEvent.stopPropagation(e); open(c, e.latlng); }).addTo(drawn);
    }
    for (const p of data.places) mark(p, p.at, p.r, !p.lost);
    for (const g of data.gates) {
      const own = data.looks[g.kind];
      for (const shift of COPIES) if (g.lines.length) {
        L.polyline(g.lines.map(l => latlngs(l, shift)), {renderer: canvas, color: painted(own.colour), weight: g.width, bubblingMouseEvents: false})
          .bindTooltip(() => make("span", {}, g.name), {sticky: true})
          .on("click", e => open(g, e.latlng)).addTo(drawn);
      }
      for (const at of g.posts) mark(g, at, 4, false);
      if (g.lines.length) mark(g, middle(g), Math.max(3.5, g.width * 0.9), false);
    }
  }
  draw();
  const words = new Words(() => [
    ...data.gates.filter(g => g.lines.length).map(g => ({text: g.name, at: middle(g), dx: 9, weight: 100 * g.width, colour: tone("--map-ink"), font: "600 11px " + SANS, minZoom: g.width > 3 ? 0 : 3})),
    ...data.places.filter(p => p.lost).map(p => ({text: p.name, at: p.at, dx: p.r + 3, weight: 100 * p.r, colour: tone("--map-ink"), font: "600 11px " + SANS, minZoom: p.r > 12 ? 1.5 : p.r > 6 ? 3.5 : 5})),
    ...data.countries.map(c => ({text: c.name + " " + c.share, at: land.get(c.id) ? land.get(c.id).at : [0, 0], dx: 4, far: true, weight: 1e4 + c.level, colour: tone("--map-ink"), font: "700 11.5px " + SANS, minZoom: c.level > 1 ? 0 : 2})),
    ...data.land.countries.map(c => ({text: c.name, at: c.at, wide: c.wide, weight: -1e3 + c.wide, colour: tone("--map-soft"), font: "italic 11.5px " + SANS, minZoom: 2}))
  ].sort((a, b) => b.weight - a.weight));
  words.addTo(map);
  document.addEventListener("themechange", () => { draw(); words.renew(); });
  let held = false;  // once somebody has looked closer, a change of the window's size does not take that away
  map.on("popupopen dragstart", () => { held = true; });
  map.on("resize", () => { if (!held) look(); });
  map.whenReady(() => L.Util.requestAnimFrame(() => L.Util.requestAnimFrame(() => { document.body.dataset.ready = "yes"; })));
  window.AtlasChokepoints.shown = {map, words, data};
  return window.AtlasChokepoints.shown;
}

window.AtlasChokepoints = {start};
})();
