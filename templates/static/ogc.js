/* The map of the features of one page: read from the same address as JSON. */
(function () {
"use strict";
const {make, landLayer, COPIES} = window.Atlas;
const tone = name => window.themeColour(name);
const settings = JSON.parse(document.getElementById("features-settings").textContent);
const map = L.map("features-map", {preferCanvas: true, worldCopyJump: false, zoomSnap: 0.5}).setView([20, 100], 1.5);
map.createPane("land").style.zIndex = 200;
map.attributionControl.setPrefix(false);
map.setMinZoom(0.5);
map.scrollWheelZoom.disable();
map.on("click", () => map.scrollWheelZoom.enable());
map.getContainer().setAttribute("aria-label", settings.label);

function read(address) {
  return fetch(address, {headers: {Accept: "application/json"}}).then(r => { if (!r.ok) throw new Error(String(r.status)); return r.json(); });
}
function words(feature) {
  const p = feature.properties || {}, said = p.name && p.name !== feature.id ? p.name + " (" + feature.id + ")" : feature.id;
  return make("span", {}, said);
}
let shown = [], drawn = L.layerGroup().addTo(map), landed = null, land = null;
function draw() {
  drawn.clearLayers();
  const line = {color: tone("--accent"), weight: 2, opacity: 0.75, fillColor: tone("--accent"), fillOpacity: 0.15};
  for (const shift of COPIES) {
    L.geoJSON(shown, {
      coordsToLatLng: c => L.latLng(c[1], c[0] + shift),
      style: line,
      pointToLayer: (f, at) => L.circleMarker(at, {...line, radius: 5, weight: 1.5, color: tone("--map-ink"), fillOpacity: 0.8})
    }).bindTooltip(layer => words(layer.feature)).addTo(drawn);
  }
}
function drawLand() {
  if (land) map.removeLayer(land);
  land = landed ? landLayer(landed, () => "plain").addTo(map) : null;
}
const base = read(settings.land).then(found => { landed = found.countries; drawLand(); }, () => map.attributionControl.addAttribution(say("ogc.no_land")));
const own = read(settings.features).then(found => {
  shown = (found.features || [found]).filter(f => f.geometry);
  draw();
  const box = L.geoJSON(shown).getBounds();
  if (box.isValid()) map.fitBounds(box, {animate: false, padding: [24, 24], maxZoom: 7});
}, () => map.attributionControl.addAttribution(say("ogc.no_features")));
Promise.all([base, own]).then(() => { document.body.dataset.ready = "yes"; });
document.addEventListener("themechange", () => { drawLand(); draw(); });
})();
