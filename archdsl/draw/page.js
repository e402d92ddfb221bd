"use strict";
// The drawing: zoom, pan, opened and closed frames; and the table beside it.

const drawing = document.getElementById("drawing");
const STUB = 6;  // what stays of a closed frame below its header
let view = { x: 0, y: 0, scale: 1 };

// ---- pictures ----

function pictures() { return [...drawing.querySelectorAll("div.level")]; }
function shown() { return pictures().find((p) => !p.hidden); }

function show(depth) {
  for (const picture of pictures()) picture.hidden = picture.dataset.depth !== String(depth);
  for (const button of document.querySelectorAll("button[data-depth]"))
    button.setAttribute("aria-pressed", String(button.dataset.depth === String(depth)));
  for (const picture of pictures()) prepare(picture.querySelector("svg"));
  fit();
}

function place() {
  const picture = shown();
  if (picture) picture.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
}

function fit() {
  const svg = shown() && shown().querySelector("svg");
  if (!svg) return;
  const width = Number(svg.getAttribute("width"));
  view.scale = Math.min(1.25, (drawing.clientWidth - 16) / width);
  view.x = Math.max(8, (drawing.clientWidth - width * view.scale) / 2);
  view.y = 8;
  place();
}

function zoom(factor, x, y) {
  const scale = Math.min(8, Math.max(0.05, view.scale * factor));
  view.x = x - (x - view.x) * (scale / view.scale);
  view.y = y - (y - view.y) * (scale / view.scale);
  view.scale = scale;
  place();
}

drawing.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = drawing.getBoundingClientRect();
  if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  else { view.x -= event.deltaX; view.y -= event.deltaY; place(); }
}, { passive: false });

let held = null;
drawing.addEventListener("pointerdown", (event) => { held = { x: event.clientX, y: event.clientY, moved: false }; });
window.addEventListener("pointermove", (event) => {
  if (!held) return;
  if (Math.abs(event.clientX - held.x) + Math.abs(event.clientY - held.y) > 3 || held.moved) {
    view.x += event.clientX - held.x; view.y += event.clientY - held.y;
    held = { x: event.clientX, y: event.clientY, moved: true };
    place();
  }
});
window.addEventListener("pointerup", (event) => {
  const clicked = held && !held.moved;
  held = null;
  if (!clicked || !drawing.contains(event.target)) return;
  const header = event.target.closest("svg .header");
  if (header) toggle(header);
});

// ---- frames that close: what is inside vanishes, and everything below moves up by the height that it leaves ----

function parts(d) { return d.match(/[A-Za-z]|-?[\d.]+/g); }

function measure(node) {
  if (node.tagName === "rect") {
    const [x, y, w, h] = ["x", "y", "width", "height"].map((name) => Number(node.getAttribute(name)));
    return { node, x0: x, y0: y, x1: x + w, y1: y + h };
  }
  if (node.tagName === "text") {
    const x = Number(node.getAttribute("x")), y = Number(node.getAttribute("y"));
    return { node, x0: x, y0: y - 9, x1: x, y1: y + 3, y };
  }
  const tokens = parts(node.getAttribute("d")), numbers = tokens.filter((token) => !/[A-Za-z]/.test(token)).map(Number);
  const xs = numbers.filter((_, i) => i % 2 === 0), ys = numbers.filter((_, i) => i % 2 === 1);
  return { node, tokens, ys, x0: Math.min(...xs), y0: Math.min(...ys), x1: Math.max(...xs), y1: Math.max(...ys) };
}

function prepare(svg) {
  if (!svg || svg.marks) return;
  const nodes = [...svg.querySelectorAll("rect, path, text")].filter((n) => !n.closest("defs") && !n.closest(".legend"));
  svg.marks = nodes.map(measure);
  svg.frames = svg.marks.filter((mark) => mark.node.classList.contains("frame"));
  svg.closed = new Set();
  svg.legend = svg.querySelector(".legend");
  svg.full = Number(svg.getAttribute("height"));
  svg.below = Number(svg.legend.getAttribute("transform").match(/translate\(0 ([\d.]+)\)/)[1]);
}

function toggle(header) {
  const svg = header.ownerSVGElement;
  const frame = svg.frames.find((mark) => mark.node.dataset.frame === header.dataset.frame);
  if (!svg.closed.delete(frame)) svg.closed.add(frame);
  arrange(svg);
}

function inside(mark, frame) {
  const header = mark.node.closest(".header");
  if (mark === frame || header && header.dataset.frame === frame.node.dataset.frame) return false;
  return mark.x0 >= frame.x0 - 0.2 && mark.x1 <= frame.x1 + 0.2 && mark.y0 >= frame.y0 - 0.2 && mark.y1 <= frame.y1 + 0.2;
}

