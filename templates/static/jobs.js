/* The page of a piece of long work: asks the server how far it is, and opens the result or tells how it ended. */
(function () {
"use strict";
const box = document.getElementById("job");
if (box && box.dataset.id && ["waiting", "running"].includes(box.dataset.state)) follow(box);

const list = document.getElementById("now");
if (list && list.dataset.going === "yes") renew(list);

/* The list of work: what the server says now takes its place, unless somebody is at one of its buttons. */
function renew(old) {
  const EVERY_MS = 2000;
  window.setTimeout(async () => {
    let fresh = null;
    try {
      const answer = await fetch("/jobs", {headers: {Accept: "text/html"}});
      if (answer.ok) fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("now");
    } catch { /* the server is away: it is asked again */ }
    if (!fresh || document.hidden || old.contains(document.activeElement)) return renew(old);
    old.replaceWith(fresh);
    if (fresh.dataset.going === "yes") renew(fresh);
  }, EVERY_MS);
}

function follow(job) {
  const EVERY_MS = 1000, MOST_MS = 8000;
  const at = id => document.getElementById("job-" + id);
  let quarter = 0, pause = EVERY_MS;

  function time(seconds) {
    const s = Math.round(seconds), m = Math.floor(s / 60);
    if (s < 60) return say("jobs.seconds", {s: s});
    return s < 600 ? say("jobs.minutes_seconds", {m: m, s: s % 60}) : say("jobs.minutes", {m: Math.round(s / 60)});
  }
  function tell(words) { if (at("told").textContent !== words) at("told").textContent = words; }

  function show(now) {
    const waits = now.place ? say("jobs.waits", {place: now.place}) : say("jobs.waits_soon");
    at("state").textContent = now.state === "waiting" ? waits : say("jobs.runs");
    at("said").textContent = now.said;
    at("lasted").textContent = time(now.elapsed_s);
    at("left").textContent = now.left_s === null ? say("jobs.left_unknown") : time(now.left_s);
    const bar = at("bar");
    if (now.total) {
      bar.max = now.total;
      bar.value = now.done;
      const reached = Math.floor(4 * now.done / now.total); // said aloud a few times only
      if (reached > quarter) { quarter = reached; tell(say("jobs.told", {done: now.done, total: now.total})); }
    } else {
      bar.removeAttribute("value");
    }
  }

  async function look() {
    try {
      const answer = await fetch("/api/jobs/" + job.dataset.id, {headers: {Accept: "application/json"}});
      if (answer.status === 404) return window.location.reload(); // forgotten: the address itself knows
      if (!answer.ok) throw new Error(String(answer.status));
      const now = await answer.json();
      pause = EVERY_MS;
      if (now.state === "waiting" || now.state === "running") { show(now); return again(); }
      tell(say("jobs.ended." + now.state));
      if (job.dataset.own === "no" && now.state === "done") return window.location.replace(job.dataset.address);
      return window.location.reload();
    } catch {
      pause = Math.min(2 * pause, MOST_MS);
      tell(say("jobs.lost"));
      return again();
    }
  }
  function again() { window.setTimeout(look, document.hidden ? 4 * pause : pause); }
  again();
}
})();
