/* What every map of the atlas draws with: land, stretches of routes, marks, words. Text is only ever set as textContent. */
(function () {
"use strict";

const COPIES = [-360, 0, 360];
const SMALL_T = 0.5;
const SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

/* ---------- small things ---------- */

/* A colour of the style sheet as it is in this theme; asking the browser for each stroke would be slow. */
const tones = new Map();
document.addEventListener("themechange", () => tones.clear()); // before those of the maps, which draw anew
function tone(name) {
  if (!tones.has(name)) tones.set(name, window.themeColour(name));
  return tones.get(name);
}

/* A colour out of a page's data: plain, or a variable with what stands in for it, "var(--tone-blue, #0072B2)". */
function paint(colour) {
  if (!colour.startsWith("var(")) return colour;
  return tone(colour.slice(4, -1).split(",")[0].trim());
}

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

const FILLS = {plain: "--land", ally: "--land-ally", halted: "--land-halted"};

/* Countries: outlines kept as paths on a unit world, so that a redraw costs no projection. */
const Land = L.Renderer.extend({
  options: {padding: 0.3},
  initialize(kinds, lines) {
    L.Renderer.prototype.initialize.call(this, {pane: "land"});
    this._kinds = kinds; this._lines = lines;
    this._again = () => { if (this._map) this._update(); };
  },
  onAdd() { L.Renderer.prototype.onAdd.call(this); document.addEventListener("themechange", this._again); },
  onRemove() { document.removeEventListener("themechange", this._again); L.Renderer.prototype.onRemove.call(this); },
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
      for (const kind of Object.keys(this._kinds)) { ctx.fillStyle = tone(FILLS[kind]); ctx.fill(this._kinds[kind]); }
      ctx.strokeStyle = tone("--border");
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
  return new Land(kinds, lines);
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
    stroke(ctx, this._parts, 0, total + 1.6, tone("--map-halo"), []);
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
  ctx.strokeStyle = paint(colour);
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
  ctx.fillStyle = tone("--map-ink");
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
      ctx.strokeStyle = tone("--map-halo"); ctx.lineWidth = 3; ctx.stroke();
      ctx.strokeStyle = paint(o.fillColor); ctx.lineWidth = 1.4; ctx.stroke();
    } else {
      if (o.shape === "circle") ctx.arc(p.x, p.y, r * 0.95, 0, 2 * Math.PI);
      else o.shape.forEach((c, i) => ctx[i ? "lineTo" : "moveTo"](p.x + r * c[0], p.y + r * c[1]));
      ctx.closePath();
      ctx.fillStyle = o.part === undefined ? paint(o.fillColor) : tone("--paper");
      ctx.globalAlpha *= o.hollow ? 0.9 : o.part === undefined ? 0.88 : 1;
      ctx.fill();
      if (o.part) { // filled whole, or its left half
        ctx.save();
        ctx.clip();
        ctx.fillStyle = paint(o.fillColor);
        ctx.fillRect(p.x - 2 * r, p.y - 2 * r, r * (o.part < 1 ? 2 : 4), 4 * r);
        ctx.restore();
      }
      ctx.globalAlpha = o.dim ? 0.25 : 1;
      ctx.strokeStyle = o.edge ? paint(o.edge) : tone("--map-ink");
      ctx.lineWidth = o.hollow ? 1.4 : 1;
      ctx.stroke();
    }
    if (o.halted) {
      const s = Math.max(r + 3.5, 8);
      ctx.beginPath();
      ctx.arc(p.x, p.y, s, 0, 2 * Math.PI);
      ctx.moveTo(p.x - s * 0.7, p.y - s * 0.7);
      ctx.lineTo(p.x + s * 0.7, p.y + s * 0.7);
      ctx.strokeStyle = tone("--map-halo"); ctx.lineWidth = 4.4; ctx.stroke();
      ctx.strokeStyle = tone("--halt"); ctx.lineWidth = 2.4; ctx.stroke();
    }
    ctx.restore();
  }
});

/* Words on the map: drawn in order of weight, none over another. */
const Words = L.Layer.extend({
  initialize(candidates, pane) { this._make = candidates; this._pane = pane || "words"; this._candidates = null; },
  renew() { this._candidates = null; this.draw(); },
  onAdd(map) {
    this._canvas = L.DomUtil.create("canvas", "atlas-words", map.getPane(this._pane));
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
        ctx.strokeStyle = tone("--map-halo"); ctx.lineWidth = 3.2;
        ctx.strokeText(c.text, free[0], free[1]);
        ctx.fillStyle = paint(c.colour);
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

window.Atlas = {decode, latlngs, make, tonnes, tone, paint, landLayer, short, Stretch, Mark, Words, COPIES, SANS, SMALL_T};
})();
