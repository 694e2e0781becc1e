/* What pages share: elements, numbers, tables, tabs. No library, no network. */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

/* ---- Small helpers ---- */

const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes, ...children) {
  const at = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) at.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) at.setAttribute(key, value);
  }
  at.append(...children.filter((c) => c !== null && c !== undefined));
  return at;
}

function draw(tag, attributes, ...children) {
  const at = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) at.addEventListener(key.slice(2), value);
    else at.setAttribute(key, value);
  }
  at.append(...children);
  return at;
}

/* A name of nodes or kernels, which may be broken behind its parts. */
function name_in(tag, name, attributes) {
  return make(tag, attributes || {}, ...name.split(/(?<=[/._])/).flatMap((part, i) => (i ? [make("wbr"), part] : [part])));
}

function three(x) {
  return x >= 1000 ? Math.round(x).toLocaleString("en") : String(Number(x.toPrecision(3)));
}

function time(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms >= 1000) return three(ms / 1000) + " s";
  if (ms >= 1) return three(ms) + " ms";
  return ms >= 1e-4 || !ms ? three(ms * 1e3) + " µs" : three(ms * 1e6) + " ns";
}

function scaled(x, unit, step) {
  let k = 0;
  while (x >= step && k < 4) { x /= step; k++; }
  return three(x) + " " + ["", step === 1024 ? "Ki" : "k", step === 1024 ? "Mi" : "M", step === 1024 ? "Gi" : "G", "T"][k] + unit;
}
const bytes = (x) => scaled(x, "B", 1024);
const percent = (x) => (x * 100 < 10 ? (x * 100).toFixed(1) : Math.round(x * 100)) + " %";
const many = (count, what) => count + " " + what + (count === 1 ? "" : "s");

/* ---- Tables ---- */

/* columns: [title, value for sorting, cell, numeric] */
function table(rows, columns, pick, by, down) {
  const body = make("tbody", {});
  const at = { sort: by, down };
  const fill = (filter) => {
    const [, value] = columns[at.sort];
    const list = rows.filter((r) => !filter || columns.some((c) => String(c[1](r)).toLowerCase().includes(filter)) || (r.search || "").includes(filter));
    list.sort((a, b) => (value(a) > value(b) ? 1 : value(a) < value(b) ? -1 : 0) * (at.down ? -1 : 1));
    body.replaceChildren(...list.map((r) =>
      make("tr", { class: pick ? "pick" : "", onclick: pick ? () => pick(r) : () => {} },
        ...columns.map(([, v, cell, number]) => make("td", { class: number ? "number" : "" }, cell ? cell(r) : String(v(r)))))));
  };
  let last = "";
  const head = make("tr", {}, ...columns.map(([title, , , number], i) =>
    make("th", { class: number ? "number" : "" }, make("button", { onclick: () => {
      at.down = at.sort === i ? !at.down : Boolean(number);
      at.sort = i;
      fill(last);
    } }, title))));
  const search = make("input", { type: "search", placeholder: "search", "aria-label": "search",
    oninput: (e) => fill((last = e.target.value.trim().toLowerCase())) });
  fill("");
  return make("div", {}, make("p", {}, search), make("table", {}, make("thead", {}, head), body));
}

/* ---- Tabs ---- */

const listeners = []; /* of the view that is shown: called when what is chosen changes */

/* views: [name, function that gives its elements, takes the whole window] */
function show(views, index) {
  const at = document.getElementById("view");
  listeners.length = 0;
  at.className = views[index][2] ? "full" : "";
  at.replaceChildren(...views[index][1]());
  [...document.getElementById("tabs").children].forEach((b, i) => b.setAttribute("aria-selected", String(i === index)));
  for (const tell of listeners) tell();
  try { history.replaceState(null, "", "#" + views[index][0].toLowerCase()); } catch (e) { /* a page without an address */ }
}

const fact = (value, name) => make("div", { class: "fact" }, make("b", {}, value), make("span", { class: "soft" }, name));

function open_page(title, about, facts, views) {
  document.title = title;
  document.getElementById("head").append(make("h1", {}, data.title), make("div", { class: "soft" }, about),
    make("div", { class: "facts" }, ...facts.filter((f) => f)));
  document.getElementById("tabs").append(...views.map(([name], i) =>
    make("button", { role: "tab", id: "tab-" + name.toLowerCase(), onclick: () => show(views, i) }, name)));
  document.addEventListener("DOMContentLoaded", () => {
    const wanted = views.findIndex(([name]) => "#" + name.toLowerCase() === location.hash);
    show(views, Math.max(wanted, 0));
  });
}
