"use strict";
/* The tables at the end of the page: any of them on demand, with the row that a number came from. */
(() => {
  const { make, data, number } = Explorer;
  const ROWS = 200;

  Explorer.tables = () => {
    const section = document.getElementById("tables");
    const chosen = make("select", { id: "table", onchange: () => choose() }, make("option", { value: "", text: "none" }));
    data.runs.forEach((run, i) => {
      const names = Object.keys(run.tables).sort();
      const options = names.map((name) => make("option", { value: `${i} ${name}`, text: data.runs.length > 1 ? `${run.name}: ${name}` : name }));
      chosen.append(...options);
    });
    const place = make("div", { class: "table-place", tabindex: "0", role: "region", "aria-label": "Rows of the table" });
    const about = make("p", { class: "says" });
    const csv = make("button", { type: "button", text: "CSV", hidden: true, "aria-label": "Download this table as CSV", onclick: () => {
      const [run, name] = current();
      Explorer.download(`${data.runs[run].name}-${name}.csv`, Explorer.csvOf(data.runs[run].tables[name]));
    } });
    section.append(
      make("p", { class: "says", text: "Every number of this page stands in one of these, to six significant digits." }),
      make("p", {}, make("label", { for: "table", text: "Table " }), chosen, " ", csv), about, place);

    function current() {
      const at = chosen.value.indexOf(" ");
      return [+chosen.value.slice(0, at), chosen.value.slice(at + 1)];
    }
    function choose() {
      if (!chosen.value) { Explorer.set({ table: null, row: null }); return; }
      const [run, name] = current();
      Explorer.set({ run, table: name, row: null });
    }
    function draw() {
      const { table: name, row, run } = Explorer.state;
      const isChosen = Boolean(name && data.runs[run]?.tables[name]);
      place.hidden = about.hidden = csv.hidden = !isChosen;
      if (!isChosen) { chosen.value = ""; return; }
      chosen.value = `${run} ${name}`;
      const table = data.runs[run].tables[name], n = table.rows[table.columns[0]]?.length ?? 0;
      const from = row === null ? 0 : Math.max(0, Math.min(row - 20, n - ROWS));
      const to = Math.min(n, from + ROWS);
      about.textContent = n ? `Rows ${from} to ${to - 1} of ${n}. The CSV has all.` : "No rows.";
      const rows = [];
      for (let i = from; i < to; i++) {
        rows.push(make("tr", { class: i === row ? "is-row" : null, id: i === row ? "the-row" : null }, make("th", { scope: "row", text: String(i) }),
          ...table.columns.map((column) => make("td", { text: shownCell(table.rows[column][i]) }))));
      }
      place.replaceChildren(make("table", {},
        make("thead", {}, make("tr", {}, make("th", { scope: "col", text: "row" }), ...table.columns.map((c) => make("th", { scope: "col", text: c })))),
        make("tbody", {}, ...rows)));
    }
    const shownCell = (x) => (x === null || x === undefined ? "–" : typeof x !== "number" || Number.isInteger(x) ? String(x) : Number.isFinite(x) ? String(+x.toPrecision(6)) : number(x));

    Explorer.goToTables = () => {
      Explorer.flush();
      (document.getElementById("the-row") || section).scrollIntoView({ block: "center" });
    };
    Explorer.on(["table", "row", "run"], draw);
    draw();
    if (Explorer.state.table) Explorer.goToTables();
  };
})();
