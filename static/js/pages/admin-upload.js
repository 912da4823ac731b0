// Uploading a model: the form, the evaluation sets, and the state of every upload.

import { call, press, send } from "../admin/api.js";
import { showError } from "../lib/dom.js";
import { confirmed } from "../lib/confirm.js";
import { bytes } from "../lib/format.js";
import { uploadCard } from "../admin/upload-card.js";
import { page } from "../lib/http.js";
import { number, t, tn } from "../lib/i18n.js";
import { zipOf } from "../lib/zip.js";

const config = JSON.parse(document.getElementById("config").textContent);
const find = (name) => document.querySelector(`[data-${name}]`);
const form = find("form");
const POLL_MS = 700;
const ENDED = new Set(["done", "refused", "cancelled"]);
const PICTURE = /\.(png|jpe?g|bmp|webp)$/i;
const MOST_FILES = 60_000; // the ZIP format without its large extension ends at 65,535
let chosen = null;
const cards = new Map();

// -- the file

function choose(file) {
  if (!file) return;
  chosen = file;
  showError(find("error"), "");
  find("file-name").textContent = file.name;
  find("file-note").textContent = bytes(file.size);
  if (!form.elements.name.value) {
    form.elements.name.value = file.name.replace(/(\.weights)?\.[^.]*$/, "")
      .replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(0, 100);
  }
}

find("choose").addEventListener("click", () => find("file").click());
find("file").addEventListener("change", (event) => choose(event.target.files[0]));
const drop = find("drop");
for (const [name, over] of [["dragenter", "yes"], ["dragover", "yes"], ["dragleave", ""], ["drop", ""]]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.dataset.over = over;
    if (name === "drop") choose(event.dataTransfer.files[0]);
  });
}

// -- uploads

function show(state) {
  find("uploads-block").hidden = false;
  let card = cards.get(state.id);
  if (!card) {
    card = uploadCard(config, { answer, remove });
    cards.set(state.id, card);
    find("uploads").prepend(card.node);
  }
  card.draw(state);
}

async function follow(id) {
  for (;;) {
    const state = await call("GET", `${config.api}/models/uploads/${id}`);
    show(state);
    if (ENDED.has(state.state) || state.state === "asks") return;
    await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
  }
}

async function answer(id, given) {
  show(await call("POST", `${config.api}/models/uploads/${id}/labels`, given));
  await follow(id);
}

async function remove(id) {
  const state = await call("DELETE", `${config.api}/models/uploads/${id}`);
  if (ENDED.has(state.state)) {
    show(state);
    if (state.state !== "cancelled") {
      cards.get(id).node.remove();
      cards.delete(id);
    }
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = find("error");
  if (!chosen) {
    showError(error, t("Choose the file of a model first."));
    return;
  }
  if (chosen.size > config.limit) {
    showError(error, t("The file has {size}; at most {limit} can be sent.", { size: bytes(chosen.size), limit: bytes(config.limit) }));
    return;
  }
  const query = new URLSearchParams({ filename: chosen.name });
  for (const name of ["name", "evaluation", "labels", "pixels", "recipe", "licence"]) {
    query.set(name, form.elements[name].value);
  }
  const sending = {
    id: `sending-${Date.now()}`, version: form.elements.name.value, filename: chosen.name,
    state: "receiving", received: 0, size: chosen.size,
  };
  show(sending);
  const state = await press(form.querySelector("[type=submit]"), error, () => send(
    `${config.api}/models/uploads?${query}`, chosen,
    (received) => show({ ...sending, received }),
  ));
  cards.get(sending.id).node.remove();
  cards.delete(sending.id);
  if (!state) {
    find("uploads-block").hidden = cards.size === 0;
    return;
  }
  show(state);
  try {
    await follow(state.id);
  } catch (problem) {
    showError(error, problem.message);
  }
});

// -- evaluation sets

/** Shows the sets that there are now. */
async function refreshSets() {
  const fresh = await page(location.pathname);
  find("sets").replaceWith(fresh.querySelector("[data-sets]"));
}

/** Sends what `make` gives; without a name of its own the set has that of the file or folder. */
async function addSet(source, make) {
  const name = find("set-name").value.trim() || source.slice(0, 100);
  const state = find("set-state");
  showError(find("set-error"), "");
  try {
    const body = await make(state);
    state.textContent = t("Sending…");
    const made = await send(
      `${config.api}/evaluation-sets?${new URLSearchParams({ name })}`, body,
      (sent) => {
        state.textContent = sent < body.size
          ? t("Sending: {share} %", { share: Math.floor((100 * sent) / body.size) }) : t("Reading the faces…");
      },
    );
    const left = made.left_out.length ? ` ${tn("{count} file was left out: {first}", "{count} files were left out: {first}", made.left_out.length, { first: made.left_out[0] })}` : "";
    state.textContent = `${tn("{count} face kept.", "{count} faces kept.", made.faces)}${left}`;
    const option = new Option(t("{name} · {faces} faces", { name: made.name, faces: number(made.faces) }), made.id, true, true);
    form.elements.evaluation.append(option);
    find("set-name").value = "";
    await refreshSets();
  } catch (error) {
    state.textContent = "";
    showError(find("set-error"), error.message);
  }
}

find("set-zip").addEventListener("click", () => find("set-zip-file").click());
find("set-folder").addEventListener("click", () => find("set-folder-file").click());
find("set-zip-file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) addSet(file.name.replace(/\.zip$/i, ""), async () => file);
  event.target.value = "";
});
find("set-folder-file").addEventListener("change", (event) => {
  const files = [...event.target.files].filter((file) => PICTURE.test(file.name))
    .map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  const [folder] = event.target.files[0]?.webkitRelativePath.split("/") ?? [""];
  event.target.value = "";
  addSet(folder, async (state) => {
    if (!files.length) throw new Error(t("The folder holds no PNG, JPEG, BMP or WebP picture."));
    if (files.length > MOST_FILES) throw new Error(t("Expected at most {most} pictures.", { most: MOST_FILES }));
    return zipOf(files, (done, total) => { state.textContent = t("Reading {done} of {total} pictures", { done, total }); });
  });
});
find("add-set").addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-delete-set]");
  if (!button) return;
  const { deleteSet: id, name } = button.dataset;
  const yes = await confirmed({
    title: t("Delete {name}?", { name }),
    text: t("Its faces are deleted. What was measured on it stays in the cards."),
    yes: t("Delete"), danger: true,
  });
  if (!yes) return;
  await press(button, find("set-error"), async () => {
    await call("DELETE", `${config.api}/evaluation-sets/${id}`);
    const { evaluation } = form.elements;
    const wasChosen = evaluation.value === id;
    evaluation.querySelector(`[value="${id}"]`)?.remove();
    if (wasChosen) evaluation.selectedIndex = evaluation.length - 1; // another set rather than none
    find("set-state").textContent = t("{name} is deleted.", { name });
    await refreshSets();
    find("set-name").focus();
  });
});

for (const state of [...config.uploads].reverse()) {
  show(state);
  if (!ENDED.has(state.state) && state.state !== "asks") follow(state.id).catch(() => {});
}
// until here a click would send the form the browser's own way, which does nothing
form.querySelector("[type=submit]").disabled = false;
