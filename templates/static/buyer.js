/* The form of a magnet buyer: ports and plants of the atlas are offered as the place is typed. */
(function () {
"use strict";
const field = document.getElementById("buyer-place"), list = document.getElementById("places");
if (!field || !list) return;
const cities = Array.from(list.children), LEAST = 3, PAUSE_MS = 200, MOST = 12;
let timer = 0, asked = "";

field.addEventListener("input", () => {
  window.clearTimeout(timer);
  timer = window.setTimeout(offer, PAUSE_MS);
});

async function offer() {
  const words = field.value.trim();
  if (words === asked || words.length < LEAST || /^[-\d., ]+$/.test(words)) return;
  asked = words;
  let hits = [];
  try {
    const answer = await fetch("/api/find?kind=facility,port&q=" + encodeURIComponent(words));
    if (!answer.ok) return;
    hits = (await answer.json()).slice(0, MOST);
  } catch { return; } // the form works without
  if (field.value.trim() !== words) return;
  list.replaceChildren(...cities, ...hits.map(hit => {
    const option = document.createElement("option");
    option.value = hit.id;
    option.label = hit.name + (hit.country ? ", " + hit.country : "");
    return option;
  }));
  document.getElementById("places-said").textContent = say("buyer.found", {n: hits.length});
}
})();
