/* The atlas's map: draws what stands in the page's JSON with Leaflet. Text is only ever set as textContent. */
(function () {
"use strict";

const COPIES = [-360, 0, 360];
const SMALL_T = 0.5;
const INK = "#1F2933";
const HALT = "#C00000";
const SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

/* ---------- small things ---------- */

function decode(text, decimals) {
  const out = [], scale = Math.pow(10, decimals);
  let value = 0, shift = 0, x = 0, y = 0, isX = true;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i) - 63;
    value += (c & 31) * Math.pow(2, shift);
    shift += 5;
    if (c & 32) continue;
    const delta = value % 2 ? -(value + 1) / 2 : value / 2;
    if (isX) { x += delta; } else { y += delta; out.push([x / scale, y / scale]); }
    isX = !isX; value = 0; shift = 0;
  }
  return out;
}

function latlngs(xy, shift) { return xy.map(p => [p[1], p[0] + shift]); }

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") node.className = value; else node.setAttribute(key, value);
  }
  for (const child of children) if (child !== null && child !== undefined) node.append(child);
  return node;
}

const WHOLE = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});
const TENTHS = new Intl.NumberFormat("en-US", {maximumFractionDigits: 1});

function tonnes(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size < SMALL_T) return "0 t";
  return (size < 100 ? TENTHS : WHOLE).format(value) + " t";
}

/* ---------- drawing classes ---------- */

/* Countries: outlines kept as paths on a unit world, so that a redraw costs no projection. */
const Land = L.Renderer.extend({
  options: {padding: 0.3},
  initialize(kinds, lines, colours) {
    L.Renderer.prototype.initialize.call(this, {pane: "land"});
    this._kinds = kinds; this._lines = lines; this._colours = colours;
  },
  _initContainer() {
    this._container = document.createElement("canvas");
    this._ctx = this._container.getContext("2d");
  },
  _destroyContainer() { L.DomUtil.remove(this._container); delete this._container; delete this._ctx; },
  _update() {
    if (this._map._animatingZoom && this._bounds) return;
    L.Renderer.prototype._update.call(this);
    const b = this._bounds, size = b.getSize(), ratio = Math.min(window.devicePixelRatio || 1, 2), c = this._container, ctx = this._ctx;
    L.DomUtil.setPosition(c, b.min);
    c.width = ratio * size.x; c.height = ratio * size.y;
    c.style.width = size.x + "px"; c.style.height = size.y + "px";
    const world = 256 * Math.pow(2, this._zoom), corner = this._map.getPixelOrigin().add(b.min);
    ctx.lineJoin = "round";
    for (let turn = Math.floor(corner.x / world); turn * world < corner.x + size.x; turn++) {
      ctx.setTransform(ratio * world, 0, 0, ratio * world, ratio * (turn * world - corner.x), -ratio * corner.y);
      for (const kind of Object.keys(this._kinds)) { ctx.fillStyle = this._colours[kind]; ctx.fill(this._kinds[kind]); }
      ctx.strokeStyle = this._colours.line;
      ctx.lineWidth = 0.7 / world;
      ctx.stroke(this._lines);
    }
  }
});

/* Web Mercator with the world as the unit square. */
function unit(p) {
  const lat = Math.max(Math.min(p[1], 85.05), -85.05) * Math.PI / 180;
  return [p[0] / 360 + 0.5, 0.5 - Math.log(Math.tan(Math.PI / 4 + lat / 2)) / (2 * Math.PI)];
}

/* The countries as one layer; `kindOf` says which fill a country has. */
function landLayer(countries, kindOf) {
  const lines = new Path2D(), kinds = {plain: new Path2D(), ally: new Path2D(), halted: new Path2D()};
  for (const c of countries) {
    const fill = kinds[kindOf(c)];
    for (const text of c.rings) {
      let on = false;
      decode(text, 2).forEach((p, i) => {
        const [x, y] = unit(p);
        if (i) fill.lineTo(x, y); else fill.moveTo(x, y);
        // the cut along 180 degrees is not a border
        if (Math.abs(Math.abs(p[0]) - 180) < 0.02 || p[1] < -84) { on = false; return; }
        if (on) lines.lineTo(x, y); else lines.moveTo(x, y);
        on = true;
      });
      fill.closePath();
    }
  }
  return new Land(kinds, lines, {plain: "#F7F5EF", ally: "#DDE9EE", halted: "#F6DAD2", line: "#B9C2CB"});
}

