// Small parts of pages, made of DOM nodes so that no text is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** el("td", {class: "wide"}, "text", node, …) */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** One table row: the first cell is its heading; a cell is text, a node, or [text, class]. */
export function row([head, ...cells], attributes = {}) {
  const cell = (name, content, more) => {
    const [inside, style] = Array.isArray(content) ? content : [content, null];
    return el(name, { ...more, class: style }, inside);
  };
  return el("tr", attributes, cell("th", head, { scope: "row" }),
    ...cells.map((content) => cell("td", content, {})));
}

/** A line over time in an SVG; `values` oldest first, null where nothing was measured. */
export function spark(label, values, shown, { width = 240, height = 48 } = {}) {
  const known = values.filter((value) => value !== null);
  const top = Math.max(1e-9, ...known);
  const step = width / Math.max(1, values.length - 1);
  let path = "";
  values.forEach((value, i) => {
    if (value === null) return;
    const y = height - 2 - (value / top) * (height - 6);
    const begin = i === 0 || values[i - 1] === null;
    path += `${begin ? "M" : "L"}${(i * step).toFixed(1)} ${y.toFixed(1)}`;
  });
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return el("figure", { class: "spark" },
    el("figcaption", {}, label, " ", el("strong", {}, shown)), svg);
}

/** Changes a text only when it differs: an unchanged one should cost no layout and no speech. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows what went wrong in `place` (role="alert"), in sight; "" takes it away. */
export function showError(place, text) {
  setText(place, text);
  place.hidden = text === "";
  if (text) place.scrollIntoView({ block: "nearest" });
}
