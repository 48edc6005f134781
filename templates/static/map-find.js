/* Find by name on the map: also the way to a plant without a mouse. */
(function () {
"use strict";
const {make} = window.Atlas;

window.Atlas.finder = function (atlas) {
  const input = document.getElementById("find"), list = document.getElementById("find-list"), said = document.getElementById("find-said");
  if (!input || !list) return;
  const {data, model: m, state} = atlas, byName = new Map(), findable = p => p.at && (!m.isMarket(p) || p.buyer);
  list.replaceChildren();
  data.places.forEach((p, k) => {
    if (!findable(p)) return;
    const text = p.name + " (" + p.id + ")";
    byName.set(text, k);
    list.append(make("option", {value: text}));
  });
  const find = () => {
    const wanted = input.value.trim().toLowerCase();
    if (!wanted) return;
    let k = byName.get(input.value.trim());
    if (k === undefined) { // the largest running facility of that name or company
      let best = -1;
      data.places.forEach((p, n) => {
        if (!findable(p) || !(p.name + " " + p.id + " " + (p.operator || "")).toLowerCase().includes(wanted)) return;
        const rank = (p.name.toLowerCase().includes(wanted) ? 1e9 : 0) + (p.active ? 1e8 : 0) + m.output(p, state.view);
        if (rank > best) { best = rank; k = n; }
      });
    }
    said.textContent = k === undefined ? say("map.nothing_found") : "";
    if (k !== undefined) atlas.go(k);
  };
  input.onchange = find;
  input.onkeydown = e => { if (e.key === "Enter") { e.preventDefault(); find(); } };
};
})();
