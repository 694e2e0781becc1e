/* The report of an engine: what `tenon report` measured, shown. */
"use strict";

const engine = data.engine, layers = engine.layers, tensors = engine.tensors;

const shape = (t) => t.type + (t.shape ? "[" + t.shape.join(",") + "]" : "[?]");

/* ---- What follows from the data ---- */

const sum = (list, of) => list.reduce((total, x) => total + (of(x) || 0), 0);
layers.forEach((layer, i) => (layer.ms = data.run.layer_ms[i]));
const total = sum(layers, (l) => l.ms);

/* The least a layer can take: its bytes at the best speed of a plain pass over as many or more, and
 * its operations at the speed of a large product, both measured on this machine. */
const peaks = { ...data.machine.peaks }, rates = [...data.machine.rates];
for (const l of layers) { /* what a layer reached can be reached, whatever the probes say */
  const bytes = l.read_bytes + l.written_bytes;
  if (!l.ms) continue;
  rates.push({ bytes, bytes_per_s: (bytes / l.ms) * 1e3 });
  if (l.flops) peaks[l.precision] = Math.max(peaks[l.precision] || peaks.fp32 || 0, (l.flops / l.ms) * 1e3);
}

function rate(moved) {
  const larger = rates.filter((r) => r.bytes >= moved);
  return Math.max(0, ...(larger.length ? larger : data.machine.rates.slice(-1)).map((r) => r.bytes_per_s));
}

layers.forEach((layer, i) => {
  layer.index = i;
  layer.moved = layer.read_bytes + layer.written_bytes;
  const peak = peaks[layer.precision] || peaks.fp32;
  const by_bytes = rate(layer.moved) ? (layer.moved / rate(layer.moved)) * 1e3 : 0;
  const by_flops = peak && layer.flops ? (layer.flops / peak) * 1e3 : 0;
  layer.floor = Math.max(by_bytes, by_flops);
  layer.bound = by_flops > by_bytes ? "arithmetic" : "memory";
  layer.share = total && layer.ms ? layer.ms / total : 0;
  layer.constant_bytes = sum(layer.inputs.filter((t) => t >= 0 && tensors[t].place === "constant"), (t) => tensors[t].bytes);
});
const floor = sum(layers, (l) => l.floor);
const root = (t) => { while (t >= 0 && tensors[t].place === "alias") t = tensors[t].of; return t; };
const label = (l) => l.op + " '" + l.name + "'";

/* ---- Advice ---- */

