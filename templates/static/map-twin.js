/* Before against after at once: a divider over one map (swipe), or two maps that move together (side by side). */
(function () {
"use strict";
const {make} = window.Atlas;
const STEP = 2, LEAP = 10;

window.Atlas.twin = function (atlas) {
  const {map, state} = atlas, box = map.getContainer().parentElement;
  let second = null, divider = null, panes = null, captions = [], moving = false;

  function kind(view) { return view === "swipe" || view === "side" ? view : "one"; }

  /* What is drawn where in a view. */
  function arrange(view) {
    const what = kind(view);
    box.dataset.twin = what;
    captions.forEach(c => c.remove());
    captions = [];
    if (divider) { divider.remove(); divider = null; map.off("move zoomend viewreset resize", clip); unclip(); }
    if (second && what !== "side") { second.remove(); second.own.remove(); second = null; map.off("move", follow); }
    if (what === "one") { map.invalidateSize({pan: false}); return [{map, pane: "", view}]; }
    captions = ["before", "after"].map(side => make("p", {class: "caption " + side}, say(side === "before" ? "map.before" : "map.after")));
    box.append(...captions);
    if (what === "swipe") {
      map.invalidateSize({pan: false});
      makeDivider();
      return [{map, pane: "", view: "before"}, {map, pane: "after", view: "after"}];
    }
    if (!second) makeSecond();
    map.invalidateSize({pan: false});
    second.invalidateSize({pan: false});
    follow();
    return [{map, pane: "", view: "before"}, {map: second, pane: "", view: "after"}];
  }

  function settle(drawings) {
    if (!divider) return;
    panes = drawings.map(d => d.panes);
    clip();
  }

  /* ----- side by side ----- */
  function makeSecond() {
    const own = make("div", {class: "folium-map second", role: "application", "aria-label": say("map.after_map"), tabindex: "0"});
    box.append(own);
    second = L.map(own, {...map.options, center: map.getCenter(), zoom: map.getZoom(), attributionControl: false, zoomControl: false, layers: []});
    second.own = own;
    second.createPane("land").style.zIndex = 200;
    map.on("move", follow);
    second.on("move", lead);
    second.on("dragstart zoomstart", () => { atlas.touched = true; });
    second.on("popupclose", () => { if (state.selected !== null) atlas.select(null); });
  }
  function same(a, b) {
    if (moving) return;
    moving = true;
    b.setView(a.getCenter(), a.getZoom(), {animate: false});
    moving = false;
  }
  function follow() { if (second) same(map, second); }
  function lead() { if (second) same(second, map); }

  /* ----- swipe ----- */
  function makeDivider() {
    divider = make("div", {class: "swipe", role: "slider", tabindex: "0", "aria-label": say("map.divider"), "aria-orientation": "horizontal", "aria-valuemin": "0", "aria-valuemax": "100"});
    divider.append(make("span", {class: "grip", "aria-hidden": "true"}, "⇔"));
    box.append(divider);
    L.DomEvent.disableClickPropagation(divider);
    divider.addEventListener("pointerdown", e => {
      e.preventDefault();
      divider.focus();
      divider.setPointerCapture(e.pointerId);
      const pull = ev => place((ev.clientX - box.getBoundingClientRect().left) / box.clientWidth * 100);
      const end = () => { divider.removeEventListener("pointermove", pull); atlas.remember(); };
      divider.addEventListener("pointermove", pull);
      divider.addEventListener("pointerup", end, {once: true});
      divider.addEventListener("pointercancel", end, {once: true});
    });
    divider.addEventListener("keydown", e => {
      const by = {ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, PageDown: -LEAP, PageUp: LEAP, Home: -100, End: 100}[e.key];
      if (by === undefined) return;
      e.preventDefault();
      place(state.swipe + by);
      atlas.remember();
    });
    map.on("move zoomend viewreset resize", clip);
  }
  function place(percent) {
    state.swipe = Math.round(Math.min(100, Math.max(0, percent)));
    clip();
  }
  function clip() {
    if (!divider || !panes) return;
    const size = map.getSize(), x = size.x * state.swipe / 100;
    divider.style.left = x + "px";
    divider.setAttribute("aria-valuenow", String(state.swipe));
    divider.setAttribute("aria-valuetext", say("map.divided", {before: state.swipe, after: 100 - state.swipe}));
    const nw = map.containerPointToLayerPoint([0, 0]), se = map.containerPointToLayerPoint(size), cut = nw.x + x;
    const rect = (left, right) => "rect(" + [nw.y, right, se.y, left].map(v => Math.round(v) + "px").join(" ") + ")";
    panes[0].forEach(p => { p.style.clip = rect(nw.x, cut); });
    panes[1].forEach(p => { p.style.clip = rect(cut, se.x); });
  }
  function unclip() {
    for (const part of panes || []) part.forEach(p => { p.style.clip = ""; });
    panes = null;
  }

  return {kind, arrange, settle};
};
})();
