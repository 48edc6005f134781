/* From one answer to the next without loading the page anew: what changed is put in place, the map stays. */
(function () {
"use strict";
const {make} = window.Atlas;
const KEPT = 16; // pages kept, so that an answer seen before comes at once
const LOOKS = ["view", "colour", "off", "also", "at", "swipe"]; // of the address, and not of the answer
const by = id => document.getElementById(id);

function part(atlas) {
  const kept = new Map();
  let asked = 0, current = null, stop = null;

  /* The address of an answer, without how it is looked at. */
  function answer(address) {
    const url = new URL(address, window.location.href);
    for (const name of LOOKS) url.searchParams.delete(name);
    return url.pathname + url.search;
  }
  function remember(key, page) {
    kept.delete(key);
    kept.set(key, page);
    while (kept.size > KEPT) kept.delete(kept.keys().next().value);
  }
  function isMap(url) { return url.origin === window.location.origin && (url.pathname === "/map" || url.pathname === "/"); }

  function busy(on, text) {
    document.body.classList.toggle("busy", on);
    by("map-said").textContent = on ? text || say("map.solving") : "";
  }

  function trouble(texts, seconds, again) {
    const box = by("trouble");
    box.replaceChildren(make("p", {}, say("map.trouble")), ...texts.map(t => make("p", {}, t)));
    const button = make("button", {type: "button", class: "plain"}, say("map.again_now"));
    button.addEventListener("click", again);
    box.append(button);
    box.hidden = false;
    let left = seconds;
    const tick = () => {
      if (!button.isConnected) return;
      button.disabled = left > 0;
      button.textContent = left > 0 ? say("map.again", {n: left}) : say("map.again_now");
      if (left-- > 0) window.setTimeout(tick, 1000);
    };
    tick();
    box.scrollIntoView({block: "nearest"});
  }

  async function open(address, {push = true, place = false} = {}) {
    const url = new URL(address, window.location.href), key = answer(url), mine = ++asked;
    performance.mark("atlas-asked");
    if (stop) stop.abort();
    stop = new AbortController();
    let page = kept.get(key);
    if (page === undefined) {
      busy(true);
      try {
        const response = await fetch(key, {headers: {Accept: "text/html"}, signal: stop.signal});
        const text = await response.text();
        if (mine !== asked) return;
        if (!response.ok) {
          busy(false);
          if (!push) window.history.replaceState(null, "", current);
          const told = new DOMParser().parseFromString(text, "text/html");
          trouble([...told.querySelectorAll(".problems li")].map(li => li.textContent), Number(response.headers.get("Retry-After")) || 0, () => open(address, {push: true}));
          return;
        }
        page = text;
        remember(key, page);
      } catch (error) {
        if (error.name === "AbortError" || mine !== asked) return;
        busy(false);
        trouble([say("map.offline")], 0, () => open(address, {push}));
        return;
      }
    } else remember(key, page);
    if (mine !== asked) return;
    const fresh = new DOMParser().parseFromString(page, "text/html"), data = fresh.getElementById("atlas-data");
    if (!data || !same(fresh)) { window.location.assign(url.href); return; }
    // the way of looking goes along to the next answer, as far as its address does not say another
    if (push) {
      const here = new URL(window.location.href);
      for (const name of ["colour", "off", "also", "at", "swipe"]) if (!url.searchParams.has(name) && here.searchParams.has(name)) url.searchParams.set(name, here.searchParams.get(name));
      if (!url.searchParams.has("view") && ["after", "swipe", "side"].includes(atlas.state.view) && url.pathname === "/map") url.searchParams.set("view", atlas.state.view);
      window.history.pushState(null, "", readable(url));
    }
    current = window.location.href;
    swap(fresh);
    atlas.renew(JSON.parse(data.textContent));
    busy(false);
    if (place) atlas.recall();
    by("map-said").textContent = "";
    by("title").focus({preventScroll: window.innerWidth > 760});
    if (by("summary")) by("summary").scrollTop = 0;
    document.body.dataset.answers = String(Number(document.body.dataset.answers || 0) + 1);
    L.Util.requestAnimFrame(() => L.Util.requestAnimFrame(() => performance.mark("atlas-shown")));
  }

  function readable(url) { return url.pathname + url.search.replace(/%2C/g, ",").replace(/%40/g, "@") + url.hash; }

  /* Whether both pages have the same scripts and switches; else the browser loads the other one whole. */
  function same(fresh) {
    const files = doc => [...doc.querySelectorAll("script[src]")].map(s => s.getAttribute("src")).join();
    const layers = text => (text.match(/\.layer\("\w+", "\w*"\)/g) || []).join();
    const own = doc => layers([...doc.querySelectorAll("script:not([src]):not([type])")].map(s => s.textContent).join());
    return files(fresh) === files(document) && own(fresh) === own(document);
  }

  function swap(fresh) {
    document.title = fresh.title;
    for (const id of ["lead", "views", "legend-own", "legend-land", "summary"]) {
      const old = by(id), next = fresh.getElementById(id);
      if (old && next) { old.replaceChildren(...next.childNodes); old.hidden = next.hidden; }
    }
    for (const [k, link] of [...document.querySelectorAll(".top nav a")].entries()) {
      const other = fresh.querySelectorAll(".top nav a")[k];
      if (other && other.hasAttribute("aria-current")) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
    window.sortTables(document);
    window.Atlas.share();
    if (window.AtlasBuilder) window.AtlasBuilder.start(open);
  }

  document.addEventListener("click", e => {
    const link = e.target.closest("a[href]");
    if (!link || e.defaultPrevented || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey || link.target || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (!isMap(url) || url.hash) return;
    e.preventDefault();
    open(url.href);
  });
  window.addEventListener("popstate", () => {
    const here = new URL(window.location.href);
    if (!isMap(here)) { window.location.reload(); return; }
    if (answer(here) === answer(current)) { current = here.href; atlas.recall(); return; }
    open(here.href, {push: false, place: true});
  });
  current = window.location.href;
  atlas.on(() => { current = window.location.href; });
  if (window.AtlasBuilder) window.AtlasBuilder.start(open);
}

(window.Atlas.parts = window.Atlas.parts || []).push(part);
})();
