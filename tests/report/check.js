/* Put into a report's page before and after its own script by run.sh: works through it as a reader
 * does, and leaves what it found in the page's title. */
"use strict";
const errors = [];
window.addEventListener("error", (e) => errors.push(e.message));
console.error = (...words) => errors.push(words.join(" "));

window.addEventListener("load", () => setTimeout(() => {
  const count = (selector) => document.querySelectorAll(selector).length;
  const want = (what, holds) => { if (!holds) errors.push(what); };
  const click = (selector) => {
    const at = document.querySelector(selector);
    want("there is no " + selector, at);
    if (at) at.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  };
  const type = (selector, text) => {
    const at = document.querySelector(selector);
    at.value = text;
    at.dispatchEvent(new Event("input", { bubbles: true }));
  };
  try {
    const all = layers.length;
    want("no layers", all > 0);
    want("the title names the model", document.title.includes("Tenon report"));
    want("times of all sizes", ["7 ns", "0.25 µs", "1.5 ms", "2 s"].join() === [7e-6, 2.5e-4, 1.5, 2000].map(time).join());
    click("#tab-graph");
    want("a node for each layer, input and output", count(".node") === all + engine.inputs.length + engine.outputs.length);
    want("edges", count(".edge") >= all);
    const scene = document.querySelector("#graph > g"), before = scene.getAttribute("transform");
    click("#zoom-in");
    want("zoom", scene.getAttribute("transform") !== before);
    click(".node:not(.end)");
    want("details of a layer", count("#details h2") > 0 && count("#details dl") === 1);
    want("the layer is marked", count(".node.chosen") === 1);
    type(".tools input", layers[all - 1].op);
    want("search leaves some", count(".node.dim") < count(".node"));
    type(".tools input", "no such layer");
    want("search for nothing dims all", count(".node.dim") === count(".node"));
    click("#tab-layers");
    want("a row for each layer", count("#view tbody tr") === all);
    type("#view input", layers[0].tactic || layers[0].op);
    want("search in the table", count("#view tbody tr") > 0);
    type("#view input", "");
    click("#view th:nth-child(3) button");
    const times = [...document.querySelectorAll("#view tbody tr")].map((r) => layers[Number(r.children[0].textContent)].ms);
    want("sorted by time", times.every((t, i) => !i || times[i - 1] >= t));
    want("times", times[0] > 0);
    want("floors below times", layers.every((l) => !l.ms || l.floor <= l.ms * 1.001));
    click("#tab-nodes");
    want("a row for each node", count("#view tbody tr") === engine.nodes.length);
    const nodes = [...document.querySelectorAll("#view tbody tr")].map((r) => r.children[1].textContent);
    want("nodes in the model's order", engine.nodes.every((n, i) => nodes[i] === n.op + n.name));
    click("#tab-memory");
    want("memory", engine.memory.block_bytes === 0 || count(".block") > 0 || tensors.every((t) => t.offset === undefined));
    click("#tab-kernels");
    want("kernels", count("#view tbody tr") >= layers.filter((l) => l.candidates).length);
    click("#tab-advice");
    want("advice", count("#view li") + count("#view p") > 0);
    want("nothing from elsewhere", performance.getEntriesByType("resource").every((r) => r.name.startsWith("data:")));
  } catch (e) {
    errors.push(String(e.stack || e));
  }
  document.title = errors.length ? "FAIL " + errors.join("; ") : "PASS " + layers.length + " layers";
}, 50));
