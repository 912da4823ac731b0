// "Try it" on the page of the interface: posts a picture as any program would, shows what comes back.

import { likelihood, nameOf } from "../lib/emotions.js";
import { call } from "../lib/http.js";
import { tn } from "../lib/i18n.js";

const form = document.querySelector("[data-try]");
const find = (name) => document.querySelector(`[data-${name}]`);
const button = form.querySelector("button");
const LINE = "#0679b7";

/** Draws the picture with the boxes of the answer, whose pixels are those of its `frame`. */
async function draw(file, { frame, faces }) {
  const [canvas] = document.getElementsByTagName("canvas");
  const picture = await createImageBitmap(file).catch(() => null); // a kind that only the server reads
  canvas.hidden = !picture;
  if (!picture) return;
  canvas.width = frame.width;
  canvas.height = frame.height;
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, frame.width, frame.height);
  picture.close();
  const size = Math.max(frame.width, frame.height) / 48;
  context.lineWidth = size / 5;
  context.font = `600 ${size}px system-ui, sans-serif`;
  for (const { box: [x1, y1, x2, y2], label, confidence } of faces) {
    const said = `${nameOf(label)} ${likelihood(confidence)}`;
    context.strokeStyle = LINE;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.fillStyle = LINE;
    context.fillRect(x1, Math.max(0, y1 - 1.5 * size), context.measureText(said).width + size, 1.5 * size);
    context.fillStyle = "#fff";
    context.fillText(said, x1 + size / 2, Math.max(0, y1 - 1.5 * size) + 1.1 * size);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [file] = form.elements.image.files;
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  find("picture").hidden = true;
  try {
    const answer = await call("POST", "/api/v1/analyze", file);
    const count = answer.faces.length;
    find("said").textContent = tn("200 OK: one face.", "200 OK: {count} faces.", count);
    find("json").textContent = JSON.stringify(answer, null, 2);
    await draw(file, answer);
  } catch (error) {
    const { code, message, detail } = error;
    find("said").textContent = error.status ? `${error.status}: ${message}` : message;
    find("json").textContent = JSON.stringify({ error: { code, message, detail } }, null, 2);
  } finally {
    find("answer").hidden = false;
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
});
button.disabled = false; // until here a click would send the form the browser's own way
