/* The graph, drawn in rows from inputs to outputs, and memory over time. */
"use strict";

/* ---- Layout: rows by longest path, order in a row by the middle of what is above ---- */

const BOX = { width: 190, height: 46, gap_x: 26, gap_y: 44 };

function graph_of() {
  const nodes = layers.map((l) => ({ layer: l, above: [], below: [] }));
  const makers = new Map();
  layers.forEach((l, i) => l.outputs.forEach((t) => { if (t >= 0) makers.set(t, nodes[i]); }));
  const ends = [];
  engine.inputs.forEach((io) => {
    const node = { name: io.name, text: shape(io), end: true, above: [], below: [] };
    makers.set(io.tensor, node);
    ends.push(node);
  });
  const join = (from, to, tensor) => {
    if (!from || from === to || from.below.some((e) => e.node === to)) return;
    from.below.push({ node: to, tensor });
    to.above.push({ node: from, tensor });
  };
  layers.forEach((l, i) => l.inputs.forEach((t) => { if (t >= 0) join(makers.get(root(t)), nodes[i], t); }));
  engine.outputs.forEach((io) => {
    const node = { name: io.name, text: shape(io), end: true, above: [], below: [] };
    join(makers.get(root(io.tensor)), node, io.tensor);
    ends.push(node);
  });
  return [...ends.slice(0, engine.inputs.length), ...nodes, ...ends.slice(engine.inputs.length)];
}

function lay_out(nodes) {
  const rows = [];
  for (const n of nodes) n.row = n.above.length ? 1 + Math.max(...n.above.map((e) => e.node.row)) : 0;
  /* Sources stand just above their first reader. */
  for (const n of nodes) if (!n.above.length && n.below.length) n.row = Math.max(0, Math.min(...n.below.map((e) => e.node.row)) - 1);
  for (const n of nodes) (rows[n.row] = rows[n.row] || []).push(n);
  const middle = (list, otherwise) => (list.length ? list.reduce((s, e) => s + e.node.x, 0) / list.length : otherwise);
  for (const row of rows) (row || []).forEach((n, i) => (n.x = i));
  for (let sweep = 0; sweep < 8; sweep++) {
    const order = sweep % 2 ? [...rows].reverse() : rows;
    for (const row of order) {
      if (!row) continue;
      row.forEach((n) => (n.wish = middle(sweep % 2 ? n.below : n.above, n.x)));
      row.sort((a, b) => a.wish - b.wish);
      /* As near to the wish as the neighbours allow, around the middle of the row's wishes. */
      let at = -Infinity;
      row.forEach((n) => { n.x = Math.max(n.wish, at + 1); at = n.x; });
      const off = row.reduce((s, n) => s + n.x - n.wish, 0) / row.length;
      row.forEach((n) => (n.x -= off));
    }
  }
  const left = Math.min(...nodes.map((n) => n.x));
  for (const n of nodes) {
    n.reach = Math.max(0, ...n.below.map((e) => e.node.row - n.row));
    n.left = (n.x - left) * (BOX.width + BOX.gap_x);
    n.top = n.row * (BOX.height + BOX.gap_y);
  }
}

function heat(share) {
  const t = Math.min(1, Math.sqrt(share / 0.2));
  return `hsl(${Math.round(48 - 40 * t)} 90% ${Math.round(72 - 18 * t)}%)`;
}

const cut = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
const cut_front = (text, most) => (text.length > most ? "…" + text.slice(text.length - most + 1) : text);

function draw_node(n) {
  const l = n.layer;
  const at = draw("g", { class: "node" + (n.end ? " end" : ""), transform: `translate(${n.left},${n.top})` });
  at.append(draw("rect", { class: "box", width: BOX.width, height: BOX.height, rx: 6 }));
  if (l) {
    at.append(draw("rect", { class: "heat", width: BOX.width, height: BOX.height, rx: 6, style: `fill:${heat(l.share)};opacity:${Math.min(0.5, l.share * 4)}` }));
    at.append(draw("rect", { x: 1, y: BOX.height - 6, width: Math.max(1, (BOX.width - 2) * Math.min(1, l.share / 0.2)), height: 5, rx: 2, style: `fill:${heat(l.share)};stroke:none` }));
    at.addEventListener("click", () => choose(l.index));
    at.append(draw("title", {}, `${label(l)}\n${l.tactic || l.kind}\n${time(l.ms)}; floor ${time(l.floor)}`));
  }
  const right = draw("text", { x: BOX.width - 9, y: 18, "text-anchor": "end", class: "soft" });
  right.textContent = l ? time(l.ms) : "";
  const first = draw("text", { x: 9, y: 18 }), second = draw("text", { x: 9, y: 34, class: "soft" });
  first.textContent = cut(l ? l.op : n.name, 19);
  second.textContent = cut_front(l ? l.name : n.text, 28);
  at.append(first, second, right);
  n.at = at;
  return at;
}

