// The shape of an expression as an <svg> in its colour (by CSS class).

import { shapeOf } from "./emotions.js";

const SVG = "http://www.w3.org/2000/svg";

/** An <svg> of a label's shape in its colour (by CSS class), hidden from screen readers. */
export function icon(label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `shape shape--${label}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", shapeOf(label));
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}