function advice() {
  const out = [];
  const say = (weight, title, text, layer) => out.push({ weight, title, text, layer });
  const run = data.run, host = run.median_ms;
  for (const input of data.inputs) {
    if (input.padded > 0.1)
      say(input.padded, `Input '${input.name}' is padded ${percent(input.padded)}`,
        input.masked ? "Sort texts by length, so that batches need less of it."
          : "Pass a mask, or sort texts by length: as it is, all of it is computed.");
  }
  const outside = run.device_ms === null ? host - total : host - run.device_ms;
  const measured_apart = !engine.engine.card && host > 1;
  if (total && measured_apart && Math.abs(outside) > 0.3 * host)
    say(0.3, `A run takes ${time(host)}, its layers ${time(total)} when they are timed`,
      "The machine did something else while this was measured, or its clock changed: measure again on a quiet one.");
  else if (total && !measured_apart && outside > 0.25 * host)
    say(outside / host, `${percent(outside / host)} of a run is spent outside of the kernels`,
      engine.engine.card
        ? "Copies of inputs and outputs, and the host. Bind memory of the card (tn_context_bind_device), begin runs without waiting (tn_context_enqueue), or take larger batches."
        : "The network is small for this machine: launch bound. Run several inputs as one batch, or take one thread (--threads=1).");
  const tiny = layers.filter((l) => l.ms && l.ms < 0.005);
  if (engine.engine.card && tiny.length > 8 && sum(tiny, (l) => l.ms) > 0.3 * total)
    say(0.5, `Launch bound: ${tiny.length} of ${layers.length} layers take less than 5 µs each`,
      "A larger batch costs next to nothing more.");
  const slow = layers.filter((l) => l.tactic && l.tactic.includes(".reference") && l.share > 0.03);
  for (const l of slow.slice(0, 3)) {
    const why = (l.candidates || []).find((c) => c.refused);
    say(l.share, `${label(l)} runs by its reference kernel, ${percent(l.share)} of the time`,
      why ? `The fast ones refused, as: ${why.refused}.` : "There is no fast kernel for it on this device.", l);
  }
  const far = layers.filter((l) => l.ms && l.share > 0.03 && l.ms > 2.5 * l.floor && !slow.includes(l))
    .sort((a, b) => b.ms - b.floor - (a.ms - a.floor));
  for (const l of far.slice(0, 4))
    say((l.ms - l.floor) / total, `${label(l)} takes ${time(l.ms)}, ${three(l.ms / Math.max(l.floor, 1e-6))} times its floor`,
      `It is ${percent(l.share)} of the time and bound by ${l.bound}; its kernel is ${l.tactic || l.kind}. A longer --budget measures more candidates.`, l);
  const products = layers.filter((l) => l.precision === "fp32" && l.flops && l.bound === "arithmetic");
  const heavy = sum(products, (l) => l.share);
  if (heavy > 0.3 && !engine.engine.precision)
    say(heavy * 0.8, `Products in exact float32 take ${percent(heavy)} of the time`,
      engine.engine.card ? "Build with --tf32, or --fp16 where 5e-3 is near enough: layers that lose too much are held back."
        : "Build with --tf32 or --bf16, where this machine has kernels for them: layers that lose too much are held back.");
  const weights = layers.filter((l) => l.bound === "memory" && l.constant_bytes > 0.6 * l.moved && l.share > 0.01);
  const read = sum(weights, (l) => l.share);
  if (read > 0.25)
    say(read * 0.7, `Reading weights takes ${percent(read)} of the time`,
      "They are read once for each run, whatever the batch: a larger batch is nearly free, and weights of 16 bits (--fp16, --bf16) take half.");
  const moving = layers.filter((l) => ["Transpose", "Copy", "Concat", "Split", "Slice", "Cast", "Pad"].includes(l.op));
  const moved = sum(moving, (l) => l.share);
  if (moved > 0.12)
    say(moved, `${moving.length} layers that only move data take ${percent(moved)} of the time`,
      "The longest is " + label(moving.sort((a, b) => (b.ms || 0) - (a.ms || 0))[0]) + ".", moving[0]);
  const hosted = layers.filter((l) => engine.engine.card && l.device === "host" && l.kind === "kernel");
  if (hosted.length)
    say(0.3 + sum(hosted, (l) => l.share), `${hosted.length} layers of an engine for a card run on the host`,
      "The card has no kernel for: " + [...new Set(hosted.map((l) => l.op))].join(", ") + ".", hosted[0]);
  if (run.guessed.length)
    say(0.45, "No shape was given for " + run.guessed.map((n) => `'${n}'`).join(", "),
      "Dynamic dims count as 1, here and, without --optShapes, when the engine was tuned. Give --shapes as in use.");
  if (engine.engine.rebuilt)
    say(0.9, "The plan was made anew by estimates", "The engine was built for another device or version: `tenon tune` measures it here.");
  if (engine.engine.check !== "passed")
    say(0.6, "The engine's check says: " + engine.engine.check, "It is not shown that it computes what the model says. Build without --no-check, with shapes that the model takes.");
  const asked = layers.filter((l) => (l.candidates || []).length > 2);
  if (asked.length && !asked.some((l) => l.candidates.some((c) => c.ns !== undefined)))
    say(0.02, "Times of other kernels are not known", "Engine files do not keep them. Give --timings=FILE, kept by `tenon build --timings=FILE`, or report on the model.");
  return out.sort((a, b) => b.weight - a.weight);
}

/* ---- Details of a layer ---- */

let chosen = -1;

function choose(index) {
  chosen = index;
  const at = document.getElementById("details");
  at.replaceChildren(...(index < 0 ? [] : details(layers[index])));
  at.scrollTop = 0;
  for (const tell of listeners) tell();
}

function row(name, ...value) {
  return [make("dt", {}, name), make("dd", {}, ...value)];
}

