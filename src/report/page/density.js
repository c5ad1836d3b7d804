// The empirical spectral density of the chosen layer: linear with the bulk, and log–log with the
// tail.

const scenes = new Map();
const HEIGHT = 310;

// Axes that fit the layer's spectra at all times. The slider then moves eigenvalues, not axes.
function sceneOf(layer) {
  if (scenes.has(layer)) return scenes.get(layer);
  const seen = [];
  for (const run of data.runs) {
    run.times.forEach((_, i) => {
      const one = cell(run, layer, i);
      const points = spectrum(one);
      if (points && points.high > 1e-30) seen.push({ one, points });
    });
  }
  const scene = seen.length ? { linear: linearScene(seen), loglog: logScene(seen) } : null;
  scenes.set(layer, scene);
  return scene;
}

function edgesOf(low, high, count, between) {
  return Array.from({ length: count + 1 }, (_, i) => between(low, high, i / count));
}

function linearScene(seen) {
  let smallest = Infinity;
  let largest = 0;
  let edge = 0;
  let thin = Infinity;
  let sharp = 0;
  for (const { one, points } of seen) {
    smallest = Math.min(smallest, points.values[0]);
    largest = Math.max(largest, points.high);
    const top = num(one, "bulk_max_x");
    if (top !== null) {
      edge = Math.max(edge, num(one, "bulk_edge_x"), top);
      const width = top - num(one, "bulk_min_x");
      if (width > 0) thin = Math.min(thin, width);
    }
    sharp = Math.max(sharp, points.values.length);
  }
  if (edge === 0) {
    // Without a bulk, use the 90 % point of the eigenvalues.
    edge = Math.max(...seen.map(({ points }) => points.values[Math.floor(points.values.length * 0.9)])) || largest;
  }
  const low = smallest > 0.4 * edge ? smallest - 0.15 * Math.max(edge - smallest, 0.02 * edge) : 0;
  // The bulk fills at least a good third of the axis, wherever the spikes are.
  const high = Math.min(largest + 0.03 * (largest - low), edge + 1.6 * (edge - low));
  thin = Math.min(thin, edge - low);
  const bins = Math.min(Math.max(1.3 * Math.sqrt(sharp), 8), 60);
  const count = Math.min(Math.max(Math.ceil(((high - low) * bins) / thin), 1), 240);
  const edges = edgesOf(low, high, count, (a, b, t) => a + (b - a) * t);
  const width = (high - low) / count;
  let top = 0;
  let rest = 0;
  for (const { points } of seen) {
    histogram(points, edges).counts.forEach((k, i) => {
      const density = k / (points.count * width);
      top = Math.max(top, density);
      if (i > 0) rest = Math.max(rest, density);
    });
  }
  // Ignore a mass at zero, which would flatten the rest.
  return { low, high, edges, width, top: 1.08 * Math.min(top, rest > 0 ? 2 * rest : top) };
}

function logScene(seen) {
  const largest = Math.max(...seen.map((s) => s.points.high));
  let smallest = largest;
  for (const { points } of seen) {
    const inside = points.values.find((v) => v >= 1e-5 * largest);
    if (inside !== undefined) smallest = Math.min(smallest, inside);
  }
  const low = smallest / 1.15;
  const high = largest * 1.15;
  const sharp = Math.max(...seen.map((s) => s.points.values.length));
  const count = Math.round(Math.min(Math.max(1.2 * Math.sqrt(sharp) + 6 * Math.log10(high / low), 10), 70));
  const edges = edgesOf(low, high, count, (a, b, t) => a * (b / a) ** t);
  let bottom = Infinity;
  let top = 0;
  for (const { points } of seen) {
    histogram(points, edges).counts.forEach((k, i) => {
      const density = k / (points.count * (edges[i + 1] - edges[i]));
      if (density > 0) {
        bottom = Math.min(bottom, Math.max(density, 0.5 / (points.count * (edges[i + 1] - edges[i]))));
        top = Math.max(top, density);
      }
    });
  }
  return { low, high, edges, bottom: bottom / 2.5, top: top * 2 };
}

const drawn = { linear: null, loglog: null };

