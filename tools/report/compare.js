/* What `tenon compare` found, shown. */
"use strict";

const runs = data.runs;
const tiny = 1e-12;
runs.forEach((run, i) => {
  run.index = i;
  run.places = run.values.length ? run.values : run.outputs;
  run.places.forEach((t, k) => (t.place = k));
});

const small = (x) => (x === null || x === undefined ? "" : !isFinite(x) ? "infinite" : x === 0 ? "0" : x >= 0.001 && x < 1000 ? three(x) : String(Number(x.toExponential(2))));
const verdict = (good) => make("span", { class: good ? "" : "refused" }, good ? "within" : "beyond");
const limit = (t) => (t.l2 > 0 ? `relative L2 ${small(t.l2)}` : `|got − want| ≤ ${small(t.atol)} + ${small(t.rtol)} |want|`);
const layer_name = (l) => (l && l.op ? `${l.op} '${l.name}'` : "the model");

/* ---- A tensor ---- */

let chosen = null;

/* How many elements differ by how much: a bar for each decade. */
function histogram(t) {
  const first = t.decades.findIndex((n) => n), last = t.decades.length - 1 - [...t.decades].reverse().findIndex((n) => n);
  const most = Math.max(...t.decades), name = (i) =>
    i === 0 ? "none" : i === t.decades.length - 1 ? "not finite" : i === 1 ? "< 1e" + data.decade_least : "1e" + (data.decade_least + i - 2) + " …";
  const rows = [];
  if (!most) return make("p", { class: "soft" }, "No element is a number.");
  for (let i = first; i <= last; i++)
    rows.push(make("tr", {}, make("td", { class: "number" }, name(i)),
      make("td", {}, make("div", { class: "bar", title: `${t.decades[i]} elements` }, make("i", { style: `width:${(100 * t.decades[i]) / most}%` }))),
      make("td", { class: "number" }, t.decades[i].toLocaleString("en"))));
  return make("table", { class: "histogram" }, make("tbody", {}, ...rows));
}

function details(t) {
  const row = (name, ...value) => [make("dt", {}, name), make("dd", {}, ...value)];
  const out = [
    make("button", { class: "link", style: "float:right", onclick: () => choose(null) }, "close"),
    make("h2", {}, t.name), make("div", { class: "mono" }, t.type)];
  const facts = [...row("made by", layer_name({ op: t.op, name: t.layer })), ...row("is", verdict(t.within))];
  if (!t.same_shape) return [...out, make("dl", {}, ...facts, ...row("shape", "another one"))];
  facts.push(...row("relative L2", small(t.rel_l2)), ...row("largest", `${small(t.abs_max)}, at element ${t.worst}: ${t.worst_got} for ${t.worst_want}`),
    ...row("mean", small(t.abs_mean)), ...row("relative", `at most ${small(t.rel_max)}`), ...row("cosine", t.cosine === null ? "" : t.cosine.toFixed(9)),
    ...row("beyond", t.beyond ? `${t.beyond.toLocaleString("en")} of ${t.count.toLocaleString("en")} elements, the first at ${t.first}` : `none of ${t.count.toLocaleString("en")} elements`));
  return [...out, make("dl", {}, ...facts), make("h2", {}, "Elements by their difference"), histogram(t)];
}

function choose(t) {
  chosen = t;
  const at = document.getElementById("details");
  at.replaceChildren(...(t ? details(t) : []));
  at.scrollTop = 0;
  for (const tell of listeners) tell();
}

/* ---- Views ---- */

function columns(with_run) {
  return [
    ...(with_run ? [["run", (t) => t.run.label]] : [["#", (t) => t.place, null, true]]),
    ["tensor", (t) => t.name, (t) => make("div", {}, make("div", { class: "mono" }, t.name), make("div", { class: "mono soft" }, t.type))],
    ["made by", (t) => `${t.op || ""} ${t.layer || ""}`, (t) => make("div", {}, t.op || "", make("div", { class: "mono soft" }, t.layer || ""))],
    ["relative L2", (t) => (t.same_shape ? t.rel_l2 : Infinity), (t) => (t.same_shape ? small(t.rel_l2) : "another shape"), true],
    ["largest", (t) => t.abs_max || 0, (t) => small(t.abs_max), true],
    ["mean", (t) => t.abs_mean || 0, (t) => small(t.abs_mean), true],
    ["largest relative", (t) => t.rel_max || 0, (t) => small(t.rel_max), true],
    ["cosine", (t) => (t.cosine === undefined || t.cosine === null ? 1 : t.cosine), (t) => (t.cosine ? t.cosine.toFixed(8) : small(t.cosine)), true],
    ["elements beyond", (t) => t.beyond || 0, null, true],
    ["", (t) => (t.within ? "within" : "beyond"), (t) => verdict(t.within)],
  ];
}