function list_tensors(list) {
  return make("div", {}, ...list.filter((t) => t >= 0).map((t) =>
    make("div", { class: "mono" }, `${shape(tensors[t])}, ${tensors[t].place}, ${bytes(tensors[t].bytes)}`)));
}

function candidate(c, layer) {
  const mine = c.tactic === layer.tactic;
  const note = c.refused ? make("div", { class: "refused" }, c.refused)
    : make("div", { class: "soft" }, c.ns !== undefined ? time(c.ns / 1e6) : mine ? "" : "not measured");
  return make("tr", { class: mine ? "chosen" : "" }, make("td", {}, name_in("code", c.tactic), note));
}

function details(l) {
  const facts = make("dl", {},
    ...row("kernel", name_in("code", l.tactic || l.kind)),
    ...row("runs on", l.device + (l.precision ? ", " + l.precision : "")),
    ...row("time", l.ms === undefined ? "not measured" : `${time(l.ms)}, ${percent(l.share)} of all layers`),
    ...row("floor", `${time(l.floor)}, by ${l.bound}`),
    ...row("moves", `${bytes(l.read_bytes)} in, ${bytes(l.written_bytes)} out`),
    ...(l.flops ? row("computes", scaled(l.flops, "flop", 1000) + (l.ms ? `, ${scaled((l.flops / l.ms) * 1e3, "flop/s", 1000)}` : "")) : []),
    ...(l.scratch_bytes ? row("scratch", bytes(l.scratch_bytes)) : []),
    ...row("inputs", list_tensors(l.inputs)), ...row("outputs", list_tensors(l.outputs)));
  const out = [
    make("button", { class: "link", style: "float:right", onclick: () => choose(-1) }, "close"),
    make("h2", {}, `${l.index}: ${l.op}`), name_in("div", l.name, { class: "mono" }), facts];
  if ((l.from || []).length)
    out.push(make("h2", {}, `Computes ${many(l.from.length, "node")} of the model`),
      make("div", {}, ...l.from.map((n) => name_in("div", n, { class: "mono" }))));
  if ((l.candidates || []).length)
    out.push(make("h2", {}, "Kernels asked"), make("table", {}, make("tbody", {}, ...l.candidates.map((c) => candidate(c, l)))));
  if (l.problem) out.push(make("h2", {}, "Problem"), make("code", {}, l.problem));
  return out;
}

/* ---- Tables ---- */

function bar(l, most) {
  const at = make("div", { class: "bar", title: `${time(l.ms)}; floor ${time(l.floor)}` });
  at.append(make("i", { style: `width:${(100 * (l.ms || 0)) / most}%` }), make("b", { style: `width:${Math.min(100, (100 * l.floor) / most)}%` }));
  return at;
}

/* ---- Views ---- */

function view_advice() {
  const list = advice();
  if (!list.length) return [make("p", {}, "Nothing stands out: no layer is far from what this machine can do.")];
  return [make("ol", { class: "advice" }, ...list.map((a) =>
    make("li", {}, make("b", {}, a.title), a.text, a.layer ? " " : null,
      a.layer ? make("button", { class: "link", onclick: () => choose(a.layer.index) }, "show the layer") : null)))];
}

function view_layers() {
  const most = Math.max(1e-9, ...layers.map((l) => Math.max(l.ms || 0, l.floor)));
  for (const l of layers) l.search = ((l.from || []).join(" ") + " " + (l.problem || "")).toLowerCase();
  return [
    make("p", { class: "soft" }, "Time of each layer, run one by one, against its floor: the time that its bytes and its arithmetic take at the best speeds measured on this machine.",
      ...["time", "floor"].map((what) => make("span", { class: "line-whole" }, make("span", { class: "key", style: `background:var(--${what})` }), what))),
    table(layers, [
      ["#", (l) => l.index, null, true],
      ["layer", (l) => l.op + " " + l.name, (l) => make("div", {}, l.op, name_in("div", l.name, { class: "mono soft" }))],
      ["time", (l) => l.ms || 0, (l) => time(l.ms), true],
      ["share", (l) => l.share, (l) => percent(l.share), true],
      ["floor", (l) => l.floor, (l) => time(l.floor), true],
      ["× floor", (l) => (l.ms && l.floor ? l.ms / l.floor : 0), (l) => (l.ms && l.floor ? three(l.ms / l.floor) : ""), true],
      ["time and floor", (l) => l.ms || 0, (l) => bar(l, most)],
      ["bound by", (l) => l.bound], ["precision", (l) => l.precision || ""],
      ["kernel", (l) => l.tactic || l.kind, (l) => name_in("code", l.tactic || l.kind)],
    ], (l) => choose(l.index), 0, false)];
}

