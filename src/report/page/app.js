// The reader's selection, how it is stored, and the updates that follow from it.

const state = { run: 0, layer: "", time: 0, shown: new Set(), sort: "", theme: "auto", wide: false, follow: true, playing: null };
const FRESH = 10000;
const SEEN = 6;

function choose(place) {
  const before = { run: state.run, layer: state.layer };
  // A run without observations has no times.
  const { time = state.time, ...rest } = place;
  Object.assign(state, rest, { time });
  const run = data.runs[state.run];
  if (run.times.length > 0 && observation(run, state.time) < 0) state.time = run.times[0];
  state.follow = state.time >= times[times.length - 1];
  draw(before.run !== state.run || before.layer !== state.layer);
  keep();
}

function draw(lines) {
  markTimeline();
  drawDensity();
  drawVerdict();
  drawTable();
  if (lines) drawCourse();
  else markCourse();
  markBar();
}

function drawAll() {
  drawTimeline();
  draw(true);
}

function toggleLayer(layer) {
  if (state.shown.has(layer)) state.shown.delete(layer);
  else state.shown.add(layer);
  drawCourse();
  keep();
}

function showLayers(wanted) {
  state.shown = new Set(wanted);
  drawCourse();
  keep();
}

// The selection in the page's address. It survives a reload even if the browser forbids storage.
function keep() {
  const place = new URLSearchParams();
  if (many) place.set("run", state.run);
  place.set("layer", layers.indexOf(state.layer));
  if (!state.follow) place.set("t", state.time);
  if (state.shown.size !== layers.length) place.set("show", [...state.shown].map((layer) => layers.indexOf(layer)).join("."));
  if (state.wide) place.set("wide", 1);
  if (state.sort) place.set("sort", state.sort);
  if (state.theme !== "auto") place.set("theme", state.theme);
  try {
    history.replaceState(null, "", `#${place}`);
  } catch (error) {
    location.hash = String(place);
  }
}

function recall() {
  const place = new URLSearchParams(location.hash.slice(1));
  const whole = (name, limit, other) => {
    const value = place.has(name) ? Number(place.get(name)) : NaN;
    return Number.isInteger(value) && value >= 0 && value < limit ? value : other;
  };
  state.run = whole("run", data.runs.length, 0);
  state.layer = layers[whole("layer", layers.length, busiest())];
  const last = times[times.length - 1];
  const time = place.has("t") ? Number(place.get("t")) : last;
  state.time = times.includes(time) ? time : last;
  state.follow = !place.has("t") || state.time === last;
  const shown = place.has("show") ? place.get("show").split(".").filter(Boolean).map(Number).filter((l) => layers[l] !== undefined) : null;
  state.shown = new Set(shown ? shown.map((l) => layers[l]) : many ? [] : layers.slice(0, layers.length <= SEEN ? SEEN : 0));
  state.wide = place.has("wide");
  state.sort = place.get("sort") || "";
  if (["light", "dark"].includes(place.get("theme"))) state.theme = place.get("theme");
}

// The initial layer: the one with the most eigenvalues among the layers whose reliable phase
// changed, or among all layers if none changed.
function busiest() {
  const run = data.runs[0];
  let best = 0;
  let most = -1;
  layers.forEach((layer, l) => {
    const row = run.rows.get(layer);
    if (row === undefined) return;
    const sure = run.cells[row].filter((one) => one && !one.u && one.p !== undefined).map((one) => one.p);
    const sides = run.layers[row].sides;
    const score = (new Set(sure).size > 1 ? 1e6 : 0) + (sides ? Math.min(sides[1], 1e5) : 0);
    if (score > most) [best, most] = [l, score];
  });
  return best;
}

function applyTheme() {
  if (state.theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", state.theme);
  byId("theme").textContent = `Theme: ${state.theme}`;
}

function buildBar() {
  const scrubber = byId("scrubber");
  scrubber.max = times.length - 1;
  scrubber.addEventListener("input", () => choose({ time: times[+scrubber.value] }));
  byId("play").addEventListener("click", togglePlay);
  const select = byId("layer");
  select.append(...layers.map((layer, l) => html("option", { value: l, text: layer })));
  select.addEventListener("change", () => choose({ layer: layers[+select.value] }));
  const runs = byId("run");
  byId("run-choice").hidden = !many;
  runs.append(...data.runs.map((run, r) => html("option", { value: r, text: run.name })));
  runs.addEventListener("change", () => choose({ run: +runs.value }));
}

function markBar() {
  const i = times.indexOf(state.time);
  const run = data.runs[state.run];
  const at = observation(run, state.time);
  const when = at < 0 ? "no observation" : moment(run, at);
  byId("scrubber").value = i;
  byId("scrubber").setAttribute("aria-valuetext", when);
  byId("when").textContent = `${when} of ${Math.floor(times[times.length - 1])}`;
  byId("layer").value = layers.indexOf(state.layer);
  byId("run").value = state.run;
}

function togglePlay() {
  if (state.playing !== null) return pause();
  if (state.time >= times[times.length - 1]) choose({ time: times[0] });
  const pace = Math.min(Math.max(12000 / times.length, 90), 800);
  state.playing = setInterval(() => {
    const next = times.indexOf(state.time) + 1;
    if (next >= times.length) return pause();
    return choose({ time: times[next] });
  }, pace);
  byId("readout").setAttribute("aria-live", "off");
  byId("play").textContent = "Pause";
  return byId("play").setAttribute("aria-pressed", "true");
}

function pause() {
  clearInterval(state.playing);
  state.playing = null;
  byId("readout").setAttribute("aria-live", "polite");
  byId("play").textContent = "Play";
  byId("play").setAttribute("aria-pressed", "false");
}

function keys(event) {
  if (event.altKey || event.metaKey) return;
  const control = event.target.closest("button, input, select, summary, a, textarea");
  if (event.key === " " && !control) {
    event.preventDefault();
    togglePlay();
  }
}

// The report of a running run reloads itself, but not while it is hidden, while it plays, or while
// a list has the focus.
function refresh() {
  if (data.done) return;
  const written_ = Date.parse(document.lastModified);
  const status = byId("status");
  const age = Math.round((Date.now() - written_) / 60000);
  if (age >= 10 && age < 1e6) {
    status.textContent = `no news for ${age} minutes: has the run stopped?`;
    status.className = "status stale";
  }
  setInterval(() => {
    const busy = document.hidden || state.playing !== null || (document.activeElement && document.activeElement.matches("select"));
    if (!busy) location.reload();
  }, FRESH);
}

function start() {
  if (layers.length === 0 || times.length === 0) {
    refresh();
    return;
  }
  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
  recall();
  applyTheme();
  buildLegend();
  buildDensityLegend();
  buildBar();
  buildTable();
  buildCourse();
  drawAll();
  byId("timeline").addEventListener("keydown", timelineKeys);
  document.addEventListener("keydown", keys);
  byId("theme").addEventListener("click", () => {
    const order = ["auto", "light", "dark"];
    state.theme = order[(order.indexOf(state.theme) + 1) % order.length];
    applyTheme();
    keep();
  });
  byId("widen").addEventListener("click", () => {
    state.wide = !state.wide;
    drawTimeline();
    keep();
  });
  byId("copy-bibtex").addEventListener("click", () => copy(byId("bibtex").textContent, byId("copy-bibtex")));
  let width = window.innerWidth;
  let waiting = 0;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 120);
  });
  refresh();
}

start();
