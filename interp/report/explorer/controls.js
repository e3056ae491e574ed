"use strict";
/* The bar that stays in view: slider, play, phases, what is followed; and the keys. */
(() => {
  const { make, data } = Explorer;
  const state = Explorer.state;
  const steps = [...new Set(data.runs.flatMap((run) => run.steps))].sort((a, b) => a - b);
  const SECONDS = 0.25;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)");

  /* The checkpoint nearest to a step. */
  function nearest(step) {
    return steps.reduce((best, s) => (Math.abs(s - step) < Math.abs(best - step) ? s : best), steps[0]);
  }
  Explorer.goTo = (step) => Explorer.set({ step: nearest(step), playing: false });
  const index = () => Explorer.at(steps);
  const move = (by) => Explorer.set({ step: steps[Math.max(0, Math.min(steps.length - 1, index() + by))], playing: false });

  /* The final key frequencies in words: a run that never generalised has none, and only its strongest are followed. */
  const hasFinal = data.runs.some((run) => run.keys.hindsight.length);

  /* The phases of a run that came, in the order of their steps. */
  Explorer.begun = (run) => Object.entries(run.phases).filter(([, p]) => p.step !== null && p.step !== undefined)
    .map(([name, p]) => ({ name, ...p, colour: data.colours.phase[name] })).sort((a, b) => a.step - b.step);
  Explorer.bracketsOf = (run, named = false) => Explorer.begun(run).map((p) => ({
    from: p.before ?? 0, to: p.step, colour: p.colour, label: named ? p.said : null,
  }));

  function follow(key, value) { Explorer.set({ [key]: state[key] === value ? null : value }); }
  Explorer.follow = follow;
  /* Colour and dashes, as in figures: of a frequency, and of the n-th of heads or matrices. */
  Explorer.lineOf = (frequency) => data.colours.frequency[frequency] || { colour: data.colours.other };
  Explorer.colourOf = (frequency) => Explorer.lineOf(frequency).colour;
  Explorer.nth = (n) => data.colours.nth[n % data.colours.nth.length];

  const slider = make("input", {
    type: "range", id: "step", min: 0, max: steps.length - 1, step: 1, "aria-label": "Checkpoint",
    oninput: () => Explorer.set({ step: steps[slider.valueAsNumber], playing: false }),
  });
  const shown = make("output", { for: "step", id: "shown" });
  const play = make("button", { type: "button", id: "play", "aria-pressed": "false", onclick: toggle, title: "Play (space)" });
  const chips = make("div", { class: "chips" });
  const strips = data.runs.map(() => make("div", { class: "strip", "aria-hidden": "true" }));
  const keys = make("button", {
    type: "button", id: "keys", onclick: () => Explorer.set({ keys: state.keys === "leak-free" ? "hindsight" : "leak-free" }),
  });
  const help = make("button", { type: "button", text: "?", "aria-label": "Keys of this page", onclick: () => showHelp() });

  function toggle() {
    if (steps.length < 2) return;
    const isAtEnd = index() === steps.length - 1;
    Explorer.set({ playing: !state.playing, ...(!state.playing && isAtEnd ? { step: steps[0] } : {}) });
  }

  let timer = 0;
  function tick() {
    const next = index() + 1;
    if (next >= steps.length) { Explorer.set({ playing: false }); return; }
    Explorer.set({ step: steps[next] });
  }

  function drawBar() {
    const i = index();
    slider.value = i;
    slider.setAttribute("aria-valuetext", `${Explorer.unit} ${steps[i]}`);
    shown.textContent = `${Explorer.unit} ${steps[i].toLocaleString("en")}`;
    shown.title = `checkpoint ${i + 1} of ${steps.length}`;
    for (const button of document.querySelectorAll(".to-step")) {
      button.classList.toggle("is-here", nearest(+button.dataset.step) === steps[i]);
    }
  }

  function drawPlaying() {
    play.textContent = state.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", state.playing ? "Pause" : "Play");
    play.setAttribute("aria-pressed", String(state.playing));
    clearInterval(timer);
    // Without motion a step a second: a slide show, not an animation.
    if (state.playing) timer = setInterval(tick, 1000 * (isStill.matches ? 1 : SECONDS));
  }

  function drawFollowed() {
    const words = [["frequency", (k) => `frequency ${k}`], ["neuron", (n) => `neuron ${n}`], ["head", (name) => `head ${name}`]];
    chips.replaceChildren(...words.filter(([key]) => state[key] !== null).map(([key, said]) => {
      const chip = make("button", {
        type: "button", class: "chip", "aria-label": `Follow ${said(state[key])} no longer`, onclick: () => Explorer.set({ [key]: null }),
      }, said(state[key]), " ×");
      if (key === "frequency") chip.style.borderColor = Explorer.colourOf(state.frequency);
      return chip;
    }));
    keys.textContent = state.keys === "leak-free" ? "keys: each step's own" : hasFinal ? "keys: the run's final" : "keys: none, the strongest";
    keys.title = `Key frequencies as this checkpoint shows them (leak-free), or ${hasFinal ? "those of the whole run" : "the strongest at the end, of a run that has no key ones"}, which know how it ends (hindsight)`;
  }

  /* Where phases begin, by checkpoint, as the slider is; a strip a run. */
  function drawStrips() {
    const at = (step) => 100 * Explorer.at(steps, step) / Math.max(steps.length - 1, 1);
    data.runs.forEach((run, i) => strips[i].replaceChildren(...Explorer.begun(run).map((p) => {
      const left = p.before === null ? 0 : at(p.before), band = make("span", { title: named(run, p.said) });
      band.style.cssText = `left:${left}%;width:max(3px,${at(nearest(p.step)) - left}%);background:${p.colour}`;
      return band;
    })));
  }
  const named = (run, text) => (data.runs.length > 1 ? `${run.name}: ${text}` : text);

  const KEYS = [
    ["← →", "one checkpoint back or on"], ["shift + ← →", "ten"], ["space", "play, pause"], ["home, end", "first, last"],
    ["1 to 9", "to where the phases begin, in their order"], ["k", "keys of each step, or the final ones"], ["esc", "follow nothing"], ["?", "this"],
  ];
  const dialog = document.getElementById("help");
  dialog.append(
    make("h2", { id: "help-title", text: "Keys" }),
    make("dl", {}, ...KEYS.flatMap(([key, says]) => [make("dt", { text: key }), make("dd", { text: says })])),
    make("p", { text: "Click a frequency, a neuron or a head to follow it in every panel. Click or drag on any chart of training steps to go there. The address keeps all of it: copy it to show someone what you see." }),
    make("button", { type: "button", text: "Close", onclick: () => dialog.close() }));
  function showHelp() { if (!dialog.open) dialog.showModal(); }

  function pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || dialog.open) return;
    const { target } = event;
    const isTyping = target.matches("input:not([type=range]), select, textarea");
    const isPressed = target.matches("button, summary, a");
    // What scrolls keeps the keys that scroll it.
    const isScrolled = target.matches("[tabindex='0']") && /^(Arrow|Home|End| )/.test(event.key);
    if (isTyping || isScrolled) return;
    const n = event.shiftKey ? 10 : 1;
    const begun = data.runs.flatMap((run) => Explorer.begun(run)).sort((a, b) => a.step - b.step);
    const acts = {
      ArrowLeft: () => move(-n), ArrowRight: () => move(n), Home: () => move(-steps.length), End: () => move(steps.length),
      "?": showHelp, Escape: () => Explorer.set({ frequency: null, neuron: null, head: null }), k: () => keys.click(),
      ...(isPressed ? {} : { " ": toggle }),
    };
    const act = acts[event.key] || (/^[1-9]$/.test(event.key) && begun[event.key - 1] ? () => Explorer.goTo(begun[event.key - 1].step) : null);
    if (!act) return;
    event.preventDefault();
    act();
  }

  Explorer.controls = () => {
    const bar = document.getElementById("bar");
    if (steps.length > 1) {
      bar.append(play, make("div", { class: "track" }, slider, ...strips), shown);
      drawStrips();
    } else bar.append(make("p", { text: `One checkpoint: ${Explorer.unit} ${steps[0]}. There is nothing to move.` }), shown);
    bar.append(keys, chips, help);
    if (!data.runs.some((run) => run.frequencies)) keys.hidden = true;
    document.addEventListener("keydown", pressed);
    document.addEventListener("click", (event) => {
      const row = event.target.closest("a.row[data-table]");
      if (row) {
        event.preventDefault();
        Explorer.showRow(row.dataset.table, JSON.parse(row.dataset.rows), +row.dataset.run);
      }
      const button = event.target.closest(".to-step");
      if (button) Explorer.goTo(+button.dataset.step);
    });
    addEventListener("beforeprint", () => Explorer.flush(true));
    Explorer.on(["step"], drawBar);
    Explorer.on(["playing"], drawPlaying);
    Explorer.on(["frequency", "neuron", "head", "keys"], drawFollowed);
    drawBar(); drawPlaying(); drawFollowed();
  };
})();
