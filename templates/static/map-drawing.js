/* One view of the flows on a map: stretches, plants, ports, straits and words, in panes of its own. */
(function () {
"use strict";
const {latlngs, make, tonnes, tone, short, Stretch, Mark, Words, COPIES, SANS, SMALL_T} = window.Atlas;

/* `pane` is where it lies: "" is Leaflet's own, another name makes two panes more (for the other side of a swipe). */
class Drawing {
  constructor(map, model, popups, view, pane, chosen) {
    Object.assign(this, {map, model, popups, view, chosen, groups: {}, sizes: [], linked: new Set()});
    this.shrink = map.getSize().x < 600 ? 0.65 : 1; // the style sheet shrinks the legend alike
    const own = pane ? {canvas: pane, words: pane + "-words"} : {canvas: "overlayPane", words: "words"};
    if (pane && !map.getPane(own.canvas)) map.createPane(own.canvas).style.zIndex = 410;
    for (const [name, z] of [["words", 620], [own.words, 621]]) if (!map.getPane(name)) {
      map.createPane(name).style.zIndex = z;
      map.getPane(name).classList.add("atlas-words-pane");
    }
    this.panes = [map.getPane(own.canvas), map.getPane(own.words)];
    this.canvas = L.canvas({padding: 0.2, tolerance: 4, pane: own.canvas});
    this.words = new Words(() => this.candidates(), own.words);
    this.tip = L.tooltip({direction: "top", offset: [0, -8], opacity: 0.95});
    this.make();
  }

  /* Everything of the model as layers; the first lie lowest. */
  make() {
    const {model: m, map, canvas} = this, {data, style} = m;
    this.stretches = m.lines.map((xy, k) => {
      const line = new Stretch(latlngs(xy, 0), {renderer: canvas, bubblingMouseEvents: false});
      line.on("click", e => this.tell(e.latlng, this.popups.stretch(k)));
      line.on("mouseover", e => { map.getContainer().classList.add("atlas-hover"); this.tip.setLatLng(e.latlng).setContent(this.popups.stretchTip(k, this.view)); this.tip.addTo(map); });
      line.on("mousemove", e => this.tip.setLatLng(e.latlng));
      line.on("mouseout", () => { map.getContainer().classList.remove("atlas-hover"); this.tip.remove(); });
      return line.addTo(map);
    });
    this.ports = data.ports.map(p => COPIES.map(shift => {
      const mark = new Mark([p.at[1], p.at[0] + shift], {renderer: canvas, shape: style.shapes.separation, fillColor: "var(--paper)", hollow: true, edge: "var(--map-soft)",
        radius: 3, halted: m.halted.port.has(p.id), bubblingMouseEvents: false});
      mark.bindTooltip(() => make("span", {}, p.name + ", " + tonnes(m.through(p, this.view))), {direction: "top", offset: [0, -5]});
      mark.on("click", () => this.tell(mark.getLatLng(), this.popups.gate(p, "port")));
      return mark;
    }));
    this.gates = data.passages.map(p => {
      const closed = m.halted.passage.has(p.id), at = [];
      for (const gate of p.gates) for (const shift of COPIES) at.push(latlngs(closed ? gate : short(gate), shift));
      const line = L.polyline(at, {renderer: canvas, weight: closed ? 4.5 : 2.2, dashArray: closed ? null : "4 3", bubblingMouseEvents: false});
      line.bindTooltip(() => make("span", {}, p.name + ", " + (p.open ? tonnes(m.through(p, this.view)) : say("map.shut_word"))), {sticky: true});
      line.on("click", e => this.tell(e.latlng, this.popups.gate(p, "passage")));
      return line;
    });
    this.marks = data.places.map((p, k) => !p.at ? [] : COPIES.map(shift => {
      const stage = m.stageOf(p);
      const mark = new Mark([p.at[1], p.at[0] + shift], {renderer: canvas, shape: style.shapes[stage] || "circle", bubblingMouseEvents: false,
        halted: m.halted.facility.has(p.id), fillColor: style.colours[stage]});
      mark.on("click", () => this.chosen(k, mark, this));
      mark.bindTooltip(() => make("span", {}, m.placeName(k) + (p.buyer ? ", " + m.buyerFigure(p, this.view) : "")), {direction: "top", offset: [0, -6]});
      return mark;
    }));
    this.groups = {ports: L.layerGroup(this.ports.flat()), passages: L.layerGroup(this.gates)};
    data.places.forEach((p, k) => {
      const key = m.layerOf(p);
      this.groups[key] = this.groups[key] || L.layerGroup();
      for (const mark of this.marks[k]) this.groups[key].addLayer(mark);
    });
    this.tones();
    for (const key of ["ports", "passages"]) this.toggle(key);
    for (const key of Object.keys(this.groups)) this.toggle(key);
    this.words.addTo(map);
  }

  /* Gates are Leaflet's own lines, which take plain colours. */
  tones() {
    this.model.data.passages.forEach((p, k) => this.gates[k].setStyle({color: tone(this.model.halted.passage.has(p.id) ? "--halt" : p.open ? "--map-ink" : "--map-soft")}));
  }

  toggle(key) {
    const group = this.groups[key];
    if (!group) return;
    if (this.model.state.shown.has(key)) group.addTo(this.map); else group.remove();
  }

  tell(at, content) {
    L.popup({maxWidth: 340, minWidth: 240, autoPanPaddingTopLeft: [10, 50]}).setLatLng(at).setContent(content).openOn(this.map);
  }

  draw() {
    this.drawMarks();
    this.drawPorts();
    this.drawFlows();
    this.words.renew();
  }

  drawFlows() {
    this.stretches.forEach((line, k) => {
      const sum = this.model.sums(k, this.view);
      line.setStrands(this.model.strands(sum, this.view), sum.heading);
      if (line._map) line._update();
    });
    if (!this.canvas._map) return;
    // all at once and now: what single layers asked for would paint the same again
    if (this.canvas._redrawRequest) L.Util.cancelAnimFrame(this.canvas._redrawRequest);
    this.canvas._redrawBounds = null;
    this.canvas._redraw();
  }

  drawMarks() {
    const {model: m} = this, {data, state, style} = m, selected = state.selected;
    this.linked.clear();
    if (selected !== null) for (const l of m.lanes) { if (l.from === selected) this.linked.add(l.to); if (l.to === selected) this.linked.add(l.from); }
    data.places.forEach((p, k) => {
      const look = m.look(p, this.view), stage = m.stageOf(p);
      const radius = look.own || stage === "demand" ? look.radius : look.hollow ? 4 : Math.max(style.radius[0], this.shrink * look.radius);
      this.sizes[k] = look.own ? 0 : radius; // buyers lie above all
      for (const mark of this.marks[k]) {
        L.setOptions(mark, {fillColor: look.hollow ? "var(--paper)" : look.colour, edge: look.edge, hollow: look.hollow, part: look.own ? look.own.part : undefined, radius,
          dim: selected !== null && selected !== k && !this.linked.has(k)});
        mark._radius = radius;
        if (mark._map) mark._updateBounds();
      }
    });
    // small ones lie above large ones
    data.places.map((p, k) => k).sort((a, b) => this.sizes[b] - this.sizes[a]).forEach(k => { for (const mark of this.marks[k]) if (mark._map) mark.bringToFront(); });
  }

  drawPorts() {
    this.model.data.ports.forEach((p, k) => {
      for (const mark of this.ports[k]) { mark.options.radius = mark._radius = Math.min(7, 2 + 0.02 * Math.sqrt(this.model.through(p, this.view))); if (mark._map) mark._updateBounds(); }
    });
  }

  nearestMark(k) {
    const centre = this.map.getCenter().lng;
    return this.marks[k].slice().sort((a, b) => Math.abs(a.getLatLng().lng - centre) - Math.abs(b.getLatLng().lng - centre))[0];
  }

  candidates() {
    const {model: m, view} = this, {data, state, style, halted} = m, out = [], change = view === "change";
    const figure = p => change && Math.abs(p.baseline - p.halted_t) > 1 ? " " + tonnes(p.baseline) + " → " + tonnes(p.halted_t) : " " + tonnes(m.through(p, view));
    const INK = "var(--map-ink)", HALT = "var(--halt)", SOFT = "var(--map-soft)";
    if (state.shown.has("passages")) for (const p of data.passages) {
      const closed = halted.passage.has(p.id), t = m.through(p, view);
      if (!closed && t <= SMALL_T) continue;
      const moved = Math.abs(p.baseline - p.halted_t);
      const gate = p.gates[0], at = Math.abs(gate[0][1]) > 55 || Math.abs(gate[gate.length - 1][1]) > 55 ? gate[0] : [(gate[0][0] + gate[gate.length - 1][0]) / 2, (gate[0][1] + gate[gate.length - 1][1]) / 2];
      out.push({text: (closed ? "✕ " : "") + p.name + figure(p), at, dx: 8, weight: closed ? 1e12 : 1e6 + t, colour: closed ? HALT : INK,
        font: (closed ? "700 " : "600 ") + "11px " + SANS, minZoom: closed ? 0 : change ? (moved > 500 && moved > 0.05 * t ? 1.25 : 3) : t > 5000 ? 1.25 : t > 1500 ? 2.5 : 3.5});
    }
    if (state.shown.has("ports")) for (const p of data.ports) {
      const t = m.through(p, view), closed = halted.port.has(p.id);
      out.push({text: (closed ? "✕ " : "") + p.name + figure(p), at: p.at, dx: 9, weight: closed ? 1e12 : t, colour: closed ? HALT : SOFT, font: (closed ? "700 " : "") + "10.5px " + SANS, minZoom: closed ? 0 : t > 10000 ? 3 : t > 1000 ? 4 : 5});
    }
    for (const [k, p] of data.places.entries()) {
      if (p.buyer && p.at && state.shown.has("stage-buyer")) out.push({text: p.name + " " + m.buyerFigure(p, view), at: p.at, dx: 13, far: true, weight: 2e12, colour: INK, font: "700 11.5px " + SANS});
      if (m.isMarket(p) || !p.at || !state.shown.has(m.layerOf(p))) continue;
      const named = halted.facility.has(p.id), t = m.output(p, view);
      out.push({text: p.name, at: p.at, dx: 10, weight: named ? 1e11 : t / 10, colour: named ? HALT : INK, font: (named ? "700 " : "") + "11px " + SANS,
        minZoom: named || k === state.selected ? 0 : !p.active ? 7 : t > 20000 ? 4 : t > 2000 ? 5 : 6});
    }
    if (state.shown.has("labels")) for (const c of data.land.countries) {
      out.push({text: c.name, at: c.at, wide: c.wide, weight: -1e6 + c.wide, colour: SOFT, font: "italic 11.5px " + SANS, minZoom: 1.5});
    }
    return out.sort((a, b) => b.weight - a.weight);
  }

  remove() {
    this.tip.remove();
    this.words.remove();
    this.canvas.remove(); // first: layers that go one by one would ask it to paint again
    for (const group of Object.values(this.groups)) group.remove();
    for (const line of this.stretches) line.remove();
  }
}

window.Atlas.Drawing = Drawing;
})();