function view_nodes() {
  const rows = engine.nodes.map((n, index) => ({ ...n, index, into: n.layers ? n.layers.map((i) => label(layers[i])).join(", ") : n.fate }));
  const words = { constant: "computed when the engine was built", view: "no bytes move: a view", unused: "nothing needs it" };
  const count = (of) => rows.filter(of).length;
  return [
    make("p", { class: "soft" }, `${rows.length} nodes of the model: ${count((r) => r.layers)} are computed by ${many(layers.length, "layer")}, ` +
      `${count((r) => r.fate === "constant")} were computed when the engine was built, ${count((r) => r.fate === "view")} are views, ${count((r) => r.fate === "unused")} are not needed.`),
    table(rows, [
      ["#", (r) => r.index, null, true],
      ["node", (r) => r.op + " " + r.name, (r) => make("div", {}, r.op, name_in("div", r.name, { class: "mono soft" }))],
      ["became", (r) => r.into, (r) => r.layers
        ? make("div", {}, ...r.layers.map((i) => make("button", { class: "link line", onclick: () => choose(i) }, `${i}: ${label(layers[i])}`)))
        : make("span", { class: "soft" }, words[r.fate] || "")],
      ["together with", (r) => (r.layers && r.layers.length === 1 ? layers[r.layers[0]].from.length - 1 : 0),
        (r) => { const n = r.layers && r.layers.length === 1 ? layers[r.layers[0]].from.length - 1 : 0; return n > 0 ? many(n, "other") : ""; }],
    ], null, 0, false)];
}

function view_kernels() {
  const rows = [];
  for (const l of layers) for (const c of l.candidates || []) rows.push({ l, c, state: c.refused ? "refused" : c.tactic === l.tactic ? "chosen" : "not chosen" });
  return [make("p", { class: "soft" }, "Every kernel that was asked for a layer: its measured time, or why it refused. One that is estimated at far more than another is not measured, nor one that stands alone."),
    table(rows, [
      ["layer", (r) => r.l.index, (r) => label(r.l)],
      ["kernel", (r) => r.c.tactic, (r) => name_in("code", r.c.tactic)],
      ["", (r) => r.state, (r) => make("span", { class: r.state === "chosen" ? "" : "soft" }, r.state)],
      ["measured", (r) => r.c.ns || 0, (r) => (r.c.ns !== undefined ? time(r.c.ns / 1e6) : r.c.refused ? "" : "no"), true],
      ["why not", (r) => r.c.refused || "", null],
    ], (r) => choose(r.l.index), 0, false)];
}

/* ---- The page ---- */

const e = engine.engine, run = data.run;
open_page(data.title + " - Tenon report",
  `${e.card || e.machine}, ${run.threads ? run.threads + " thread" + (run.threads === 1 ? "" : "s") : "all threads"}, ${e.precision || "fp32"}, Tenon ${e.tenon}; check: ${e.check}; ` +
    engine.inputs.map((i) => `${i.name} ${shape(i)}`).join(", "),
  [fact(time(run.median_ms), `a run, median of ${run.count}`),
    run.device_ms === null ? null : fact(time(run.device_ms), "on the card"),
    fact(time(total), "sum of layers"), fact(time(floor), "sum of floors"),
    fact(String(layers.length), `layer${layers.length === 1 ? "" : "s"}, of ${many(engine.nodes.length, "node")}`),
    fact(bytes(engine.memory.block_bytes + engine.memory.card_bytes), "intermediates"),
    fact(bytes(engine.memory.weight_bytes), "weights"), fact(scaled(sum(layers, (l) => l.flops), "flop", 1000), "a run")],
  [["Advice", view_advice], ["Graph", () => view_graph(), true], ["Layers", view_layers],
    ["Memory", () => view_memory()], ["Nodes", view_nodes], ["Kernels", view_kernels]]);