function arrange(svg) {
  const visible = svg.marks.filter((mark) => ![...svg.closed].some((frame) => inside(mark, frame)));
  const kept = new Set(visible);
  const covered = [];
  for (const mark of visible) {
    if (svg.frames.includes(mark)) { covered.push([mark.y0, mark.y0 + STUB], [mark.y1 - STUB, mark.y1]); continue; }
    if (mark.tokens && !mark.node.closest(".item")) {
      for (const y of mark.ys) covered.push([y - 2, y + 2]);
      continue;
    }
    covered.push([mark.y0, mark.y1]);
  }
  const gone = without([...svg.closed].map((f) => [f.y0, f.y1]), covered);
  const lost = (y) => gone.reduce((sum, [low, high]) => sum + Math.max(0, Math.min(y, high) - low), 0);
  for (const mark of svg.marks) {
    mark.node.style.display = kept.has(mark) ? "" : "none";
    move(mark, (y) => y - lost(y));
  }
  const height = svg.full - lost(svg.full);
  svg.setAttribute("height", height);
  svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${height}`);
  svg.legend.setAttribute("transform", `translate(0 ${svg.below - lost(svg.below)})`);
}

function without(ranges, covered) {
  let left = [];
  for (const [low, high] of union(ranges)) {
    let at = low;
    for (const [a, b] of union(covered)) {
      if (b <= at || a >= high) continue;
      if (a > at) left.push([at, a]);
      at = Math.max(at, b);
    }
    if (at < high) left.push([at, high]);
  }
  return left;
}

function union(ranges) {
  const out = [];
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    if (out.length && low <= out[out.length - 1][1]) out[out.length - 1][1] = Math.max(out[out.length - 1][1], high);
    else out.push([low, high]);
  }
  return out;
}

function move(mark, to) {
  if (mark.node.tagName === "rect") {
    mark.node.setAttribute("y", to(mark.y0));
    mark.node.setAttribute("height", to(mark.y1) - to(mark.y0));
  } else if (mark.node.tagName === "text") {
    mark.node.setAttribute("y", to(mark.y));
  } else {
    let index = 0;
    const text = mark.tokens.map((token) => /[A-Za-z]/.test(token) ? token : index++ % 2 ? to(Number(token)) : token);
    mark.node.setAttribute("d", text.join(" "));
  }
}

// ---- the table, and what a row and a box have to do with each other ----

function rows() { return [...document.querySelectorAll("#table tbody tr[data-start]")]; }

function light(start, stop, scroll) {
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  if (start === null) return;
  const within = (node) => Number(node.dataset.start) <= start && stop <= Number(node.dataset.stop);
  const size = (node) => Number(node.dataset.stop) - Number(node.dataset.start);
  const smallest = (nodes) => nodes.filter(within).sort((a, b) => size(a) - size(b))[0];
  const visible = (node) => node.firstElementChild.nextElementSibling.style.display !== "none";
  const inner = shown() ? [...shown().querySelectorAll("svg .item[data-start]")] : [];
  const exact = inner.filter((n) => start <= Number(n.dataset.start) && Number(n.dataset.stop) <= stop && visible(n));
  for (const box of exact.length ? exact : [smallest(inner.filter(visible))].filter(Boolean)) box.classList.add("lit");
  const row = smallest(rows().filter((r) => !r.hidden));
  if (row) { row.classList.add("lit"); if (scroll) row.scrollIntoView({ block: "nearest" }); }
}

drawing.addEventListener("pointerover", (event) => {
  const item = event.target.closest("svg .item[data-start]");
  if (item) light(Number(item.dataset.start), Number(item.dataset.stop), true);
});
document.getElementById("table").addEventListener("pointerover", (event) => {
  const row = event.target.closest("tr[data-start]");
  if (row) light(Number(row.dataset.start), Number(row.dataset.stop), false);
});

function foldRow(row, open) {
  row.dataset.open = String(open);
  const button = row.querySelector(".fold");
  if (button) button.textContent = open ? "▾" : "▸";
  const all = rows(), depth = Number(row.dataset.depth);
  for (let i = all.indexOf(row) + 1, closed = open ? Infinity : depth; i < all.length && Number(all[i].dataset.depth) > depth; i++) {
    const own = Number(all[i].dataset.depth);
    if (own <= closed) closed = Infinity;
    all[i].hidden = !open || own > closed;
    if (closed === Infinity && all[i].dataset.open !== "true") closed = own;
  }
}

document.getElementById("table").addEventListener("click", (event) => {
  const button = event.target.closest(".fold");
  if (button) foldRow(button.closest("tr"), button.closest("tr").dataset.open !== "true");
});

// ---- buttons ----

document.querySelector("header").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.depth) show(button.dataset.depth);
  const middle = [drawing.clientWidth / 2, drawing.clientHeight / 2];
  if (button.id === "larger") zoom(1.25, ...middle);
  if (button.id === "smaller") zoom(0.8, ...middle);
  if (button.id === "fit") fit();
});

if (document.body.dataset.depth) show(document.body.dataset.depth);
window.addEventListener("resize", fit);
