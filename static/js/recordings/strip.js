// One lane a face below the curves: its state over time in the expression's colour and shape,
// and the markers with their names above.

import { shapeOf } from "../lib/emotions.js";
import { faceColour } from "../lib/face-tag.js";
import { UNREADABLE } from "./analysis.js";

const LANE = 22;
const SPACE = 6;
const TAG = 18;
const HEAD = 20; // room for the markers' names
const ICON = 12;
const NAME_PX = 90; // two markers closer than this share no line of text

/** Draws `lanes` ([{number of the face, runs}]) and `markers` between range.from and range.to (s). */
export function drawStrip(canvas, { lanes, markers, range, playhead, area }) {
  const width = canvas.parentElement.clientWidth;
  const height = HEAD + lanes.length * (LANE + SPACE);
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  g.font = `12px ${style.fontFamily}`;
  g.textBaseline = "middle";
  const x = (ms) => area.left + (area.width * (ms / 1000 - range.from)) / (range.to - range.from);
  const inside = (px) => px >= area.left - 0.5 && px <= area.left + area.width + 0.5;

  lanes.forEach(({ number, runs }, lane) => {
    const top = HEAD + lane * (LANE + SPACE);
    g.fillStyle = colour("--surface-sunk");
    g.fillRect(area.left, top, area.width, LANE);
    tag(g, number, area.left - 8, top, colour);
    for (const { state, fromMs, toMs } of runs) {
      const left = Math.max(area.left, x(fromMs));
      const right = Math.min(area.left + area.width, Math.max(x(toMs), x(fromMs) + 1));
      if (right <= area.left || left >= area.left + area.width) continue;
      if (state === UNREADABLE) hatch(g, left, top, right - left, colour("--line-strong"));
      else {
        g.fillStyle = colour(`--emotion-${state}`);
        g.fillRect(left, top, right - left, LANE);
        if (right - left > ICON + 8) icon(g, state, (left + right) / 2, top + LANE / 2, colour("--surface"));
      }
    }
  });

  let freeFrom = -Infinity;
  g.textAlign = "left";
  for (const { t_ms, name } of markers) {
    const px = x(t_ms);
    if (!inside(px)) continue;
    g.fillStyle = colour("--ink-soft");
    g.fillRect(px - 0.5, HEAD - 6, 1, height);
    if (px < freeFrom) continue;
    const room = Math.min(NAME_PX, area.left + area.width - px);
    g.fillStyle = colour("--ink");
    if (room > 30) g.fillText(fitted(g, name, room - 6), px + 3, HEAD / 2 - 2);
    freeFrom = px + NAME_PX;
  }
  const head = x(playhead);
  if (inside(head)) {
    g.fillStyle = colour("--ink");
    g.fillRect(head - 1, HEAD - 4, 2, height);
  }
}

/** The face's number in a square of its colour, which ends at `right`. */
function tag(g, number, right, top, colour) {
  const text = String(number);
  g.save();
  g.font = g.font.replace("12px", "700 12px");
  const width = Math.max(TAG, g.measureText(text).width + 8);
  g.fillStyle = colour(faceColour(number));
  g.beginPath();
  g.roundRect(right - width, top + (LANE - TAG) / 2, width, TAG, 5);
  g.fill();
  g.fillStyle = colour("--on-face");
  g.textAlign = "center";
  g.fillText(text, right - width / 2, top + LANE / 2 + 0.5);
  g.restore();
}

function fitted(g, text, room) {
  if (g.measureText(text).width <= room) return text;
  let short = text;
  while (short.length > 1 && g.measureText(`${short}…`).width > room) short = short.slice(0, -1);
  return `${short}…`;
}

function hatch(g, left, top, width, stroke) {
  g.save();
  g.beginPath();
  g.rect(left, top, width, LANE);
  g.clip();
  g.strokeStyle = stroke;
  g.beginPath();
  for (let px = left - LANE; px < left + width; px += 6) {
    g.moveTo(px, top + LANE);
    g.lineTo(px + LANE, top);
  }
  g.stroke();
  g.restore();
}

function icon(g, state, x, y, fill) {
  g.save();
  g.translate(x - ICON / 2, y - ICON / 2);
  g.scale(ICON / 24, ICON / 24);
  g.fillStyle = fill;
  g.fill(new Path2D(shapeOf(state)), "evenodd");
  g.restore();
}
