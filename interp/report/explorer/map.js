"use strict";
/* Explorer.map(element, {rows, columns, size, label, colour, onPoint}) gives {canvas, draw(fn)}: one pixel a cell, drawn
   with putImageData; fn(i) gives a place in `colour`, a table of 256 colours, or -1 for no number.
   Explorer.ramp(name) gives such a table. */
(() => {
  const { make } = Explorer;
  const STOPS = {
    // From white to dark, even in lightness: what is large is dark, on paper too.
    grey: [[255, 255, 255], [235, 235, 235], [160, 160, 160], [40, 40, 40]],
    blue: [[255, 255, 255], [198, 219, 239], [107, 174, 214], [33, 113, 181], [8, 48, 107]],
    // Vermilion, white, blue: below and above zero.
    both: [[140, 45, 4], [213, 94, 0], [253, 200, 160], [255, 255, 255], [158, 202, 225], [0, 114, 178], [0, 50, 90]],
  };

  function ramp(stops) {
    const colours = typeof stops === "string" ? STOPS[stops] : stops;
    const table = new Uint32Array(256);
    for (let i = 0; i < 256; i++) {
      const at = i / 255 * (colours.length - 1), low = Math.min(Math.floor(at), colours.length - 2), share = at - low;
      const [r, g, b] = colours[low].map((c, j) => Math.round(c + share * (colours[low + 1][j] - c)));
      table[i] = (255 << 24) | (b << 16) | (g << 8) | r;
    }
    return table;
  }

  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const toward = (hex) => ramp([[255, 255, 255], rgb(hex).map((c) => Math.round((c + 255) / 2)), rgb(hex)]);
  const cssOf = (table, i) => { const c = table[Math.max(0, Math.min(255, Math.round(i)))]; return `rgb(${c & 255} ${(c >> 8) & 255} ${(c >> 16) & 255})`; };
  const NOTHING = (255 << 24) | (225 << 16) | (225 << 8) | 225;

  function map(element, { rows, columns, label, colour, onPoint, onHover, className = "map" }) {
    const canvas = make("canvas", { class: className, width: columns, height: rows, role: "img", "aria-label": label });
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    element.append(canvas);
    const cell = (event) => {
      const box = canvas.getBoundingClientRect();
      const x = Math.floor((event.clientX - box.left) / box.width * columns), y = Math.floor((event.clientY - box.top) / box.height * rows);
      return x < 0 || y < 0 || x >= columns || y >= rows ? null : [y, x];
    };
    if (onPoint) canvas.addEventListener("click", (event) => { const at = cell(event); if (at) onPoint(...at); });
    if (onHover) {
      canvas.addEventListener("pointermove", (event) => { const at = cell(event); if (at) onHover(...at); });
      canvas.addEventListener("pointerleave", () => onHover(null, null));
    }
    return {
      canvas,
      draw(fn, table = colour) {
        for (let i = 0; i < pixels.length; i++) {
          const q = fn(i);
          pixels[i] = q < 0 ? NOTHING : table[q];
        }
        context.putImageData(image, 0, 0);
      },
    };
  }

  /* A bar of the colours with its ends in words. */
  function scaleBar(table, low, high) {
    const bar = make("span", { class: "ramp" });
    bar.style.background = `linear-gradient(to right, ${Array.from({ length: 9 }, (_, i) => cssOf(table, i * 255 / 8)).join(",")})`;
    return make("span", { class: "scale" }, low, bar, high);
  }

  Object.assign(Explorer, { map, ramp, toward, scaleBar, cssOf });
})();
