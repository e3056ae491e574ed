"use strict";
/* The panels of a run, top to bottom. */
(() => {
  const { make, data } = Explorer;

  function losses(run, into) {
    const table = Explorer.data.runs[run.index].tables;
    const body = Explorer.panel({
      id: `losses-${run.index}`, title: "Losses", wide: true, run: run.index, into,
      says: "Cross-entropy by split. Bands: from the last checkpoint or evaluation without a phase to the first with it. Click or drag to move.",
      python: "run.history()\ninterp.phases(run)", csv: table.history ? "history" : "losses",
    });
    const curves = ["train", "test", "all"].map((split) => {
      const history = table.history;
      const known = history?.columns.includes(`${split}_loss`);
      const x = known ? history.rows.step : Explorer.where(run.index, "losses", { split })?.step;
      const y = known ? history.rows[`${split}_loss`] : Explorer.where(run.index, "losses", { split })?.loss;
      return x?.length ? { label: split, colour: data.colours.split[split], x, y } : null;
    }).filter(Boolean);
    const shown = curves.length > 1 ? curves.filter((c) => c.label !== "all") : curves;
    Explorer.chart(body, {
      series: shown, x: { label: "training step", scale: "log" }, y: { label: "loss (nats)", scale: "log" },
      brackets: Explorer.bracketsOf(run, true), cursorStep: true, height: 260,
    });
  }

  Explorer.panels = () => {
    const place = document.getElementById("panels");
    for (const run of data.runs) losses(run, place);
  };
})();
