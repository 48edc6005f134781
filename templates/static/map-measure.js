/* Measuring on the map: the shortest line over the globe between points, in km on the WGS84 ellipsoid. */
(function () {
"use strict";
const {make, tone, COPIES} = window.Atlas;
const A = 6378.137, F = 1 / 298.257223563, B = A * (1 - F), RAD = Math.PI / 180;
const KM = new Intl.NumberFormat("en-US", {maximumSignificantDigits: 4});

/* Km between [lon, lat] points (Vincenty's inverse formula; the sphere where it does not settle, near the antipode). */
function km(p, q) {
  const l = (q[0] - p[0]) * RAD, u1 = Math.atan((1 - F) * Math.tan(p[1] * RAD)), u2 = Math.atan((1 - F) * Math.tan(q[1] * RAD));
  const [s1, c1, s2, c2] = [Math.sin(u1), Math.cos(u1), Math.sin(u2), Math.cos(u2)];
  let turn = l;
  for (let n = 0; n < 100; n++) {
    const sl = Math.sin(turn), cl = Math.cos(turn);
    const ss = Math.hypot(c2 * sl, c1 * s2 - s1 * c2 * cl), cs = s1 * s2 + c1 * c2 * cl, sigma = Math.atan2(ss, cs);
    if (ss === 0) return 0;
    const sa = c1 * c2 * sl / ss, ca2 = 1 - sa * sa, cm = ca2 ? cs - 2 * s1 * s2 / ca2 : 0, c = F / 16 * ca2 * (4 + F * (4 - 3 * ca2));
    const before = turn;
    turn = l + (1 - c) * F * sa * (sigma + c * ss * (cm + c * cs * (2 * cm * cm - 1)));
    if (Math.abs(turn - before) > 1e-11) continue;
    const k = ca2 * (A * A - B * B) / (B * B), a = 1 + k / 16384 * (4096 + k * (k * (320 - 175 * k) - 768)), b = k / 1024 * (256 + k * (k * (74 - 47 * k) - 128));
    const d = b * ss * (cm + b / 4 * (cs * (2 * cm * cm - 1) - b / 6 * cm * (4 * ss * ss - 3) * (4 * cm * cm - 3)));
    return B * a * (sigma - d);
  }
  return 6371.0088 * angle(p, q);
}
function angle(p, q) {
  const h = Math.sin((q[1] - p[1]) * RAD / 2) ** 2 + Math.cos(p[1] * RAD) * Math.cos(q[1] * RAD) * Math.sin((q[0] - p[0]) * RAD / 2) ** 2;
  return 2 * Math.asin(Math.min(1, Math.sqrt(h)));
}

/* Points along the great circle, longitudes running on. */
function arc(p, q) {
  const d = angle(p, q), n = Math.max(2, Math.ceil(d / RAD / 2)), out = [];
  const v = ([x, y]) => [Math.cos(y * RAD) * Math.cos(x * RAD), Math.cos(y * RAD) * Math.sin(x * RAD), Math.sin(y * RAD)];
  const a = v(p), b = v(q);
  for (let i = 0; i <= n; i++) {
    const t = i / n, s = Math.sin(d) || 1, f = d ? Math.sin((1 - t) * d) / s : 1 - t, g = d ? Math.sin(t * d) / s : t;
    const [x, y, z] = [0, 1, 2].map(k => f * a[k] + g * b[k]);
    let lon = Math.atan2(y, x) / RAD;
    if (out.length) lon += 360 * Math.round((out[out.length - 1][1] - lon) / 360);
    out.push([Math.atan2(z, Math.hypot(x, y)) / RAD, lon]);
  }
  return out;
}

function part(atlas) {
  const button = document.getElementById("measure"), said = document.getElementById("map-said"), {map, state} = atlas, box = map.getContainer();
  if (!button) return;
  let points = [], group = null;

  function draw() {
    group.clearLayers();
    const ink = tone("--accent");
    let total = 0;
    points.forEach((p, i) => {
      for (const shift of COPIES) {
        L.circleMarker([p[1], p[0] + shift], {radius: 4, color: ink, fillColor: tone("--paper"), fillOpacity: 1, weight: 2, interactive: false}).addTo(group);
        if (i) L.polyline(arc(points[i - 1], p).map(([y, x]) => [y, x + shift]), {color: ink, weight: 2.5, dashArray: "6 4", interactive: false}).addTo(group);
      }
      if (i) total += km(points[i - 1], p);
    });
    said.replaceChildren();
    if (points.length < 2) { said.append(say("map.measure_how"), " "); }
    else {
      said.append(say("map.measured", {km: KM.format(total)}), " ");
      const ends = [points[0], points[points.length - 1]].map(p => p.map(v => v.toFixed(4)).join(","));
      if (atlas.live) said.append(make("a", {href: "/route?from=" + ends[0] + "&to=" + ends[1]}, say("map.measure_route")), " ");
    }
    const end = make("button", {type: "button", class: "link"}, say("map.measure_end"));
    end.addEventListener("click", () => stop());
    said.append(end);
  }

  function add(latlng) {
    const at = latlng.wrap();
    points.push([at.lng, at.lat]);
    draw();
  }
  function key(e) {
    if (e.key === "Escape") { e.preventDefault(); stop(); button.focus(); }
    if (e.target !== box) return;
    if (e.key === "Enter") { e.preventDefault(); add(map.getCenter()); }
    if (e.key === "Backspace" && points.length) { e.preventDefault(); points.pop(); draw(); }
  }
  function start() {
    state.busy = true;
    button.setAttribute("aria-pressed", "true");
    box.classList.add("measuring");
    map.closePopup();
    points = [];
    group = L.layerGroup().addTo(map);
    // above flows and plants, whose own presses would take the point away
    box.addEventListener("click", caught, true);
    document.addEventListener("keydown", key);
    box.focus({preventScroll: true});
    draw();
  }
  function caught(e) {
    if (e.target.closest(".leaflet-control")) return;
    e.stopPropagation();
    add(map.mouseEventToLatLng(e));
  }
  function stop() {
    if (!state.busy) return;
    state.busy = false;
    button.setAttribute("aria-pressed", "false");
    box.classList.remove("measuring");
    box.removeEventListener("click", caught, true);
    document.removeEventListener("keydown", key);
    group.remove();
    said.replaceChildren();
  }
  button.addEventListener("click", () => { if (state.busy) stop(); else start(); });
  document.addEventListener("themechange", () => { if (state.busy) draw(); });
}

window.Atlas.measure = {km, arc};
(window.Atlas.parts = window.Atlas.parts || []).push(part);
})();
