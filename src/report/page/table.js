// All layers at the chosen time, sortable, and as CSV.

const COLUMNS = [
  ...(many ? [{ key: "run", title: "run", left: true, of: (row) => row.run.name }] : []),
  { key: "layer", title: "layer", left: true, of: (row) => row.layer },
  { key: "shape", title: "shape", of: (row) => row.about.shape.reduce((a, b) => a * b, 1), show: (row) => row.about.shape.join("×") },
  { key: "phase", title: "phase", left: true, of: (row) => (row.one && row.one.p !== undefined ? row.one.p : null), show: (row) => title(row.one), phase: true },
  { key: "confidence", title: "confidence", of: (row) => confidence(row.one), show: (row) => probability(confidence(row.one)) },
  { key: "alpha", title: "α", field: true, show: (row) => alphaText(row.one) },
  { key: "sigma", title: "± σ", field: true },
  { key: "noise", title: "α of noise", of: (row) => (row.about.noise ? row.about.noise[1] : null), show: (row) => (row.about.noise ? `${written(row.about.noise[0])} … ${written(row.about.noise[2])}` : "–") },
  { key: "lambda_max", title: "λmax of WᵀW", field: true },
  { key: "num_spikes", title: "spikes", field: true, show: (row) => written(num(row.one, "num_spikes")) + (marked(row.one, 3) ? "?" : "") },
  { key: "stable_rank", title: "stable rank", field: true },
  { key: "mp_softrank", title: "soft rank", field: true },
  { key: "entropy", title: "entropy", field: true },
  { key: "matrix_rank", title: "rank", field: true },
];
for (const column of COLUMNS) {
  if (column.field) column.of = (row) => num(row.one, column.key);
  column.show = column.show || ((row) => (column.left ? column.of(row) : written(column.of(row))));
}

function tableRows() {
  const rows = data.runs.flatMap((run, r) => layers.filter((layer) => run.rows.has(layer)).map((layer) => {
    const i = observation(run, state.time);
    return { run, r, layer, i, one: cell(run, layer, i), about: layerOf(run, layer) };
  }));
  const column = COLUMNS.find((c) => c.key === state.sort.replace("-", ""));
  if (!column) return rows;
  const sign = state.sort.startsWith("-") ? -1 : 1;
  const absent = (v) => v === null || v === undefined;
  return rows.map((row, i) => ({ row, i, v: column.of(row) })).sort((a, b) => {
    // Rows without a value are last in both directions.
    if (absent(a.v) || absent(b.v)) return absent(a.v) - absent(b.v) || a.i - b.i;
    const order = typeof a.v === "string" ? a.v.localeCompare(b.v, undefined, { numeric: true }) : a.v - b.v;
    return sign * order || a.i - b.i;
  }).map((entry) => entry.row);
}

function buildTable() {
  const heads = COLUMNS.map((column) => html("th", { scope: "col", "data-key": column.key, class: column.left ? "left" : null },
    html("button", { type: "button", text: column.title, onclick: () => sortBy(column.key) })));
  byId("table").replaceChildren(html("caption", { text: "" }), html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}));
  byId("copy").addEventListener("click", () => copy(csv(), byId("copy")));
}

function sortBy(key) {
  // Sort names from a to z first, and numbers from the largest.
  const column = COLUMNS.find((c) => c.key === key);
  const first = column.left ? key : `-${key}`;
  const second = column.left ? `-${key}` : key;
  state.sort = state.sort === first ? second : state.sort === second ? "" : first;
  drawTable();
  keep();
}

function drawTable() {
  const table = byId("table");
  const run = data.runs[state.run];
  const i = observation(run, state.time);
  table.caption.textContent = `At ${i < 0 ? "no observation" : moment(run, i)}. Click a heading to sort, a row to choose the layer.`;
  for (const head of table.tHead.querySelectorAll("th")) {
    const key = head.dataset.key;
    const way = state.sort === key ? "ascending" : state.sort === `-${key}` ? "descending" : null;
    if (way) head.setAttribute("aria-sort", way);
    else head.removeAttribute("aria-sort");
    const column = COLUMNS.find((c) => c.key === key);
    head.firstElementChild.textContent = column.title + (way === "ascending" ? " ↑" : way ? " ↓" : "");
  }
  table.tBodies[0].replaceChildren(...tableRows().map((row) => {
    const on = row.layer === state.layer && row.r === state.run;
    const cells = COLUMNS.map((column) => {
      if (column.key === "layer") return html("th", { scope: "row", class: "left", text: row.layer, title: row.layer });
      if (column.phase && row.one && row.one.p !== undefined) {
        const phase = row.one.u ? "unsure" : data.phases[row.one.p].letter;
        return html("td", { class: "left" }, html("b", { class: `phase ph-${phase}` }, html("i", { text: letter(row.one) }), html("span", { text: title(row.one) })));
      }
      return html("td", { class: column.left ? "left" : null, text: column.show(row) });
    });
    return html("tr", { class: on ? "on" : null, onclick: () => choose({ run: row.r, layer: row.layer }) }, ...cells);
  }));
}

function csv() {
  const quote = (value) => {
    if (value === null || value === undefined) return "";
    let text = String(value);
    // Prefix names that a spreadsheet would interpret as a formula.
    if (typeof value === "string" && /^[=+@\t-]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  const names = ["run", "epoch", "step", "layer", "shape", "phase", "indeterminate", "phase_confidence", "marked", "noise_alpha_low", "noise_alpha", "noise_alpha_high", ...data.fields];
  const lines = tableRows().filter((row) => row.one).map((row) => {
    const [epoch, step] = row.run.stamps[row.i];
    const phase = row.one.p === undefined ? null : data.phases[row.one.p].name;
    const noise = row.about.noise || [null, null, null];
    const numbers = data.fields.map((name) => num(row.one, name));
    return [row.run.name, epoch, step, row.layer, row.about.shape.join("x"), phase, Boolean(row.one.u), confidence(row.one), SUBJECTS.filter((_, i) => marked(row.one, i)).join(" "), ...noise, ...numbers].map(quote).join(",");
  });
  return [names.join(","), ...lines].join("\n") + "\n";
}

// A page opened from disk may have no clipboard. Selecting a text works everywhere.
function copy(text, button) {
  const before = button.textContent;
  const done = (worked) => {
    button.textContent = worked ? "Copied" : "Copying is not allowed here";
    setTimeout(() => { button.textContent = before; }, 1800);
  };
  const old = () => {
    const area = html("textarea", { style: "position:fixed;top:0;opacity:0", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    let worked = false;
    try {
      worked = document.execCommand("copy");
    } catch (error) {
      worked = false;
    }
    area.remove();
    button.focus();
    done(worked);
  };
  if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(text).then(() => done(true), old);
  else old();
}
