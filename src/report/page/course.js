// Numbers over the epochs, as small panels with a shared cursor.

const METRICS = [
  { name: "alpha", title: "α", says: "exponent of the tail; shaded: 2–6", log: true, band: [2, 6] },
  { name: "alpha_weighted", title: "α̂ = α · log₁₀ λmax", says: "of WᵀW: shape and scale together" },
  { name: "num_spikes", title: "Spikes", says: "eigenvalues beyond the edge of noise" },
  { name: "mp_softrank", title: "Soft rank λ₊/λmax", says: "1 and above: all noise" },
  { name: "stable_rank", title: "Stable rank Σλ/λmax", says: "directions that carry the norm", log: true },
  { name: "entropy", title: "Entropy", says: "1: all directions alike" },
];
const PANEL = 176;
const DASHES = [null, "5 3", "2 3"];
const panels = [];

// Loss and accuracy each have a panel. It shows their curves for the parts of the data.
function scalarPanels() {
  const groups = new Map();
  for (const run of data.runs) {
    for (const { name } of run.scalars) {
      const kind = /loss/i.test(name) ? "Loss" : /acc/i.test(name) ? "Accuracy" : name;
      if (!groups.has(kind)) groups.set(kind, new Set());
      groups.get(kind).add(name);
    }
  }
  return [...groups].slice(0, 8).map(([kind, names]) => ({ scalar: [...names], title: kind, says: [...names].join(", ") }));
}

// The lines of a panel, each with points, a style and a name.
function seriesOf(panel) {
  if (panel.scalar) {
    return data.runs.flatMap((run, r) => panel.scalar.flatMap((name, k) => {
      const found = run.scalars.find((s) => s.name === name);
      if (!found) return [];
      // Colours distinguish layers. Dashes distinguish the parts of the data.
      const style = many ? hue(r, data.runs.length) : { color: "var(--ink)", marker: MARKERS[k % MARKERS.length] };
      const dash = DASHES[k % DASHES.length];
      return [{ name: many ? `${run.name}: ${name}` : name, points: found.points, ...style, dash, chosen: r === state.run, plain: true }];
    }));
  }
  return data.runs.flatMap((run, r) => layers.flatMap((layer, l) => {
    const shown = state.shown.has(layer) || layer === state.layer;
    if (!run.rows.has(layer) || (many && !shown)) return [];
    const style = many ? hue(r, data.runs.length) : hue(l, layers.length);
    const dash = many && layer !== state.layer ? "5 3" : null;
    const points = run.times.map((time, i) => [time, num(cell(run, layer, i), panel.name)]);
    return [{ name: many ? `${run.name}: ${layer}` : layer, points, ...style, dash, dim: !shown, chosen: layer === state.layer && (!many || r === state.run) }];
  }));
}

function buildCourse() {
  panels.length = 0;
  panels.push(...scalarPanels(), ...METRICS);
  byId("charts").replaceChildren(...panels.map((panel) => {
    panel.host = html("div", { class: "chart" });
    panel.value = html("output", {});
    return html("div", { class: "panel" }, html("h3", {}, html("span", { text: panel.title }), panel.value), panel.scalar ? html("p", {}, ...panel.scalar.map(scalarKey)) : html("p", { text: panel.says }), panel.host);
  }));
  buildChips();
  if (many) {
    byId("run-legend").append(...data.runs.map((run, r) => html("span", { class: "key" }, swatch(hue(r, data.runs.length)), html("span", { text: run.name }))));
  }
}

function scalarKey(name, k) {
  const style = { color: "var(--muted)", marker: many ? null : MARKERS[k % MARKERS.length] };
  return html("span", { class: "key" }, swatch(style, DASHES[k % DASHES.length]), html("span", { text: ` ${name}` }));
}

function buildChips() {
  const chip = (layer, l) => html("button", { type: "button", "data-layer": l, onclick: () => toggleLayer(layer) },
    many ? null : swatch(hue(l, layers.length)), html("span", { text: layer, title: layer }));
  const all = (text, wanted) => html("button", { type: "button", text, onclick: () => showLayers(wanted) });
  byId("chips").replaceChildren(all("all", layers), all("only the chosen", []), ...layers.map(chip));
}

function markChips() {
  for (const chip of byId("chips").querySelectorAll("[data-layer]")) {
    const layer = layers[+chip.dataset.layer];
    chip.setAttribute("aria-pressed", String(state.shown.has(layer) || layer === state.layer));
    chip.classList.toggle("chosen", layer === state.layer);
  }
}

