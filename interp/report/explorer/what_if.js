"use strict";
/* What if: arms as ghost curves, theories against arms, predictions before their outcomes. A section a run. */
(() => {
  const { make, data } = Explorer;
  const MOST_ARMS = 6;

  Explorer.register("what-if", (section) => {
    section.setAttribute("aria-labelledby", "what-if-title");
    section.append(make("h2", { id: "what-if-title", text: "What if? Arms, controls and shams" }));
    for (const run of data.runs) {
      if (data.runs.length > 1) section.append(make("h3", { text: run.name }));
      const place = section.appendChild(make("div"));
      if (!run.trial) place.append(make("p", { class: "absent", text: "Nothing is known of a trial of this run." }));
      else whatIf(run, run.trial, place);
    }
  });

  function whatIf(run, trial, place) {
    // Guesses and what is revealed are of one run, also where two were asked the same.
    if (data.runs.length > 1) for (const one of trial.predictions) one.id = `${run.index}:${one.id}`;
    const trained = trial.arms.length > 0;
    const head = make("p", { class: "locked-as" });
    head.textContent = trial.lock
      ? `Locked ${trial.lock.time} before the arms were trained: ${trial.lock.said}. Hash of the lock: ${trial.lock.hash}`
      : trained ? "There is no lock: nothing was written down before the arms were trained, and everything is exploratory."
        : "Nothing was changed in this run yet. What its checkpoints say of each theory stands below; to put the theories on trial:";
    place.append(head);
    if (!trained && !trial.lock) place.append(make("pre", {}, make("code", { text: trial.commands.join("\n") })));
    if (trained) ghosts(run, trial, place);
    board(run, trial, place);
    plainly(trial, place);
  }

  /* ---- curves ---- */
  /* Curves of arms, and of the control from where they branch. */
  function groupsOf(trial, labels) {
    const named = trial.arms.filter((arm) => labels.includes(arm.label));
    const steps = new Set(named.filter((arm) => arm.label !== "control").map((arm) => arm.branch_step));
    return named.filter((arm) => !steps.size || steps.has(arm.branch_step));
  }

  function curvesOf(trial, labels, quantity, clock) {
    const series = [], groups = groupsOf(trial, labels);
    for (const group of groups) {
      const shift = clock === "step" ? group.branch_step : 0;
      const pairs = group.pairs.filter((pair) => pair[quantity]?.some(Number.isFinite)), median = group.median[quantity];
      if (!pairs.length) continue;
      const at = (since) => since.map((s) => s + shift);
      const from = [...new Set(groups.filter((arm) => arm.label === group.label).map((arm) => arm.branch_step))].sort((a, b) => a - b);
      const said = `${group.label}${from.length > 1 ? ` from ${group.branch_step}` : ""}${group.kind === "seed" ? ", other seeds" : ""}`;
      if (pairs.length > 1 || group.kind === "seed") {
        for (const pair of pairs) {
          series.push({ label: `${said}, pair ${pair.pair}`, ...group.line, width: 0.8, faint: true, x: at(pair.since), y: pair[quantity] });
        }
      }
      series.push({ label: said, ...group.line, width: (group.kind === "seed" ? 1.7 : 2.4) / (1 + from.indexOf(group.branch_step)), x: at(median.since), y: median.y });
    }
    return series;
  }

  function parent(run, quantity) {
    const history = run.tables.history;
    if (quantity === "norm") {
      const all = Explorer.where(run.index, "weight_norms", { matrix: "total" });
      return all?.step.length ? { x: all.step, y: all.l2 } : null;
    }
    if (!history?.columns.includes(quantity)) return null;
    const rows = history.rows[quantity].map((y, i) => [history.rows.step[i], y]).filter(([, y]) => y !== null);
    return rows.length ? { x: rows.map(([x]) => x), y: rows.map(([, y]) => y) } : null;
  }

  /* Gives what ends the chart. */
  function draw(run, trial, element, labels, quantity, clock) {
    const about = trial.quantities.find((one) => one.name === quantity) || trial.quantities[0];
    const series = curvesOf(trial, labels, about.name, clock);
    element.replaceChildren();
    if (!series.length) { element.append(make("p", { class: "absent", text: "These arms left no curves of this quantity." })); return () => {}; }
    const own = clock === "step" ? parent(run, about.name) : null;
    if (own) series.unshift({ label: "the run itself", colour: "#9a9a9a", width: 1.4, ...own });
    const steps = [...new Set(groupsOf(trial, labels).map((arm) => arm.branch_step))];
    const brackets = clock === "step" ? steps.map((step) => ({ from: step, to: step, label: `branch at ${step}`, colour: "#555555" })) : [];
    return Explorer.chart(element, {
      series, height: 240, brackets, cursorStep: clock === "step",
      x: { label: "steps since the branch", scale: "linear" },
      y: { label: about.label, scale: about.scale },
    }).destroy;
  }

  function ghosts(run, trial, place) {
    const labels = [...new Set(trial.arms.map((arm) => arm.label))].filter((label) => label !== "control");
    const body = Explorer.panel({
      id: `ghosts-${run.index}`, title: "Arms beside their control", wide: true, into: place, run: run.index,
      says: "The run went on from a checkpoint with one thing changed. Thin: every pair; thick: their median, thinner from a later step; black: the control, which changes nothing. An arm that does not come within its budget ends where it was stopped.",
      python: 'interp.judge("arms.csv").effects  # of the folder of the trial', csv: "trial_effects",
    });
    const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));
    const of = (name, pairs, now, change) => {
      const set = make("fieldset", {}, make("legend", { text: name }));
      const buttons = pairs.map(([value, text]) => make("button", { type: "button", "data-value": value, text, onclick: () => change(value) }));
      set.append(...buttons);
      return [set, (value) => buttons.forEach((button) => pressed(button, button.dataset.value === value))];
    };
    const [clock, showClock] = of("Time", [["step", `training ${Explorer.unit}`], ["since", "steps since the branch"]], null, (value) => Explorer.set({ clock: value }));
    const [quantity, showQuantity] = of("Show", trial.quantities.map((q) => [q.name, q.label]), null, (value) => Explorer.set({ quantity: value }));
    const arms = make("div", { class: "arms", role: "group", "aria-label": "Arm" });
    for (const label of labels) {
      const { line } = trial.arms.find((arm) => arm.label === label);
      arms.append(make("button", { type: "button", "data-arm": label, onclick: () => Explorer.set({ arm: label }) }, Explorer.swatch(line), label));
    }
    const chart = make("div"), said = make("p", { class: "effect-said" });
    body.append(make("div", { class: "switches" }, clock, quantity), arms, chart, said);
    const decided = trial.effects.find((one) => ["later", "earlier"].includes(one.verdict) && labels.includes(one.arm));
    const start = decided?.arm || labels[0];
    let end = () => {};
    const show = (state) => {
      const arm = labels.includes(state.arm) ? state.arm : start;
      const effects = trial.effects.filter((one) => one.arm === arm);
      const references = effects.map((one) => one.label.split(" over ")[1]?.split(",")[0]).filter(Boolean);
      for (const button of arms.children) pressed(button, button.dataset.arm === arm);
      showClock(state.clock);
      const name = trial.quantities.some((q) => q.name === state.quantity) ? state.quantity : trial.quantities[0]?.name;
      showQuantity(name);
      end();
      end = draw(run, trial, chart, [...new Set(["control", ...references, arm])], name, state.clock);
      said.replaceChildren(...(effects.length ? effects.flatMap((one) => effectSaid(run, trial, one)) : ["No effect was judged of this arm."]));
    };
    Explorer.on(["arm", "clock", "quantity"], show, chart);
    show(Explorer.get());
  }

  function effectSaid(run, trial, one) {
    const pairs = `${one.n_pairs} pair${one.n_pairs === 1 ? "" : "s"}${one.n_censored ? `, ${one.n_censored} censored (not within the budget)` : ""}`;
    return [
      `${one.label}: ${one.verdict}, steps to test accuracy ${trial.threshold} over those of the reference `,
      Explorer.row("trial_effects", one.row, one.said, run.index), ` (${pairs})${one.why ? `: ${one.why}` : ""}. `,
    ];
  }

  /* ---- theories against arms ---- */
  const isShown = (state, id) => state.revealed.includes("all") || state.revealed.includes(id);
  /* What a reader said of a prediction before it was revealed, as "id=verdict" in the address. */
  const guessOf = (state, id) => state.guesses.find((guess) => guess.startsWith(`${id}=`))?.slice(id.length + 1);

  function mark(trial, verdict) {
    const [shade, ink, sign] = trial.verdicts[verdict];
    const element = make("span", { class: "verdict-mark", text: `${sign} ${verdict}` });
    element.style.background = shade;
    element.style.color = ink.startsWith("0") ? "#444" : ink;
    return element;
  }

  function board(run, trial, place) {
    const body = Explorer.panel({
      id: `board-${run.index}`, title: "Theories against arms", wide: true, into: place, run: run.index, csv: "trial_arms",
      says: "A row a theory, a column what its prediction is about. Open a cell to read what was predicted, before you look at what came of it.",
      python: `# interp report ${run.source}`,
    });
    const all = make("button", { type: "button", class: "reveal-all", onclick: () => Explorer.set({ revealed: Explorer.get().revealed.includes("all") ? [] : ["all"] }) });
    const tally = make("span", { class: "tally", role: "status" });
    const table = make("table", { class: "grid" }), open = make("div", { class: "opened" });
    table.append(make("caption", { class: "unseen", text: "Theories, and the arms that their predictions are about" }));
    const head = table.createTHead().insertRow();
    head.append(make("th", { scope: "col", text: "theory" }), ...trial.columns.map((name) => make("th", { scope: "col" }, make("span", { text: name }))));
    const rows = table.createTBody();
    const cells = [];
    trial.theories.forEach((theory, y) => {
      const line = rows.insertRow();
      line.append(make("th", { scope: "row", text: theory.title, title: theory.statement }));
      trial.columns.forEach((column, x) => {
        const inside = trial.predictions.filter((one) => one.theory === theory.name && one.column === column);
        const cell = line.insertCell();
        if (!inside.length) return;
        const button = make("button", {
          type: "button", class: "cell", "data-x": x, "data-y": y, "aria-expanded": "false",
          onclick: () => Explorer.set({ theory: theory.name, prediction: column }),
        });
        cell.append(button);
        cells.push({ button, inside, theory, column });
      });
    });
    table.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const from = event.target.closest(".cell");
      if (!move || !from) return;
      event.preventDefault();
      event.stopPropagation();
      const [x, y] = [+from.dataset.x, +from.dataset.y];
      const ahead = cells.map((one) => one.button).filter((b) => (move[0] ? +b.dataset.y === y && (+b.dataset.x - x) * move[0] > 0 : (+b.dataset.y - y) * move[1] > 0));
      ahead.sort((a, b) => Math.abs(a.dataset.x - x) + 50 * Math.abs(a.dataset.y - y) - Math.abs(b.dataset.x - x) - 50 * Math.abs(b.dataset.y - y));
      ahead[0]?.focus();
    });
    body.append(make("div", { class: "switches" }, all, tally), make("div", { class: "grid-box", tabindex: "0", role: "group", "aria-label": "Theories against arms" }, table), open);

    let ends = [];
    const show = (state) => {
      const whole = state.revealed.includes("all");
      all.textContent = whole ? "Hide the outcomes" : "Show all outcomes";
      all.setAttribute("aria-pressed", String(whole));
      const guessed = trial.predictions.filter((one) => guessOf(state, one.id) && isShown(state, one.id));
      const right = guessed.filter((one) => guessOf(state, one.id) === one.verdict).length;
      tally.textContent = guessed.length ? `${right} of ${guessed.length} of your guesses came out so.` : "";
      for (const { button, inside, theory, column } of cells) {
        const marks = inside.map((one) => {
          const [shade, ink, sign] = isShown(state, one.id) ? trial.verdicts[one.verdict] : ["#fff", "#222", "○"];
          const sign_ = make("i", { text: sign, "aria-hidden": "true" });
          sign_.style.background = shade;
          sign_.style.color = ink.startsWith("0") ? "#444" : ink;
          return sign_;
        });
        button.replaceChildren(...marks);
        const told = inside.map((one) => (isShown(state, one.id) ? one.verdict : "not revealed")).join(", ");
        button.setAttribute("aria-label", `${theory.title}, ${column}: ${told}`);
        button.setAttribute("aria-expanded", String(state.theory === theory.name && state.prediction === column));
      }
      const here = cells.find((one) => one.theory.name === state.theory && one.column === state.prediction);
      const focused = open.contains(document.activeElement) && document.activeElement.closest("article")?.dataset.prediction;
      for (const end of ends) end();
      ends = [];
      open.replaceChildren();
      if (!here) return;
      open.append(make("p", { class: "says", text: `${here.theory.title}: ${here.theory.statement} (${here.theory.source})` }));
      for (const one of here.inside) open.append(prediction(run, trial, one, state, ends));
      // The button that was pressed is gone: those who use keys go on from its prediction.
      if (focused) open.querySelector(`[data-prediction="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    };
    Explorer.on(["theory", "prediction", "revealed", "guesses"], show);
    show(Explorer.get());
  }

  function facts(pairs) {
    const list = make("dl");
    for (const [name, value] of pairs) if (value) list.append(make("dt", { text: name }), make("dd", {}, value));
    return list;
  }

  function prediction(run, trial, one, state, ends) {
    const shown = isShown(state, one.id);
    const box = make("article", { class: "prediction", "data-prediction": one.id, tabindex: "-1", "aria-label": one.name });
    box.append(
      make("h4", {}, `${one.name[0].toUpperCase()}${one.name.slice(1)} `, make("span", { class: "status", text: one.status }), one.primary ? " primary" : ""),
      make("p", { text: one.statement }),
      numberLine(one, shown),
      facts([
        ["Measured as", one.measured_as], ["Requires", one.requires], ["Forbids", one.forbids],
        ["Rival", `${one.rival}: ${one.rival_said}`],
        ["Guards", one.guards.join("; ")], ["Assumes", one.assumes], ["Source", one.source],
      ]),
    );
    if (!shown) {
      const guess = make("div", { class: "guess", role: "group", "aria-label": "Your guess" }, "Your guess:");
      for (const verdict of ["supported", "contradicted", "undecided"]) {
        const button = make("button", {
          type: "button", text: verdict, "aria-pressed": String(guessOf(state, one.id) === verdict),
          onclick: () => {
            const others = Explorer.get().guesses.filter((guess) => !guess.startsWith(`${one.id}=`));
            Explorer.set({ guesses: [...others, `${one.id}=${verdict}`] });
          },
        });
        guess.append(button);
      }
      guess.append(make("button", {
        type: "button", class: "reveal", text: "Reveal what happened",
        onclick: () => Explorer.set({ revealed: [...Explorer.get().revealed, one.id] }),
      }));
      box.append(guess);
      return box;
    }
    const came = make("div", { class: "came" });
    came.append(make("p", {}, mark(trial, one.verdict), one.said ? ` ${one.said}. ` : " ", one.why));
    came.append(facts([
      ["Your guess was", guessOf(state, one.id)], ["By other events", one.elsewhere.join("; ")],
      ["Does not show", one.does_not_show], ["Stress test", one.stress_test],
      ["What would change it", one.would_change],
    ]));
    const there = one.arms.filter((label) => trial.arms.some((arm) => arm.label === label));
    if (there.length) {
      const chart = make("div");
      came.append(chart);
      if (there.length > MOST_ARMS) came.append(make("p", { class: "says", text: `The first ${MOST_ARMS} of its ${there.length} arms are drawn.` }));
      ends.push(draw(run, trial, chart, [...new Set(["control", ...there.slice(0, MOST_ARMS)])], trial.quantities[0].name, state.clock));
    } else if (one.arms.length) came.append(make("p", { class: "absent", text: "Its arms were not trained, or left no curves." }));
    const checks = trial.checks.filter((check) => one.arms.includes(check.label));
    if (checks.length) came.append(checkTable(run, checks));
    box.append(came);
    return box;
  }

  function checkTable(run, checks) {
    const table = make("table", { class: "checks" });
    table.append(make("caption", { text: "Did the arms do what they say?" }));
    table.createTHead().insertRow().append(...["arm", "check", "worst found", "allowed", "holds"].map((text) => make("th", { scope: "col", text })));
    const body = table.createTBody();
    for (const check of checks) {
      const line = body.insertRow();
      if (check.holds !== "yes") line.className = "failed";
      const found = make("td", {}, Explorer.row("trial_checks", check.row, Explorer.number(check.found), run.index));
      line.append(make("td", { text: check.label }), make("td", { text: check.check }), found, make("td", { text: Explorer.number(check.allowed) }), make("td", { text: check.holds }));
    }
    return make("div", { class: "grid-box", tabindex: "0", role: "group", "aria-label": "Manipulation checks" }, table);
  }

  /* Where the theory wants the number, where the rival does, and, once it is revealed, where it was found. */
  function numberLine(one, shown) {
    const svg = (tag, attributes, text) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      if (text) element.textContent = text;
      return element;
    };
    const regions = [["required", one.required, "#9CCBE8"], ["forbidden", one.forbidden, "#F0C9A0"], ["rival", one.rival_region, "#C9C9C9"]].filter(([, region]) => region);
    const sorted = (values) => values.filter((x) => x !== null && Number.isFinite(x)).sort((a, b) => a - b);
    // Where there is no room for all, the ends of the regions are named.
    const known = [...sorted(regions.flatMap(([, region]) => region)), ...sorted(shown ? [one.value, one.low, one.high] : [])];
    const least = Math.min(...known), most = Math.max(...known), room = (most - least) * 0.25 || Math.abs(most) * 0.25 || 1;
    // No wider than the screen, so that its letters are not made small.
    const low = least - room, high = most + room, W = Math.max(260, Math.min(620, innerWidth - 56)), LEFT = 74, RIGHT = 12;
    const x = (value) => LEFT + (W - LEFT - RIGHT) * (Math.min(Math.max(value, low), high) - low) / (high - low);
    const height = 18 * (regions.length + 1) + 30;
    const line = svg("svg", { viewBox: `0 0 ${W} ${height}`, class: "number-line", role: "img" });
    line.setAttribute("aria-label", `required ${one.requires}; forbidden ${one.forbids}; rival ${one.rival_said}${shown && one.said ? `; found ${one.said}` : ""}`);
    regions.forEach(([name, [from, to], colour], i) => {
      const left = x(from ?? low), right = x(to ?? high), y = 4 + 18 * i;
      line.append(svg("text", { x: 0, y: y + 11, "font-size": 12, fill: "#444" }, name), svg("rect", { x: left, y, width: Math.max(right - left, 2), height: 13, fill: colour, stroke: "#777", "stroke-width": 0.5 }));
    });
    const y = 4 + 18 * regions.length;
    line.append(svg("text", { x: 0, y: y + 11, "font-size": 12, fill: "#444" }, "found"));
    const middle = y + 7;
    if (shown && one.value !== null) {
      const [from, to] = [one.low ?? one.value, one.high ?? one.value];
      line.append(svg("line", { x1: x(from), x2: x(to), y1: middle, y2: middle, stroke: "#000", "stroke-width": 2.5 }));
      if (Number.isFinite(one.value)) line.append(svg("circle", { cx: x(one.value), cy: middle, r: 4.5, fill: "#000" }));
      // What has no bound goes on beyond the end of the line.
      for (const end of new Set([from, one.value, to].filter((value) => !Number.isFinite(value)))) {
        const at = x(end), way = Math.sign(end) * 8;
        line.append(svg("path", { class: "beyond", d: `M${at} ${middle - 5}l${way} 5l${-way} 5z`, fill: "#000" }));
      }
    } else line.append(svg("text", { x: LEFT, y: y + 11, "font-size": 12, fill: "#666" }, shown ? "no number" : "not revealed"));
    const axis = y + 18;
    line.append(svg("line", { x1: LEFT, x2: W - RIGHT, y1: axis, y2: axis, stroke: "#777" }));
    const ticks = [];
    for (const value of known) {
      const at = x(value);
      if (ticks.some((other) => Math.abs(other - at) < 44)) continue;
      ticks.push(at);
      line.append(svg("line", { x1: at, x2: at, y1: axis, y2: axis + 4, stroke: "#777" }), svg("text", { x: at, y: axis + 10, "font-size": 11, fill: "#444", "text-anchor": "middle", "dominant-baseline": "hanging" }, Explorer.number(value)));
    }
    return line;
  }

  /* What it all says, for those who read on. */
  function plainly(trial, place) {
    const list = make("ul");
    for (const one of trial.answer) {
      list.append(make("li", {}, one.verdict ? mark(trial, one.verdict) : "", one.verdict ? " " : "", `${one.text} [${one.status}]`));
    }
    place.append(make("details", { class: "plainly" }, make("summary", { text: "In words: what the evidence says (gives the outcomes away)" }), list));
    if (trial.thinned) place.append(make("p", { class: "says", text: "Curves of arms are thinned to 120 points a branch; first, last and the event are kept." }));
  }
})();