/* A stretch of routes: strands lie side by side, so their widths add up. One line, drawn in every copy of the world. */
const Stretch = L.Polyline.extend({
  options: {strands: [], heading: 0, smoothFactor: 0.8},
  _project() {
    const world = 256 * Math.pow(2, this._map.getZoom()), rings = [], box = L.bounds([]);
    this._projectLatlngs(this._latlngs, rings, box);
    const ring = rings[0];
    this._rings = ring;
    this._ringBox = box;
    this._world = world;
    if (!ring || !box.isValid()) return;
    this._rawPxBounds = L.bounds(box.min.subtract([world, 0]), box.max.add([world, 0]));
    this._updateBounds();
  },
  _clipPoints() {
    this._parts = [];
    if (!this.options.strands.length || !this._rings) return;
    const w = this.options.weight + 8, bounds = this._renderer._bounds;
    for (const turn of [-1, 0, 1]) {
      const dx = turn * this._world, box = this._ringBox;
      if (box.max.x + dx + w < bounds.min.x || box.min.x + dx - w > bounds.max.x || box.max.y + w < bounds.min.y || box.min.y - w > bounds.max.y) continue;
      const ring = turn ? this._rings.map(p => new L.Point(p.x + dx, p.y)) : this._rings;
      let part = null;
      for (let i = 0; i + 1 < ring.length; i++) {
        const segment = L.LineUtil.clipSegment(ring[i], ring[i + 1], bounds, i, true);
        if (!segment) continue;
        if (!part) this._parts.push(part = []);
        part.push(segment[0]);
        if (segment[1] !== ring[i + 1] || i === ring.length - 2) { part.push(segment[1]); part = null; }
      }
    }
  },
  setStrands(strands, heading) {
    this.options.strands = strands;
    this.options.heading = heading;
    const weight = strands.reduce((sum, s) => sum + s.width, 0);
    this.options.weight = Math.max(weight, 1);
    if (this._map && this._rawPxBounds) this._updateBounds();
  },
  _containsPoint(point, closed) {
    return this.options.strands.length > 0 && L.Polyline.prototype._containsPoint.call(this, point, closed);
  },
  _updatePath() {
    const renderer = this._renderer, strands = this.options.strands;
    if (!renderer._drawing || !strands.length || !this._parts.length) return;
    const ctx = renderer._ctx, total = this.options.weight;
    ctx.save();
    ctx.lineJoin = "round";
    ctx.lineCap = "butt";
    stroke(ctx, this._parts, 0, total + 1.6, "rgba(255,255,255,0.75)", []);
    let at = -total / 2;
    for (const s of strands) {
      stroke(ctx, this._parts, strands.length > 1 ? at + s.width / 2 : 0, s.width, s.colour, s.dash);
      at += s.width;
    }
    if (this.options.heading && total >= 1.3) arrows(ctx, this._parts, this.options.heading, total);
    ctx.restore();
  }
});

function stroke(ctx, parts, offset, width, colour, dash) {
  ctx.beginPath();
  for (const part of parts) {
    const line = Math.abs(offset) < 0.25 ? part : aside(part, offset);
    for (let i = 0; i < line.length; i++) ctx[i ? "lineTo" : "moveTo"](line[i].x, line[i].y);
  }
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  const long = Math.max(1, width / 4);
  ctx.setLineDash(dash.map(d => d * long));
  ctx.stroke();
  ctx.setLineDash([]);
}

/* The same line moved sideways by so many pixels, corners kept within reach. */
function aside(part, offset) {
  const out = [];
  let ux = 0, uy = 0;
  for (let i = 0; i < part.length; i++) {
    let vx = 0, vy = 0;
    if (i + 1 < part.length) {
      const dx = part[i + 1].x - part[i].x, dy = part[i + 1].y - part[i].y, n = Math.hypot(dx, dy) || 1;
      vx = dx / n; vy = dy / n;
    } else { vx = ux; vy = uy; }
    if (i === 0) { ux = vx; uy = vy; }
    let nx = -(uy + vy), ny = ux + vx;
    const n = Math.hypot(nx, ny);
    if (n < 0.3) { nx = -vy; ny = vx; } else { const k = Math.min(2 / n, 2) / n; nx *= k; ny *= k; }
    out.push({x: part[i].x + nx * offset, y: part[i].y + ny * offset});
    ux = vx; uy = vy;
  }
  return out;
}

function arrows(ctx, parts, heading, width) {
  const size = Math.min(2.4 + width * 0.55, 7);
  ctx.fillStyle = INK;
  for (const part of parts) {
    let length = 0;
    for (let i = 1; i < part.length; i++) length += Math.hypot(part[i].x - part[i - 1].x, part[i].y - part[i - 1].y);
    if (length < 46) continue;
    const count = Math.max(1, Math.round(length / 190)), step = length / count;
    let next = step / 2, run = 0;
    for (let i = 1; i < part.length; i++) {
      const dx = part[i].x - part[i - 1].x, dy = part[i].y - part[i - 1].y, d = Math.hypot(dx, dy);
      while (d > 0 && next <= run + d) {
        const t = (next - run) / d, x = part[i - 1].x + t * dx, y = part[i - 1].y + t * dy;
        const ux = heading * dx / d, uy = heading * dy / d;
        ctx.beginPath();
        ctx.moveTo(x + ux * size, y + uy * size);
        ctx.lineTo(x - ux * size * 0.7 - uy * size * 0.75, y - uy * size * 0.7 + ux * size * 0.75);
        ctx.lineTo(x - ux * size * 0.7 + uy * size * 0.75, y - uy * size * 0.7 - ux * size * 0.75);
        ctx.closePath();
        ctx.fill();
        next += step;
      }
      run += d;
    }
  }
}

