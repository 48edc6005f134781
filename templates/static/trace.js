/* The map of a trace: paths by goods, as wide as the traced tonnes, and the places they join. */
(function () {
"use strict";
const {decode, latlngs, make, landLayer, Stretch, Mark, Words, COPIES, SANS} = window.Atlas;
const tone = name => window.themeColour(name); // of the style sheet, as it is in this theme
const NUMBER = new Intl.NumberFormat("en-US", {maximumSignificantDigits: 3});

function start(map, id, options) {
  const data = JSON.parse(document.getElementById(id).textContent), allies = new Set(data.allies);
  map.createPane("land").style.zIndex = 200;
  map.createPane("words").style.zIndex = 620;
  map.getPane("words").classList.add("atlas-words-pane");
  const canvas = L.canvas({padding: 0.2, tolerance: 4});
  map.attributionControl.setPrefix(false);
  map.attributionControl.addAttribution(options.attribution);
  map.setMinZoom(0.5);
  map.scrollWheelZoom.disable();  // the page scrolls past the map
  map.on("click", () => map.scrollWheelZoom.enable());
  map.getContainer().setAttribute("aria-label", options.label || "Map");
  function look() {
    if (!data.box) return;
    const [w, s, e, n] = data.box, pad = map.getSize().x < 600 ? 16 : 34;
    map.fitBounds([[s, w], [n, e]], {animate: false, padding: [pad, pad], maxZoom: 7});
  }
  look();
  landLayer(data.land.countries, c => allies.has(c.id) ? "ally" : "plain").addTo(map);

  const lines = data.stretches.map(s => {
    const line = new Stretch(latlngs(decode(s.line, 3), 0), {renderer: canvas});
    line.setStrands(s.strands.map(([c, , width]) => ({width, colour: data.commodities[c].colour, dash: []})), s.heading);
    line.bindTooltip(() => make("span", {}, s.strands.map(([c, t]) => data.commodities[c].label + " " + NUMBER.format(t) + " t").join(", ")), {sticky: true});
    return line.addTo(map);
  });
  const marks = L.layerGroup().addTo(map);
  function drawMarks() {
    marks.clearLayers();
    for (const p of [...data.places].reverse()) for (const shift of COPIES) {
      new Mark([p.at[1], p.at[0] + shift], {renderer: canvas, shape: data.shapes[p.kind], fillColor: data.colours[p.kind], edge: tone("--map-ink"), radius: p.own ? 9 : 3.5 + 5 * Math.sqrt(p.part)})
        .bindTooltip(() => make("span", {}, p.name + ": " + NUMBER.format(p.t) + " t"), {direction: "top", offset: [0, -6]}).addTo(marks);
    }
  }
  drawMarks();
  const words = new Words(() => [
    ...data.places.map(p => ({text: p.name, at: p.at, dx: 11, weight: p.own ? 1e6 : p.part, colour: tone("--map-ink"), font: (p.own ? "700 12.5px " : "600 11px ") + SANS, minZoom: p.own || p.part > 0.1 ? 0 : p.part > 0.02 ? 3 : 4.5})),
    ...data.land.countries.map(c => ({text: c.name, at: c.at, wide: c.wide, weight: -1e3 + c.wide, colour: tone("--map-soft"), font: "italic 11.5px " + SANS, minZoom: 1.5}))
  ].sort((a, b) => b.weight - a.weight));
  words.addTo(map);
  document.addEventListener("themechange", () => { for (const line of lines) line.redraw(); drawMarks(); words.renew(); });
  map.on("resize", look);
  map.whenReady(() => L.Util.requestAnimFrame(() => L.Util.requestAnimFrame(() => { document.body.dataset.ready = "yes"; })));
  window.AtlasTrace.shown = {map, lines, words};
  return window.AtlasTrace.shown;
}

window.AtlasTrace = {start};
})();