function view_outputs() {
  const rows = runs.flatMap((run) => run.outputs.map((t) => ({ ...t, run })));
  return [make("p", { class: "soft" }, `Each output against that of ${data.title} as it is, without passes, by reference kernels. Inputs: ` +
    data.inputs.map((i) => `${i.name} ${i.type}`).join(", ") + "."), table(rows, columns(true), choose, 0, false)];
}

function view_findings() {
  const out = [];
  for (const run of runs) {
    out.push(make("h2", {}, run.label), make("p", {}, `Tolerance: ${limit(run.tolerance)}. `, verdict(run.within), run.note ? make("div", { class: "soft" }, run.note) : null));
    const b = run.bisect;
    if (b && b.found) {
      const t = run.values.find((v) => v.name === b.tensor);
      out.push(make("p", { class: "found" }, `In ${b.in}, the first tensor beyond the tolerance is `,
        t ? make("button", { class: "link", onclick: () => choose(t) }, b.tensor) : b.tensor, ` of ${layer_name(b.layer)}. `, b.why ? b.why[0].toUpperCase() + b.why.slice(1) + "." : ""));
      if (b.suspects.length > 1)
        out.push(make("p", {}, "Nothing that it is made of was compared up to here; the fault is in one of:"),
          make("ul", {}, ...b.suspects.map((s) => make("li", { class: "mono" }, layer_name(s)))));
    } else if (b) out.push(make("p", {}, `In ${b.in}, all ${run.values.length} tensors that were compared are within the tolerance.`));
    if (b && b.steepest)
      out.push(make("p", {}, `The largest step is ${layer_name(b.steepest.layer)}: from relative L2 ${small(b.steepest.before)} to ${small(b.steepest.after)}.`));
    if (run.hold)
      out.push(make("p", {}, `Without the build's own check relative L2 is ${small(run.hold.before)}. ` + (!run.hold.names.length && run.hold.found ? "That is within the tolerance."
        : run.hold.found ? "It is within the tolerance with these held back in float32:" : "Holding layers back in float32 does not bring it within the tolerance.")),
        make("ul", {}, ...run.hold.names.map((n) => make("li", { class: "mono" }, `--hold=${n}`))));
  }
  return out;
}

/* The difference from layer to layer, on a scale of powers of ten; a click shows the tensor. */
function chart(run) {
  const width = 1000, height = 260, left = 52, list = run.places.filter((t) => t.same_shape);
  const value = (t) => Math.max(tiny, Math.min(10, isFinite(t.rel_l2) ? t.rel_l2 : 10));
  const y = (v) => 14 + ((1 - Math.log10(v)) / (1 - Math.log10(tiny))) * (height - 30);
  const x = (t) => left + ((width - left - 14) * t.place) / Math.max(1, run.places.length - 1);
  const at = draw("svg", { class: "steps", viewBox: `0 0 ${width} ${height}` });
  for (let k = Math.log10(tiny); k <= 1; k += 2) {
    at.append(draw("line", { class: "rule", x1: left, x2: width, y1: y(10 ** k), y2: y(10 ** k) }), draw("text", { class: "soft", x: 4, y: y(10 ** k) + 4 }, `1e${Math.round(k)}`));
  }
  if (run.tolerance.l2 > 0) at.append(draw("line", { class: "limit", x1: left, x2: width, y1: y(run.tolerance.l2), y2: y(run.tolerance.l2) }));
  at.append(draw("polyline", { class: "trend", points: list.map((t) => `${x(t)},${y(value(t))}`).join(" ") }));
  const dots = list.map((t) => {
    const dot = draw("circle", { class: t.within ? "dot" : "dot bad", cx: x(t), cy: y(value(t)), r: 3.5, onclick: () => choose(t) },
      draw("title", {}, `${t.name}, ${t.op || ""} ${t.layer || ""}: relative L2 ${small(t.rel_l2)}`));
    at.append(dot);
    return [dot, t];
  });
  listeners.push(() => { for (const [dot, t] of dots) dot.classList.toggle("chosen", t === chosen); });
  return at;
}

function view_tensors() {
  const out = [make("p", { class: "soft" }, "Relative L2 of every tensor that was compared, in the order of the layers. A line marks the tolerance.")];
  for (const run of runs) out.push(make("h2", {}, run.label), chart(run), table(run.places, columns(false), choose, 0, false));
  return out;
}

/* ---- The page ---- */

const beyond = runs.filter((r) => !r.within);
const worst = Math.max(0, ...runs.flatMap((r) => r.outputs.map((t) => (t.same_shape ? t.rel_l2 : Infinity))));
open_page(data.title + " - Tenon compare",
  `${runs.map((r) => r.label).join(", ")} against ${data.title}, unoptimised; Tenon ${data.tenon}`,
  [fact(beyond.length ? `${beyond.length} of ${runs.length}` : "none", "beyond the tolerance"), fact(small(worst) || "0", "largest relative L2 of an output"),
    fact(String(data.layer_count), "layers"), fact(String(Math.max(...runs.map((r) => r.values.length))), "tensors between them compared")],
  [["Findings", view_findings], ["Outputs", view_outputs], ["Tensors", view_tensors]]);
