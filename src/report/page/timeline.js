// The timeline of phases: layer × epoch.

const timeline = { blocks: [], tile: 0, row: 0 };
const TOP = 22;

function phaseKey(phase) {
  return html("span", { class: `key ph-${phase.letter}` }, html("i", { text: phase.letter }), html("span", { text: phase.title }));
}

function buildLegend() {
  byId("legend").append(
    ...data.phases.map(phaseKey),
    html("span", { class: "key ph-unsure" }, html("i", { text: "?" }), html("span", { text: "uncertain (pale, in the colour of the likeliest)" })),
    html("span", { class: "key ph--" }, html("i", { text: "–" }), html("span", { text: "no phase" })),
  );
}

function drawTimeline() {
  const host = byId("timeline");
  const gap = 22;
  const names = parseInt(getComputedStyle(document.documentElement).getPropertyValue("--names"), 10);
  const room = host.clientWidth - names - gap * data.runs.length - 4;
  const columns = data.runs.reduce((sum, run) => sum + run.times.length, 0);
  // A letter needs nine pixels. Below that, neighbouring tiles with the same phase are merged, or
  // all are widened.
  const fit = Math.floor((10 * room) / Math.max(columns, 1)) / 10;
  timeline.tile = Math.min(72, Math.max(state.wide ? 15 : 4, fit));
  byId("widen").hidden = fit >= 15;
  byId("widen").setAttribute("aria-pressed", String(state.wide));
  timeline.row = layers.length <= 16 ? 32 : layers.length <= 60 ? 21 : 16;
  timeline.blocks = [];
  const heading = many ? 22 : 0;
  const list = html("div", { class: "names", role: "presentation" }, html("div", { class: "corner", style: `height:${TOP + heading}px` }));
  for (const layer of layers) {
    const style = `height:${timeline.row}px;line-height:${timeline.row}px;font-size:${Math.min(14, timeline.row - 4)}px`;
    const name = html("div", { class: "name", style, title: layer, onclick: () => choose({ layer }) }, html("bdi", { text: layer }));
    list.append(name);
  }
  host.replaceChildren(list, ...data.runs.map((run, r) => block(run, r)));
  markTimeline();
}

function block(run, r) {
  const { tile, row } = timeline;
  const width = Math.ceil(tile * run.times.length);
  const height = row * layers.length;
  const top = svg("svg", { width, height: TOP, "aria-hidden": "true" });
  const every = Math.max(1, Math.ceil((run.times.length * 30) / Math.max(width, 1)));
  run.stamps.forEach(([epoch], i) => {
    const first = i === 0 || run.stamps[i - 1][0] !== epoch;
    if (first && i % every === 0) top.append(svg("text", { x: tile * (i + 0.5), y: 14, "text-anchor": "middle", text: epoch }));
  });
  const column = svg("rect", { class: "column", y: TOP - 3, width: tile, height: 3 });
  top.append(column);
  const drawing = svg("svg", { width, height, role: "presentation" });
  layers.forEach((layer, l) => {
    const cells = run.times.map((_, i) => cell(run, layer, i));
    const same = (a, b) => phaseClass(a) === phaseClass(b) && letter(a) === letter(b);
    for (let i = 0; i < cells.length; ) {
      let end = i + 1;
      while (tile < 15 && end < cells.length && cells[end] && same(cells[i], cells[end])) end += 1;
      const one = cells[i];
      if (one) tileOf(drawing, one, i * tile, l * row, (end - i) * tile, row, tile >= 15 ? 1 : 0);
      i = end;
    }
  });
  const halo = svg("rect", { class: "cursor-halo", width: tile, height: row, rx: 3 });
  const cursor = svg("rect", { class: "cursor", width: tile, height: row, rx: 3, role: "img", id: `cursor-${r}` });
  drawing.append(halo, cursor);
  const find = (event) => {
    const area = drawing.getBoundingClientRect();
    const i = Math.floor((event.clientX - area.left) / tile);
    const l = Math.floor((event.clientY - area.top) / row);
    return i >= 0 && i < run.times.length && l >= 0 && l < layers.length ? { run: r, layer: layers[l], time: run.times[i] } : null;
  };
  drawing.addEventListener("click", (event) => {
    const place = find(event);
    if (place) choose(place);
  });
  drawing.addEventListener("pointermove", (event) => {
    const place = find(event);
    if (place) readOut(place.run, place.layer, place.time);
  });
  drawing.addEventListener("pointerleave", () => readOut(state.run, state.layer, state.time));
  timeline.blocks.push({ column, halo, cursor });
  return html("div", { class: "block" },
    html("div", { class: "top" }, many ? html("b", { text: run.name, title: run.name, style: `max-width:${Math.max(width, 40)}px` }) : null, top), drawing);
}

