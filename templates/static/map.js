/* The map page: starts the drawing, switches layers and views, finds places, and keeps all of it in the address. */
(function () {
"use strict";
const {decode, make, landLayer, model, popups, Drawing} = window.Atlas;
const MAX_ZOOM = 14, BORDER_PX = 12;
const by = id => document.getElementById(id);

function start(map, id, options) {
  let data = JSON.parse(by(id).textContent);
  data.start = options;
  const live = Boolean(options.live), listeners = [];
  const state = {view: options.view, colour: "commodity", flows: new Set(), selected: null, shown: new Set(), usual: new Set(), swipe: 50};
  let m = model(data, state), told = popups(m, live), land = null, outlines = [];
  map.createPane("land").style.zIndex = 200;
  map.attributionControl.setPrefix(false);
  map.attributionControl.addAttribution(options.attribution);
  map.setMinZoom(0.5);
  map.setMaxZoom(MAX_ZOOM);
  map.getContainer().setAttribute("aria-label", options.label || say("map.label"));
  const atlas = {map, state, live, layer, ready, show, renew, select, go, firstView, get data() { return data; }, get model() { return m; }, get drawings() { return drawings; }, on: f => listeners.push(f)};
  window.Atlas.shown = atlas;
  if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) still();
  firstView();

  /* For who wants no motion: the map goes where it is told to at once. */
  function still() {
    const pan = map.panBy.bind(map), view = map.setView.bind(map);
    Object.assign(map.options, {zoomAnimation: false, fadeAnimation: false, markerZoomAnimation: false, inertia: false});
    map._zoomAnimated = false;
    map.panBy = (by, how) => pan(by, {...how, animate: false});
    map.setView = (at, zoom, how) => view(at, zoom, {...how, animate: false});
  }

  /* ----- where to look first: the Pacific whole, so that Shanghai - Los Angeles is one line ----- */
  function firstView() {
    const size = map.getSize(), f = options.focus;
    if (f) {
      map.fitBounds([[f[1], f[0]], [f[3], f[2] < f[0] ? f[2] + 360 : f[2]]], {animate: false, padding: [20, 20]});
      return;
    }
    // the legend lies over the right edge of a wide map
    const narrow = size.x < 600, covered = narrow || !by("legend") ? 0 : 222, free = Math.max(size.x - covered, 1);
    const zoom = Math.max(0.75, Math.floor(4 * Math.log2(free / 256 / (narrow ? 0.76 : 0.86))) / 4);
    const perDegree = 256 * Math.pow(2, zoom) / 360;
    map.setView([26, (narrow ? 108 : 150) + covered / 2 / perDegree], zoom, {animate: false});
  }

  /* ----- land: in the page where that is one file, else a file of its own that the browser keeps ----- */
  const landed = data.land.href ? fetch(data.land.href).then(r => { if (!r.ok) throw new Error(r.status); return r.json(); }) : Promise.resolve(data.land);
  data.land = {countries: []};
  let countries = [];

  function drawLand() {
    if (land) land.forEach(l => l.remove());
    const named = new Set(data.halted.country), kind = c => named.has(c.id) ? "halted" : m.allies.has(c.id) ? "ally" : "plain";
    land = drawings.map(d => d.map).filter((other, k, all) => all.indexOf(other) === k).map(other => landLayer(countries, kind).addTo(other));
  }
  function known(found) {
    countries = found.countries;
    data.land = found;
    for (const c of countries) m.names[c.id] = c.name;
  }

  /* The country at a point: the outlines are asked, not the picture. */
  function countryAt(latlng) {
    if (!outlines.length) outlines = countries.flatMap(c => c.rings.map(text => {
      const ring = decode(text, 2), xs = ring.map(p => p[0]), ys = ring.map(p => p[1]);
      return {id: c.id, ring, box: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]};
    }));
    const at = latlng.wrap(), x = at.lng, y = at.lat, inside = new Map();
    for (const {id, ring, box} of outlines) {
      if (x < box[0] || x > box[2] || y < box[1] || y > box[3]) continue;
      let odd = false;
      for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
        const a = ring[i], b = ring[j];
        if ((a[1] > y) !== (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]) odd = !odd;
      }
      if (odd) inside.set(id, !inside.get(id));
    }
    return [...inside].filter(([, odd]) => odd).map(([id]) => id)[0] || "";
  }

  function pressed(e, other) {
    if (state.selected !== null) { select(null); return; }
    if (state.busy) return; // measuring
    const code = countryAt(e.latlng);
    if (!code) return;
    const centre = other.latLngToContainerPoint(e.latlng), near = new Set();
    for (let turn = 0; turn < 12; turn++) {
      const angle = turn * Math.PI / 6, p = L.point(centre.x + BORDER_PX * Math.cos(angle), centre.y + BORDER_PX * Math.sin(angle));
      const found = countryAt(other.containerPointToLatLng(p));
      if (found && found !== code) near.add(found);
    }
    L.popup({maxWidth: 320}).setLatLng(e.latlng).setContent(told.land(code, [...near])).openOn(other);
  }

  /* ----- drawings: one, or two for the views that hold before against after ----- */
  let drawings = [];
  const twin = window.Atlas.twin(atlas);

  function build() {
    for (const d of drawings) d.remove();
    const pair = twin.arrange(state.view); // what stands where: [{map, pane, view}]
    drawings = pair.map(p => new Drawing(p.map, m, told, p.view, p.pane, choose));
    twin.settle(drawings);
    drawLand();
  }

  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    L.Util.requestAnimFrame(() => { waiting = false; for (const d of drawings) d.draw(); });
  }

  function choose(k, mark, drawing) {
    const where = drawing || drawings[0];
    select(k);
    const at = mark || where.nearestMark(k);
    if (at) where.tell(at.getLatLng(), told.place(k));
  }

  function select(k) { state.selected = k; redraw(); }

  /* ----- switches of the layer control, which Folium writes ----- */
  function layer(kind, key) {
    const name = key ? kind + "-" + key : kind, code = m.style.commodities.indexOf(key);
    const group = L.layerGroup();
    const set = on => () => {
      if (kind === "flow") state.flows[on ? "add" : "delete"](code);
      state.shown[on ? "add" : "delete"](name);
      for (const d of drawings) d.toggle(name);
      if (atlas.switches) remember();
      redraw();
    };
    group.on("add", set(true));
    group.on("remove", set(false));
    group.key = name;
    (atlas.groups = atlas.groups || {})[name] = group;
    return group;
  }

  function show(view) {
    const before = twin.kind(state.view), same = twin.kind(view) === before && drawings.length;
    state.view = view;
    document.body.dataset.view = view;
    for (const b of document.querySelectorAll("[data-show]")) b.setAttribute("aria-pressed", String(b.dataset.show === view));
    map.closePopup();
    if (!same) build();
    else if (before === "one") drawings[0].view = view;
    redraw();
  }

  /* ----- the address: view, colours, layers, place, divider ----- */
  const ADDRESS = ["view", "colour", "off", "also", "at", "swipe"];
  let moved = false;
  function remember() {
    if (!live || !atlas.switches) return;
    const address = new URL(window.location.href), q = address.searchParams;
    const usualView = data.start.views.length > 1 ? "change" : "before";
    const off = [...state.usual].filter(k => !state.shown.has(k)), also = [...state.shown].filter(k => !state.usual.has(k));
    const c = map.getCenter().wrap();
    const set = {view: state.view === usualView ? "" : state.view, colour: state.colour === "commodity" ? "" : state.colour, off: off.join(","), also: also.join(","),
      at: moved ? [c.lng.toFixed(3), c.lat.toFixed(3), String(Math.round(map.getZoom() * 100) / 100)].join(",") : "", swipe: state.view === "swipe" && state.swipe !== 50 ? String(state.swipe) : ""};
    for (const key of ADDRESS) { if (set[key]) q.set(key, set[key]); else q.delete(key); }
    const text = address.pathname + address.search.replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%2F/g, "/") + address.hash;
    if (text !== window.location.pathname + window.location.search + window.location.hash) window.history.replaceState(window.history.state, "", text);
    for (const f of listeners) f();
  }
  atlas.remember = remember;
  atlas.recall = () => {
    recall();
    const view = new URL(window.location.href).searchParams.get("view");
    show(data.start.views.includes(view) ? view : data.start.views.length > 1 ? "change" : "before");
    controls();
  };

  function recall() {
    const q = new URL(window.location.href).searchParams;
    const off = new Set((q.get("off") || "").split(",")), also = new Set((q.get("also") || "").split(","));
    for (const [key, group] of Object.entries(atlas.groups || {})) {
      const wanted = also.has(key) || (state.usual.has(key) && !off.has(key));
      if (wanted && !map.hasLayer(group)) group.addTo(map); else if (!wanted && map.hasLayer(group)) group.remove();
    }
    const colour = q.get("colour") === "source" ? "source" : "commodity";
    state.colour = document.body.dataset.colour = colour;
    for (const input of document.querySelectorAll("input[name=colour-by]")) input.checked = input.value === colour;
    const swipe = Number(q.get("swipe"));
    state.swipe = q.has("swipe") && swipe >= 0 && swipe <= 100 ? swipe : 50;
    const at = (q.get("at") || "").split(",").map(Number);
    moved = at.length === 3 && at.every(Number.isFinite);
    if (moved) map.setView([at[1], at[0]], at[2], {animate: false});
  }

  /* ----- ready: all layers stand ----- */
  function ready(control) {
    const slot = by("layer-slot");
    if (slot) slot.append(control.getContainer());
    state.usual = new Set(state.shown);
    if (live) recall();
    build();
    controls();
    document.body.dataset.colour = state.colour;
    show(state.view);
    atlas.switches = true;
    // a drag, a wheel or a key: what the page itself does to the map is no choice of its reader
    for (const what of ["dragstart", "wheel", "keydown", "mousedown", "touchstart", "dblclick"]) map.getContainer().addEventListener(what, () => { atlas.touched = true; }, {passive: true, capture: true}); // the zoom buttons keep theirs to themselves
    map.on("moveend", () => { if (atlas.touched) { moved = true; remember(); } });
    // wherever the focus is: Leaflet itself listens only on the map
    document.addEventListener("keydown", e => { if (e.key === "Escape") for (const d of drawings) d.map.closePopup(); });
    map.on("click", e => pressed(e, map));
    map.on("popupopen", () => { document.body.dataset.popup = "open"; });
    map.on("popupclose", () => { delete document.body.dataset.popup; });
    map.on("popupclose", () => { if (state.selected !== null) window.setTimeout(() => { if (!map._popup || !map._popup.isOpen()) select(null); }, 0); });
    document.addEventListener("themechange", () => { for (const d of drawings) { d.tones(); d.draw(); } });
    for (const part of window.Atlas.parts || []) part(atlas);
    landed.then(found => { known(found); drawLand(); redraw(); }, () => { by("map-said").textContent = say("map.no_land"); }).then(() => {
      L.Util.requestAnimFrame(() => L.Util.requestAnimFrame(() => { document.body.dataset.ready = "yes"; performance.mark("atlas-ready"); }));
    });
  }

  /* What stands around the map and may have been put there anew with another answer. */
  function controls() {
    for (const b of document.querySelectorAll("[data-show]")) b.onclick = () => { show(b.dataset.show); remember(); };
    for (const input of document.querySelectorAll("input[name=colour-by]")) {
      input.checked = input.value === state.colour;
      input.onchange = () => { state.colour = document.body.dataset.colour = input.value; redraw(); remember(); };
    }
    const home = by("whole-map");
    if (home) home.onclick = () => { map.closePopup(); select(null); atlas.touched = moved = false; firstView(); remember(); };
    const legend = by("legend");
    if (legend && !legend.dataset.ready) {
      legend.dataset.ready = "yes";
      if (map.getSize().x < 760) legend.open = false;
      legend.addEventListener("toggle", () => { for (const d of drawings) d.words.draw(); });
    }
    window.Atlas.finder(atlas);
    for (const link of document.querySelectorAll("[data-place]")) link.onclick = e => {
      const k = data.places.findIndex(p => p.id === link.dataset.place);
      if (k < 0 || e.ctrlKey || e.metaKey || e.shiftKey) return;
      e.preventDefault();
      go(k);
    };
  }

  /* Look at a place and tell of it. */
  function go(k) {
    const p = data.places[k], group = atlas.groups[m.layerOf(p)];
    if (group && !map.hasLayer(group)) group.addTo(map);
    atlas.touched = true;
    map.setView(drawings[0].nearestMark(k).getLatLng(), Math.max(map.getZoom(), 4.5), {animate: false});
    choose(k);
    if (map.getContainer().getBoundingClientRect().top < 0 || map.getContainer().getBoundingClientRect().top > window.innerHeight - 120) map.getContainer().scrollIntoView({block: "start"});
  }

  /* Another answer on the same map: `fresh` is its JSON with what to start from. */
  function renew(fresh) {
    map.closePopup();
    state.selected = null;
    data = fresh;
    data.land = {countries};
    options.view = data.start.view;
    m = model(data, state);
    told = popups(m, live);
    for (const c of countries) m.names[c.id] = c.name;
    const wanted = new URL(window.location.href).searchParams.get("view");
    state.view = data.start.views.includes(wanted) ? wanted : data.start.view;
    map.getContainer().setAttribute("aria-label", data.start.label || say("map.label"));
    build();
    controls();
    show(state.view);
  }

  return atlas;
}

window.Atlas.start = start;
})();
