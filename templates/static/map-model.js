/* What a map's JSON says, ready to be asked: tonnes on a stretch by goods or by change, output of a plant, names. */
(function () {
"use strict";
const {decode, tonnes, SMALL_T} = window.Atlas;

/* `state` is shared by all drawings: flows (shown commodities), selected (a place), colour (commodity or source). */
window.Atlas.model = function (data, state) {
  const style = data.style, allies = new Set(data.allies), markets = style.stages.length;
  const names = {}, halted = Object.fromEntries(Object.entries(data.halted).map(([k, v]) => [k, new Set(v)]));
  const both = data.start.views.length > 1;

  const lanes = data.lanes.map(l => ({from: l[0], to: l[1], commodity: l[2], item: l[3], via: l[4] || "",
    side: allies.has((data.places[l[0]] || {}).country) ? "ally" : "other"}));
  const uses = data.arcs.map(() => new Map()), totals = new Map();
  for (const [lane, route, before, after] of data.ways) {
    const whole = totals.get(lane) || [0, 0];
    totals.set(lane, [whole[0] + before, whole[1] + after]);
    for (const signed of data.routes[route]) {
      const use = uses[Math.abs(signed) - 1], known = use.get(lane);
      if (known) { known[1] += before; known[2] += after; }
      else use.set(lane, [signed > 0 ? 1 : -1, before, after]);
    }
  }
  const lines = data.arcs.map(text => decode(text, 3));

  function width(t) { return Math.max(style.width[0], style.width[1] * Math.sqrt(t / 100000)); }
  function laneShown(lane) {
    const l = lanes[lane];
    return state.flows.has(l.commodity) && (state.selected === null || l.from === state.selected || l.to === state.selected);
  }
  function value(use, view) { return view === "before" ? use[1] : view === "after" ? use[2] : Math.max(use[1], use[2]); }

  /* What a lane's tonnes on a stretch became: [kind, tonnes] pairs. */
  function changes(lane, before, after) {
    if (lanes[lane].via) return [["via", Math.max(before, after)]];
    const d = after - before, side = lanes[lane].side;
    if (Math.abs(d) <= Math.max(1, 0.01 * Math.max(before, after))) return [["kept", Math.max(before, after)]];
    if (d < 0) return after <= SMALL_T ? [["lost", -d]] : [["reduced", -d], ["kept", after]];
    return before <= SMALL_T ? [["new-" + side, d]] : [["grown-" + side, d], ["kept", before]];
  }

  function sums(k, view) {
    const by = new Map();
    let heading = 0, all = 0;
    for (const [lane, use] of uses[k]) {
      if (!laneShown(lane)) continue;
      const t = value(use, view);
      if (t <= 0) continue;
      all += t; heading += t * use[0];
      if (view === "change") for (const [kind, part] of changes(lane, use[1], use[2])) by.set(kind, (by.get(kind) || 0) + part);
      else {
        const key = lanes[lane].via ? "via" : state.colour === "source" ? lanes[lane].side : style.commodities[lanes[lane].commodity];
        by.set(key, (by.get(key) || 0) + t);
      }
    }
    return {by, all, heading: Math.abs(heading) > 0.2 * all ? Math.sign(heading) : 0};
  }

  /* [key, colour, dash, label] of all that may lie on a stretch, in the order it lies there. */
  function kinds(view) {
    const via = ["via", style.via.colour, style.via.dash, style.via.label];
    if (view === "change") return [...Object.entries(style.changes).map(([k, c]) => [k, c.colour, c.dash, c.label]), via];
    if (state.colour === "source") return [...Object.entries(style.sources).map(([k, c]) => [k, c.colour, k === "other" ? [7, 2] : [], c.label]), via];
    return [...style.commodities.map(c => [c, style.colours[c], [], style.commodityLabels[c]]), via];
  }

  function strands(sum, view) {
    const out = [], whole = width(sum.all);
    for (const [key, colour, dash] of kinds(view)) {
      const t = sum.by.get(key);
      if (!t) continue;
      const wide = view === "change" ? (key === "kept" ? Math.min(width(t), 1.3) : Math.max(width(t), 1.6)) : Math.max(whole * t / sum.all, key === "via" ? 1.6 : 0.7);
      out.push({width: wide, colour, dash});
    }
    return out;
  }

  function laneName(l) {
    const item = (l.item ? " " + l.item : "") + (l.via ? say("map.by_way_of", {country: country(l.via)}) : "");
    return style.commodityLabels[style.commodities[l.commodity]] + item;
  }
  function country(code) { return names[code] || code; }
  function placeName(k, short) {
    const p = data.places[k];
    if (p.stage === markets && !p.buyer) return country(p.country) + (short ? "" : " (" + say("map.demand") + ")");
    return p.name;
  }

  const isMarket = p => p.stage === markets;
  const stageOf = p => p.buyer ? "buyer" : isMarket(p) ? "demand" : style.stages[p.stage];
  const layerOf = p => "stage-" + (isMarket(p) ? stageOf(p) : p.active ? style.stages[p.stage] : "idle");
  const got = (p, view) => view === "before" ? p.baseline : p.halted_t;
  const buyerState = (p, view) => style.buyers[got(p, view) >= p.wanted * 0.999 ? "met" : got(p, view) > p.wanted * 0.001 ? "part" : "none"];
  const buyerFigure = (p, view) => say("map.of", {part: tonnes(got(p, view)).replace(" t", ""), whole: tonnes(p.wanted)});

  function output(p, view) {
    if (isMarket(p)) return 0;
    const modelled = p.baseline !== undefined || p.halted_t !== undefined;
    if (!modelled || !p.modelled) return p.output || 0;
    return view === "before" ? p.baseline || 0 : view === "after" ? p.halted_t || 0 : Math.max(p.baseline || 0, p.halted_t || 0);
  }
  function through(p, view) { return view === "before" ? p.baseline : view === "after" ? p.halted_t : Math.max(p.baseline, p.halted_t); }

  /* How a place looks in a view: its colours, whether it is hollow, its radius at full size. */
  function look(p, view) {
    const stage = stageOf(p), t = output(p, view), own = p.buyer ? buyerState(p, view) : null;
    let colour = own ? own.colour : style.colours[stage], hollow = false;
    if (!isMarket(p)) {
      hollow = !p.active || t <= 0;
      if (view === "change" && !hollow) {
        const b = p.baseline || 0, a = p.halted_t || 0, side = allies.has(p.country) ? "ally" : "other", d = a - b;
        colour = style.changes[Math.abs(d) <= Math.max(1, 0.01 * b) ? "kept" : d < 0 ? (a <= SMALL_T ? "lost" : "reduced") : (b <= SMALL_T ? "new-" : "grown-") + side].colour;
      }
    }
    const edge = hollow ? style.colours[stage] : own && !own.part ? own.colour : null;
    return {colour, hollow, edge, own, radius: own ? 7.5 : stage === "demand" ? 3.2 : style.radius[1] * Math.sqrt(t / 100000)};
  }

  return {data, state, style, allies, names, halted, both, lanes, uses, totals, lines, sums, strands, kinds, laneShown, laneName, placeName,
    country, isMarket, stageOf, layerOf, buyerFigure, output, through, look};
};
})();