/* A facility, port or market: a shape instead of a circle. */
const Mark = L.CircleMarker.extend({
  _updatePath() {
    const renderer = this._renderer, o = this.options;
    if (!renderer._drawing || this._empty()) return;
    const ctx = renderer._ctx, p = this._point, r = o.radius;
    ctx.save();
    ctx.setLineDash([]);
    ctx.globalAlpha = o.dim ? 0.25 : 1;
    ctx.beginPath();
    if (o.shape === "cross") {
      ctx.moveTo(p.x - r, p.y); ctx.lineTo(p.x + r, p.y); ctx.moveTo(p.x, p.y - r); ctx.lineTo(p.x, p.y + r);
      ctx.strokeStyle = "#FFFFFF"; ctx.lineWidth = 3; ctx.stroke();
      ctx.strokeStyle = o.fillColor; ctx.lineWidth = 1.4; ctx.stroke();
    } else {
      if (o.shape === "circle") ctx.arc(p.x, p.y, r * 0.95, 0, 2 * Math.PI);
      else o.shape.forEach((c, i) => ctx[i ? "lineTo" : "moveTo"](p.x + r * c[0], p.y + r * c[1]));
      ctx.closePath();
      ctx.fillStyle = o.part === undefined ? o.fillColor : "#FFFFFF";
      ctx.globalAlpha *= o.hollow ? 0.9 : o.part === undefined ? 0.88 : 1;
      ctx.fill();
      if (o.part) { // filled whole, or its left half
        ctx.save();
        ctx.clip();
        ctx.fillStyle = o.fillColor;
        ctx.fillRect(p.x - 2 * r, p.y - 2 * r, r * (o.part < 1 ? 2 : 4), 4 * r);
        ctx.restore();
      }
      ctx.globalAlpha = o.dim ? 0.25 : 1;
      ctx.strokeStyle = o.edge || INK;
      ctx.lineWidth = o.hollow ? 1.4 : 1;
      ctx.stroke();
    }
    if (o.halted) {
      const s = Math.max(r + 3.5, 8);
      ctx.beginPath();
      ctx.arc(p.x, p.y, s, 0, 2 * Math.PI);
      ctx.moveTo(p.x - s * 0.7, p.y - s * 0.7);
      ctx.lineTo(p.x + s * 0.7, p.y + s * 0.7);
      ctx.strokeStyle = "#FFFFFF"; ctx.lineWidth = 4.4; ctx.stroke();
      ctx.strokeStyle = HALT; ctx.lineWidth = 2.4; ctx.stroke();
    }
    ctx.restore();
  }
});

/* Words on the map: drawn in order of weight, none over another. */
const Words = L.Layer.extend({
  initialize(candidates) { this._make = candidates; this._candidates = null; },
  renew() { this._candidates = null; this.draw(); },
  onAdd(map) {
    this._canvas = L.DomUtil.create("canvas", "atlas-words", map.getPane("words"));
    map.on("moveend zoomend viewreset resize", this.draw, this);
    map.on("zoomstart", this._hide, this);
    this.draw();
  },
  onRemove(map) {
    this._canvas.remove();
    map.off("moveend zoomend viewreset resize", this.draw, this);
    map.off("zoomstart", this._hide, this);
  },
  _hide() { this._canvas.hidden = true; },
  draw() {
    const map = this._map;
    if (!map) return;
    const size = map.getSize(), ratio = window.devicePixelRatio || 1, canvas = this._canvas;
    L.DomUtil.setPosition(canvas, map.containerPointToLayerPoint([0, 0]));
    canvas.hidden = false;
    canvas.width = size.x * ratio; canvas.height = size.y * ratio;
    canvas.style.width = size.x + "px"; canvas.style.height = size.y + "px";
    const ctx = canvas.getContext("2d"), zoom = map.getZoom(), taken = covered(map);
    ctx.scale(ratio, ratio);
    ctx.lineJoin = "round";
    ctx.textBaseline = "middle";
    const perDegree = 256 * Math.pow(2, zoom) / 360;
    this.placed = [];
    for (const c of this._candidates || (this._candidates = this._make())) {
      if (zoom < (c.minZoom || 0)) continue;
      ctx.font = c.font;
      const width = ctx.measureText(c.text).width;
      if (c.wide !== undefined && c.wide * perDegree < width * 0.8) continue;
      for (const shift of COPIES) {
        const p = map.latLngToContainerPoint([c.at[1], c.at[0] + shift]);
        if (p.x < -40 || p.y < 8 || p.x > size.x + 40 || p.y > size.y - 8) continue;
        const own = (c.lines || []).map(line => line.map(q => map.latLngToContainerPoint([q[1], q[0] + shift])));
        const places = c.dx ? around(p, c.dx, width) : [[p.x - width / 2, p.y]];
        for (const more of c.far ? [14, 30] : []) places.push(...around(p, c.dx + more, width));
        const free = places.find(([x, y]) => x > 2 && x + width < size.x - 2 &&
          !taken.some(t => x < t[2] && x + width > t[0] && y - 8 < t[3] && y + 8 > t[1]) &&
          !own.some(line => crossed(line, L.bounds([x - 4, y - 9], [x + width + 4, y + 9]))));
        if (!free) continue;
        taken.push([free[0] - 3, free[1] - 9, free[0] + width + 3, free[1] + 9]);
        this.placed.push({text: c.text, box: taken[taken.length - 1], point: [p.x, p.y], lines: own.map(line => line.map(q => [q.x, q.y]))});
        ctx.strokeStyle = "rgba(255,255,255,0.9)"; ctx.lineWidth = 3.2;
        ctx.strokeText(c.text, free[0], free[1]);
        ctx.fillStyle = c.colour;
        ctx.fillText(c.text, free[0], free[1]);
      }
    }
  }
});

/* Where words may stand beside a point: right, left, above, below. */
function around(p, away, width) {
  return [[p.x + away, p.y], [p.x - away - width, p.y], [p.x - width / 2, p.y - Math.max(14, away + 4)], [p.x - width / 2, p.y + Math.max(14, away + 4)]];
}

/* Whether a line of points passes through a box. */
function crossed(line, box) {
  for (let i = 0; i + 1 < line.length; i++) if (L.LineUtil.clipSegment(line[i], line[i + 1], box, false)) return true;
  return false;
}

/* A gate across an ocean (Cape Horn to Antarctica) is drawn only where the ships are. */
function short(gate) {
  const a = gate[0], b = gate[gate.length - 1], length = Math.hypot(b[0] - a[0], b[1] - a[1]);
  if (length < 8) return gate;
  const coast = Math.abs(a[1]) < Math.abs(b[1]) ? a : b, far = coast === a ? b : a;
  return [coast, [coast[0] + (far[0] - coast[0]) * 5 / length, coast[1] + (far[1] - coast[1]) * 5 / length]];
}

