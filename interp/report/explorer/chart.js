"use strict";
/* Explorer.chart(element, {series: [{label, colour, dash, width, x, y, faint, dots}], x: {label, scale}, y: {label,
   scale, min, max}, brackets: [{from, to, label, colour}], cursorStep, height}) gives {update(options), destroy()}.
   Explorer.swatch(line) gives a piece of a line of its colour, width and dashes.

   With cursorStep x is the training step, whose axis needs no label; with scale "log" it has a place for step 0. A
   click or a drag there moves the page's step. The line at the page's step and the values in the legend move without
   drawing the curves again. */
(() => {
  const { make, number } = Explorer;
  const GRID = "#e8e8e8", INK = "#333", FONT = "11px system-ui, sans-serif";
  const POWERS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  const MOST_ROWS = 400;
  const power = (e) => `10${String(e).replace(/./g, (c) => POWERS[c] ?? c)}`;

  /* Where a step lies on the axis, and back. */
  function stepScale(scale, series) {
    if (scale !== "log") return { to: (x) => x, from: (x) => x };
    let least = Infinity;
    for (const one of series) for (const x of one.x) if (x > 0 && x < least) least = x;
    if (!Number.isFinite(least)) least = 1;
    least = Math.max(least, 1);
    return { to: (x) => Math.log10(1 + x / least), from: (u) => least * (10 ** u - 1), least };
  }

  const short = (x) => (x >= 1000 && x % 500 === 0 ? `${x / 1000}k` : String(x));

  function ticks(scale, low, high, pixels) {
    const room = 34 / Math.max(pixels, 1) * (high - low);
    const kept = [];
    const wanted = [0];
    for (let e = 0; e < 9; e++) for (const m of [1, 2, 5]) wanted.push(m * 10 ** e);
    const order = [...wanted.filter((x) => /^10*$/.test(String(x)) || x === 0), ...wanted];
    for (const x of order) {
      const u = scale.to(x);
      if (u < low - 1e-9 || u > high + 1e-9) continue;
      if (kept.every((other) => Math.abs(other - u) >= room)) kept.push(u);
    }
    return kept.sort((a, b) => a - b);
  }

  function label(scale, u) {
    const x = Math.round(scale.from(u) * 1e6) / 1e6;
    return x >= 1000 ? short(Math.round(x)) : String(Math.round(x));
  }

  /* Powers of ten, as many as there is room for; within one decade 1, 2 and 5. */
  function decades(plot, _, low, high) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    if (last - first < 1) {
      const kept = [];
      for (let e = first - 1; e <= last + 1; e++) for (const m of [1, 2, 5]) if (m * 10 ** e >= low && m * 10 ** e <= high) kept.push(m * 10 ** e);
      return kept;
    }
    const room = Math.max(2, Math.floor((plot.height - 60) / 26)), every = Math.ceil((last - first + 1) / room);
    return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => 10 ** (first + i * every));
  }

  const clean = (y, isLog) => y.map((v) => (v === null || v === undefined || !Number.isFinite(v) || (isLog && v <= 0) ? null : v));

  /* The value of a series at a step: of its last point not later. */
  function valueAt(series, step) {
    let found = null;
    for (let i = 0; i < series.x.length && series.x[i] <= step; i++) {
      if (series.y[i] !== null && series.y[i] !== undefined) found = series.y[i];
    }
    return found;
  }

  /* A piece of a line, long enough for its dashes to be told from others. */
  function swatch({ colour, dash, width = 2 }) {
    const svg = (tag, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      return element;
    };
    const size = Math.max(width, 1.4);
    const drawn = svg("svg", { class: "swatch", width: 34, height: 8, viewBox: "0 0 34 8", "aria-hidden": "true" });
    drawn.append(svg("path", { d: "M0 4H34", stroke: colour, "stroke-width": size, ...(dash ? { "stroke-dasharray": dash.join(" ") } : {}) }));
    return drawn;
  }

  function chart(element, options) {
    const box = make("div", { class: "chart" });
    const legend = make("ul", { class: "legend" });
    const place = make("div", { class: "plot", role: "img" });
    const table = make("div", { class: "numbers", hidden: true });
    const line = make("div", { class: "now" });
    box.append(legend, place, table);
    element.append(box);
    let u = null, scale = null, values = [], hovered = null, button = null;
    const isStep = () => options.cursorStep;
    const axis = () => (isStep() ? `training ${Explorer.unit}` : options.x.label);

    function joined() {
      const isLog = options.y?.scale === "log";
      return uPlot.join(options.series.map((s) => {
        const pairs = s.x.map((x, i) => [scale.to(x), i]).sort((a, b) => a[0] - b[0]);
        const y = clean(s.y, isLog);
        return [pairs.map((p) => p[0]), pairs.map((p) => y[p[1]])];
      }));
    }

    function bands(plot) {
      const { ctx } = plot, { top, height } = plot.bbox;
      ctx.save();
      for (const one of options.brackets || []) {
        if (one.to === null || one.to === undefined) continue;
        const x0 = plot.valToPos(scale.to(one.from ?? 0), "x", true), x1 = plot.valToPos(scale.to(one.to), "x", true);
        ctx.globalAlpha = 0.28;
        ctx.fillStyle = one.colour;
        ctx.fillRect(x0, top, Math.max(x1 - x0, 1), height);
        ctx.globalAlpha = 1;
        ctx.fillRect(x1 - devicePixelRatio / 2, top, devicePixelRatio, height);
      }
      ctx.restore();
    }

    function axes() {
      const common = { stroke: INK, font: FONT, labelFont: FONT, grid: { stroke: GRID, width: 1 }, ticks: { stroke: GRID, size: 4 } };
      const isLog = options.y?.scale === "log";
      const x = { ...common, label: axis(), labelSize: 18, size: 30, labelGap: -2 };
      if (options.x?.scale === "log") {
        x.splits = (plot) => ticks(scale, plot.scales.x.min, plot.scales.x.max, plot.bbox.width / devicePixelRatio);
        x.values = (_, splits) => splits.map((v) => label(scale, v));
      } else if (isStep()) x.values = (_, splits) => splits.map((v) => short(v));
      const y = { ...common, ...(isLog ? { splits: decades, filter: (_, splits) => splits } : {}), label: options.y?.label, labelSize: options.y?.label ? 18 : 0, size: 46, labelGap: 0 };
      y.values = (_, splits) => splits.map((v) => {
        if (v === null) return "";
        if (isLog) return Number.isInteger(Math.round(Math.log10(v) * 1e6) / 1e6) ? power(Math.round(Math.log10(v))) : number(v, 1);
        return Math.abs(v) >= 1e4 ? number(v, 2) : String(+v.toPrecision(6));
      });
      return [x, y];
    }

    function build() {
      if (u) u.destroy();
      scale = stepScale(options.x?.scale, options.series);
      const isLog = options.y?.scale === "log";
      const range = options.y?.min !== undefined ? [options.y.min, options.y.max] : undefined;
      u = new uPlot({
        width: Math.max(place.clientWidth, 120), height: options.height || 210,
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { show: false }, y: false, x: options.series.length > 0 },
        scales: { x: { time: false, range: span }, y: { distr: isLog ? 3 : 1, ...(range ? { range: () => range } : {}) } },
        axes: axes(),
        series: [{}, ...options.series.map((s, i) => ({
          stroke: () => options.series[i].colour, width: s.width ?? 1.5, dash: s.dash, spanGaps: true,
          points: { show: s.x.length < 2 || s.dots === true, size: 5 },
        }))],
        hooks: {
          drawClear: [bands], draw: [() => move()],
          setCursor: [(plot) => {
            const left = plot.cursor.left;
            const next = left === null || left < 0 ? null : scale.from(plot.posToVal(left, "x"));
            if (next === hovered) return;
            hovered = next;
            write();
          }],
        },
      }, joined(), place);
      if (isStep()) {
        u.over.append(line);
        u.over.classList.add("steps");
        pointing(u.over);
      }
      move();
    }

    function span(plot, low, high) {
      if (low === null || low === undefined) return [0, 1];
      if (low === high) return [low - 0.5, high + 0.5];
      return [low, high];
    }

    function pointing(over) {
      const go = (event) => {
        const left = event.clientX - over.getBoundingClientRect().left;
        const step = Math.max(0, Math.round(scale.from(u.posToVal(left, "x"))));
        Explorer.goTo(step);
      };
      let isDown = false;
      over.addEventListener("pointerdown", (event) => { isDown = event.button === 0; if (isDown) go(event); });
      over.addEventListener("pointermove", (event) => { if (isDown && event.buttons) go(event); else isDown = false; });
      over.addEventListener("pointerup", () => { isDown = false; });
    }

    function write() {
      const step = hovered ?? Explorer.state.step;
      legend.classList.toggle("hovered", hovered !== null && Boolean(isStep()));
      for (const [one, out] of values) {
        const text = isStep() ? number(valueAt(one, step)) : "";
        if (out.textContent !== text) out.textContent = text;
      }
    }

    function move() {
      if (!u || !isStep()) return;
      const x = u.valToPos(scale.to(Explorer.state.step), "x");
      line.style.transform = `translateX(${Math.round(x)}px)`;
      // A chart that ends before this step has no place for it.
      line.hidden = x < -2 || x > u.over.clientWidth + 2;
      write();
    }

    function words() {
      const named = options.series.filter((s) => s.label && !s.faint).map((s) => s.label);
      place.setAttribute("aria-label", `${options.y?.label || "Curves"} by ${axis()}: ${named.join(", ")}`);
      legend.replaceChildren(...options.series.filter((s) => s.label && !s.faint).map((s) => {
        const out = make("b");
        values.push([s, out]);
        return make("li", {}, swatch(s), s.label, " ", out);
      }));
      for (const one of options.brackets || []) {
        if (!one.label) continue;
        const band = make("i", { class: "band" });
        band.style.background = one.colour;
        legend.append(make("li", {}, band, one.label));
      }
      button = make("button", {
        type: "button", class: "as-table", text: "table", "aria-expanded": String(!table.hidden), "aria-label": `Numbers of: ${place.getAttribute("aria-label")}`,
        onclick: () => {
          table.hidden = !table.hidden;
          button.setAttribute("aria-expanded", String(!table.hidden));
          if (!table.hidden) numbers();
        },
      });
      legend.append(make("li", { class: "end" }, button));
      if (!table.hidden) numbers();
    }

    function numbers() {
      const shown = options.series.filter((s) => s.label);
      const xs = [...new Set(shown.flatMap((s) => s.x))].sort((a, b) => a - b);
      const every = Math.ceil(xs.length / MOST_ROWS), some = xs.filter((_, i) => i % every === 0 || i === xs.length - 1);
      const lookup = shown.map((s) => new Map(s.x.map((x, i) => [x, s.y[i]])));
      table.setAttribute("tabindex", "0");
      table.setAttribute("role", "region");
      table.setAttribute("aria-label", "Numbers of the chart");
      const left = some.length < xs.length ? make("caption", { text: `${some.length} of ${xs.length.toLocaleString("en")} rows, evenly spread` }) : null;
      table.replaceChildren(make("table", {}, left,
        make("thead", {}, make("tr", {}, make("th", { scope: "col", text: axis() }), ...shown.map((s) => make("th", { scope: "col", text: s.label })))),
        make("tbody", {}, ...some.map((x) => make("tr", {}, make("th", { scope: "row", text: String(x) }), ...lookup.map((m) => make("td", { text: number(m.get(x), 4) })))))));
    }

    function update(changes) {
      const before = options;
      options = { ...options, ...changes };
      values = [];
      words();
      const isLike = u && before.series.length === options.series.length && before.x?.scale === options.x?.scale
        && before.y?.scale === options.y?.scale && before.y?.min === options.y?.min && before.y?.max === options.y?.max;
      if (!isLike) { build(); return; }
      scale = stepScale(options.x?.scale, options.series);
      options.series.forEach((s, i) => { u.series[i + 1].width = s.width ?? 1.5; u.series[i + 1].dash = s.dash; });
      u.setData(joined());
      move();
    }

    words();
    build();
    const fitting = new ResizeObserver(() => {
      const width = place.clientWidth;
      if (width > 0 && Math.abs(width - u.width) > 1) { u.setSize({ width, height: options.height || 210 }); move(); }
    });
    fitting.observe(place);
    const unheard = isStep() ? Explorer.on(["step"], move, box) : () => {};
    function destroy() {
      unheard();
      fitting.disconnect();
      u.destroy();
      box.remove();
    }
    return { update, destroy };
  }

  Object.assign(Explorer, { chart, swatch });
})();
