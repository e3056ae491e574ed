"use strict";
/* Explorer.map(element, {rows, columns, label, colour, onPoint, onHover, className}) gives {canvas, draw(fn, table)}: one
   pixel a cell, drawn with putImageData; fn(i) gives a place in `table` (`colour`, if none is named), of 256 colours, or
   -1 for no number. onPoint and onHover get row and column; onHover gets nulls when the pointer leaves.
   Explorer.ramp(name) gives such a table; Explorer.scaleBar(table, low, high) a bar of it, with its ends in words. */
(() => {
  const { make } = Explorer;
  const STOPS = {
    // From white to dark, even in lightness: what is large is dark, on paper too.
    grey: [[255, 255, 255], [235, 235, 235], [160, 160, 160], [40, 40, 40]],
    blue: [[255, 255, 255], [198, 219, 239], [107, 174, 214], [33, 113, 181], [8, 48, 107]],
    // Vermilion, white, blue: below and above zero.
    both: [[140, 45, 4], [213, 94, 0], [253, 200, 160], [255, 255, 255], [158, 202, 225], [0, 114, 178], [0, 50, 90]],
  };

  function ramp(name) {
    const colours = STOPS[name];
    const table = new Uint32Array(256);
    for (let i = 0; i < 256; i++) {
      const at = i / 255 * (colours.length - 1), low = Math.min(Math.floor(at), colours.length - 2), share = at - low;
      const [r, g, b] = colours[low].map((c, j) => Math.round(c + share * (colours[low + 1][j] - c)));
      table[i] = (255 << 24) | (b << 16) | (g << 8) | r;
    }
    return table;
  }

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

  function scaleBar(table, low, high) {
    const bar = make("span", { class: "ramp" });
    bar.style.background = `linear-gradient(to right, ${Array.from({ length: 9 }, (_, i) => cssOf(table, i * 255 / 8)).join(",")})`;
    return make("span", { class: "scale" }, low, bar, high);
  }

  Object.assign(Explorer, { map, ramp, scaleBar });
})();
