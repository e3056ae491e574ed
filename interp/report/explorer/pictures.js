"use strict";
/* The panels of a run that are pictures: spectra, neurons, attention, circles, answers, the clock beside it. */
(() => {
  const { make, data, where, number, ramp, scaleBar } = Explorer;
  const colours = data.colours;
  const GREY = ramp("grey"), BLUE = ramp("blue"), BOTH = ramp("both");
  const { colourOf } = Explorer;
  const frame = (run) => Explorer.at(run.index);
  const headName = (layer, head) => `L${layer}H${head}`;
  const ordinal = (n) => `${n}${[11, 12, 13].includes(n % 100) ? "th" : ["th", "st", "nd", "rd"][n % 10] || "th"}`;
  /* The colour of a code, none where there is no number. */
  const colourCode = (array, i) => (array.codes[i] === array.missingCode ? -1 : array.codes[i]);
  /* What lies downward and to the right on a map over pairs of which every n-th is shown. */
  const axesSaid = (run, every) => `${run.cells.labels[0]} downward, ${run.cells.labels[1]} to the right${every > 1 ? `, every ${ordinal(every)} of each` : ""}`;

  /* A canvas for marks, sharp on any screen; draw(ctx, width, height) in CSS pixels. At another width the marks have
     other places: onResize(state) draws them anew. */
  function sketch(element, height, label, onPoint) {
    const canvas = make("canvas", { class: "sketch", role: "img", "aria-label": label });
    element.append(canvas);
    let width = 0;
    const context = canvas.getContext("2d");
    const fit = () => {
      const ratio = devicePixelRatio || 1, now = canvas.parentElement.clientWidth;
      // For a moment of taking a screenshot there is none.
      if (!now || now === width && canvas.height === Math.round(height * ratio)) return;
      width = now;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = `${height}px`;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
    };
    const one = {
      canvas, set height(h) { height = h; }, get width() { fit(); return width; },
      draw(fn) { fit(); context.clearRect(0, 0, width, height); context.font = "11px system-ui, sans-serif"; fn(context, width, height); },
      onResize: null,
    };
    new ResizeObserver(() => {
      const now = canvas.parentElement.clientWidth;
      if (width && now && now !== width) one.onResize?.(Explorer.get());
    }).observe(canvas.parentElement);
    if (onPoint) canvas.addEventListener("click", (event) => { const box = canvas.getBoundingClientRect(); onPoint(event.clientX - box.left, event.clientY - box.top, width); });
    return one;
  }

  /* ---- spectra ---- */
  function spectra(run, into) {
    const both = [["embedding_spectrum", "W_E", "the embedding"], ["neuron_logit_spectrum", "W_L", "the neuron-to-logit map"]].filter(([name]) => Explorer.has(run, name));
    if (!both.length) return;
    const body = Explorer.panel({
      id: `spectra-${run.index}`, title: "Spectra of W_E and W_L", run: run.index, into, csv: both[0][0],
      says: "Share of the power in each frequency at this step; the line is the null of random names. Below, all checkpoints (rows) by frequency (columns). Click a frequency to follow it, a row to go there.",
      python: `interp.measure(run, ${JSON.stringify(both.map(([name]) => name))})`,
    });
    const n = run.frequencies;
    for (const [name, short, long] of both) {
      const table = run.tables[name];
      const values = new Float64Array(run.steps.length * n), nulls = new Float64Array(run.steps.length);
      const at = new Map(run.steps.map((s, i) => [s, i]));
      table.rows.step.forEach((step, i) => {
        values[at.get(step) * n + table.rows.frequency[i] - 1] = table.rows.fraction[i] ?? 0;
        nulls[at.get(step)] = table.rows.null[i] ?? NaN;
      });
      const most = values.reduce((a, b) => Math.max(a, b), 0);
      const LEFT = 48, room = (w) => w - LEFT - 4;
      const frequencyAt = (x, w) => Math.max(1, Math.min(n, Math.ceil((x - LEFT) / room(w) * n)));
      body.append(make("h4", { text: `${short}: ${long}` }));
      const bars = sketch(body, 92, `Share of the power of ${short} by frequency at this step`, (x, _, w) => Explorer.follow("frequency", frequencyAt(x, w)));
      const place = make("div", { class: "over-steps" });
      body.append(place);
      const heat = Explorer.map(place, {
        rows: run.steps.length, columns: n, label: `Share of the power of ${short} by checkpoint (rows, first at the top) and frequency (columns)`, colour: BLUE, className: "map heat",
        onPoint: (row) => Explorer.goTo(run.steps[row]),
      });
      const mark = make("div", { class: "row-now" });
      place.append(mark);
      heat.draw((i) => Math.min(255, Math.round(255 * Math.sqrt(values[i] / most))));
      place.style.height = `${Math.max(48, Math.min(run.steps.length * 2.4, 150))}px`;
      const draw = (state) => {
        const row = frame(run);
        mark.style.top = `${100 * row / run.steps.length}%`;
        mark.style.height = `${100 / run.steps.length}%`;
        bars.draw((ctx, w, h) => {
          const base = h - 16, wide = room(w) / n;
          ctx.fillStyle = "#555";
          ctx.textAlign = "right";
          for (const tick of [0, most / 2, most]) ctx.fillText(number(tick, 2), LEFT - 5, base - tick / most * (base - 16) + 4);
          for (let k = 1; k <= n; k++) {
            const height = values[row * n + k - 1] / most * (base - 16);
            ctx.fillStyle = state.frequency === k ? colourOf(k) === colours.other ? "#000" : colourOf(k) : colourOf(k);
            ctx.globalAlpha = state.frequency === null || state.frequency === k ? 1 : 0.35;
            ctx.fillRect(LEFT + (k - 1) * wide + 0.5, base - height, Math.max(wide - 1, 1), height);
          }
          ctx.globalAlpha = 1;
          ctx.strokeStyle = "#000";
          ctx.setLineDash([2, 3]);
          const level = base - nulls[row] / most * (base - 16);
          if (level > 0) { ctx.beginPath(); ctx.moveTo(LEFT, level); ctx.lineTo(w - 4, level); ctx.stroke(); }
          ctx.setLineDash([]);
          ctx.strokeStyle = "#ccc";
          ctx.beginPath(); ctx.moveTo(LEFT, base + 0.5); ctx.lineTo(w - 4, base + 0.5); ctx.stroke();
          ctx.textAlign = "center";
          ctx.fillStyle = "#555";
          const every = n > 200 ? 100 : n > 60 ? 20 : n > 20 ? 10 : 1;
          for (let k = every; k <= n; k += every) ctx.fillText(k, LEFT + (k - 0.5) * wide, h - 3);
          ctx.fillStyle = "#222";
          const named = [];
          for (const k of Explorer.shownFrequencies(run, state)) {
            if (!(values[row * n + k - 1] / most > 0.12) || named.some((other) => Math.abs(other - k) * wide < 20)) continue;
            named.push(k);
            ctx.fillText(k, LEFT + (k - 0.5) * wide, base - values[row * n + k - 1] / most * (base - 16) - 2);
          }
        });
      };
      bars.onResize = draw;
      Explorer.on(["step", "frequency"], draw, body);
    }
  }

  /* ---- neurons ---- */
  function neuronTable(run) {
    if (run.neuronAt) return run.neuronAt;
    const table = run.tables.neuron_frequencies;
    const at = new Map(run.steps.map((s, i) => [s, i]));
    const n = table.rows.neuron.reduce((a, b) => Math.max(a, b), 0) + 1;
    const frequency = new Uint16Array(run.steps.length * n), share = new Float32Array(run.steps.length * n);
    table.rows.step.forEach((step, i) => {
      const place = at.get(step) * n + table.rows.neuron[i];
      frequency[place] = table.rows.frequency[i];
      share[place] = table.rows.fraction_explained[i] ?? 0;
    });
    run.neuronAt = { n, frequency, share };
    return run.neuronAt;
  }

  /* Neurons of one checkpoint by frequency, the largest group first, the purest neuron first. */
  function grouped(run, row) {
    const { n, frequency, share } = neuronTable(run);
    const groups = new Map();
    for (let i = 0; i < n; i++) {
      const k = frequency[row * n + i];
      if (!groups.has(k)) groups.set(k, []);
      groups.get(k).push(i);
    }
    for (const one of groups.values()) one.sort((a, b) => share[row * n + b] - share[row * n + a]);
    return [...groups].sort((a, b) => (a[0] === 0) - (b[0] === 0) || b[1].length - a[1].length || a[0] - b[0]);
  }

  function neurons(run, into) {
    if (!Explorer.has(run, "neuron_frequencies")) return;
    const body = Explorer.panel({
      id: `neurons-${run.index}`, title: "Neurons by frequency", run: run.index, into, csv: "neuron_frequencies",
      says: "Each square is a neuron: its colour the frequency that explains most of it at this step, grey if no key one; the darker, the more of it that explains. Grouped by this step (each step's own keys) or by the end (final keys): then they keep their places. Click one to follow it.",
      python: 'interp.measure(run, ["neuron_frequencies"])["neuron_frequencies"]',
    });
    const { n, frequency, share } = neuronTable(run);
    let layout = { places: [], labels: [] }, made = "";
    const SIDE = 12, NAME = 72;
    function laid(w, row) {
      const perRow = Math.max(8, Math.floor((w - NAME) / SIDE)), places = new Array(n), labels = [];
      let y = 2;
      const groups = grouped(run, row);
      const large = groups.filter(([k, members]) => k && (members.length >= 4 || colours.frequency[k])).slice(0, 12);
      const rest = groups.filter((g) => !large.includes(g)).flatMap(([, members]) => members);
      for (const [k, members] of [...large, ...(rest.length ? [[0, rest]] : [])]) {
        labels.push({ k, y, n: members.length });
        members.forEach((neuron, i) => { places[neuron] = [NAME + i % perRow * SIDE, y + Math.floor(i / perRow) * SIDE]; });
        y += Math.ceil(members.length / perRow) * SIDE + 6;
      }
      return { places, labels, height: y + 2 };
    }
    const picture = sketch(body, 200, "Neurons by frequency", (x, y) => {
      const hit = layout.places.findIndex((p) => p && x >= p[0] && x < p[0] + SIDE && y >= p[1] && y < p[1] + SIDE);
      if (hit >= 0) Explorer.follow("neuron", hit);
      else { const label = layout.labels.findLast((l) => y >= l.y && x < NAME); if (label?.k) Explorer.follow("frequency", label.k); }
    });
    const said = make("p", { class: "now-said" });
    body.append(said);
    const draw = (state) => {
      const row = frame(run), of = state.keys === "hindsight" ? run.steps.length - 1 : row;
      const w = picture.width, name = `${of} ${w}`;
      if (name !== made) { layout = laid(w, of); made = name; }
      picture.height = layout.height;
      picture.draw((ctx) => {
        ctx.textBaseline = "top";
        for (const label of layout.labels) {
          ctx.fillStyle = "#333";
          ctx.fillText(label.k ? `k = ${label.k}` : "others", 0, label.y);
          ctx.fillStyle = "#777";
          ctx.fillText(label.n, 44, label.y);
        }
        for (let i = 0; i < n; i++) {
          const place = layout.places[i];
          if (!place) continue;
          const k = frequency[row * n + i];
          const dim = state.frequency !== null && k !== state.frequency ? 0.25 : 1;
          ctx.globalAlpha = Math.max(0.08, share[row * n + i]) * dim;
          ctx.fillStyle = k ? colourOf(k) : "#bbb";
          ctx.fillRect(place[0], place[1], SIDE - 1.5, SIDE - 1.5);
          if (i === state.neuron) {
            ctx.globalAlpha = 1;
            ctx.strokeStyle = "#000";
            ctx.lineWidth = 2;
            ctx.strokeRect(place[0] - 1, place[1] - 1, SIDE + 0.5, SIDE + 0.5);
          }
        }
        ctx.globalAlpha = 1;
      });
      let pure = 0;
      for (let i = 0; i < n; i++) if (share[row * n + i] >= 0.85) pure++;
      said.replaceChildren(Explorer.row("neuron_frequencies", { step: run.steps[row] }, `${pure} of ${n}`, run.index), " neurons are explained to 85 % or more by one frequency.");
    };
    picture.onResize = draw;
    Explorer.on(["step", "neuron", "frequency", "keys"], draw, body);
  }

  function neuron(run, into) {
    const shares = run.arrays.neurons;
    if (!shares) {
      if (run.does_not_apply.neurons && run.frequencies) Explorer.absent(run, into, "neuron", "Spectra of neurons", run.does_not_apply.neurons);
      return;
    }
    const [, n, nFrequencies] = shares.shape;
    const body = Explorer.panel({
      id: `neuron-${run.index}`, title: "What neurons respond to", run: run.index, into,
      says: "Above: each neuron (columns, in the order of their frequency) by the frequencies (rows) that explain it at this step. Below: the one that is followed, or else the purest: how much of it each frequency explains, along training.",
      python: 'interp.measure(run, ["neuron_frequencies"])["neuron_frequencies"]',
      csv: () => {
        const rows = { step: [], neuron: [], frequency: [], share: [] }, one = current(), i0 = frame(run);
        for (let k = 0; k < nFrequencies; k++) {
          rows.step.push(run.steps[i0]); rows.neuron.push(one); rows.frequency.push(k + 1);
          rows.share.push(+shares.value(shares.codes[(i0 * n + one) * nFrequencies + k]).toPrecision(3));
        }
        return { columns: Object.keys(rows), rows };
      },
    });
    const place = make("div", { class: "spectra-of-neurons" });
    body.append(place);
    const heat = Explorer.map(place, {
      rows: nFrequencies, columns: n, label: "Share of each neuron (columns) by frequency (rows, 1 at the top)", colour: BLUE, className: "map heat",
      onPoint: (_, column) => Explorer.follow("neuron", order()[column]),
    });
    body.append(scaleBar(BLUE, "0 ", " 1 of the neuron’s variance"));
    const title = make("h4");
    body.append(title);
    let sorted = { row: -1, order: [] };
    function order() {
      const row = Explorer.state.keys === "hindsight" ? run.steps.length - 1 : frame(run);
      if (sorted.row !== row) sorted = { row, order: grouped(run, row).flatMap(([, members]) => members) };
      return sorted.order;
    }
    const purest = () => { const { share } = neuronTable(run), last = (run.steps.length - 1) * n; let best = 0; for (let i = 1; i < n; i++) if (share[last + i] > share[last + best]) best = i; return best; };
    const isThere = () => Explorer.state.neuron !== null && Explorer.state.neuron < n;
    const current = () => (isThere() ? Explorer.state.neuron : purest());
    let drawn = null;
    Explorer.on(["step", "keys", "arrays"], () => {
      if (!shares.codes) return;
      const now = order(), base = frame(run) * n * nFrequencies;
      heat.draw((i) => colourCode(shares, base + now[i % n] * nFrequencies + Math.floor(i / n)));
    }, body);
    Explorer.on(["neuron", "frequency", "arrays"], (state) => {
      if (!shares.codes) return;
      const one = current();
      const share = (k) => run.steps.map((_, i) => shares.value(shares.codes[(i * n + one) * nFrequencies + k - 1]));
      const last = run.steps.length - 1;
      const own = neuronTable(run).frequency[last * n + one];
      const wanted = [...new Set([own, ...Explorer.shownFrequencies(run, state)])].filter((k) => k >= 1 && k <= nFrequencies);
      title.textContent = `Neuron ${one}${isThere() ? "" : ", the purest at the end"}`;
      const series = wanted.map((k) => ({ label: `k = ${k}`, ...Explorer.lineOf(k), x: run.steps, y: share(k), width: k === own ? 2.2 : 1.1 }));
      const options = { series, x: { scale: "linear" }, y: { label: "share", scale: "linear", min: 0, max: 1 }, cursorStep: true, height: 150 };
      if (drawn) drawn.update(options); else drawn = Explorer.chart(body, options);
    }, body);
  }

  /* ---- attention ---- */
  function attention(run, into) {
    const array = run.arrays.attention;
    if (!array) { if (run.does_not_apply.attention) Explorer.absent(run, into, "attention", "Attention", run.does_not_apply.attention); return; }
    const { side, heads } = run.attention;
    const body = Explorer.panel({
      id: `attention-${run.index}`, title: "Attention to the first operand, per head", run: run.index, into, csv: "attention_patterns",
      wide: heads.length > 8 && data.runs.length === 1,
      says: `Of the answer’s position, over all pairs: ${axesSaid(run, run.attention.every)}. Click a head to follow it.`,
      python: 'interp.measure(run, ["attention_patterns", "attention_periodicity"])\nmodel = run.model(run.steps[-1])\n_, cache = model.run_with_cache(run.task.tokens)\ncache["blocks.0.attn.hook_pattern"]',
    });
    const size = side * side, grid = make("div", { class: "heads" });
    body.append(grid, scaleBar(GREY, "0 ", " 1 of the attention"));
    heads.forEach(([layer, head], h) => {
      const figure = make("figure"), said = make("span"), name = headName(layer, head);
      const button = make("button", { type: "button", class: "head", "data-head": name, onclick: () => Explorer.follow("head", name) }, name);
      grid.append(figure);
      const picture = Explorer.map(figure, { rows: side, columns: side, label: `Attention of head ${name} to the first operand`, colour: GREY, onPoint: () => Explorer.follow("head", name) });
      figure.append(make("figcaption", {}, button, " ", said));
      Explorer.on(["step", "head", "arrays", "frequency"], (state) => {
        const row = frame(run), base = (row * heads.length + h) * size;
        if (array.codes) picture.draw((i) => colourCode(array, base + i));
        const found = Explorer.has(run, "attention_periodicity") ? where(run.index, "attention_periodicity", { step: run.steps[row], layer, head }) : null;
        const k = found?.frequency[0], isFollowed = state.head === name || (state.head === null && state.frequency !== null && k === state.frequency);
        figure.classList.toggle("is-followed", isFollowed);
        button.setAttribute("aria-pressed", String(state.head === name));
        if (found?.frequency.length) said.replaceChildren(Explorer.row("attention_periodicity", { step: run.steps[row], layer, head }, k ? `${number(found.fraction_explained[0], 2)} in k = ${k}` : "constant", run.index));
      }, figure);
    });
    if (!Explorer.has(run, "attention_periodicity")) return;
    const series = (state) => heads.map(([layer, head], h) => {
      const rows = where(run.index, "attention_periodicity", { layer, head });
      const name = headName(layer, head);
      return { label: name, ...Explorer.nth(h), x: rows.step, y: rows.fraction_explained, width: state.head === null ? 1.5 : state.head === name ? 3 : 0.8 };
    });
    const drawn = Explorer.chart(body, { series: series(Explorer.state), x: { scale: "linear" }, y: { label: "share at its k", scale: "linear", min: 0, max: 1 }, cursorStep: true, height: 150 });
    Explorer.on(["head"], (state) => drawn.update({ series: series(state) }), body);
  }

  /* ---- circles ---- */
  /* A colour wheel for residues by their place in the cycle of a frequency. */
  const hue = (x) => `hsl(${Math.round(360 * x)} 62% 45%)`;

  function circles(run, into) {
    const array = run.arrays.circles;
    if (!array) { if (run.does_not_apply.circles && run.frequencies) Explorer.absent(run, into, "circles", "Embedding circles", run.does_not_apply.circles); return; }
    const [, , nFrequencies, n] = array.shape, listed = run.circles.frequencies;
    const body = Explorer.panel({
      id: `circles-${run.index}`, title: "Embedding circles", run: run.index, into, csv: "circles",
      says: "Each residue where its embedding lies in the plane of a frequency’s cosine and sine; its colour its place in that cycle. Each step’s own plane makes something of a circle even of random embeddings; the final plane (keys: the run’s final) does not. In the corner, the share of the points’ spread at that frequency. Rightmost: the circle of the formula.",
      python: "from interp.mathematics.fourier import transform\nfrom interp.snapshots.residues import Residues\nfrom interp.snapshots.snapshot import Snapshot\nembedding = Snapshot.of(run, run.steps[-1]).once(Residues).embedding\ntransform(embedding.double())",
    });
    const picture = sketch(body, 190, "Embedding circles per key frequency", (x, y, w) => { const hit = boxes(w, Explorer.state).find((b) => x >= b.x && x < b.x + b.size && y >= b.y && y < b.y + b.size + 18); if (hit?.k) Explorer.follow("frequency", hit.k); });
    const largest = new Map();
    const table = run.tables.circles;
    table.rows.step.forEach((step, i) => largest.set(`${step} ${table.rows.plane[i]} ${table.rows.frequency[i]}`, [table.rows.largest[i], table.rows.share[i]]));
    const most = new Map();
    table.rows.step.forEach((_, i) => { const key = `${table.rows.plane[i]} ${table.rows.frequency[i]}`; most.set(key, Math.max(most.get(key) || 0, table.rows.largest[i])); });
    function boxes(w, state) {
      const wanted = Explorer.shownFrequencies(run, state).filter((k) => listed.includes(k)).slice(0, 9);
      const perRow = Math.max(2, Math.min(wanted.length + 1, Math.floor(w / 118))), size = Math.min(170, Math.floor(w / perRow) - 8);
      return [...wanted, null].map((k, i) => ({ k, x: i % perRow * (size + 8), y: Math.floor(i / perRow) * (size + 24), size }));
    }
    const draw = (state) => {
      if (!array.codes) return;
      const row = frame(run), plane = state.keys === "hindsight" ? 1 : 0, name = plane ? "final" : "own";
      const list = boxes(picture.width, state);
      picture.height = Math.max(...list.map((b) => b.y + b.size)) + 22;
      const shown = Explorer.followedIn(run, state) ?? run.followed[0];
      picture.draw((ctx) => {
        for (const { k, x, y, size } of list) {
          const middle = size / 2, radius = size / 2 - 6;
          ctx.strokeStyle = k && k === state.frequency ? colourOf(k) : "#ddd";
          ctx.lineWidth = k && k === state.frequency ? 2.5 : 1;
          ctx.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
          const f = k ?? shown, at = listed.indexOf(f), [own, share] = largest.get(`${run.steps[row]} ${name} ${f}`) || [0, 0];
          const reach = k ? own / (most.get(`${name} ${f}`) || 1) : 0.85;
          const base = (((row * 2 + plane) * nFrequencies) + at) * n * 2;
          for (let r = 0; r < n; r++) {
            const phase = (f * r % n) / n;
            const px = k ? array.value(array.codes[base + 2 * r]) : Math.cos(2 * Math.PI * phase), py = k ? array.value(array.codes[base + 2 * r + 1]) : Math.sin(2 * Math.PI * phase);
            ctx.fillStyle = hue(phase);
            ctx.fillRect(x + middle + px * reach * radius - 1.5, y + middle - py * reach * radius - 1.5, 3, 3);
          }
          ctx.fillStyle = "#333";
          ctx.textAlign = "left";
          ctx.fillText(k ? `k = ${k}` : `formula, k = ${f}`, x + 2, y + size + 14);
          if (k) { ctx.textAlign = "right"; ctx.fillText(number(share, 2), x + size - 2, y + size + 14); }
        }
        ctx.textAlign = "left";
      });
    };
    picture.onResize = draw;
    Explorer.on(["step", "keys", "frequency", "arrays"], draw, body);
  }

  /* ---- answers ---- */
  function answers(run, into) {
    if (!run.arrays.probability) { if (run.does_not_apply.answers) Explorer.absent(run, into, "answers", "Answers", run.does_not_apply.answers); return; }
    const isTrain = run.arrays.is_train;
    const body = Explorer.panel({
      id: `answers-${run.index}`, title: "Answers over all pairs", run: run.index, into, csv: () => tableOf(),
      says: `Of pairs (a, b), ${axesSaid(run, run.cells.every)}.${isTrain ? " Train pairs or test pairs alone: the others are grey." : ""}`,
      python: "from interp.snapshots.snapshot import Snapshot\nsnapshot = Snapshot.of(run, run.steps[-1])\nsnapshot.log_probabilities, snapshot.answers, snapshot.labels",
    });
    const { side, every, operands } = run.cells, size = side * side;
    /* How far a wrong answer is off, either way round the cycle; 1 where there is none. */
    const off = (q) => (run.n ? Math.min(q, run.n - q) : q);
    const kinds = { probability: "probability of the right answer", margin: "margin of the right answer", error: run.n ? "distance of the answer from the right one" : "right or wrong" };
    const kind = make("select", { "aria-label": "What is shown" }, ...Object.entries(kinds).map(([value, text]) => make("option", { value, text })));
    const part = make("select", { "aria-label": "Which pairs" }, ...["all", "train", "test"].map((text) => make("option", { value: text, text: `${text} pairs` })));
    const scale = make("span"), said = make("p", { class: "now-said" }), place = make("div", { class: "answers" });
    body.append(make("p", {}, kind, " ", isTrain ? part : null, " ", scale), place, said);
    const cell = make("p", { class: "now-said cell" });
    body.append(cell);
    const picture = Explorer.map(place, {
      rows: side, columns: side, label: "Answers over all pairs", colour: BLUE,
      onHover: (a, b) => { cell.textContent = a === null ? " " : words(a, b); },
    });
    cell.textContent = " ";
    const at = (name, i) => { const array = run.arrays[name]; return array.value(array.codes[frame(run) * size + i]); };
    const words = (row, column) => {
      const i = row * side + column, wrong = off(at("error", i)), split = isTrain ? ` (${isTrain.codes[i] ? "train" : "test"})` : "";
      return `a = ${operands[0][row]}, b = ${operands[1][column]}${split}: probability ${number(at("probability", i), 2)}, margin ${number(at("margin", i), 2)}, ${wrong === 0 ? "right" : run.n ? `off by ${wrong}` : "wrong"}`;
    };
    function tableOf() {
      const rows = { a: [], b: [], ...(isTrain ? { is_train: [] } : {}), probability: [], margin: [], error: [] };
      for (let i = 0; i < size; i++) {
        rows.a.push(operands[0][Math.floor(i / side)]); rows.b.push(operands[1][i % side]); rows.is_train?.push(isTrain.codes[i]);
        for (const name of ["probability", "margin"]) { const value = at(name, i); rows[name].push(Number.isNaN(value) ? null : +value.toPrecision(3)); }
        rows.error.push(off(at("error", i)));
      }
      return { columns: Object.keys(rows), rows };
    }
    function draw() {
      const { probability, margin, error } = run.arrays;
      if (![probability, margin, error, ...(isTrain ? [isTrain] : [])].every((one) => one.codes)) return;
      const name = kind.value, array = run.arrays[name], base = frame(run) * size, wanted = part.value;
      const train = isTrain ? isTrain.codes : new Uint8Array(size);
      const table = name === "probability" ? BLUE : name === "margin" ? BOTH : BLUE;
      const half = run.n ? Math.max(Math.floor(run.n / 2), 1) : 1;
      const value = name === "error" ? (i) => Math.min(255, Math.round(255 * off(error.codes[i]) / half)) : (i) => colourCode(array, i);
      picture.draw((i) => (wanted !== "all" && (train[i] === 1) !== (wanted === "train") ? -1 : value(base + i)), table);
      const ends = { probability: ["0 ", " 1"], margin: [`${number(array.offset, 2)} `, ` ${number(-array.offset, 2)} logits`], error: ["right ", run.n ? ` ${Math.floor(run.n / 2)} off` : " wrong"] }[name];
      scale.replaceChildren(scaleBar(table, ...ends));
      const right = [0, 0], count = [0, 0];
      for (let i = 0; i < size; i++) { count[train[i]]++; if (error.codes[base + i] === 0) right[train[i]]++; }
      const parts = isTrain ? [[1, "train pairs"], [0, "test pairs"]] : [[0, "pairs"]];
      said.textContent = `Right${every > 1 ? ", of the pairs shown" : ""}: ${parts.map(([i, name]) => `${right[i]} of ${count[i]} ${name}`).join(", ")}.`;
    }
    kind.addEventListener("change", draw);
    part.addEventListener("change", draw);
    Explorer.on(["step", "arrays"], draw, body);
  }

  /* ---- the clock ---- */
  function coefficients(run) {
    if (run.clockAt) return run.clockAt;
    const table = run.tables.logit_spectrum, at = new Map(run.steps.map((s, i) => [s, i])), n = run.n;
    const found = run.steps.map(() => new Float64Array(run.frequencies + 1));
    // Of cubes of norm one: n sqrt(n / 2), and n sqrt(n) for the frequency n / 2.
    table.rows.step.forEach((step, i) => { const k = table.rows.frequency[i]; found[at.get(step)][k] = (table.rows.coefficient[i] ?? 0) / (n * Math.sqrt(2 * k === n ? n : n / 2)); });
    run.clockAt = found;
    return found;
  }
  /* The formula's logit at each distance from the right answer. */
  function formula(run, row, keys) {
    const alpha = coefficients(run)[row], out = new Float64Array(run.n);
    for (const k of keys) for (let e = 0; e < run.n; e++) out[e] += alpha[k] * Math.cos(2 * Math.PI * k * e / run.n);
    return out;
  }

  function clock(run, into) {
    if (!Explorer.has(run, "clock")) return;
    const body = Explorer.panel({
      id: `clock-${run.index}`, title: "A hand-built clock beside it", run: run.index, into, csv: "logit_spectrum",
      says: `The formula Σ αₖ cos(wₖ(a+b−c)) at the key frequencies${run.keys.hindsight.length ? "" : ` (in place of final ones, the ${Explorer.finalName(run)})`}, each with its best factor. ${run.arrays.plane ? `Logits of the pairs with ${run.cells.labels[1]} = 0: ${run.cells.labels[0]} downward, answers to the right, relative to the largest.` : `Maps over all ${run.n} answers would make this page too large: the share that the formula explains stands beside.`}`,
      python: 'spectrum = interp.measure(run, ["logit_spectrum"])["logit_spectrum"]\nspectrum.groupby("step")["fraction_explained"].sum()',
    });
    const array = run.arrays.plane, n = run.n;
    if (array) {
      const grid = make("div", { class: "pair" });
      body.append(grid);
      const [learned, built] = [["the network", 0], ["the formula", 1]].map(([text]) => {
        const figure = make("figure"); grid.append(figure);
        const picture = Explorer.map(figure, { rows: n, columns: n, label: `Logits of the pairs with ${run.cells.labels[1]} = 0: ${text}`, colour: BOTH });
        figure.append(make("figcaption", { text }));
        return picture;
      });
      Explorer.on(["step", "keys", "arrays"], (state) => {
        if (!array.codes) return;
        const row = frame(run), base = row * n * n;
        learned.draw((i) => colourCode(array, base + i));
        const f = formula(run, row, Explorer.keysAt(run, state, run.followed)), most = Math.max(1e-12, ...f.map(Math.abs));
        built.draw((i) => Math.round(127 + 127 * f[((i % n) - Math.floor(i / n) + n) % n] / most));
      }, body);
    }
  }

  function distance(run, into) {
    const table = run.tables.logits_by_distance;
    if (!Explorer.has(run, "logits_by_distance")) return;
    const body = Explorer.panel({
      id: `distance-${run.index}`, title: "How much of the logits is a clock", run: run.index, into, csv: "clock",
      says: `Mean over all pairs${run.cells.every > 1 ? ` of every ${ordinal(run.cells.every)} operand` : ""} of the logit of a+b+d, with its standard deviation (thin), beside the clock’s (dashed). A clock has no spread. Below: the share of the logits’ variance that it explains.`,
      python: "from interp.snapshots.residues import Residues\nfrom interp.snapshots.snapshot import Snapshot\ncube = Snapshot.of(run, run.steps[-1]).once(Residues).centred_cube",
    });
    const n = run.n, half = Math.floor(n / 2), at = new Map(run.steps.map((s, i) => [s, i]));
    const mean = new Float64Array(run.steps.length * n), sd = new Float64Array(run.steps.length * n);
    table.rows.step.forEach((step, i) => { const place = at.get(step) * n + table.rows.distance[i]; mean[place] = table.rows.mean[i]; sd[place] = table.rows.sd[i]; });
    const x = Array.from({ length: n }, (_, i) => i - half);
    const curve = make("div");
    body.append(curve);
    let drawn = null;
    Explorer.on(["step", "keys"], (state) => {
      const row = frame(run), place = (d) => row * n + (d + n) % n;
      const f = formula(run, row, Explorer.keysAt(run, state, run.followed));
      const series = [
        { label: "network", colour: colours.palette[0], x, y: x.map((d) => mean[place(d)]), width: 2 },
        { label: "one sd", colour: colours.palette[5], x, y: x.map((d) => mean[place(d)] + sd[place(d)]), width: 0.8 },
        { label: null, colour: colours.palette[5], x, y: x.map((d) => mean[place(d)] - sd[place(d)]), width: 0.8 },
        { label: "clock", colour: colours.palette[1], dash: [4, 3], x, y: x.map((d) => f[(d + n) % n]), width: 1.6 },
      ];
      const options = { series, x: { label: "distance of the answer from a+b", scale: "linear" }, y: { label: "logit, centred", scale: "linear" }, height: 190 };
      if (drawn) drawn.update(options); else drawn = Explorer.chart(curve, options);
    }, body);
    const ofKeys = (state) => ["leak-free", "hindsight", "all"].map((keys, i) => {
      const rows = where(run.index, "clock", { keys: i === 1 && !run.keys.hindsight.length ? "strongest" : keys });
      return { label: ["each step’s keys", Explorer.finalName(run), "all frequencies"][i], colour: [colours.palette[0], colours.palette[1], "#777777"][i], dash: i === 2 ? [3, 3] : undefined, width: state.keys === keys ? 2.6 : 1.2, x: rows.step, y: rows.share };
    });
    const shares = Explorer.chart(body, { series: ofKeys(Explorer.state), x: { scale: "linear" }, y: { label: "share of the logits", scale: "linear", min: 0, max: 1 }, cursorStep: true, height: 160, brackets: Explorer.bracketsOf(run) });
    Explorer.on(["keys"], (state) => shares.update({ series: ofKeys(state) }), body);
  }

  Explorer.pictures = { spectra, neurons, neuron, attention, circles, answers, clock, distance };
})();