function tileOf(drawing, one, x, y, width, row, inset) {
  const phase = phaseClass(one);
  drawing.append(svg("rect", {
    class: `tile ph-${phase}${one.u && one.p !== undefined ? " unsure" : ""}`, x: x + inset, y: y + 1, width: width - 2 * inset, height: row - 2, rx: inset ? 2 : 0,
  }));
  if (width < 9) return;
  const style = `font-size:${Math.min(14, row - 5, width)}px`;
  const on = one.u ? "unsure" : phase;
  // A wide tile repeats its letter, so that a reader who has scrolled sees one.
  const count = Math.max(1, Math.round(width / 240));
  for (let k = 0; k < count; k += 1) {
    const at = x + (width * (k + 0.5)) / count;
    drawing.append(svg("text", { class: `letter on-${on}`, x: at, y: y + row / 2 + 0.5, style, text: letter(one) }));
  }
}

// Marks the selection.
function markTimeline() {
  const { tile, row } = timeline;
  const l = layers.indexOf(state.layer);
  data.runs.forEach((run, r) => {
    const { column, halo, cursor } = timeline.blocks[r];
    const i = observation(run, state.time);
    column.style.display = i < 0 ? "none" : "";
    column.setAttribute("x", i * tile);
    const here = r === state.run && i >= 0;
    for (const rect of [halo, cursor]) {
      rect.style.display = here ? "" : "none";
      rect.setAttribute("x", i * tile);
      rect.setAttribute("y", l * row);
    }
    if (here) cursor.setAttribute("aria-label", describe(r, state.layer, state.time));
  });
  const host = byId("timeline");
  host.setAttribute("aria-activedescendant", `cursor-${state.run}`);
  host.setAttribute("aria-label", `Phase of ${layers.length} layers over the epochs. Now: ${describe(state.run, state.layer, state.time)}`);
  [...host.querySelectorAll(".name")].forEach((name, i) => name.classList.toggle("on", i === l));
  reveal(host, l);
  readOut(state.run, state.layer, state.time);
}

// Scrolls the timeline, not the page, to the selection.
function reveal(host, l) {
  const { tile, row, blocks } = timeline;
  const drawing = blocks[state.run].cursor.ownerSVGElement;
  const names = host.firstElementChild.offsetWidth;
  const left = drawing.parentElement.offsetLeft + observation(data.runs[state.run], state.time) * tile;
  const top = drawing.offsetTop === undefined ? TOP + l * row : TOP + (many ? 22 : 0) + l * row;
  if (left - names < host.scrollLeft) host.scrollLeft = left - names - 20;
  if (left + tile > host.scrollLeft + host.clientWidth) host.scrollLeft = left + tile - host.clientWidth + 20;
  if (top - 50 < host.scrollTop) host.scrollTop = top - 50;
  if (top + row > host.scrollTop + host.clientHeight) host.scrollTop = top + row - host.clientHeight + 4;
}

function describe(r, layer, time) {
  const run = data.runs[r];
  const i = observation(run, time);
  const one = cell(run, layer, i);
  const where = (many ? `${run.name}, ` : "") + layer;
  if (!one) return `${where}: not observed`;
  const sure = confidence(one) === null ? "" : `, confidence ${probability(confidence(one))}`;
  const alpha = num(one, "alpha");
  return `${where}, ${moment(run, i)}: ${title(one)}${sure}${alpha === null ? "" : `, α = ${alphaText(one)}`}`;
}

function readOut(r, layer, time) {
  byId("readout").textContent = describe(r, layer, time);
}

function timelineKeys(event) {
  const run = data.runs[state.run];
  const i = observation(run, state.time);
  const l = layers.indexOf(state.layer);
  const page = 10;
  const go = (place) => {
    event.preventDefault();
    choose(place);
  };
  const to = (k) => go({ time: run.times[Math.min(Math.max(k, 0), run.times.length - 1)] });
  const row = (k) => go({ layer: layers[Math.min(Math.max(k, 0), layers.length - 1)] });
  switch (event.key) {
    case "ArrowRight":
      if (i + 1 >= run.times.length && state.run + 1 < data.runs.length) {
        return go({ run: state.run + 1, time: data.runs[state.run + 1].times[0] });
      }
      return to(i + 1);
    case "ArrowLeft":
      if (i <= 0 && state.run > 0) {
        const other = data.runs[state.run - 1];
        return go({ run: state.run - 1, time: other.times[other.times.length - 1] });
      }
      return to(i - 1);
    case "ArrowDown": return row(l + 1);
    case "ArrowUp": return row(l - 1);
    case "PageDown": return row(l + page);
    case "PageUp": return row(l - page);
    case "Home": return event.ctrlKey ? row(0) : to(0);
    case "End": return event.ctrlKey ? row(layers.length - 1) : to(run.times.length - 1);
    case "Enter": {
      event.preventDefault();
      byId("spectrum").scrollIntoView();
      return byId("spectrum-title").focus({ preventScroll: true });
    }
    default: return undefined;
  }
}
