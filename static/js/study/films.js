// The list of what a study shows: files are uploaded, named, timed, moved and taken out.

import { el, setText, showError } from "../lib/dom.js";
import { call, sendFile } from "../lib/http.js";
import { t } from "../lib/i18n.js";

const PICTURE_MS = 5000;

const $ = (name) => document.querySelector(`[data-${name}]`);

/** Sends one file; progress(share) meanwhile. Throws ApiError. */
function upload(url, file, progress) {
  const form = new FormData();
  form.append("file", file);
  form.append("name", file.name.replace(/\.[^.]+$/, ""));
  if (file.type.startsWith("image/")) form.append("show_ms", String(PICTURE_MS));
  return sendFile(url, form, (bytes) => progress(Math.min(1, bytes / file.size)));
}

const seconds = (ms) => Math.round(ms / 100) / 10;

/** Wires the list; `films` are the stimuli as the API has them, `draft` whether they may change. */
export function filmList({ api, films, draft }) {
  const list = $("films");
  let shown = [...films];

  const tell = (text) => showError($("films-error"), text);

  async function attempt(work) {
    tell("");
    try {
      await work();
    } catch (trouble) {
      tell(trouble.message);
    }
  }

  const url = (film) => `${api}/stimuli/${film.id}`;

  function picture(film) {
    const place = el("span", { class: "film__picture" });
    place.append(film.kind === "picture"
      ? el("img", { src: film.url, alt: "", loading: "lazy" })
      : el("video", { src: `${film.url}#t=0.5`, preload: "metadata", muted: true, playsinline: true, tabindex: "-1", "aria-hidden": "true" }));
    return place;
  }

  function fields(film) {
    const name = el("input", { class: "input", value: film.name, "aria-label": t("Name") });
    name.addEventListener("change", () => attempt(async () => {
      Object.assign(film, await call("PATCH", url(film), { name: name.value }));
    }));
    if (film.kind === "video") {
      return el("span", { class: "film__fields" }, name, el("span", { class: "note" }, t("{seconds} s", { seconds: seconds(film.duration_ms) })));
    }
    const time = el("input", {
      class: "input", type: "number", min: "0.5", max: "600", step: "0.5", value: String(seconds(film.show_ms)),
      "aria-label": t("Seconds to show"),
    });
    time.addEventListener("change", () => attempt(async () => {
      Object.assign(film, await call("PATCH", url(film), { show_ms: Math.round(1000 * Number(time.value)) }));
    }));
    return el("span", { class: "film__fields" }, name, el("label", { class: "note" }, time, " s"));
  }

  function tool(sign, label, act, disabled = false) {
    const button = el("button", { class: "button button--icon", type: "button", "aria-label": label, title: label, disabled }, sign);
    button.addEventListener("click", () => attempt(act));
    return button;
  }

  function line(film, index) {
    const fixed = el("span", { class: "film__name" }, film.name);
    const length = el("span", { class: "note" }, t("{seconds} s", { seconds: seconds(film.duration_ms ?? film.show_ms) }));
    return el("li", { class: "film" }, picture(film), draft ? fields(film) : fixed,
      draft
        ? el("span", { class: "film__tools" },
          tool("↑", t("Move {name} up", { name: film.name }), () => move(index, index - 1), index === 0),
          tool("↓", t("Move {name} down", { name: film.name }), () => move(index, index + 1), index === shown.length - 1),
          tool("✕", t("Take {name} out", { name: film.name }), () => remove(film)))
        : length);
  }

  function render() {
    list.replaceChildren(...shown.map(line));
    $("no-films").hidden = shown.length > 0;
  }

  async function move(from, to) {
    const [film] = shown.splice(from, 1);
    shown.splice(to, 0, film);
    await call("PATCH", url(film), { position: to });
    render();
  }

  async function remove(film) {
    await call("DELETE", url(film));
    shown = shown.filter((one) => one !== film);
    render();
  }

  async function add(files) {
    const said = $("upload-said");
    const bar = $("upload-bar");
    const refused = [];
    tell("");
    bar.hidden = false;
    for (const [index, file] of files.entries()) {
      setText(said, t("Sending {name} ({number} of {count})", { name: file.name, number: index + 1, count: files.length }));
      bar.value = 0;
      try {
        shown.push(await upload(`${api}/stimuli`, file, (share) => {
          bar.value = share;
          if (share === 1) setText(said, t("Looking into {name}", { name: file.name }));
        }));
        render();
      } catch (trouble) {
        refused.push(`${file.name}: ${trouble.message}`);
        tell(refused.join("\n"));
      }
    }
    bar.hidden = true;
    setText(said, "");
  }

  const drop = $("drop");
  drop?.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.dataset.over = "yes";
  });
  drop?.addEventListener("dragleave", () => { drop.dataset.over = "no"; });
  drop?.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.dataset.over = "no";
    add([...event.dataTransfer.files]);
  });
  $("files")?.addEventListener("change", async (event) => {
    const { target } = event;
    await add([...target.files]);
    target.value = "";
  });
  render();
}