function drawCourse() {
  markChips();
  // Scalars may start before the first observation and end after the last one.
  const reported = data.runs.flatMap((run) => run.scalars.flatMap((s) => s.points.map((p) => p[0])));
  const from = reported.reduce((a, b) => Math.min(a, b), times[0]);
  const to = reported.reduce((a, b) => Math.max(a, b), Math.max(times[times.length - 1], from + 1));
  for (const panel of panels) {
    const series = seriesOf(panel);
    const values = series.flatMap((s) => s.points.map((p) => p[1])).filter((v) => Number.isFinite(v) && (!panel.log || v > 0));
    if (values.length === 0) {
      panel.plane = null;
      panel.host.replaceChildren(html("p", { class: "nothing", text: "no values" }));
      continue;
    }
    let low = Math.min(...values);
    let high = Math.max(...values);
    if (panel.band) {
      low = Math.min(low, panel.band[0]);
      high = Math.max(high, panel.band[1]);
    }
    const pad = (high - low || Math.abs(high) || 1) * 0.06;
    const { drawing, box } = frame(panel.host, { height: PANEL, label: `${panel.title} over the epochs`, left: 44, bottom: 26, top: 8, right: 10 });
    const x = linear(from, to, box.left, box.right);
    const y = panel.log ? logarithmic(low / 1.12, high * 1.12, box.bottom, box.top) : linear(low - pad, high + pad, box.bottom, box.top);
    if (panel.band) {
      const [a, b] = panel.band;
      drawing.append(svg("rect", { class: "theory", x: box.left, y: y(b), width: box.right - box.left, height: y(a) - y(b) }));
    }
    axes(drawing, box, x, y, { xCount: Math.max(3, Math.floor((box.right - box.left) / 55)), xUnit: "epoch" });
    drawLines(drawing, series, x, y, panel.log);
    const now = svg("line", { class: "now", y1: box.top, y2: box.bottom });
    const hover = svg("line", { class: "hover", y1: box.top, y2: box.bottom });
    drawing.append(now, hover);
    panel.plane = { x, now, hover, series };
    const timeAt = (event) => nearestTime(x.invert(event.clientX - drawing.getBoundingClientRect().left));
    drawing.addEventListener("pointermove", (event) => hoverAt(timeAt(event)));
    drawing.addEventListener("pointerleave", () => hoverAt(null));
    drawing.addEventListener("click", (event) => choose({ time: timeAt(event) }));
  }
  markCourse();
}

function drawLines(drawing, series, x, y, log) {
  const group = svg("g", { class: "lines" });
  const clean = (points) => points.map(([a, b]) => [a, log && !(b > 0) ? null : b]);
  for (const one of [...series].sort((a, b) => a.dim === b.dim ? +a.chosen - +b.chosen : +b.dim - +a.dim)) {
    const cls = `line${one.dim ? " dim" : one.chosen && !one.plain ? " chosen" : ""}`;
    group.append(svg("path", { class: cls, d: path(clean(one.points), x, y), stroke: one.dim ? null : one.color, "stroke-dasharray": one.dash },
      svg("title", { text: one.name })));
    if (one.dim) continue;
    const every = Math.max(1, Math.ceil(one.points.length / 12));
    clean(one.points).forEach(([a, b], i) => {
      if (i % every !== 0 || b === null) return;
      group.append(svg("path", { d: one.marker, fill: one.color, transform: `translate(${x(a).toFixed(1)} ${y(b).toFixed(1)}) scale(${one.chosen ? 0.95 : 0.75})` }));
    });
  }
  drawing.append(group);
}

function nearestTime(time) {
  return times.reduce((best, t) => (Math.abs(t - time) < Math.abs(best - time) ? t : best), times[0]);
}

let hovered = null;

function hoverAt(time) {
  hovered = time;
  markCourse();
  if (time !== null) readOut(state.run, state.layer, time);
}

// The cursor of all panels: the chosen time, and the time under the pointer.
function markCourse() {
  const time = hovered === null ? state.time : hovered;
  for (const panel of panels) {
    if (!panel.plane) {
      panel.value.textContent = "";
      continue;
    }
    const { x, now, hover, series } = panel.plane;
    now.setAttribute("x1", x(state.time));
    now.setAttribute("x2", x(state.time));
    hover.style.display = hovered === null ? "none" : "";
    hover.setAttribute("x1", x(time));
    hover.setAttribute("x2", x(time));
    // A run that ended earlier shows its last value.
    const chosen = series.filter((s) => s.chosen).map((s) => s.points.filter((p) => p[0] <= time + 1e-9).pop() || [time, null]);
    const at = chosen.reduce((latest, p) => Math.max(latest, p[0]), chosen.length ? -Infinity : time);
    panel.value.textContent = `${chosen.map((p) => written(p[1])).join(" / ")} at epoch ${Number.isInteger(at) ? at : at.toFixed(2)}`;
  }
}