function draw_edge(n, e) {
  const x0 = n.left + BOX.width / 2, y0 = n.top + BOX.height, x1 = e.node.left + BOX.width / 2, y1 = e.node.top;
  const bend = Math.max(20, (y1 - y0) / 2), rows = e.node.row - n.row;
  /* Past the boxes between them, on the side: all of a tensor that many read in one lane. */
  const side = rows > 1 && Math.abs(x1 - x0) < BOX.width ? BOX.width * (0.7 + 0.04 * Math.min(n.reach, 10)) : 0;
  const lane = Math.max(x0, x1) + side, turn = Math.min(60, (y1 - y0) / 2);
  const at = draw("path", { class: "edge", d: side
    ? `M${x0},${y0} C${x0},${y0 + 24} ${lane},${y0 + 12} ${lane},${y0 + turn} L${lane},${y1 - turn} C${lane},${y1 - 12} ${x1},${y1 - 24} ${x1},${y1}`
    : `M${x0},${y0} C${x0},${y0 + bend} ${x1},${y1 - bend} ${x1},${y1}` });
  at.append(draw("title", {}, shape(tensors[e.tensor])));
  e.at = at;
  return at;
}

function view_graph() {
  const nodes = graph_of();
  lay_out(nodes);
  const width = Math.max(...nodes.map((n) => n.left)) + BOX.width, height = Math.max(...nodes.map((n) => n.top)) + BOX.height;
  const svg = draw("svg", { id: "graph" }), scene = draw("g", {});
  for (const n of nodes) for (const e of n.below) scene.append(draw_edge(n, e));
  for (const n of nodes) scene.append(draw_node(n));
  svg.append(scene);
  const look = { x: 0, y: 0, scale: 1 };
  const place = () => scene.setAttribute("transform", `translate(${look.x},${look.y}) scale(${look.scale})`);
  const size = () => svg.getBoundingClientRect();
  const zoom = (factor, x, y) => {
    const to = Math.min(4, Math.max(0.03, look.scale * factor)), real = to / look.scale;
    look.x = x - (x - look.x) * real;
    look.y = y - (y - look.y) * real;
    look.scale = to;
    place();
  };
  const fit = () => {
    const s = size();
    look.scale = Math.min(1.1, (s.width - 40) / width, (s.height - 90) / height);
    look.x = (s.width - width * look.scale) / 2;
    look.y = 60;
    place();
  };
  const go_to = (n) => {
    const s = size();
    look.scale = Math.max(look.scale, 0.8);
    look.x = s.width / 2 - (n.left + BOX.width / 2) * look.scale;
    look.y = s.height / 2 - (n.top + BOX.height / 2) * look.scale;
    place();
  };
  svg.addEventListener("wheel", (e) => {
    e.preventDefault();
    const s = size();
    zoom(Math.exp(-e.deltaY / 400), e.clientX - s.left, e.clientY - s.top);
  }, { passive: false });
  let grab = null;
  svg.addEventListener("pointerdown", (e) => { grab = { x: e.clientX - look.x, y: e.clientY - look.y, far: 0 }; });
  svg.addEventListener("pointermove", (e) => {
    if (!grab || !(e.buttons & 1)) return;
    grab.far += Math.abs(e.movementX) + Math.abs(e.movementY);
    if (grab.far < 4) return;
    svg.classList.add("drag");
    look.x = e.clientX - grab.x;
    look.y = e.clientY - grab.y;
    place();
  });
  window.addEventListener("pointerup", () => { grab = null; svg.classList.remove("drag"); });
  const step = (factor) => () => { const s = size(); zoom(factor, s.width / 2, s.height / 2); };
  const search = make("input", { type: "search", placeholder: "search layers and nodes", "aria-label": "search the graph", oninput: (e) => {
    const text = e.target.value.trim().toLowerCase();
    let first = null;
    for (const n of nodes) {
      const words = n.layer ? [n.layer.op, n.layer.name, n.layer.tactic, ...(n.layer.from || [])] : [n.name];
      const hit = !text || words.some((w) => (w || "").toLowerCase().includes(text));
      n.at.classList.toggle("dim", !hit);
      if (hit && text && !first) first = n;
    }
    if (first) go_to(first);
  } });
  listeners.push(() => {
    for (const n of nodes) {
      const mine = n.layer && n.layer.index === chosen;
      n.at.classList.toggle("chosen", Boolean(mine));
      for (const e of n.below) e.at.classList.toggle("near", Boolean(mine || (e.node.layer && e.node.layer.index === chosen)));
    }
  });
  const start = () => {
    fit();
    if (look.scale >= 0.45) return;
    look.scale = 0.8; /* too long for one look: begin at its top */
    look.x = size().width / 2 - (nodes[0].left + BOX.width / 2) * look.scale;
    place();
  };
  requestAnimationFrame(start);
  return [svg, make("div", { class: "tools" }, search,
    make("button", { id: "zoom-in", title: "nearer", onclick: step(1.4) }, "+"),
    make("button", { id: "zoom-out", title: "farther", onclick: step(1 / 1.4) }, "−"),
    make("button", { id: "zoom-fit", onclick: fit }, "all"))];
}