function drawDensity() {
  const run = data.runs[state.run];
  const i = observation(run, state.time);
  const one = cell(run, state.layer, i);
  const heading = (many ? `${run.name} · ` : "") + state.layer;
  const badge = one && one.p !== undefined
    ? html("b", { class: `phase ph-${one.u ? "unsure" : phaseClass(one)}` }, html("i", { text: letter(one) }), html("span", { text: title(one) }))
    : null;
  byId("spectrum-title").replaceChildren(html("span", { text: i < 0 ? heading : `${heading} at ${moment(run, i)}` }), ...(badge ? [badge] : []));
  const about = layerOf(run, state.layer);
  const sides = about && about.sides;
  byId("spectrum-hint").textContent = sides
    ? `${one && one.c && spectrum(one) ? `The spectrum of epoch ${one.c[0]}: not analysed again since. ` : ""}Eigenvalues of X = WᵀW/N for the ${written(sides[0])}×${written(sides[1])} matrix W, Q = N/M = ${written(sides[2])}.`
    : "";
  const points = spectrum(one);
  const scene = sceneOf(state.layer);
  if (!points || !scene || points.high <= 1e-30) {
    const why = points ? "Every eigenvalue is zero." : one && one.c ? `Not analysed again since epoch ${one.c[0]}, whose spectrum is not in the page.` : "No spectrum of this observation is in the page.";
    for (const id of ["linear", "loglog"]) {
      drawn[id] = null;
      byId(id).replaceChildren(html("p", { class: "nothing", text: why }));
      byId(`${id}-says`).textContent = "";
    }
    return;
  }
  const others = data.runs
    .map((other, r) => ({ run: other, r, points: spectrum(cell(other, state.layer, observation(other, state.time))) }))
    .filter((other) => other.r !== state.run && other.points);
  const first = spectrum(cell(run, state.layer, 0));
  drawLinear(one, points, scene.linear, first === points ? null : first, others);
  drawLog(one, points, scene.loglog, others);
}

// Reuses the old drawing if its axes still fit, so that the bars move smoothly. Otherwise makes a
// new one.
function stage(id, key, build) {
  const host = byId(id);
  const width = host.clientWidth;
  const old = drawn[id];
  if (old && old.key === key && old.width === width) return old;
  drawn[id] = { key, width, ...build(host) };
  return drawn[id];
}

function stageLinear(scene, key) {
  return stage("linear", key, (host) => {
    const { drawing, box } = frame(host, { height: HEIGHT, label: "Spectral density on linear axes" });
    const x = linear(scene.low, scene.high, box.left, box.right);
    const y = linear(0, scene.top, box.bottom, box.top);
    const e = exponentOf(scene.high);
    const f = exponentOf(scene.top);
    axes(drawing, box, x, y, {
      xName: `eigenvalue λ${e ? ` in ${power(e)}` : ""}`, yName: `density${f ? ` in ${power(f)}` : ""}`, xScale: 10 ** e, yScale: 10 ** f,
    });
    const bars = scene.edges.slice(1).map((edge, b) => {
      const inset = x(edge) - x(scene.edges[b]) > 3 ? 0.4 : 0;
      return svg("rect", { class: "esd", x: x(scene.edges[b]) + inset, width: Math.max(x(edge) - x(scene.edges[b]) - 2 * inset, 0.5) });
    });
    const over = svg("g");
    const rug = svg("g");
    drawing.append(svg("g", {}, ...bars), over, rug);
    return { drawing, box, x, y, bars, over, rug };
  });
}

// The outline of a histogram, interrupted below a floor.
function outline(counts, points, edges, x, y, top, floor = -1) {
  const steps = [];
  counts.forEach((k, b) => {
    let density = Math.min(k / (points.count * (edges[b + 1] - edges[b])), top);
    if (density <= floor) density = null;
    steps.push([edges[b], density], [edges[b + 1], density]);
  });
  return path(steps, x, y);
}

