/* Close-ups: the exact outline of land, railways and roads around a plant, a grid, and how exactly a place is known. */
(function () {
"use strict";
const {make, tone} = window.Atlas;
const FROM_ZOOM = 6.5, WAIT_MS = 180, KEPT = 24;
const KINDS = ["road", "rail", "local_road", "local_rail"];
const STYLES = { // colour, width, dash
  road: ["--map-soft", 1.2, null], rail: ["--map-ink", 1.2, "7 3"], local_road: ["--note-edge", 1, null], local_rail: ["--map-ink", 1, "3 3"]
};
const STEPS = [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005];

function part(atlas) {
  const {map} = atlas, kept = new Map(), ground = map.createPane("near-land"), pane = map.createPane("near");
  ground.style.zIndex = 205;
  pane.style.zIndex = 210;
  for (const p of [ground, pane]) p.style.pointerEvents = "none";
  const land = L.canvas({pane: "near-land", padding: 0.3}), lines = L.canvas({pane: "near", padding: 0.3});
  const layers = L.layerGroup().addTo(map), grid = L.layerGroup().addTo(map);
  const said = make("p", {class: "near-said", id: "near-said", role: "status"});
  map.getContainer().parentElement.append(said);
  let timer = 0, shown = "", asked = 0;

  function box(zoom) {
    const b = map.getBounds(), step = 360 / Math.pow(2, Math.floor(zoom)), out = (v, up) => Number((Math[up ? "ceil" : "floor"](v / step) * step).toFixed(6));
    return [out(b.getWest(), false), Math.max(-90, out(b.getSouth(), false)), out(b.getEast(), true), Math.min(90, out(b.getNorth(), true))];
  }

  function clear() {
    layers.clearLayers();
    grid.clearLayers();
    said.textContent = shown = "";
  }

  async function look() {
    const zoom = Math.min(map.getZoom(), map.getMaxZoom());
    if (zoom < FROM_ZOOM) { asked++; clear(); return; }
    drawGrid();
    const b = box(zoom), key = "/api/nearby.geojson?bbox=" + b.join(",") + "&zoom=" + Math.floor(zoom), mine = ++asked;
    if (key === shown) return;
    let found = kept.get(key);
    if (!found) {
      said.textContent = say("map.near_busy");
      try {
        const response = await fetch(key);
        if (!response.ok) throw new Error(String(response.status));
        found = await response.json();
      } catch {
        if (mine === asked) said.textContent = say("map.near_failed");
        return;
      }
      kept.set(key, found);
      while (kept.size > KEPT) kept.delete(kept.keys().next().value);
    }
    if (mine !== asked) return;
    shown = key;
    draw(found, b);
  }

  function draw(found, b) {
    layers.clearLayers();
    const halted = new Set(atlas.data.halted.country), allies = atlas.model.allies;
    L.rectangle([[b[1], b[0]], [b[3], b[2]]], {renderer: land, interactive: false, stroke: false, fillColor: tone("--sea"), fillOpacity: 1}).addTo(layers);
    const of = kind => ({type: "FeatureCollection", features: found.features.filter(f => f.properties.kind === kind)});
    L.geoJSON(of("land"), {renderer: land, interactive: false, style: f => ({color: tone("--border"), weight: 1, fillOpacity: 1, fillColor: tone(halted.has(f.properties.country) ? "--land-halted" : allies.has(f.properties.country) ? "--land-ally" : "--land")})}).addTo(layers);
    let count = 0;
    const there = [];
    for (const kind of KINDS) {
      const mine = of(kind), [colour, weight, dashArray] = STYLES[kind];
      if (!mine.features.length) continue;
      count += mine.features.length;
      there.push(say("map.near." + kind));
      L.geoJSON(mine, {renderer: lines, interactive: false, style: {color: tone(colour), weight, dashArray, opacity: 0.75}}).addTo(layers);
    }
    said.textContent = (count ? found.left_out ? say("map.near_more", {n: count}) : say("map.near_found", {n: count}) : say("map.near_none")) + (there.length ? " (" + there.join(", ") + ")" : "");
    precision(b);
  }

  /* How exactly a place is known, where that is wider than its symbol. */
  function precision(b) {
    const c = map.getCenter().lng;
    for (const p of atlas.data.places) {
      if (!p.at || !p.precision_km || !atlas.state.shown.has(atlas.model.layerOf(p))) continue;
      const lon = p.at[0] + 360 * Math.round((c - p.at[0]) / 360);
      if (lon < b[0] || lon > b[2] || p.at[1] < b[1] || p.at[1] > b[3]) continue;
      L.circle([p.at[1], lon], {renderer: lines, radius: p.precision_km * 1000, interactive: false, color: tone("--accent"), weight: 1.2, dashArray: "5 5", fillOpacity: 0.04, fillColor: tone("--accent")}).addTo(layers);
    }
  }

  function drawGrid() {
    grid.clearLayers();
    const b = map.getBounds(), span = b.getEast() - b.getWest(), step = STEPS.find(s => span / s >= 4) || STEPS[STEPS.length - 1];
    const places = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)), style = {renderer: lines, interactive: false, color: tone("--border"), weight: 0.7, opacity: 0.7};
    const label = (at, text, side) => L.marker(at, {interactive: false, keyboard: false, pane: "near", icon: L.divIcon({className: "grid-label " + side, html: make("span", {}, text), iconSize: null})}).addTo(grid);
    for (let x = Math.ceil(b.getWest() / step) * step; x < b.getEast(); x += step) {
      L.polyline([[b.getSouth(), x], [b.getNorth(), x]], style).addTo(grid);
      const lon = x - 360 * Math.floor((x + 180) / 360);
      label([b.getSouth(), x], Math.abs(lon).toFixed(places) + "°" + (lon < 0 ? "W" : "E"), "low");
    }
    for (let y = Math.ceil(b.getSouth() / step) * step; y < b.getNorth(); y += step) {
      L.polyline([[y, b.getWest()], [y, b.getEast()]], style).addTo(grid);
      label([y, b.getWest()], Math.abs(y).toFixed(places) + "°" + (y < 0 ? "S" : "N"), "left");
    }
  }

  const later = () => { window.clearTimeout(timer); timer = window.setTimeout(look, WAIT_MS); };
  map.on("moveend", later);
  document.addEventListener("themechange", () => { shown = ""; later(); });
  later();
}

(window.Atlas.parts = window.Atlas.parts || []).push(part);
})();