/* ---- Memory over time ---- */

function chart(on_card, size) {
  const list = tensors.map((t, i) => ({ ...t, number: i })).filter((t) => t.offset !== undefined && t.on_card === on_card && t.bytes > 0);
  const width = 1000, height = 380, left = 76, steps = layers.length;
  const x = (step) => left + (step / Math.max(1, steps)) * (width - left - 10);
  const y = (byte) => height - 24 - (byte / Math.max(1, size)) * (height - 40);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, style: "width:100%;max-width:1300px", role: "img" });
  for (let k = 0; k <= 4; k++) {
    const at = (size * k) / 4, text = draw("text", { x: left - 8, y: y(at) + 4, "text-anchor": "end", class: "soft" });
    text.textContent = bytes(at);
    svg.append(draw("line", { x1: left, x2: width - 10, y1: y(at), y2: y(at), style: "stroke:var(--line)" }), text);
  }
  const blocks = list.map((t) => {
    const writer = layers[t.first];
    const at = draw("rect", { class: "block", x: x(t.first), y: y(t.offset + t.bytes), width: Math.max(1, x(t.last + 1) - x(t.first)),
      height: Math.max(1, y(t.offset) - y(t.offset + t.bytes)), style: `fill:hsl(${(t.number * 47) % 360} 55% 62%)`, onclick: () => choose(t.first) });
    at.append(draw("title", {}, `${shape(t)}, ${bytes(t.bytes)}\nwritten by ${writer ? label(writer) : "?"}, alive from layer ${t.first} to ${t.last}`));
    svg.append(at);
    return { at, t };
  });
  const live = layers.map((l, i) => sum(list.filter((t) => t.first <= i && t.last >= i), (t) => t.bytes) + (l.scratch_bytes || 0));
  svg.append(draw("path", { d: live.map((b, i) => `${i ? "L" : "M"}${x(i)},${y(b)} L${x(i + 1)},${y(b)}`).join(" "), style: "fill:none;stroke:var(--ink);stroke-width:1.6" }));
  for (let k = 0; k <= 5; k++) {
    const i = Math.round((steps * k) / 5), text = draw("text", { x: x(i), y: height - 6, "text-anchor": "middle", class: "soft" });
    text.textContent = String(i);
    svg.append(text);
  }
  listeners.push(() => { for (const b of blocks) b.at.classList.toggle("chosen", b.t.first === chosen); });
  return svg;
}

function view_memory() {
  const m = engine.memory, out = [];
  out.push(make("p", { class: "soft" }, `Intermediates share one block: each box is a tensor, from the layer that writes it to the last one that reads it. ` +
    `The line is what is alive at once: at most ${bytes(m.least_bytes)}, so no plan can be smaller; this one takes ${bytes(m.block_bytes + m.card_bytes)}. ` +
    `Weights take ${bytes(m.weight_bytes)} besides, inputs and outputs their own.`));
  if (m.card_bytes) out.push(make("h2", {}, "On the card"), chart(true, m.card_bytes));
  if (m.block_bytes) out.push(make("h2", {}, m.card_bytes ? "On the host" : "Memory over time"), chart(false, m.block_bytes));
  if (!m.card_bytes && !m.block_bytes) out.push(make("p", {}, "There are no intermediates that lie in memory of their own."));
  const dynamic = tensors.filter((t) => t.dynamic).length;
  if (dynamic) out.push(make("p", {}, `${dynamic} tensors have sizes that only a run tells, and buffers of their own.`));
  return out;
}