/* Boxes of the map that the legend and the controls cover. */
function covered(map) {
  const own = map.getContainer().getBoundingClientRect();
  const things = [document.getElementById("legend"), ...map.getContainer().querySelectorAll(".leaflet-control")];
  return things.filter(Boolean).map(e => e.getBoundingClientRect()).filter(r => r.width && r.top < own.bottom && r.bottom > own.top)
    .map(r => [r.left - own.left, r.top - own.top, r.right - own.left, r.bottom - own.top]);
}

/* ---------- the atlas ---------- */

function start(map, id, options) {
  const data = JSON.parse(document.getElementById(id).textContent);
  const style = data.style, allies = new Set(data.allies);
  const names = Object.fromEntries(data.land.countries.map(c => [c.id, c.name]));
  const state = {view: options.view, colour: "commodity", flows: new Set(), selected: null, labels: new Set()};
  const groups = {};
  map.createPane("land").style.zIndex = 200;
  map.createPane("words").style.zIndex = 620;
  map.getPane("words").classList.add("atlas-words-pane");
  const canvas = L.canvas({padding: 0.2, tolerance: 4});
  map.attributionControl.setPrefix(false);
  map.attributionControl.addAttribution(options.attribution);
  map.setMinZoom(0.5);
  map.setMaxZoom(10);
  map.getContainer().setAttribute("aria-label", options.label || "Map");
  firstView();

  /* ----- where to look first: the Pacific whole, so that Shanghai - Los Angeles is one line ----- */
  function firstView() {
    const size = map.getSize(), f = options.focus;
    if (f) {
      map.fitBounds([[f[1], f[0]], [f[3], f[2] < f[0] ? f[2] + 360 : f[2]]], {animate: false, padding: [20, 20]});
      return;
    }
    // the legend lies over the right edge of a wide map
    const narrow = size.x < 600, covered = narrow ? 0 : 222, free = Math.max(size.x - covered, 1);
    const zoom = Math.max(0.75, Math.floor(4 * Math.log2(free / 256 / (narrow ? 0.76 : 0.86))) / 4);
    const perDegree = 256 * Math.pow(2, zoom) / 360;
    map.setView([26, (narrow ? 108 : 150) + covered / 2 / perDegree], zoom, {animate: false});
  }

  /* ----- basemap ----- */
  const named = new Set(data.halted.country);
  landLayer(data.land.countries, c => named.has(c.id) ? "halted" : allies.has(c.id) ? "ally" : "plain").addTo(map);

  /* ----- flows ----- */
  const lanes = data.lanes.map(l => ({from: l[0], to: l[1], commodity: l[2], item: l[3], via: l[4] || "",
    side: allies.has((data.places[l[0]] || {}).country) ? "ally" : "other"}));
  const uses = data.arcs.map(() => new Map());
  for (const [lane, route, before, after] of data.ways) {
    for (const signed of data.routes[route]) {
      const use = uses[Math.abs(signed) - 1], known = use.get(lane);
      if (known) { known[1] += before; known[2] += after; }
      else use.set(lane, [signed > 0 ? 1 : -1, before, after]);
    }
  }
  const stretches = data.arcs.map((text, k) => {
    const xy = decode(text, 3);
    const line = new Stretch(latlngs(xy, 0), {renderer: canvas, bubblingMouseEvents: false});
    line.on("click", e => L.popup({maxWidth: 330, minWidth: 240}).setLatLng(e.latlng).setContent(stretchContent(k)).openOn(map));
    line.on("mouseover", e => { map.getContainer().classList.add("atlas-hover"); tip.setLatLng(e.latlng).setContent(stretchTip(k)); tip.addTo(map); });
    line.on("mousemove", e => tip.setLatLng(e.latlng));
    line.on("mouseout", () => { map.getContainer().classList.remove("atlas-hover"); tip.remove(); });
    return line.addTo(map); // first of all, so that symbols lie above
  });
  const tip = L.tooltip({direction: "top", offset: [0, -8], opacity: 0.95});

  function width(t) { return Math.max(style.width[0], style.width[1] * Math.sqrt(t / 100000)); }

  function laneShown(lane) {
    const l = lanes[lane];
    return state.flows.has(l.commodity) && (state.selected === null || l.from === state.selected || l.to === state.selected);
  }

  function value(use) { return state.view === "before" ? use[1] : state.view === "after" ? use[2] : Math.max(use[1], use[2]); }

  /* What a lane's tonnes on a stretch became: [kind, tonnes] pairs. */
  function changes(lane, before, after) {
    if (lanes[lane].via) return [["via", Math.max(before, after)]];
    const d = after - before, side = lanes[lane].side;
    if (Math.abs(d) <= Math.max(1, 0.01 * Math.max(before, after))) return [["kept", Math.max(before, after)]];
    if (d < 0) return after <= SMALL_T ? [["lost", -d]] : [["reduced", -d], ["kept", after]];
    return before <= SMALL_T ? [["new-" + side, d]] : [["grown-" + side, d], ["kept", before]];
  }

  function sums(k) {
    const by = new Map();
    let heading = 0, all = 0;
    for (const [lane, use] of uses[k]) {
      if (!laneShown(lane)) continue;
      const t = value(use);
      if (t <= 0) continue;
      all += t; heading += t * use[0];
      if (state.view === "change") for (const [kind, part] of changes(lane, use[1], use[2])) by.set(kind, (by.get(kind) || 0) + part);
      else {
        const key = lanes[lane].via ? "via" : state.colour === "source" ? lanes[lane].side : style.commodities[lanes[lane].commodity];
        by.set(key, (by.get(key) || 0) + t);
      }
    }
    return {by, all, heading: Math.abs(heading) > 0.2 * all ? Math.sign(heading) : 0};
  }

  function strandsOf(sum) {
    const out = [];
    if (state.view === "change") {
      for (const [kind, c] of [...Object.entries(style.changes), ["via", style.via]]) {
        const t = sum.by.get(kind);
        if (!t) continue;
        out.push({width: kind === "kept" ? Math.min(width(t), 1.3) : Math.max(width(t), 1.6), colour: c.colour, dash: c.dash});
      }
      return out;
    }
    const whole = width(sum.all), keys = state.colour === "source" ? Object.keys(style.sources) : style.commodities;
    for (const key of [...keys, "via"]) {
      const t = sum.by.get(key);
      if (!t) continue;
      const colour = key === "via" ? style.via.colour : state.colour === "source" ? style.sources[key].colour : style.colours[key];
      const dash = key === "via" ? style.via.dash : state.colour === "source" && key === "other" ? [7, 2] : [];
      out.push({width: Math.max(whole * t / sum.all, key === "via" ? 1.6 : 0.7), colour, dash});
    }
    return out;
  }

  function drawFlows() {
    stretches.forEach((line, k) => {
      const sum = sums(k);
      line.setStrands(strandsOf(sum), sum.heading);
      if (line._map) line._update();
    });
    if (canvas._map) { canvas._redrawBounds = null; canvas._redraw(); }
  }

  function laneName(l) {
    const item = (l.item ? " " + l.item : "") + (l.via ? ", by " + (names[l.via] || l.via) : "");
    return style.commodityLabels[style.commodities[l.commodity]] + item;
  }

  function placeName(k, short) {
    const p = data.places[k];
    if (p.stage === style.stages.length && !p.buyer) return (names[p.country] || p.country) + (short ? "" : " (demand)");
    return p.name;
  }

  function stretchTip(k) {
    const sum = sums(k), rows = make("div", {class: "tip"});
    if (state.view === "change") {
      for (const [kind, c] of [...Object.entries(style.changes), ["via", style.via]]) if (sum.by.get(kind)) rows.append(make("div", {}, c.label + " " + tonnes(sum.by.get(kind))));
    } else {
      for (const key of [...(state.colour === "source" ? Object.keys(style.sources) : style.commodities), "via"]) {
        if (sum.by.get(key)) rows.append(make("div", {}, (key === "via" ? style.via.label : state.colour === "source" ? style.sources[key].label : style.commodityLabels[key]) + " " + tonnes(sum.by.get(key))));
      }
    }
    return rows;
  }

  function flowTable(entries, heads) {
    const both = options.views.length > 1;
    const table = make("table", {class: "flows"});
    table.append(make("thead", {}, make("tr", {}, ...heads.concat(both ? ["Before", "After"] : ["Tonnes"]).map((h, i) => make("th", {scope: "col", class: i >= heads.length ? "num" : ""}, h)))));
    const body = make("tbody", {});
    for (const e of entries.slice(0, 8)) {
      const cells = e.text.map(t => make("td", {}, t));
      cells.push(make("td", {class: "num"}, tonnes(e.before)));
      if (both) cells.push(make("td", {class: "num"}, tonnes(e.after)));
      body.append(make("tr", {}, ...cells));
    }
    table.append(body);
    const box = make("div", {}, table);
    if (entries.length > 8) box.append(make("p", {class: "more"}, "and " + (entries.length - 8) + " smaller"));
    return box;
  }

  function stretchContent(k) {
    const found = [];
    for (const [lane, use] of uses[k]) {
      if (!laneShown(lane)) continue;
      const l = lanes[lane];
      found.push({text: [laneName(l), placeName(l.from, true) + " → " + placeName(l.to, true)], before: use[1], after: use[2], weight: Math.max(use[1], use[2])});
    }
    found.sort((a, b) => b.weight - a.weight);
    return make("div", {class: "popup"}, make("h3", {}, "On this stretch"), flowTable(found, ["Goods", "From → to"]));
  }

  /* ----- facilities, markets ----- */
  const halted = Object.fromEntries(Object.entries(data.halted).map(([k, v]) => [k, new Set(v)]));
  const markets = style.stages.length;
  const stageOf = p => p.buyer ? "buyer" : p.stage === markets ? "demand" : style.stages[p.stage];
  const toBuyer = p => state.view === "before" ? p.baseline : p.halted_t;
  const buyerState = p => style.buyers[toBuyer(p) >= p.wanted * 0.999 ? "met" : toBuyer(p) > p.wanted * 0.001 ? "part" : "none"];
  const marks = data.places.map((p, k) => {
    if (!p.at) return [];
    const stage = stageOf(p);
    return COPIES.map(shift => {
      const m = new Mark([p.at[1], p.at[0] + shift], {renderer: canvas, shape: style.shapes[stage] || "circle", bubblingMouseEvents: false,
        halted: halted.facility.has(p.id), fillColor: style.colours[stage]});
      m.on("click", () => choose(k, m));
      m.bindTooltip(() => make("span", {}, placeName(k) + (p.buyer ? ", " + buyerFigure(p) : "")), {direction: "top", offset: [0, -6]});
      return m;
    });
  });

  function buyerFigure(p) { return tonnes(toBuyer(p)).replace(" t", "") + " of " + tonnes(p.wanted); }

  function output(p) {
    if (p.stage === markets) return 0;
    const modelled = p.baseline !== undefined || p.halted_t !== undefined;
    if (!modelled || !p.modelled) return p.output || 0;
    return state.view === "before" ? p.baseline || 0 : state.view === "after" ? p.halted_t || 0 : Math.max(p.baseline || 0, p.halted_t || 0);
  }

  function drawMarks() {
    data.places.forEach((p, k) => {
      const stage = stageOf(p), t = output(p), own = p.buyer ? buyerState(p) : null;
      let colour = own ? own.colour : style.colours[stage], hollow = false;
      if (p.stage !== markets) {
        hollow = !p.active || t <= 0;
        if (state.view === "change" && !hollow) {
          const b = p.baseline || 0, a = p.halted_t || 0, side = allies.has(p.country) ? "ally" : "other";
          const d = a - b;
          colour = style.changes[Math.abs(d) <= Math.max(1, 0.01 * b) ? "kept" : d < 0 ? (a <= SMALL_T ? "lost" : "reduced") : (b <= SMALL_T ? "new-" : "grown-") + side].colour;
        }
      }
      const radius = own ? 7.5 : stage === "demand" ? 3.2 : Math.max(style.radius[0], shrink * style.radius[1] * Math.sqrt(t / 100000));
      sizes[k] = own ? 0 : hollow ? 4 : radius; // buyers lie above all
      for (const m of marks[k]) {
        L.setOptions(m, {fillColor: hollow ? "#FFFFFF" : colour, edge: hollow ? style.colours[stage] : own && !own.part ? own.colour : INK, hollow, part: own ? own.part : undefined, radius: hollow ? 4 : radius,
          dim: state.selected !== null && state.selected !== k && !linked.has(k)});
        m._radius = m.options.radius;
        if (m._map) m._updateBounds();
      }
    });
    // small ones lie above large ones
    data.places.map((p, k) => k).sort((a, b) => sizes[b] - sizes[a]).forEach(k => { for (const m of marks[k]) if (m._map) m.bringToFront(); });
  }

  const sizes = [], shrink = map.getSize().x < 600 ? 0.65 : 1; // the style sheet shrinks the legend alike
  let linked = new Set();
  function choose(k, mark) {
    select(k);
    const at = mark || nearestMark(k);
    if (!at) return;
    L.popup({maxWidth: 340, minWidth: 250, autoPanPaddingTopLeft: [10, 50]}).setLatLng(at.getLatLng()).setContent(placeContent(k)).openOn(map);
  }

  function nearestMark(k) {
    const centre = map.getCenter().lng;
    return marks[k].slice().sort((a, b) => Math.abs(a.getLatLng().lng - centre) - Math.abs(b.getLatLng().lng - centre))[0];
  }

  function select(k) {
    state.selected = k;
    linked = new Set();
    if (k !== null) for (const l of lanes) { if (l.from === k) linked.add(l.to); if (l.to === k) linked.add(l.from); }
    redraw();
  }

  function facts(rows) {
    const list = make("dl", {});
    for (const [name, content] of rows) if (content !== null && content !== undefined && content !== "") list.append(make("dt", {}, name), make("dd", {}, content));
    return list;
  }

  const UNITS = {t_reo: "t REO a year", t_metal: "t metal a year", t_magnet: "t magnets a year"};
  const TRUST = {A: "A, official or company filing", B: "B, trade press", C: "C, estimate"};

  function routeLinks(id) {
    const link = (side, text) => make("a", {href: "/route?" + side + "=" + encodeURIComponent(id)}, text);
    return make("p", {class: "more"}, link("from", "Route from here"), " · ", link("to", "Route to here"));
  }

  function placeContent(k) {
    const p = data.places[k], box = make("div", {class: "popup"});
    box.append(make("h3", {}, placeName(k)));
    if (p.stage !== markets) {
      const unit = UNITS[p.unit] || "t a year", number = t => t === undefined ? null : tonnes(t).replace(" t", " " + unit);
      const both = options.views.length > 1;
      const source = p.link ? make("a", {href: p.link, target: "_blank", rel: "noopener noreferrer"}, p.source || p.link) : p.source;
      box.append(facts([
        ["Stage", style.stageLabels[style.stages[p.stage]] + (p.product && p.product !== "none" ? ", " + p.product : "")],
        ["Country", names[p.country] || p.country], ["Operator", p.operator],
        ["Status", (p.status || "") + (p.start ? (p.status === "planned" || p.status === "construction" ? ", for " : ", since ") + p.start : "") + (p.end ? ", until " + p.end : "")],
        ["Capacity", number(p.capacity)],
        ["Reported output", p.output === undefined ? null : number(p.output) + (p.output_year ? " (" + p.output_year + ")" : "")],
        [both ? "Before" : "In the model", p.modelled ? number(p.baseline) : null],
        ["After", both && p.modelled ? number(p.halted_t) : null],
        ["Normal, limit", p.modelled && p.normal !== undefined && p.limit !== undefined ? tonnes(p.normal) + ", " + tonnes(p.limit) : null],
        ["Halt", halted.facility.has(p.id) ? "named in the halt" : halted.country.has(p.country) ? "its country is halted" : null],
        ["Elements", p.elements], ["Grades", p.grades],
        ["Not modelled", p.modelled ? null : (p.note || "no tonnage published")],
        ["Source", source], ["Confidence", TRUST[p.confidence] || p.confidence],
        ["Position", p.precision_km === undefined ? null : "within " + p.precision_km + " km"]
      ]));
    }
    if (p.buyer) box.append(facts([
      ["Buyer", p.sector + ", " + (names[p.country] || p.country)], ["Wants", tonnes(p.wanted) + " of " + p.grade + " a year"],
      [options.views.length > 1 ? "Before" : "Gets", tonnes(p.baseline)], ["After", options.views.length > 1 ? tonnes(p.halted_t) : null],
      ["Lower grade", p.stepped ? tonnes(p.stepped) + " of it" : null]]));
    if (options.live && (p.buyer || p.stage !== markets)) box.append(routeLinks(p.buyer || p.own ? p.at.join(",") : p.id));
    const into = [], out = [], sum = new Map();
    for (const [lane, , before, after] of data.ways) {
      const known = sum.get(lane) || [0, 0];
      sum.set(lane, [known[0] + before, known[1] + after]);
    }
    for (const [lane, [before, after]] of sum) {
      const l = lanes[lane];
      if (l.to === k) into.push({text: [laneName(l), placeName(l.from, true)], before, after, weight: Math.max(before, after)});
      if (l.from === k) out.push({text: [laneName(l), placeName(l.to, true)], before, after, weight: Math.max(before, after)});
    }
    for (const [list, title, head] of [[into, "Comes in", "From"], [out, "Goes out", "To"]]) {
      if (!list.length) continue;
      list.sort((a, b) => b.weight - a.weight);
      box.append(make("h4", {}, title), flowTable(list, ["Goods", head]));
    }
    return box;
  }

  /* ----- ports and passages ----- */
  function through(p) { return state.view === "before" ? p.baseline : state.view === "after" ? p.halted_t : Math.max(p.baseline, p.halted_t); }

  function throughContent(p, kind) {
    const both = options.views.length > 1;
    return make("div", {class: "popup"}, make("h3", {}, p.name), options.live && kind === "port" ? routeLinks(p.id) : null, facts([
      ["Kind", kind === "port" ? "Port " + p.id : "Passage " + p.id], ["Country", p.country ? names[p.country] || p.country : null],
      [both ? "Before" : "Passes", tonnes(p.baseline) + " a year"], ["After", both ? tonnes(p.halted_t) + " a year" : null],
      ["Stay in port", p.days === undefined || p.days === null ? null : p.days + " days"],
      ["Shut", kind === "passage" && !p.open ? "not used unless opened" : null],
      ["Halt", halted[kind].has(p.id) ? "named in the halt" : null],
      ["Counts", "all commodities, each in its own tonnes"]]));
  }

  const ports = data.ports.map(p => COPIES.map(shift => {
    const m = new Mark([p.at[1], p.at[0] + shift], {renderer: canvas, shape: style.shapes.separation, fillColor: "#FFFFFF", hollow: true, edge: "#3D4A57",
      radius: 3, halted: halted.port.has(p.id), bubblingMouseEvents: false});
    m.bindTooltip(() => make("span", {}, p.name + ", " + tonnes(through(p))), {direction: "top", offset: [0, -5]});
    m.on("click", e => L.popup({maxWidth: 320}).setLatLng(m.getLatLng()).setContent(throughContent(p, "port")).openOn(map));
    return m;
  }));

  function drawPorts() {
    data.ports.forEach((p, k) => { for (const m of ports[k]) { m.options.radius = m._radius = Math.min(7, 2 + 0.02 * Math.sqrt(through(p))); if (m._map) m._updateBounds(); } });
  }

  const gates = data.passages.map(p => {
    const closed = halted.passage.has(p.id), at = [];
    for (const gate of p.gates) for (const shift of COPIES) at.push(latlngs(closed ? gate : short(gate), shift));
    const line = L.polyline(at, {renderer: canvas, color: closed ? HALT : p.open ? INK : "#8A94A0", weight: closed ? 4.5 : 2.2, dashArray: closed ? null : "4 3", bubblingMouseEvents: false});
    line.bindTooltip(() => make("span", {}, p.name + (p.open ? ", " + tonnes(through(p)) : ", shut")), {sticky: true});
    line.on("click", e => L.popup({maxWidth: 320}).setLatLng(e.latlng).setContent(throughContent(p, "passage")).openOn(map));
    return line;
  });

  /* ----- words ----- */
  function candidates() {
    const out = [], change = state.view === "change";
    const figure = p => change && Math.abs(p.baseline - p.halted_t) > 1 ? " " + tonnes(p.baseline) + " → " + tonnes(p.halted_t) : " " + tonnes(through(p));
    if (state.labels.has("passages")) {
      for (const p of data.passages) {
        const closed = halted.passage.has(p.id), t = through(p);
        if (!closed && t <= SMALL_T) continue;
        const moved = Math.abs(p.baseline - p.halted_t);
        const gate = p.gates[0], at = Math.abs(gate[0][1]) > 55 || Math.abs(gate[gate.length - 1][1]) > 55 ? gate[0] : [(gate[0][0] + gate[gate.length - 1][0]) / 2, (gate[0][1] + gate[gate.length - 1][1]) / 2];
        out.push({text: (closed ? "✕ " : "") + p.name + figure(p), at, dx: 8, weight: closed ? 1e12 : 1e6 + t, colour: closed ? HALT : INK,
          font: (closed ? "700 " : "600 ") + "11px " + SANS, minZoom: closed ? 0 : change ? (moved > 500 && moved > 0.05 * t ? 1.25 : 3) : t > 5000 ? 1.25 : t > 1500 ? 2.5 : 3.5});
      }
    }
    if (state.labels.has("ports")) for (const p of data.ports) {
      const t = through(p), closed = halted.port.has(p.id);
      out.push({text: (closed ? "✕ " : "") + p.name + figure(p), at: p.at, dx: 9, weight: closed ? 1e12 : t, colour: closed ? HALT : "#3D4A57", font: (closed ? "700 " : "") + "10.5px " + SANS, minZoom: closed ? 0 : t > 10000 ? 3 : t > 1000 ? 4 : 5});
    }
    for (const [k, p] of data.places.entries()) {
      if (p.buyer && p.at && state.labels.has("stage:buyer")) out.push({text: p.name + " " + buyerFigure(p), at: p.at, dx: 13, far: true, weight: 2e12,
        colour: INK, font: "700 11.5px " + SANS});
      if (p.stage === markets || !p.at || !p.active) continue;
      const named = halted.facility.has(p.id), t = output(p);
      if (!state.labels.has("stage:" + style.stages[p.stage])) continue;
      out.push({text: p.name, at: p.at, dx: 10, weight: named ? 1e11 : t / 10, colour: named ? HALT : INK, font: (named ? "700 " : "") + "11px " + SANS,
        minZoom: named || k === state.selected ? 0 : t > 20000 ? 4 : t > 2000 ? 5 : 6});
    }
    if (state.labels.has("labels")) for (const c of data.land.countries) {
      out.push({text: c.name, at: c.at, wide: c.wide, weight: -1e6 + c.wide, colour: "#66727F", font: "italic 11.5px " + SANS, minZoom: 1.5});
    }
    return out.sort((a, b) => b.weight - a.weight);
  }
  const words = new Words(candidates);

  /* ----- switches ----- */
  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    L.Util.requestAnimFrame(() => { waiting = false; drawMarks(); drawPorts(); drawFlows(); words.renew(); });
  }

  function Switch(on, off, inside) {
    const group = L.layerGroup(inside || []);
    group.on("add", () => { on(); redraw(); });
    group.on("remove", () => { off(); redraw(); });
    return group;
  }

  function layer(kind, key) {
    const label = name => [() => state.labels.add(name), () => state.labels.delete(name)];
    if (kind === "flow") {
      const code = style.commodities.indexOf(key);
      return Switch(() => state.flows.add(code), () => state.flows.delete(code));
    }
    if (kind === "stage") {
      const inside = [];
      data.places.forEach((p, k) => {
        const of = p.stage === markets ? stageOf(p) : p.active ? style.stages[p.stage] : "idle";
        if (of === key) inside.push(...marks[k]);
      });
      return groups[key] = Switch(...label("stage:" + key), inside);
    }
    if (kind === "ports") return Switch(...label("ports"), ports.flat());
    if (kind === "passages") return Switch(...label("passages"), gates);
    return Switch(...label("labels"));
  }

  function show(view) {
    state.view = view;
    document.body.dataset.view = view;
    for (const b of document.querySelectorAll("[data-show]")) b.setAttribute("aria-pressed", String(b.dataset.show === view));
    map.closePopup();
    redraw();
  }

  function ready(control) {
    const slot = document.getElementById("layer-slot");
    if (slot) slot.append(control.getContainer());
    words.addTo(map);
    for (const b of document.querySelectorAll("[data-show]")) b.addEventListener("click", () => {
      show(b.dataset.show);
      if (options.live) {
        const address = new URL(window.location.href);
        address.searchParams.set("view", b.dataset.show);
        window.history.replaceState(null, "", address);
      }
    });
    for (const input of document.querySelectorAll("input[name=colour-by]")) input.addEventListener("change", () => {
      state.colour = input.value; document.body.dataset.colour = input.value; redraw();
    });
    map.on("click", () => { if (state.selected !== null) select(null); });
    map.on("popupclose", () => { if (state.selected !== null) window.setTimeout(() => { if (!map._popup || !map._popup.isOpen()) select(null); }, 0); });
    finder();
    const home = document.getElementById("whole-map");
    if (home) home.addEventListener("click", () => { map.closePopup(); select(null); firstView(); });
    const legend = document.getElementById("legend");
    if (legend) {
      if (map.getSize().x < 760) legend.open = false;
      legend.addEventListener("toggle", () => words.draw());
    }
    show(state.view);
    document.body.dataset.colour = "commodity";
    map.whenReady(() => L.Util.requestAnimFrame(() => L.Util.requestAnimFrame(() => { document.body.dataset.ready = "yes"; })));
  }

  /* Find by name: also the way to a facility without a mouse. */
  function finder() {
    const input = document.getElementById("find"), list = document.getElementById("find-list");
    if (!input || !list) return;
    const byName = new Map();
    data.places.forEach((p, k) => {
      if (p.stage === markets && !(p.buyer && p.at)) return;
      const text = p.name + " (" + p.id + ")";
      byName.set(text, k);
      list.append(make("option", {value: text}));
    });
    const go = () => {
      const wanted = input.value.trim().toLowerCase();
      if (!wanted) return;
      let k = byName.get(input.value.trim());
      if (k === undefined) { // the largest running facility of that name or company
        let best = -1;
        data.places.forEach((p, n) => {
          if ((p.stage === markets && !(p.buyer && p.at)) || !(p.name + " " + p.id + " " + (p.operator || "")).toLowerCase().includes(wanted)) return;
          const rank = (p.name.toLowerCase().includes(wanted) ? 1e9 : 0) + (p.active ? 1e8 : 0) + output(p);
          if (rank > best) { best = rank; k = n; }
        });
      }
      const said = document.getElementById("find-said");
      if (k === undefined) { if (said) said.textContent = "Nothing by that name."; return; }
      if (said) said.textContent = "";
      const p = data.places[k], group = groups[p.buyer ? "buyer" : p.active ? style.stages[p.stage] : "idle"];
      if (group && !map.hasLayer(group)) group.addTo(map);
      map.setView(nearestMark(k).getLatLng(), Math.max(map.getZoom(), 4.5), {animate: false});
      choose(k);
    };
    input.addEventListener("change", go);
    input.addEventListener("keydown", e => { if (e.key === "Enter") { e.preventDefault(); go(); } });
  }

  return {layer, ready, show, map, data, state};
}

window.Atlas = {start, decode, latlngs, make, landLayer, short, Stretch, Mark, Words, COPIES, INK, HALT, SANS};
})();
