"use strict";
// The editor: each change is sent, one question at a time, and the newest answer is shown.

const editor = document.getElementById("text");
const marks = document.getElementById("marks");
const list = document.getElementById("findings");
const state = document.getElementById("state");
let asking = false, changed = false, depth = null, first = true;

async function ask() {
  changed = true;
  if (asking) return;
  asking = true;
  while (changed) {
    changed = false;
    const text = editor.value;
    try {
      const reply = await fetch("check", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text }),
      });
      if (!reply.ok) throw new Error(await reply.text());
      const told = await reply.json();
      if (text === editor.value) tell(text, told);
    } catch (error) {
      state.textContent = `no answer: ${error.message}`;
    }
  }
  asking = false;
}

function tell(text, told) {
  findings(text, told.findings);
  const checks = told.drawings !== undefined;
  for (const id of ["drawing", "table"]) document.getElementById(id).classList.toggle("stale", !checks);
  const errors = told.findings.filter((f) => f.severity === "error").length;
  state.textContent = errors ? `${errors} error${errors > 1 ? "s" : ""}` : "";
  if (!checks) return;
  document.querySelector("h1").textContent = told.title;
  const opened = rows().filter((row) => row.dataset.open === "true").map((row) => row.cells[0].title);
  document.getElementById("table").innerHTML = told.table;
  for (const row of rows()) if (opened.includes(row.cells[0].title)) foldRow(row, true);
  drawing.innerHTML = told.drawings;
  document.getElementById("depths").innerHTML =
    told.depths.length > 1 ? "depth " + told.depths.map((d) => `<button data-depth="${d}">${d}</button>`).join(" ") : "";
  const kept = { ...view };
  show(told.depths.includes(depth) ? depth : told.depth);
  if (!first) { view = kept; place(); }
  first = false;
}

document.getElementById("depths").addEventListener("click", (event) => {
  if (event.target.dataset.depth) depth = Number(event.target.dataset.depth);
});

// ---- findings ----

function findings(text, found) {
  const points = Array.from(text);  // places are told in characters, the editor counts UTF-16 units
  const unit = [0];
  for (const point of points) unit.push(unit[unit.length - 1] + point.length);
  const at = (offset) => unit[Math.min(offset, points.length)];
  list.replaceChildren(...found.map((f) => item(f, at)));
  const placed = found.filter((f) => f.here).sort((a, b) => a.start - b.start);
  marks.replaceChildren();
  let end = 0;
  for (const f of placed) {
    const start = at(f.start), stop = Math.max(at(f.stop), start + 1);
    if (start < end) continue;
    const mark = document.createElement("mark");
    mark.className = f.severity;
    mark.textContent = text.slice(start, stop) || " ";
    marks.append(text.slice(end, start), mark);
    end = stop;
  }
  marks.append(text.slice(end) + "\n ");
  scrolled();
}

function item(f, at) {
  const line = document.createElement("li");
  line.className = f.severity;
  const code = document.createElement("b");
  code.textContent = `${f.code} `;
  line.append(code, f.here ? `line ${f.line}: ` : f.file ? `${f.file}: ` : "", f.message);
  for (const note of [...f.notes, f.fix && f.fix.title === f.hint ? "" : f.hint].filter(Boolean)) {
    const small = document.createElement("small");
    small.textContent = note;
    line.append(small);
  }
  if (f.fix) {
    const button = document.createElement("button");
    button.textContent = f.fix.title;
    button.addEventListener("click", (event) => {
      event.stopPropagation();
      editor.setRangeText(f.fix.text, at(f.fix.start), at(f.fix.stop), "end");
      ask();
    });
    line.append(" ", button);
  }
  if (f.here) line.addEventListener("click", () => { editor.focus(); editor.setSelectionRange(at(f.start), at(f.stop)); });
  return line;
}

function scrolled() { marks.scrollTop = editor.scrollTop; marks.scrollLeft = editor.scrollLeft; }

editor.addEventListener("input", ask);
editor.addEventListener("scroll", scrolled);
ask();
