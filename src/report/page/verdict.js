// The numbers and texts of the chosen cell.

function drawVerdict() {
  const run = data.runs[state.run];
  const one = cell(run, state.layer, observation(run, state.time));
  byId("verdict").replaceChildren(...verdictOf(one));
  byId("evidence").replaceChildren(...evidenceOf(one));
  byId("numbers").replaceChildren(numbersOf(one, layerOf(run, state.layer)));
}

function verdictOf(one) {
  if (!one || one.p === undefined) {
    return [html("p", { class: "says", text: one && one.r ? one.r.map(said).join("; ") : "Not observed." })];
  }
  const phase = data.phases[one.p];
  const sure = confidence(one);
  const says = marked(one, 2) ? "Uncertain; likeliest is " : "";
  const name = html("b", { class: `phase ph-${phase.letter}` }, html("i", { text: phase.letter }), html("span", { text: phase.title }));
  const lines = [html("p", { class: "says" }, html("span", { text: says }), name, html("span", { text: `, confidence ${probability(sure)}` }))];
  if (one.q) {
    lines.push(html("div", { class: "probabilities", role: "list", "aria-label": "Probability of each phase" }, ...data.phases.flatMap((other, k) => {
      const p = one.q[k];
      const bar = html("span", { style: `width:${(100 * p).toFixed(1)}%;background:var(--${other.letter})` });
      return [
        html("span", { class: `key ph-${other.letter}`, role: "listitem" }, html("i", { text: other.letter }), html("span", { text: other.title })),
        html("span", { class: "meter", "aria-hidden": "true" }, bar),
        html("span", { class: "value", text: probability(p) }),
      ];
    })));
  }
  return lines;
}

function evidenceOf(one) {
  if (!one || !one.e) return [html("p", { class: "hint", text: "None." })];
  const list = html("dl", { class: "evidence" }, ...one.e.map(([name, value, ...text]) =>
    html("div", { title: data.texts[name] }, html("dt", { text: written(value) }), html("dd", { text: said(text) }))));
  const remarks = [...(one.a || []), ...(one.r || [])].map((r) => html("li", { text: said(r) }));
  remarks.push(...doubts(one, 2).map((d) => html("li", { text: d.text, title: d.advice })));
  return [list, remarks.length ? html("ul", { class: "remarks" }, ...remarks) : null].filter(Boolean);
}

function numbersOf(one, layer) {
  const get = (name) => num(one, name);
  const facts = [];
  const fact = (name, value, ...beside) => facts.push(html("div", {}, html("dt", { text: name }),
    html("dd", {}, html("span", { text: value }), ...beside.flat().filter(Boolean).map((small) =>
      html("small", small.advice ? { class: "doubt", text: `? ${small.text}`, title: small.advice } : { text: small })))));
  const deep = (one && one.f) || {};
  const alpha = get("alpha");
  if (alpha !== null) {
    const interval = deep.interval ? `${Math.round(100 * deep.interval[0])} % bootstrap interval ${written(deep.interval[1])} … ${written(deep.interval[2])}${marked(one, 1) ? "?" : ""}` : null;
    fact("Tail exponent α", `${alphaText(one)} ± ${written(get("sigma"), 2)}`, interval || "± is the textbook σ, which ignores the search for xmin",
      one.x && said(one.x), doubts(one, 0, 1));
    fact("Tail", `${written(get("num_pl_spikes"))} eigenvalues`, `from xmin = ${written(get("xmin_x"))} on, distance D = ${written(get("D"))}`,
      deep.fit_p !== undefined && deep.fit_p !== null && `goodness of fit ${pValue(deep.fit_p)}`);
    fact("α̂ = α · log₁₀ λmax", written(get("alpha_weighted")), "of WᵀW, WeightWatcher's convention");
  }
  if (deep.rivals) {
    const [exponential, lognormal, cut] = deep.rivals;
    fact("Against rival laws", `${written(exponential, 2)}, ${written(lognormal, 2)}`, "Vuong's statistic against exponential and lognormal; above 2 favours the power law, below −2 the alternative",
      `a cut-off improves it: ${pValue(cut)}`);
  }
  if (deep.farms !== undefined && deep.farms !== null) fact("FARMS α", written(deep.farms), "comparable between layers of different shape");
  if (get("bulk_d") !== null) {
    fact("Distance of the bulk from noise", `D = ${written(get("bulk_d"))}${marked(one, 3) ? "?" : ""}`, `95 % of noise is below ${written(get("bulk_d95"))}; ${pValue(get("bulk_d_p"))}`, doubts(one, 3));
    fact("Largest eigenvalue", written(get("lambda_max_x")), `${pValue(get("lambda_max_p"))} under noise (Tracy–Widom)`, `of WᵀW: ${written(get("lambda_max"))}`);
    fact("Spikes", written(get("num_spikes")) + (marked(one, 3) ? "?" : ""), `beyond ${written(get("bulk_edge_x"))}, exceeded by noise in 1 of 100 matrices`);
    fact("Bulk", `σ = ${written(get("sigma_mp"))}`, `from λ₋ = ${written(get("bulk_min_x"))} to λ₊ = ${written(get("bulk_max_x"))}`);
    fact("Soft rank λ₊/λmax", written(get("mp_softrank")));
  }
  if (get("stable_rank") !== null) {
    const side = layer && layer.sides ? ` of ${written(layer.sides[1])}` : "";
    fact("Stable rank Σλ/λmax", `${written(get("stable_rank"))}${side}`);
    fact("Entropy", written(get("entropy")), "1: all directions alike");
    fact("Rank", `${written(get("matrix_rank"))}${side}`, get("num_null") ? `${written(get("num_null"))} null directions` : null);
  }
  if (deep.permuted && deep.permuted.length) {
    const names = [...new Set(deep.permuted.map((k) => data.phases[k].title))].join(", ");
    const equal = deep.equalised === null ? "no phase" : data.phases[deep.equalised].title;
    fact("The same entries rearranged", names, "in random order", `with rows and columns equalised: ${equal}`);
  }
  return facts.length ? html("dl", { class: "facts" }, ...facts) : html("p", { class: "hint", text: "None." });
}
