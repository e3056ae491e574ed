"use strict";
/* First the bar, with what the text says; then tables and their panels; then the big arrays. */
(async () => {
  const { data } = Explorer;
  const last = Math.max(...data.runs.flatMap((run) => run.steps));
  Explorer.state.step = last;
  Explorer.first.step = last;
  Object.assign(Explorer.state, Explorer.readUrl());
  Explorer.controls();
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  await Explorer.decodeTables();
  Explorer.panels();
  for (const [id, make] of Explorer.sections) {
    const section = document.getElementById(id);
    section.hidden = false;
    make(section);
  }
  Explorer.tables();
  document.documentElement.dataset.panels = "made";
  await Explorer.decodeArrays();
  Explorer.flush();
  document.documentElement.dataset.ready = "yes";
  addEventListener("hashchange", () => Explorer.set(Explorer.readUrl()));
})();
