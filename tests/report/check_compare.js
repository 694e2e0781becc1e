/* Put into a page of `tenon compare` before its own script, as check.js is into a report's. */
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
  try {
    want("the title says what it is", document.title.includes("Tenon compare"));
    click("#tab-findings");
    want("a heading for each run", count("#view h2") === runs.length);
    const found = runs.filter((r) => r.bisect && r.bisect.found);
    want("what was found", count(".found") === found.length);
    if (found.length) {
      want("it names the layer", document.querySelector(".found").textContent.includes(found[0].bisect.layer.name));
      click(".found .link");
      want("details of the tensor", document.querySelector("#details h2").textContent === found[0].bisect.tensor);
      want("its elements by difference", count("#details .histogram tr") > 0);
    }
    click("#tab-outputs");
    const outputs = runs.reduce((n, r) => n + r.outputs.length, 0);
    want("a row for each output", count("#view tbody tr") === outputs && outputs > 0);
    click("#view tbody tr");
    want("details of an output", count("#details dl") === 1);
    click("#tab-tensors");
    want("a chart for each run", count("svg.steps") === runs.length);
    const places = runs.reduce((n, r) => n + r.places.filter((t) => t.same_shape).length, 0);
    want("a dot for each tensor", count(".dot") === places);
    want("those beyond are marked", count(".dot.bad") === runs.reduce((n, r) => n + r.places.filter((t) => t.same_shape && !t.within).length, 0));
    click(".dot");
    want("the dot is marked", count(".dot.chosen") === 1);
    const search = document.querySelector("#view input");
    search.value = "no such tensor";
    search.dispatchEvent(new Event("input", { bubbles: true }));
    want("search for nothing leaves nothing in the first table", count("#view table:first-of-type tbody tr") < places + 1);
    want("decades add up", runs.every((r) => r.places.every((t) => !t.decades || t.cosine === null || t.decades.reduce((a, b) => a + b, 0) === t.count)));
    want("nothing from elsewhere", performance.getEntriesByType("resource").every((r) => r.name.startsWith("data:")));
  } catch (e) {
    errors.push(String(e.stack || e));
  }
  document.title = errors.length ? "FAIL " + errors.join("; ") : `PASS ${runs.length} runs`;
}, 50));
