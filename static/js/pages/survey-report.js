// Shows faces cut out of kept pictures: the browser scales the picture so that the box fills a tile.

import { call } from "../lib/http.js";
import { number, t } from "../lib/i18n.js";

const MARGIN = 0.25;

/** Size and offset of the picture, in tile widths, so that the box with a margin fills the tile. */
export function placement([x1, y1, x2, y2], width, height, margin = MARGIN) {
  const side = Math.max(x2 - x1, y2 - y1) * (1 + 2 * margin);
  const left = (x1 + x2) / 2 - side / 2;
  const top = (y1 + y2) / 2 - side / 2;
  return { width: width / side, height: height / side, left: -left / side, top: -top / side };
}

/** Fills `tile` with the face; says so where the picture cannot be shown. */
export function showFace(tile, api, face) {
  tile.replaceChildren();
  if (face.kind === "video") {
    tile.textContent = t("{path} at {seconds} s", { path: face.path, seconds: number(face.t_ms / 1000, 1) });
    return;
  }
  const image = new Image();
  image.alt = t("Face in {path}", { path: face.path });
  image.loading = "lazy";
  image.decoding = "async";
  image.addEventListener("load", () => {
    const at = placement(face.box, image.naturalWidth, image.naturalHeight);
    for (const [name, value] of Object.entries(at)) image.style[name] = `${100 * value}%`;
  });
  image.addEventListener("error", () => {
    tile.textContent = t("This picture cannot be shown here.");
  });
  image.src = `${api}/files/${face.upload}/picture`;
  tile.append(image);
}

const AGAIN_MS = 1000;

/** Asks for the report with the labels given since, and shows it when it is there. */
async function again(button, { api, job }) {
  const said = document.querySelector("[data-again-said]");
  button.disabled = true;
  said.textContent = t("The report is being made …");
  try {
    await call("POST", `${api}/jobs/${job}/report`);
    let state = "reporting";
    while (state === "reporting") {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      try {
        state = (await call("GET", `${api}/progress`)).state;
      } catch (trouble) {
        if (!trouble.passing) throw trouble; // else the next look may reach the server again
      }
    }
    location.reload();
  } catch (trouble) {
    said.textContent = trouble.message;
    button.disabled = false;
  }
}

if (typeof document !== "undefined") {
  const block = document.getElementById("config");
  const button = document.querySelector("[data-again]");
  if (block && button) {
    button.addEventListener("click", () => again(button, JSON.parse(block.textContent)));
  }
  const tiles = document.querySelectorAll("[data-face]");
  if (block && tiles.length > 0) {
    const { api } = JSON.parse(block.textContent);
    tiles.forEach((tile) => showFace(tile, api, JSON.parse(tile.dataset.face)));
  }
}
