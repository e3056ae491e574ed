"use strict";
/* The panels of a run that are curves and bars, and the order of all of them. */
(() => {
  const { make, data, where, number } = Explorer;
  const colours = data.colours;
  const STEP = { scale: "log" };
  const LINEAR = { scale: "linear" };

  /* The frequency that is followed, if the run has it: another run may have more of them. */
  const followedIn = (run, state) => (state.frequency >= 1 && state.frequency <= run.frequencies ? state.frequency : null);
  /* Frequencies that are drawn in colour: those of the run and the one that is followed. */
  const shownFrequencies = (run, state) => [...new Set([...run.followed, followedIn(run, state)])].filter((k) => k !== null);
  /* What stands in for the final keys: of a run without any, the strongest, which are no key frequencies. */
  const finalName = (run) => (run.keys.hindsight.length ? "final keys" : `strongest ${run.followed.length}`);
  const keysAt = (run, state, final = run.keys.hindsight) => (state.keys === "hindsight" ? final : run.keys["leak-free"][Explorer.at(run.index)] || []);
  const weight = (state, k) => (state.frequency === null ? 1.8 : state.frequency === k ? 3.2 : 0.9);

  /* A panel that says why it is empty. */
  function absent(run, into, id, title, reason) {
    const body = Explorer.panel({ id: `${id}-${run.index}`, title, into, run: run.index });
    body.append(make("p", { class: "absent", text: `Not shown: ${reason}` }));
  }

  /* Buttons that follow a frequency everywhere. */
  function frequencyButtons(run, element) {
    const list = make("div", { class: "follow", role: "group", "aria-label": "Frequencies to follow" });
    element.append(list);
    const draw = (state) => {
      const keys = new Set(keysAt(run, state));
      list.replaceChildren(...shownFrequencies(run, state).map((k) => {
        const button = make("button", {
          type: "button", class: "frequency", "data-frequency": k, "aria-pressed": String(state.frequency === k),
          title: keys.has(k) ? "a key frequency here" : state.keys === "hindsight" ? "not a key frequency of the run" : "not key at this step", onclick: () => Explorer.follow("frequency", k),
        }, `k = ${k}`);
        button.style.borderColor = Explorer.colourOf(k);
        button.classList.toggle("is-key", keys.has(k));
        return button;
      }));
    };
    Explorer.on(["frequency", "keys", "step"], draw, list);
  }

  const isKnown = (y) => Boolean(y?.some((value) => value !== null && value !== undefined));
  function losses(run, into) {
    const history = run.tables.history?.rows ?? {};
    const body = Explorer.panel({
      id: `losses-${run.index}`, title: "Losses", wide: data.runs.length === 1, run: run.index, into,
      says: "Cross-entropy by split. A band reaches from the last evaluation or checkpoint without a phase to the first with it. Click or drag to move.",
      python: "run.history()\ninterp.phases(run)", csv: Explorer.has(run, "history") ? "history" : "losses",
    });
    const curves = ["train", "test", "all"].map((split) => {
      const recorded = history[`${split}_loss`], measured = where(run.index, "losses", { split });
      const source = isKnown(recorded) ? { x: history.step, y: recorded } : isKnown(measured?.loss) ? { x: measured.step, y: measured.loss, dots: true } : null;
      return source && { label: split, colour: colours.split[split], ...source };
    }).filter(Boolean);
    const shown = curves.length > 1 ? curves.filter((c) => c.label !== "all") : curves;
    if (!shown.length) { body.append(make("p", { class: "absent", text: `Not shown: ${run.does_not_apply.losses || "no losses are known"}` })); return; }
    Explorer.chart(body, {
      series: shown, x: STEP, y: { label: "loss (nats)", scale: "log" }, brackets: Explorer.bracketsOf(run, true), cursorStep: true,
      height: data.runs.length === 1 ? 250 : 220,
    });
    const line = make("p", { class: "now-said" });
    body.append(line);
    Explorer.on(["step"], () => {
      const step = run.steps[Explorer.at(run.index)];
      const wanted = Explorer.state.step;
      const other = wanted === step ? "" : wanted < step ? `, the first of this run (the page is at ${wanted.toLocaleString("en")})` : `, the last of this run by ${wanted.toLocaleString("en")}`;
      const parts = [`Checkpoint ${step.toLocaleString("en")}${other}: `];
      for (const split of ["train", "test", "all"]) {
        const now = where(run.index, "losses", { step, split });
        if (!now?.loss.length) continue;
        parts.push(`${split} accuracy `, Explorer.row("losses", { step, split }, number(now.accuracy[0], 3), run.index), ", loss ",
          Explorer.row("losses", { step, split }, number(now.loss[0], 3), run.index), "; ");
      }
      if (parts.length > 1) parts[parts.length - 1] = ".";
      line.replaceChildren(...parts);
    }, line);
  }

  function measures(run, into) {
    const table = run.tables.progress_measures;
    if (!Explorer.has(run, "progress_measures")) { if (run.does_not_apply.logit_spectrum) return; absent(run, into, "measures", "Progress measures", run.does_not_apply.progress_measures || "not measured"); return; }
    const body = Explorer.panel({
      id: `measures-${run.index}`, title: "Progress measures", run: run.index, into, csv: "progress_measures",
      says: `Loss with the key frequencies alone (restricted) and without them (excluded, train rows). Dotted: random other frequencies, as many as the ${finalName(run)}, also beside each step’s own keys, of which there may be more or fewer. ${run.keys.hindsight.length ? "A key set that knows the end makes early progress partly a matter of selection: switch the keys above." : `This run has no final keys: in their place, the ${finalName(run)} frequencies at its end.`}`,
      python: `from functools import partial\nfrom interp.probes import progress_measures\nprobe = partial(progress_measures, frequencies=${JSON.stringify(run.followed)})\ninterp.measure(run, {"progress_measures": probe})["progress_measures"]`,
    });
    const curve = (measure, selection, split, label, colour, dash) => {
      const rows = where(run.index, "progress_measures", { measure, selection, split });
      return { label, colour, dash, x: rows.step, y: rows.loss, width: dash ? 1.1 : 1.9 };
    };
    const series = (state) => {
      const selection = state.keys === "hindsight" ? "key" : "causal";
      return [
        curve("restricted_loss", selection, "all", "restricted", colours.palette[2]),
        curve("excluded_loss", selection, "train", "excluded", colours.palette[4]),
        curve("restricted_loss", "random", "all", "restricted, random", colours.palette[2], [2, 3]),
        curve("excluded_loss", "random", "train", "excluded, random", colours.palette[4], [2, 3]),
      ].filter((s) => s.x.length);
    };
    const drawn = Explorer.chart(body, {
      series: series(Explorer.state), x: STEP, y: { label: "loss (nats)", scale: "log" }, brackets: Explorer.bracketsOf(run), cursorStep: true,
    });
    Explorer.on(["keys"], (state) => drawn.update({ series: series(state) }), body);
  }

  function logitShares(run, into) {
    const table = run.tables.logit_spectrum;
    if (!Explorer.has(run, "logit_spectrum")) return;
    const body = Explorer.panel({
      id: `logit-share-${run.index}`, title: "Share of the logits by frequency", run: run.index, into, csv: "logit_spectrum",
      says: `How much of the logits’ variance cos(w(a+b−c)) of one frequency explains. In colour: ${run.chosen_by}. Click one to follow it.`,
      python: 'interp.measure(run, ["logit_spectrum"])["logit_spectrum"]',
    });
    frequencyButtons(run, body);
    const rows = {};
    const of = (k) => (rows[k] ??= where(run.index, "logit_spectrum", { frequency: k }));
    const series = (state) => shownFrequencies(run, state).map((k) => ({
      label: `k = ${k}`, ...Explorer.lineOf(k), x: of(k).step, y: of(k).fraction_explained, width: weight(state, k),
    }));
    const drawn = Explorer.chart(body, {
      series: series(Explorer.state), x: LINEAR, y: { label: "share of the logits", scale: "linear" }, brackets: Explorer.bracketsOf(run), cursorStep: true,
    });
    Explorer.on(["frequency"], (state) => drawn.update({ series: series(state) }), body);
  }

  /* Of a group without residues: what frequencies are to those. */
  function representations(run, into) {
    if (!Explorer.has(run, "character_similarity")) return;
    const { followed, chosen_by } = run.representations;
    const table = run.tables.representation_spectrum;
    const part = Explorer.has(run, "representation_spectrum") ? ["left_embedding", "unembedding"].find((name) => table.rows.part.includes(name)) : null;
    const body = Explorer.panel({
      id: `representations-${run.index}`, title: "Representations", run: run.index, into, csv: "character_similarity",
      says: `Cosine of the logits with the character of each representation of the group${part ? `, and below the share that each has of the ${part.replace("_", " ")}` : ""}. In colour: ${followed.join(", ")} (${chosen_by}).`,
      python: 'interp.measure(run, ["character_similarity", "representation_spectrum"])',
    });
    const names = [...new Set(run.tables.character_similarity.rows.representation)];
    const order = [...names.filter((name) => !followed.includes(name)), ...followed];
    const draw = (name, filter, column, label) => Explorer.chart(body, {
      series: order.map((one) => {
        const i = followed.indexOf(one), rows = where(run.index, name, { ...filter, representation: one });
        return { label: i < 0 ? null : one, ...(i < 0 ? { colour: "#c4c4c4" } : Explorer.nth(i)), width: i < 0 ? 0.8 : 1.8, x: rows.step, y: rows[column] };
      }),
      x: LINEAR, y: { label, scale: "linear" }, brackets: Explorer.bracketsOf(run), cursorStep: true, height: 180,
    });
    draw("character_similarity", {}, "similarity", "cosine with the character");
    if (part) draw("representation_spectrum", { part }, "share", "share");
  }

  function norms(run, into) {
    const table = run.tables.weight_norms;
    if (!Explorer.has(run, "weight_norms")) { absent(run, into, "norms", "Weight norms", run.does_not_apply.weight_norms || "not measured"); return; }
    const body = Explorer.panel({
      id: `norms-${run.index}`, title: "Weight norms", run: run.index, into, csv: "weight_norms",
      says: "Sum of squared weights of all (black) and of each matrix that ever has 1 % of it.", python: 'interp.measure(run, ["weight_norms"])["weight_norms"]',
    });
    const series = [["total", "all"], ...Object.entries(run.matrices)].map(([name, label], i) => {
      const rows = where(run.index, "weight_norms", { matrix: name });
      return {
        label, ...(i ? Explorer.nth(i - 1) : { colour: "#000000" }), width: i ? 1.3 : 2.2,
        x: rows.step, y: rows.sum_of_squares,
      };
    });
    Explorer.chart(body, { series, x: LINEAR, y: { label: "sum of squares", scale: "log" }, brackets: Explorer.bracketsOf(run), cursorStep: true });
  }

  function sparsity(run, into) {
    const table = run.tables.fourier_sparsity;
    if (!Explorer.has(run, "fourier_sparsity")) return;
    const body = Explorer.panel({
      id: `gini-${run.index}`, title: "Sparsity in frequencies (Gini)", run: run.index, into, csv: "fourier_sparsity",
      says: "Gini coefficient of the Fourier components: 0 if all are alike. Dotted: after random names of the residues.",
      python: 'interp.measure(run, ["fourier_sparsity"])["fourier_sparsity"]',
    });
    const series = [...new Set(table.rows.matrix)].flatMap((matrix, i) => {
      const rows = where(run.index, "fourier_sparsity", { matrix }), line = colours.matrix[matrix] ?? Explorer.nth(i);
      return [{ label: matrix, ...line, x: rows.step, y: rows.gini }, { label: `${matrix}, null`, colour: line.colour, dash: [2, 3], width: 1.1, x: rows.step, y: rows.gini_null }];
    });
    Explorer.chart(body, { series, x: LINEAR, y: { label: "Gini coefficient", scale: "linear", min: 0, max: 1 }, brackets: Explorer.bracketsOf(run), cursorStep: true });
  }

  const MEASURES = { test_loss: "test loss", gini_W_E: "Gini of W_E", gini_W_L: "Gini of W_L" };
  function forecast(run, into) {
    const table = run.tables.forecasts;
    if (!Explorer.has(run, "forecasts")) return;
    const came = run.phases.grokking?.step ?? null;
    const body = Explorer.panel({
      id: `forecast-${run.index}`, title: "The forecast as it was then", run: run.index, into, csv: "forecasts",
      says: "From what had been seen up to the step: when will the run generalise? A point a checkpoint that has an answer; the line is what came.",
      python: `# in a shell: interp forecast ${run.source} --at STEP\nrun.history()`,
    });
    const series = Object.keys(MEASURES).map((measure, i) => {
      const rows = where(run.index, "forecasts", { measure });
      return { label: MEASURES[measure], colour: [colours.palette[0], colours.palette[2], colours.palette[3]][i], x: rows.step, y: rows.forecast, dots: true };
    }).filter((s) => s.y.some(Number.isFinite));
    const steps = [...new Set(table.rows.step)];
    if (came !== null) series.push({ label: "what came", colour: colours.phase.grokking, dash: [6, 3], x: [steps[0], steps[steps.length - 1]], y: [came, came] });
    if (series.length) Explorer.chart(body, { series, x: LINEAR, y: { label: `forecast (${Explorer.unit})`, scale: "log" }, cursorStep: true });
    const line = make("p", { class: "now-said" });
    body.append(line);
    Explorer.on(["step"], () => {
      const step = run.steps[Explorer.at(run.index)];
      const now = where(run.index, "forecasts", { step });
      if (!now.step.length) { line.textContent = `At ${step.toLocaleString("en")} there is nothing to forecast: not memorized yet, or generalised already.`; return; }
      line.replaceChildren(`At ${step.toLocaleString("en")}: `, ...now.measure.flatMap((measure, i) => [
        `${MEASURES[measure] || measure} `,
        Explorer.row("forecasts", { step, measure }, now.forecast[i] === null ? `has no answer (${now.why_not[i]})`
          : `${Math.round(now.forecast[i]).toLocaleString("en")} (${Math.round(now.low[i]).toLocaleString("en")} ${Number.isFinite(now.high[i]) ? `to ${Math.round(now.high[i]).toLocaleString("en")}` : "or later"})`, run.index),
        i < now.measure.length - 1 ? "; " : ".",
      ]));
    }, line);
  }

  /* Why there are no frequencies, unless the answers have said so. */
  function frequencies(run, into) {
    const { algebra, answers } = run.does_not_apply;
    if (algebra && algebra !== answers) absent(run, into, "frequencies", "Frequencies", algebra);
  }

  Object.assign(Explorer, { keysAt, followedIn, shownFrequencies, finalName, absent });

  Explorer.panels = () => {
    const place = document.getElementById("panels");
    const isSeveral = data.runs.length > 1;
    if (isSeveral) place.style.setProperty("--columns", Math.min(data.runs.length, 4));
    const { pictures } = Explorer;
    const order = [
      losses, measures, logitShares, frequencies, representations, pictures.spectra, pictures.answers, pictures.neurons, pictures.circles, pictures.neuron,
      pictures.attention, pictures.clock, pictures.distance, norms, sparsity, forecast,
    ];
    for (const one of order) for (const run of data.runs) {
      const before = place.childElementCount;
      one(run, place);
      if (!isSeveral) continue;
      // Side by side each run keeps its column, with or without this panel, and each kind its row.
      if (place.childElementCount === before) place.append(make("div", { class: "no-panel" }));
      if (run === data.runs[0]) place.lastElementChild.classList.add("starts-row");
    }
    if (isSeveral) place.before(make("p", { class: "says", text: "The slider has the steps of all runs; each shows its last checkpoint by then." }));
  };
})();
