/* What a press on the map tells: a plant, a buyer, a port, a strait, a stretch, a country; and what can be halted there. */
(function () {
"use strict";
const {make, tonnes} = window.Atlas;
const UNITS = {t_reo: "reo", t_metal: "metal", t_magnet: "magnet"};
const MOST_ROWS = 8;

/* `m` is the model, `live` whether the pages of the atlas are there to be linked to. */
window.Atlas.popups = function (m, live) {
  const {data, style, halted, both} = m;

  function facts(rows) {
    const list = make("dl", {});
    for (const [name, content] of rows) if (content !== null && content !== undefined && content !== "") list.append(make("dt", {}, name), make("dd", {}, content));
    return list;
  }

  function flowTable(entries, heads) {
    const figures = both ? [say("map.before"), say("map.after")] : [say("map.tonnes")];
    const table = make("table", {class: "flows"});
    table.append(make("thead", {}, make("tr", {}, ...heads.concat(figures).map((h, i) => make("th", {scope: "col", class: i >= heads.length ? "num" : ""}, h)))));
    const body = make("tbody", {});
    entries.sort((a, b) => Math.max(b.before, b.after) - Math.max(a.before, a.after));
    for (const e of entries.slice(0, MOST_ROWS)) {
      const cells = e.text.map(t => make("td", {}, t));
      cells.push(make("td", {class: "num"}, tonnes(e.before)));
      if (both) cells.push(make("td", {class: "num"}, tonnes(e.after)));
      body.append(make("tr", {}, ...cells));
    }
    table.append(body);
    const box = make("div", {}, table);
    if (entries.length > MOST_ROWS) box.append(make("p", {class: "more"}, say("map.smaller", {n: entries.length - MOST_ROWS})));
    return box;
  }

  function link(href, text) { return make("a", {href}, text); }
  function more(...links) {
    const line = make("p", {class: "more"});
    links.filter(Boolean).forEach((l, i) => line.append(...(i ? [" · ", l] : [l])));
    return line;
  }
  function routeLinks(id) {
    return [link("/route?from=" + encodeURIComponent(id), say("map.route_from")), link("/route?to=" + encodeURIComponent(id), say("map.route_to"))];
  }

  /* Buttons that put a halt into the builder; none where there is no builder. */
  function offers(list) {
    const builder = window.AtlasBuilder;
    const line = make("p", {class: "offers"});
    for (const [text, fields] of list) {
      if (!live || !builder || !builder.takes(fields)) continue;
      const button = make("button", {type: "button", class: "plain", "data-halt": fields.kind}, text);
      button.addEventListener("click", () => builder.put(fields, button));
      line.append(button);
    }
    return line.children.length ? line : null;
  }

  function place(k) {
    const p = data.places[k], box = make("div", {class: "popup"});
    box.append(make("h3", {}, m.placeName(k)));
    const unit = say("map.unit." + (UNITS[p.unit] || "other")), number = t => t === undefined ? null : tonnes(t).replace(" t", " " + unit);
    if (!m.isMarket(p)) {
      const source = p.link ? make("a", {href: p.link, target: "_blank", rel: "noopener noreferrer"}, p.source || p.link) : p.source;
      const since = p.start ? say(p.status === "planned" || p.status === "construction" ? "map.for_year" : "map.since_year", {year: p.start}) : "";
      box.append(facts([
        [say("map.stage"), style.stageLabels[style.stages[p.stage]] + (p.product && p.product !== "none" ? ", " + p.product : "")],
        [say("map.country"), m.country(p.country)], [say("map.operator"), p.operator],
        [say("map.status"), (p.status || "") + since + (p.end ? say("map.until_year", {year: p.end}) : "")],
        [say("map.capacity"), number(p.capacity)],
        [say("map.reported"), p.output === undefined ? null : number(p.output) + (p.output_year ? " (" + p.output_year + ")" : "")],
        [both ? say("map.before") : say("map.modelled"), p.modelled ? number(p.baseline) : null],
        [say("map.after"), both && p.modelled ? number(p.halted_t) : null],
        [say("map.limits"), p.modelled && p.normal !== undefined && p.limit !== undefined ? tonnes(p.normal) + ", " + tonnes(p.limit) : null],
        [say("map.halt"), halted.facility.has(p.id) ? say("map.halt_named") : halted.country.has(p.country) ? say("map.halt_country") : null],
        [say("map.elements"), p.elements], [say("map.grades"), p.grades],
        [say("map.not_modelled"), p.modelled ? null : (p.note || say("map.no_tonnage"))],
        [say("map.source"), source], [say("map.confidence"), p.confidence ? ("ABC".includes(p.confidence) ? say("map.trust." + p.confidence) : p.confidence) : null],
        [say("map.position"), p.precision_km === undefined ? null : say("map.within", {km: p.precision_km})]
      ]));
    }
    if (p.buyer) box.append(facts([
      [say("map.buyer"), p.sector + ", " + m.country(p.country)], [say("map.wants"), say("map.wanted", {tonnes: tonnes(p.wanted), grade: p.grade})],
      [both ? say("map.before") : say("map.gets"), tonnes(p.baseline)], [say("map.after"), both ? tonnes(p.halted_t) : null],
      [say("map.lower_grade"), p.stepped ? say("map.part_of_it", {tonnes: tonnes(p.stepped)}) : null]]));
    const shipped = !m.isMarket(p) && !p.own;
    if (live && (p.buyer || !m.isMarket(p))) box.append(more(shipped ? link("/facility/" + encodeURIComponent(p.id), say("map.whole_story")) : null, ...routeLinks(p.buyer || p.own ? p.at.join(",") : p.id)));
    if (live && m.isMarket(p) && !p.buyer) box.append(more(link("/country/" + encodeURIComponent(p.country), say("map.whole_story"))));
    const halts = offers(shipped ? [[say("map.halt_this"), {kind: "facility", target: p.id}], [say("map.halt_exports", {country: m.country(p.country)}), {kind: "country", target: p.country}]]
      : p.buyer ? [] : [[say("map.halt_exports", {country: m.country(p.country)}), {kind: "country", target: p.country}], [say("map.halt_towards", {country: m.country(p.country)}), {kind: "country", destination: p.country}]]);
    if (halts) box.firstChild.after(halts); // first of all: on a phone the rest takes scrolling
    const into = [], out = [];
    for (const [lane, [before, after]] of m.totals) {
      const l = m.lanes[lane];
      if (l.to === k) into.push({text: [m.laneName(l), m.placeName(l.from, true)], before, after});
      if (l.from === k) out.push({text: [m.laneName(l), m.placeName(l.to, true)], before, after});
    }
    for (const [list, title, head] of [[into, say("map.comes_in"), say("map.from")], [out, say("map.goes_out"), say("map.to")]]) {
      if (list.length) box.append(make("h4", {}, title), flowTable(list, [say("map.goods"), head]));
    }
    return box;
  }

  function gate(p, kind) {
    const box = make("div", {class: "popup"}, make("h3", {}, p.name));
    if (live) box.append(more(link("/" + kind + "/" + encodeURIComponent(p.id), say("map.whole_story")), ...(kind === "port" ? routeLinks(p.id) : [])));
    box.append(facts([
      [say("map.kind"), say("map.kinds." + kind, {id: p.id})], [say("map.country"), p.country ? m.country(p.country) : null],
      [both ? say("map.before") : say("map.passes"), say("map.a_year", {tonnes: tonnes(p.baseline)})], [say("map.after"), both ? say("map.a_year", {tonnes: tonnes(p.halted_t)}) : null],
      [say("map.stay"), p.days === undefined || p.days === null ? null : say("map.days", {n: p.days})],
      [say("map.shut"), kind === "passage" && !p.open ? say("map.not_used") : null],
      [say("map.halt"), halted[kind].has(p.id) ? say("map.halt_named") : null],
      [say("map.counts"), say("map.own_tonnes")]]));
    const halts = offers([[say("map.halt_this"), {kind, target: p.id}]]);
    if (halts) box.append(halts);
    return box;
  }

  function stretch(k) {
    const found = [];
    for (const [lane, use] of m.uses[k]) {
      if (!m.laneShown(lane)) continue;
      const l = m.lanes[lane];
      found.push({text: [m.laneName(l), m.placeName(l.from, true) + " → " + m.placeName(l.to, true)], before: use[1], after: use[2]});
    }
    return make("div", {class: "popup"}, make("h3", {}, say("map.on_stretch")), flowTable(found, [say("map.goods"), say("map.from_to")]));
  }

  function stretchTip(k, view) {
    const sum = m.sums(k, view), rows = make("div", {class: "tip"});
    for (const [key, , , label] of m.kinds(view)) if (sum.by.get(key)) rows.append(make("div", {}, label + " " + tonnes(sum.by.get(key))));
    return rows;
  }

  /* A country and those that meet it near where it was pressed. */
  function land(code, neighbours) {
    const box = make("div", {class: "popup"}, make("h3", {}, m.country(code))), rows = [];
    for (const stage of style.stages) {
      const made = state => data.places.reduce((sum, p) => sum + (p.country === code && !m.isMarket(p) && style.stages[p.stage] === stage ? p[state] || 0 : 0), 0);
      const before = made("baseline"), after = made("halted_t");
      if (Math.max(before, after) > 0.5) rows.push([style.stageLabels[stage], both ? tonnes(before) + " → " + tonnes(after) : say("map.a_year", {tonnes: tonnes(before)})]);
    }
    box.append(rows.length ? facts(rows) : make("p", {class: "more"}, say("map.makes_nothing")));
    if (live) box.append(more(link("/country/" + encodeURIComponent(code), say("map.whole_story"))));
    const halts = offers([
      [say("map.halt_exports", {country: m.country(code)}), {kind: "country", target: code}],
      [say("map.halt_towards", {country: m.country(code)}), {kind: "country", destination: code}],
      ...neighbours.map(n => [say("map.close_border", {a: m.country(code), b: m.country(n)}), {kind: "border", target: [code, n].sort().join("-")}])]);
    if (halts) box.append(halts);
    return box;
  }

  return {place, gate, stretch, stretchTip, land};
};
})();
