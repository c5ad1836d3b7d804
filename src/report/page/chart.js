// Elements, scales and axes. Text is only ever inserted as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function html(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function linear(low, high, from, to) {
  const scale = (v) => from + ((v - low) / (high - low)) * (to - from);
  scale.low = low;
  scale.high = high;
  scale.invert = (p) => low + ((p - from) / (to - from)) * (high - low);
  scale.ticks = (count) => {
    const rough = (high - low) / count;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((k) => k * unit).find((s) => s >= rough * 0.999);
    const ticks = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) ticks.push(k * step);
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return ticks.map((v) => [v, minus((Math.abs(v) < step / 1e6 ? 0 : v).toFixed(Math.min(decimals, 12)))]);
  };
  return scale;
}

function logarithmic(low, high, from, to) {
  const inner = linear(Math.log10(low), Math.log10(high), from, to);
  const scale = (v) => inner(Math.log10(v));
  scale.low = low;
  scale.high = high;
  scale.ticks = (count) => {
    const decades = Math.log10(high / low);
    const wanted = decades < 1.6 ? [1, 2, 3, 5] : decades < 3 ? [1, 3] : [1];
    const skip = Math.max(1, Math.ceil(decades / count));
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += 1) {
      if (wanted.length === 1 && e % skip !== 0) continue;
      for (const k of wanted) {
        const v = k * 10 ** e;
        if (v >= low * 0.999 && v <= high * 1.001) {
          const small = e >= -1 && e <= 3;
          ticks.push([v, small ? String(+v.toPrecision(2)) : (k === 1 ? "" : `${k}·`) + power(e)]);
        }
      }
    }
    return ticks;
  };
  return scale;
}

// Exponent of the power of ten in which an axis is labelled.
function exponentOf(high) {
  const e = Math.floor(Math.log10(high));
  return e < -2 || e > 4 ? e : 0;
}

// An empty SVG drawing, and the box of its plot area in pixels.
function frame(host, { height, label, left = 52, bottom = 42, top = 12, right = 12 }) {
  const width = Math.max(host.clientWidth, 220);
  const box = { left, top, right: width - right, bottom: height - bottom, width, height };
  const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  host.replaceChildren(drawing);
  return { drawing, box };
}

function axes(drawing, box, x, y, { xName, yName, xUnit, xCount, yCount = 4, xScale = 1, yScale = 1 }) {
  const group = svg("g", { "aria-hidden": "true" });
  const scaled = (axis, factor, count, from, to) => {
    if (factor === 1) return axis.ticks(count).map(([v, text]) => [axis(v), text]);
    const other = linear(axis.low / factor, axis.high / factor, from, to);
    return other.ticks(count).map(([v, text]) => [other(v), text]);
  };
  for (const [at, text] of scaled(y, yScale, yCount, box.bottom, box.top)) {
    group.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: at, y2: at }));
    group.append(svg("text", { x: box.left - 8, y: at + 4, "text-anchor": "end", text }));
  }
  const count = xCount || Math.max(3, Math.floor((box.right - box.left) / 80));
  // Place the labels of powers of ten first. A tick whose label would touch another one has no
  // label.
  const taken = xUnit ? [[box.left - 50, box.left - 10]] : [];
  const marks = scaled(x, xScale, count, box.left, box.right);
  for (const [at, text] of [...marks.filter((m) => !m[1].includes("·")), ...marks.filter((m) => m[1].includes("·"))]) {
    const half = 3.4 * [...text].length + 3;
    group.append(svg("line", { class: "axis", x1: at, x2: at, y1: box.bottom, y2: box.bottom + 4 }));
    if (taken.some(([from, to]) => at - half < to && at + half > from)) continue;
    taken.push([at - half, at + half]);
    group.append(svg("text", { x: at, y: box.bottom + 17, "text-anchor": "middle", text }));
  }
  group.append(svg("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  if (xName) group.append(svg("text", { x: box.right, y: box.bottom + 35, "text-anchor": "end", text: xName }));
  if (xUnit) group.append(svg("text", { x: box.left - 10, y: box.bottom + 17, "text-anchor": "end", text: xUnit }));
  if (yName) group.append(svg("text", { x: 0, y: box.top - 4, text: yName }));
  drawing.append(group);
}

function path(points, x, y) {
  let text = "";
  let pen = "M";
  for (const [a, b] of points) {
    if (a === null || b === null || !Number.isFinite(b)) {
      pen = "M";
      continue;
    }
    text += `${pen}${x(a).toFixed(1)} ${y(b).toFixed(1)}`;
    pen = "L";
  }
  return text;
}

// The colours of Okabe and Ito, and viridis. The style sheet has lighter ones for the dark theme.
const CATEGORIES = [0, 1, 2, 3, 4, 5].map((k) => `var(--c${k})`);
const VIRIDIS = [0, 1, 2, 3, 4, 5, 6, 7].map((k) => `var(--v${k})`);
const MARKERS = [
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", "M-3.5 -3.5h7v7h-7z", "M0 -4.5L4.3 3.2H-4.3z", "M0 -4.8L4.2 0L0 4.8L-4.2 0z", "M0 4.5L4.3 -3.2H-4.3z",
  "M0 -4.5L4.3 -1.4L2.6 3.6H-2.6L-4.3 -1.4z",
];

// Colour and marker of item i of several: categories for few items, otherwise a sequence from dark
// to light.
function hue(i, count) {
  const color = count <= CATEGORIES.length
    ? CATEGORIES[i]
    : VIRIDIS[Math.round((i / Math.max(count - 1, 1)) * (VIRIDIS.length - 1))];
  return { color, marker: MARKERS[i % MARKERS.length] };
}

function swatch({ color, marker }, dash) {
  return svg("svg", { width: 26, height: 12, viewBox: "-13 -6 26 12", "aria-hidden": "true" },
    svg("line", { x1: -13, x2: 13, y1: 0, y2: 0, stroke: color, "stroke-width": 2, "stroke-dasharray": dash || null }),
    marker ? svg("path", { d: marker, fill: color }) : null);
}
