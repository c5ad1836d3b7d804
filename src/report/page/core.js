// The page's data: the runs, their layers and times, and the format of numbers.

const data = JSON.parse(document.getElementById("data").textContent);
const field = Object.fromEntries(data.fields.map((name, i) => [name, i]));
const many = data.runs.length > 1;
const byId = (id) => document.getElementById(id);

// Layers of all runs by name, in the order of the first run that has them.
const layers = [...new Set(data.runs.flatMap((run) => run.layers.map((layer) => layer.name)))];

// A time is a position on the axis of epochs. Several observations of one epoch divide it.
for (const run of data.runs) {
  run.rows = new Map(run.layers.map((layer, i) => [layer.name, i]));
  const count = new Map();
  for (const [epoch] of run.stamps) count.set(epoch, (count.get(epoch) || 0) + 1);
  const seen = new Map();
  run.times = run.stamps.map(([epoch]) => {
    const k = seen.get(epoch) || 0;
    seen.set(epoch, k + 1);
    return epoch + k / count.get(epoch);
  });
}
const times = [...new Set(data.runs.flatMap((run) => run.times))].sort((a, b) => a - b);

// A cell that was not analysed again shares its spectrum with the cells of the same analysis.
for (const run of data.runs) {
  for (const row of run.cells) {
    const source = (one, i) => String(one.c || run.stamps[i]);
    const kept = new Map();
    row.forEach((one, i) => one && one.s && kept.set(source(one, i), one));
    row.forEach((one, i) => {
      if (one && !one.s) one.same = kept.get(source(one, i));
    });
  }
}

// Index of the last observation of a run up to a time, or -1.
function observation(run, time) {
  let i = run.times.length - 1;
  while (i >= 0 && run.times[i] > time + 1e-9) i -= 1;
  return i;
}

function cell(run, layer, i) {
  const row = run.rows.get(layer);
  return (row !== undefined && i >= 0 && run.cells[row][i]) || null;
}

function layerOf(run, layer) {
  return run.layers[run.rows.get(layer)] || null;
}

function num(one, name) {
  const value = one && one.n ? one.n[field[name]] : null;
  return value === undefined ? null : value;
}

function moment(run, i) {
  const [epoch, step] = run.stamps[i];
  const twice = run.stamps.filter((stamp) => stamp[0] === epoch).length > 1;
  return twice ? `epoch ${epoch}, step ${step}` : `epoch ${epoch}`;
}

// A shared text with this cell's numbers in its placeholders.
function said([text, ...numbers]) {
  let i = 0;
  return data.texts[text].replace(/\ufffc/g, () => written(numbers[i++]).replace(/(\.\d*?)0+(?=$|·)/, "$1").replace(/\.(?=$|·)/, ""));
}

const SUBJECTS = ["alpha", "interval", "phase", "bulk"];

// Whether a subject, by its index in SUBJECTS, has a `?`.
function marked(one, subject) {
  return Boolean(one && (one.m || 0) & (1 << subject));
}

function alphaText(one, digits = 3) {
  return written(num(one, "alpha"), digits) + (marked(one, 0) ? "?" : "");
}

// The doubts about a subject.
function doubts(one, ...subjects) {
  return ((one && one.d) || []).filter(([subject]) => subjects.includes(subject)).map(([, advice, ...text]) => ({ text: said(text), advice: data.texts[advice] }));
}

function title(one) {
  if (!one || one.p === undefined) return "no phase";
  return data.phases[one.p].title + (one.u ? "?" : "");
}

function letter(one) {
  if (!one || one.p === undefined) return "–";
  return one.u ? "?" : data.phases[one.p].letter;
}

function phaseClass(one) {
  return one && one.p !== undefined ? data.phases[one.p].letter : "-";
}

function confidence(one) {
  return one && one.q && one.p !== undefined ? one.q[one.p] : null;
}

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
function power(exponent) {
  return "10" + String(exponent).replace(/./g, (c) => RAISED[c]);
}

function minus(text) {
  return text.replace(/^-/, "−");
}

// A number with three significant digits, or with the given number of them.
function written(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return minus(String(value));
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (exponent < -3 || exponent > 5) {
    return minus((value / 10 ** exponent).toFixed(digits - 1)) + "·" + power(exponent);
  }
  return minus(value.toFixed(Math.max(0, digits - 1 - exponent)));
}

function probability(p) {
  if (p === null) return "–";
  return p > 0.99 ? "> .99" : p.toFixed(2).replace(/^0/, "");
}

function pValue(p) {
  if (p === null) return "–";
  if (p < 1e-4) return "p\u00a0<\u00a010⁻⁴";
  return "p\u00a0=\u00a0" + (p < 0.01 ? p.toPrecision(1) : p.toFixed(2));
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const DIGIT = new Map([...DIGITS].map((c, i) => [c, i]));

// The sampled spectrum: ascending values, and how many eigenvalues each represents.
function spectrum(one) {
  if (one && one.same) return spectrum(one.same);
  if (!one || !one.s) return null;
  if (one.points) return one.points;
  const [count, single, low, high, text] = one.s;
  const values = [];
  for (let i = 0; i < text.length; i += 2) {
    const code = 64 * DIGIT.get(text[i]) + DIGIT.get(text[i + 1]);
    values.push(low * (high / low) ** (code / 4095));
  }
  const body = values.length - single;
  const weight = body > 0 ? (count - single) / body : 0;
  one.points = { count, values, body, weight, low, high };
  return one.points;
}

// Number of eigenvalues between edges. The share of a quantile is spread over its neighbourhood, so
// that bins narrower than the sampling remain even.
function histogram(points, edges) {
  const counts = new Array(edges.length - 1).fill(0);
  let beyond = 0;
  const place = (value) => {
    let low = 0;
    let high = edges.length - 1;
    if (value < edges[0]) return -1;
    if (value > edges[high]) return edges.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (edges[middle] <= value) low = middle;
      else high = middle;
    }
    return low;
  };
  const { values, body, weight } = points;
  for (let i = 0; i < body; i += 1) {
    const left = i > 0 ? (values[i - 1] + values[i]) / 2 : values[0];
    const next = i + 1 < values.length ? values[i + 1] : values[i];
    const right = (values[i] + next) / 2;
    const from = place(left);
    const to = place(right);
    if (from === to || right <= left) {
      if (from >= 0 && from < counts.length) counts[from] += weight;
      continue;
    }
    for (let bin = Math.max(from, 0); bin <= Math.min(to, counts.length - 1); bin += 1) {
      const share = Math.min(right, edges[bin + 1]) - Math.max(left, edges[bin]);
      counts[bin] += (weight * Math.max(share, 0)) / (right - left);
    }
    if (to >= counts.length) beyond += (weight * (right - Math.max(left, edges[edges.length - 1]))) / (right - left);
  }
  for (let i = body; i < values.length; i += 1) {
    const bin = place(values[i]);
    if (bin >= counts.length) beyond += 1;
    else if (bin >= 0) counts[bin] += 1;
  }
  return { counts, beyond: Math.round(beyond) };
}
