/* The frame of every page: the theme before anything is drawn, the menu of a narrow window, and the texts of scripts. */
(function () {
"use strict";
const root = document.documentElement, KEY = "atlas-theme";
root.classList.add("scripted");
const home = (document.currentScript.src || "").replace(/frame\.js.*$/, ""); // "" where it stands in the page itself

function kept() { try { return window.localStorage.getItem(KEY); } catch { return null; } } // storage may be switched off
const chosen = kept();
if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

const system = window.matchMedia("(prefers-color-scheme: dark)");
function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : system.matches; }
function changed() {
  const button = document.getElementById("theme");
  if (button) button.setAttribute("aria-pressed", String(isDark()));
  document.dispatchEvent(new CustomEvent("themechange", {detail: {dark: isDark()}}));
}
system.addEventListener("change", changed);

/* A colour of the style sheet as it stands in this theme, for what is drawn on a canvas. */
let probe = null;
window.themeColour = function (name) {
  if (!probe) { probe = document.createElement("span"); probe.hidden = true; }
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = "var(" + name + ")";
  return window.getComputedStyle(probe).color;
};
window.themeIsDark = isDark;

/* The text of a key like "explore.none", with {n} filled in; the texts stand in the page as JSON. */
let texts = null;
window.say = function (key, values) {
  if (!texts) {
    texts = {};
    for (const s of document.querySelectorAll("script.text")) Object.assign(texts, JSON.parse(s.textContent));
  }
  if (!(key in texts)) throw new Error("no text " + key);
  return texts[key].replace(/\{(\w+)\}/g, (whole, name) => values && name in values ? String(values[name]) : whole);
};

document.addEventListener("DOMContentLoaded", () => {
  const theme = document.getElementById("theme"), menu = document.getElementById("menu"), search = document.getElementById("search");
  if (search && home) { // what answers as one types is fetched when the box is first used
    search.addEventListener("focus", () => {
      const style = document.createElement("link"), script = document.createElement("script");
      style.rel = "stylesheet";
      style.href = home + "search.css";
      script.src = home + "search.js";
      document.head.append(style, script);
    }, {once: true});
  }
  if (theme) {
    theme.hidden = false;
    theme.setAttribute("aria-pressed", String(isDark()));
    theme.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      try { window.localStorage.setItem(KEY, root.dataset.theme); } catch { /* the choice then lasts for this page */ }
      changed();
    });
  }
  if (menu) {
    const top = menu.closest(".top");
    const set = open => { top.dataset.menu = open ? "open" : "shut"; menu.setAttribute("aria-expanded", String(open)); };
    menu.addEventListener("click", () => set(top.dataset.menu !== "open"));
    top.addEventListener("keydown", e => { if (e.key === "Escape" && top.dataset.menu === "open") { set(false); menu.focus(); } });
  }
});
})();