function drawLinear(one, points, scene, first, others) {
  const { box, x, y, bars, over, rug, drawing } = stageLinear(scene, `linear ${state.layer}`);
  const { counts, beyond } = histogram(points, scene.edges);
  counts.forEach((k, b) => {
    const at = y(Math.min(k / (points.count * scene.width), scene.top));
    bars[b].setAttribute("y", at);
    bars[b].setAttribute("height", box.bottom - at);
  });
  over.replaceChildren();
  const ghosts = first ? [{ points: first, class: "ghost" }] : [];
  for (const other of others) ghosts.push({ points: other.points, class: "other", stroke: hue(other.r, data.runs.length).color });
  for (const ghost of ghosts) {
    const d = outline(histogram(ghost.points, scene.edges).counts, ghost.points, scene.edges, x, y, scene.top);
    over.append(svg("path", { class: ghost.class, stroke: ghost.stroke, d }));
  }
  const [minus_, plus, edge] = ["bulk_min_x", "bulk_max_x", "bulk_edge_x"].map((name) => num(one, name));
  const spikes = num(one, "num_spikes");
  if (plus !== null) {
    const right = x(edge);
    const left = Math.min(x(edge - data.tw_band * (edge - plus)), right - 2);
    over.append(svg("rect", { class: "band", x: left, y: box.top, width: right - left, height: box.bottom - box.top }));
    for (const [value, text, anchor] of [[minus_, "λ₋", "start"], [plus, "λ₊", "end"]]) {
      const at = x(value);
      over.append(svg("line", { class: "edge", x1: at, x2: at, y1: box.top, y2: box.bottom }));
      over.append(svg("text", { class: "edge-label", x: anchor === "end" ? left - 4 : at + 4, y: box.top + 12, "text-anchor": anchor, text }));
    }
    over.append(svg("text", { class: "edge-label", x: right + 5, y: box.top + 12, text: "Tracy–Widom 99 %" }));
    over.append(svg("path", { class: "mp", d: path(bulkCurve(one, points, scene.top), x, y) }));
  }
  drawRug(rug, points, edge, x, box, scene.high);
  if (beyond > 0) {
    over.append(svg("text", { class: "far", x: box.right, y: box.top + 30, "text-anchor": "end", text: `${beyond} off the axis →` }));
    over.append(svg("text", { x: box.right, y: box.top + 46, "text-anchor": "end", text: `up to λ = ${written(points.high)}` }));
  }
  drawing.setAttribute("aria-label", `Spectral density of ${describe(state.run, state.layer, state.time)}`);
  const null_ = num(one, "num_null");
  byId("linear-says").textContent = plus === null
    ? `No bulk could be fitted; λmax = ${written(points.high)}.`
    : `${spikes === 0 ? "No eigenvalue lies" : spikes === 1 ? "1 eigenvalue lies" : `${spikes} eigenvalues lie`} beyond the edge of noise. `
      + `λmax = ${written(points.high)} is ${written(points.high / plus)} times λ₊ (${pValue(num(one, "lambda_max_p"))} under noise).`
      + (null_ ? ` ${null_} directions are null.` : "");
}

// The Marchenko–Pastur density times the bulk's share, at equal angles, so that its edges are
// smooth.
function bulkCurve(one, points, top) {
  const low = num(one, "bulk_min_x");
  const high = num(one, "bulk_max_x");
  const [a, b] = [Math.sqrt(low), Math.sqrt(high)];
  const sigma2 = ((a + b) / 2) ** 2;
  const c = ((b - a) / (b + a)) ** 2;
  const share = Math.max(points.count - num(one, "num_spikes") - num(one, "num_null"), 0) / points.count;
  return Array.from({ length: 121 }, (_, i) => {
    const s = Math.sin(((Math.PI / 2) * i) / 120) ** 2;
    const v = low + (high - low) * s;
    const density = v > 0 ? (share * Math.sqrt(Math.max((high - v) * (v - low), 0))) / (2 * Math.PI * c * sigma2 * v) : top;
    return [v, Math.min(density, top)];
  });
}

// Ticks at the eigenvalues beyond the edge. The k-th largest eigenvalue keeps its tick, so that the
// tick moves.
function drawRug(rug, points, edge, x, box, high) {
  const single = points.values.slice(points.body).reverse();
  const beyond = edge === null ? [] : single.filter((v) => v > edge);
  while (rug.childElementCount > beyond.length) rug.lastElementChild.remove();
  while (rug.childElementCount < beyond.length) {
    rug.append(svg("line", { class: "spike", y1: box.bottom, y2: box.bottom - 18 }));
  }
  beyond.forEach((v, k) => {
    rug.children[k].style.transform = `translateX(${x(Math.min(v, high)).toFixed(1)}px)`;
    rug.children[k].style.display = v > high ? "none" : "";
  });
}

