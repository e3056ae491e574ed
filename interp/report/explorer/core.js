"use strict";
/* The state of the page, all of it in the URL; the data; and what panels are made of.

   Explorer.get() / set({...}) / on(keys, fn, element)   one state, one bus; with an element fn waits until it is seen
   Explorer.data                                         runs, colours; tables and arrays once they are decoded
   Explorer.panel({...}) / chart(element, {...})         what every panel is made of
   Explorer.row(table, filter, text, run)                a number that leads to its row
   Explorer.register(id, fn)                             a section of its own, made once everything is decoded */
const Explorer = (() => {
  const state = {
    run: 0, step: 0, frequency: null, neuron: null, head: null, keys: "leak-free", playing: false,
    arm: null, theory: null, prediction: null, clock: "step", quantity: "test_accuracy", revealed: [], guesses: [], table: null, row: null,
  };
  const first = { ...state };
  const data = JSON.parse(document.getElementById("data").textContent);
  const waiting = new Set();
  // What the slider counts: runs side by side that count different things have only steps in common.
  const unit = data.runs.every((run) => run.unit === data.runs[0].unit) ? data.runs[0].unit : "step";
  const sections = [];
  let changed = new Set(), frame = 0, written = 0;

  /* ---- state ---- */
  const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

  function set(changes) {
    for (const [key, value] of Object.entries(changes)) {
      if (same(state[key], value)) continue;
      state[key] = value;
      changed.add(key);
    }
    if (!changed.size) return;
    clearTimeout(written);
    written = setTimeout(writeUrl, 150);
    if (!frame) frame = requestAnimationFrame(() => flush());
  }

  /* Called once for all changes of a frame. Off screen a listener waits; `all` draws even those. */
  function flush(all = false) {
    cancelAnimationFrame(frame);
    frame = 0;
    const now = changed;
    changed = new Set();
    for (const one of waiting) {
      for (const key of now) if (one.keys.has(key)) one.due.add(key);
      if (one.due.size && (all || !one.element || one.seen)) call(one);
    }
  }

  function call(one) {
    const due = one.due;
    one.due = new Set();
    one.fn(state, due);
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) for (const one of waiting) {
      if (one.element !== entry.target) continue;
      one.seen = entry.isIntersecting;
      if (one.seen && one.due.size) call(one);
    }
  }, { rootMargin: "150px" });

  /* fn(state, changedKeys). With an element it is called first when that comes into view, and then only in view.
     Gives a function that ends it. */
  function on(keys, fn, element = null) {
    const one = { keys: new Set(keys), fn, element, seen: false, due: new Set(element ? keys : []) };
    waiting.add(one);
    if (element) watcher.observe(element);
    return () => {
      waiting.delete(one);
      if (element) watcher.unobserve(element);
    };
  }

  function notify(key) {
    changed.add(key);
    if (!frame) frame = requestAnimationFrame(() => flush());
  }

  function writeUrl() {
    const parts = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) {
      if (key === "playing" || same(value, first[key])) continue;
      parts.set(key, Array.isArray(value) ? value.join(",") : String(value));
    }
    const hash = parts.toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  const NUMBERS = new Set(["run", "step", "frequency", "neuron", "row"]);
  function readUrl() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const found = {};
    for (const [key, value] of parts) {
      if (!(key in state) || key === "playing") continue;
      if (NUMBERS.has(key)) { if (/^\d+$/.test(value)) found[key] = +value; }
      else if (Array.isArray(first[key])) found[key] = value ? value.split(",") : [];
      else found[key] = value;
    }
    if (found.run !== undefined && !data.runs[found.run]) delete found.run;
    if (found.head && !/^L\d+H\d+$/.test(found.head)) delete found.head;
    if (found.keys && !["leak-free", "hindsight"].includes(found.keys)) delete found.keys;
    return found;
  }

  /* ---- elements ---- */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "text") element.textContent = value;
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  /* A number in a few significant digits; powers of ten where it is very small or large. */
  function number(x, digits = 3) {
    if (x === null || x === undefined || Number.isNaN(x)) return "–";
    if (x === 0) return "0";
    if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
    const size = Math.abs(x);
    if (Number.isInteger(x) && size < 1e7) return x.toLocaleString("en").replace("-", "−");
    if (size < 1e-3 || size >= 1e6) {
      const [mantissa, power] = x.toExponential(digits - 1).split("e");
      return `${mantissa}e${power.replace("+", "")}`;
    }
    return String(+x.toPrecision(digits)).replace("-", "−");
  }

  /* ---- the checkpoint of a run at a step ---- */
  function at(run, step = state.step) {
    const steps = typeof run === "number" ? data.runs[run].steps : run;
    let low = 0, high = steps.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (steps[middle] <= step) low = middle; else high = middle - 1;
    }
    return low;
  }

  /* ---- decoding ---- */
  async function inflated(id) {
    const element = document.getElementById(`blob-${id}`);
    if (!element) return null;
    const text = atob(element.textContent);
    element.remove();
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  }

  async function inflatedJson(id) {
    const buffer = await inflated(id);
    return buffer && JSON.parse(new TextDecoder().decode(buffer));
  }

  async function decodeTables() {
    for (const [i, run] of data.runs.entries()) {
      run.index = i;
      run.tables = (await inflatedJson(`tables-${i}`)) || {};
      run.trial = await inflatedJson(`trial-${i}`);
      for (const array of Object.values(run.arrays)) array.codes = null;
    }
  }

  const KINDS = { uint8: Uint8Array, uint16: Uint16Array };
  async function decodeArrays() {
    for (const [i, run] of data.runs.entries()) {
      for (const [name, array] of Object.entries(run.arrays)) {
        array.codes = new KINDS[array.type](await inflated(`array-${i}-${name}`));
        array.missingCode = array.missing ? (array.type === "uint8" ? 255 : 65535) : -1;
        array.value = (q) => (q === array.missingCode ? NaN : array.offset + array.scale * q);
      }
      notify("arrays");
    }
  }

  /* ---- tables ---- */
  /* The rows of a table whose columns have these values, as numbers of rows. */
  function rowsOf(table, filter = {}) {
    const names = Object.keys(filter), n = table.columns.length ? table.rows[table.columns[0]].length : 0;
    const found = [];
    for (let i = 0; i < n; i++) if (names.every((name) => table.rows[name][i] === filter[name])) found.push(i);
    return found;
  }

  /* Whether a run has rows of a table: of a probe that does not apply there are none. */
  function has(run, name) {
    const table = run.tables[name];
    return Boolean(table?.columns.length && table.rows[table.columns[0]].length);
  }

  /* Columns of the rows that a filter leaves, as {column: [...]}. */
  function where(run, name, filter = {}) {
    const table = data.runs[run].tables[name];
    if (!table) return null;
    const rows = rowsOf(table, filter);
    return Object.fromEntries(table.columns.map((column) => [column, rows.map((i) => table.rows[column][i])]));
  }

  /* The first row that a filter leaves, or the row of that number; undefined for none. */
  const rowOf = (table, filter) => (typeof filter === "number" ? filter : filter ? rowsOf(table, filter)[0] : undefined);

  function tableHash(name, filter, run) {
    const table = data.runs[run].tables[name];
    const row = table && rowOf(table, filter);
    return `#table=${encodeURIComponent(name)}${row === undefined ? "" : `&row=${row}`}${run ? `&run=${run}` : ""}`;
  }

  function showRow(name, filter, run = 0) {
    const table = data.runs[run].tables[name];
    if (!table) return;
    set({ run, table: name, row: rowOf(table, filter) ?? null });
    Explorer.goToTables();
  }

  /* A number, or a word, that leads to its row among the tables: the first that a filter leaves, or one by its number. */
  function row(name, filter, text, run = state.run) {
    return make("a", {
      class: "row", href: tableHash(name, filter, run), text, title: `row of the table ${name}`,
      onclick: (event) => { event.preventDefault(); showRow(name, filter, run); },
    });
  }

  function csvOf(table) {
    const cell = (x) => {
      if (x === null || x === undefined) return "";
      // As pandas reads them.
      const text = typeof x === "boolean" ? (x ? "True" : "False") : x === Infinity ? "inf" : x === -Infinity ? "-inf" : String(x);
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const columns = table.columns.map((name) => table.rows[name]);
    const lines = [table.columns.map(cell).join(",")];
    for (let i = 0; i < (columns[0] || []).length; i++) lines.push(columns.map((c) => cell(c[i])).join(","));
    return `${lines.join("\n")}\n`;
  }

  function download(name, text, type = "text/csv") {
    const url = URL.createObjectURL(new Blob([text], { type }));
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  /* ---- panels ---- */
  /* A section with heading, a sentence on what is seen, its Python and its CSV; gives the element to draw in.
     says: text. python: lines that compute it, `run` being opened already.
     csv: the name of a table of the run, or () => {columns, rows}.
     into: where the section goes (the panels, if none is named); run: whose it is (0). */
  function panel({ id, title, says, python, csv, into = null, run = 0, wide = false }) {
    const section = make("section", { class: wide ? "panel wide" : "panel", id, "aria-labelledby": `${id}-title` });
    const of = data.runs[run];
    const tools = make("div", { class: "tools" });
    const body = make("div", { class: "body" });
    const heading = data.runs.length > 1 ? `${title}: ${of.name}` : title;
    section.append(make("h3", { id: `${id}-title`, text: heading }), make("p", { class: "says", text: says }), body, tools);
    if (python) {
      const code = `import interp\nrun = ${of.opens}\n${python}`;
      tools.append(make("details", { class: "python" },
        make("summary", { text: "Python" }), make("pre", { tabindex: "0" }, make("code", { text: code }))));
    }
    if (csv) {
      const name = typeof csv === "string" ? csv : id;
      const table = () => (typeof csv === "string" ? of.tables[csv] : csv());
      if (typeof csv !== "string" || has(of, csv)) {
        tools.append(make("button", {
          type: "button", class: "csv", text: "CSV", "aria-label": `Download the table of ${heading} as CSV`,
          onclick: () => download(`${of.name}-${name}.csv`, csvOf(table())),
        }));
        if (typeof csv === "string") tools.append(row(csv, null, "rows", run));
      }
    }
    (into || document.getElementById("panels")).append(section);
    return body;
  }

  function register(id, fn) { sections.push([id, fn]); }

  return {
    data, unit, state, first, get: () => state, set, on, flush, notify, readUrl, make, number, at, decodeTables, decodeArrays,
    rowsOf, has, where, row, showRow, csvOf, download, panel, register, sections,
  };
})();