function drawLog(one, points, scene, others) {
  const { box, x, y, bars, over, drawing } = stage("loglog", `log ${state.layer}`, (host) => {
    const made = frame(host, { height: HEIGHT, label: "Spectral density on logarithmic axes" });
    const xs = logarithmic(scene.low, scene.high, made.box.left, made.box.right);
    const ys = logarithmic(scene.bottom, scene.top, made.box.bottom, made.box.top);
    axes(made.drawing, made.box, xs, ys, { xName: "eigenvalue λ (log)", yName: "density (log)" });
    const rects = scene.edges.slice(1).map((edge, b) => svg("rect", {
      class: "esd", x: xs(scene.edges[b]) + 0.4, width: Math.max(xs(edge) - xs(scene.edges[b]) - 0.8, 0.5),
    }));
    const layer = svg("g");
    made.drawing.append(svg("g", {}, ...rects), layer);
    return { ...made, x: xs, y: ys, bars: rects, over: layer };
  });
  const { counts } = histogram(points, scene.edges);
  const tops = [];
  counts.forEach((k, b) => {
    const density = k / (points.count * (scene.edges[b + 1] - scene.edges[b]));
    const at = density > scene.bottom ? Math.max(y(density), box.top) : box.bottom;
    bars[b].setAttribute("y", at);
    bars[b].setAttribute("height", box.bottom - at);
    if (density > scene.bottom) tops.push(`M${x(scene.edges[b]).toFixed(1)} ${at.toFixed(1)}H${x(scene.edges[b + 1]).toFixed(1)}`);
  });
  over.replaceChildren(svg("path", { class: "esd-top", d: tops.join("") }));
  for (const other of others) {
    const d = outline(histogram(other.points, scene.edges).counts, other.points, scene.edges, x, y, scene.top, scene.bottom);
    over.append(svg("path", { class: "other", stroke: hue(other.r, data.runs.length).color, d }));
  }
  const [alpha, xmin, tail] = ["alpha", "xmin_x", "num_pl_spikes"].map((name) => num(one, name));
  if (alpha !== null) {
    const density = (v) => ((tail / points.count) * (alpha - 1) * (v / xmin) ** -alpha) / xmin;
    const line = [xmin, points.high].map((v) => [v, Math.min(Math.max(density(v), scene.bottom), scene.top)]);
    over.append(svg("line", { class: "xmin", x1: x(xmin), x2: x(xmin), y1: box.top, y2: box.bottom }));
    over.append(svg("path", { class: "power", d: path(line, x, y) }));
    const room = box.right - x(xmin) > 110;
    over.append(svg("text", { x: x(xmin) + (room ? 5 : -5), y: box.top + 12, "text-anchor": room ? "start" : "end", text: `xmin = ${written(xmin)}` }));
  }
  drawing.setAttribute("aria-label", `Log–log spectral density of ${describe(state.run, state.layer, state.time)}`);
  byId("loglog-says").textContent = alpha === null
    ? "No power law could be fitted."
    : `From xmin on, ${tail} of ${points.count} eigenvalues fall like a power law with α = ${alphaText(one)} (distance D = ${written(num(one, "D"))}).`;
}

function buildDensityLegend() {
  const line = (cls, text) => html("span", { class: "key" },
    svg("svg", { width: 26, height: 12, "aria-hidden": "true" }, svg("line", { class: cls, x1: 0, x2: 26, y1: 6, y2: 6 })), html("span", { text }));
  const tick = (cls, text) => html("span", { class: "key" },
    svg("svg", { width: 8, height: 14, "aria-hidden": "true" }, svg("line", { class: cls, x1: 4, x2: 4, y1: 0, y2: 14 })), html("span", { text }));
  const area = (cls, text) => html("span", { class: "key" },
    svg("svg", { width: 14, height: 12, "aria-hidden": "true" }, svg("rect", { class: cls, width: 14, height: 12 })), html("span", { text }));
  byId("density-legend").append(
    area("esd", "eigenvalues"), line("mp", "Marchenko–Pastur law of noise"), line("edge", "its edges λ₋, λ₊"),
    area("band", "edge of noise (Tracy–Widom, 1–99 %)"), tick("spike", "beyond it: spikes"), line("power", "power law from xmin on"),
    ...(times.length > 1 ? [line("ghost", "the first observation")] : []),
    ...(many ? data.runs.map((run, r) => html("span", { class: "key" }, swatch({ color: hue(r, data.runs.length).color }), html("span", { text: run.name }))) : []),
  );
}
