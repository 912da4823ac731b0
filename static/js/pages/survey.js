// The page of one survey: upload, start, progress, delete. Only wires the other modules together.

import { confirmed } from "../lib/confirm.js";
import { row } from "../lib/dom.js";
import { ApiError, call } from "../lib/http.js";
import { number, t } from "../lib/i18n.js";
import "../lib/stack.js";
import { fromDrop, fromFiles, isSystemFile, placed } from "../survey/collect.js";
import { sendInParts } from "../survey/parts.js";
import { mappingWords, progressWords, watch } from "../survey/progress.js";
import { UploadQueue } from "../survey/queue.js";
import { sharingDialog } from "../survey/sharing.js";

const config = JSON.parse(document.getElementById("config").textContent);
const find = (name) => document.querySelector(`[data-${name}]`);
const action = (name) => document.querySelector(`[data-action="${name}"]`);
const error = find("error");

function showError(message) {
  error.textContent = message;
  error.hidden = !message;
}

async function attempt(work) {
  showError("");
  try {
    return await work();
  } catch (trouble) {
    showError(trouble.message);
    return undefined;
  }
}

// upload

const send = ({ file, path, group }) =>
  call("PUT", `${config.api}/files?${new URLSearchParams({ path, group })}`, file);

const sendLarge = (item, to) => sendInParts(item, {
  partBytes: config.limits.part,
  announce: (announcement) => call("POST", `${config.api}/large`, announcement),
  put: (upload, number, part) => call("PUT", `${config.api}/large/${upload}/${number}`, part),
  finish: (upload) => call("POST", `${config.api}/large/${upload}/finish`),
  persistently: (action) => to.persistently(action),
  onBytes: (arrived, already) => to.arrived(item, arrived, already),
});

const started = { at: 0 };
const megabytes = (bytes) => `${number(bytes / 1e6, bytes < 1e7 ? 1 : 0)} MB`;

function showQueue(state) {
  if (!find("sending")) return;
  if (!started.at && state.busy) started.at = performance.now();
  if (!state.busy) started.at = 0;
  find("sending").hidden = state.total === 0;
  find("send-bar").max = Math.max(1, state.totalBytes);
  find("send-bar").value = state.doneBytes;
  const notes = [t("{done} of {total} files", { done: state.done, total: state.total })];
  if (state.known) notes.push(t("{known} were here already", { known: state.known }));
  else if (state.knownBytes) notes.push(t("{known} were here already", { known: megabytes(state.knownBytes) }));
  if (state.skipped) notes.push(t("{skipped} left by operating systems skipped", { skipped: state.skipped }));
  if (state.refused) notes.push(t("{refused} cannot be read", { refused: state.refused }));
  if (state.failed) notes.push(t("{failed} failed", { failed: state.failed }));
  find("send-count").textContent = notes.join(", ");
  const seconds = started.at ? (performance.now() - started.at) / 1000 : 0;
  const amount = t("{part} of {whole}", { part: megabytes(state.doneBytes), whole: megabytes(state.totalBytes) });
  const rate = seconds > 1 ? `, ${number(state.bytes / 1e6 / seconds, 1)} MB/s` : "";
  find("send-rate").textContent = state.paused
    ? t("Paused at {amount}", { amount })
    : state.trouble ? t("{trouble} Trying again …", { trouble: state.trouble.message }) : `${amount}${rate}`;
  action("pause").textContent = state.paused ? t("Resume") : t("Pause");
  action("pause").hidden = !state.busy && !state.paused;
  action("retry").hidden = state.failed === 0;
  const problems = [
    ...queue.failed.slice(-20).map(({ item, error: why }) => `${item.path}: ${why.message}`),
    ...queue.refused.slice(-20).map(({ item, reason }) => `${item.path}: ${reason}`),
  ];
  find("problems").replaceChildren(
    ...problems.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
  if (!state.busy && state.done > 0) refreshLater();
}

function showGroups(byGroup) {
  find("there").hidden = Object.keys(byGroup).length === 0;
  find("there-rows").replaceChildren(...Object.entries(byGroup).map(([name, counts]) => {
    const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
    const usable = all - counts.unreadable - counts.duplicate;
    return row([name, ...[usable, counts.unreadable, counts.duplicate, all].map(String)]);
  }));
}

let refreshing = 0;
function refreshLater() {
  clearTimeout(refreshing);
  refreshing = setTimeout(async () => {
    const now = await call("GET", config.api).catch(() => null);
    if (!now) return;
    find("uploaded").textContent = now.files;
    showGroups(now.ledger.by_group);
    if (find("start") && find("progress").hidden) find("start").hidden = now.files === 0;
    await askWhoIsWho();
  }, 150);
}

let guess = null;

/** Shows who may be in the pictures, for the researcher to confirm. */
async function askWhoIsWho() {
  if (!find("people")) return;
  guess = (await call("GET", `${config.api}/respondents`).catch(() => null))?.guess ?? null;
  find("people").hidden = guess === null;
  if (guess === null) return;
  find("people-words").textContent = t("{words}: right?", { words: guess.words });
  find("people-examples").textContent = t("Found as {names}", { names: `${guess.examples.join(", ")}${guess.people > guess.examples.length ? " …" : "."}` });
}

async function sayWhoIsWho(rule, pattern) {
  const answer = await attempt(() =>
    call("POST", `${config.api}/respondents`, { rule, pattern }));
  if (answer) find("people").hidden = true;
}

action("people-yes")?.addEventListener("click", () => sayWhoIsWho(guess.rule, guess.pattern));
action("people-single")?.addEventListener("click", () => sayWhoIsWho("single", ""));
if (config.uploaded > 0) askWhoIsWho();

const queue = new UploadQueue({
  check: async (files) => (await call("POST", `${config.api}/files/check`, { files })).known,
  send,
  sendLarge,
  large: (file) => file.size > config.limits.part,
  onChange: showQueue,
  passing: (trouble) => trouble instanceof ApiError && trouble.passing,
});

function take(given) {
  const items = given.filter(({ path }) => !isSystemFile(path));
  queue.counts.skipped += given.length - items.length;
  if (items.length === 0) return;
  showError("");
  if (items.length + config.uploaded > config.limits.files) {
    showError(t("A survey takes at most {files} files.", { files: config.limits.files }));
    return;
  }
  queue.add(placed(items, config.groups, find("group").value)).catch((trouble) => {
    showError(trouble.message);
  });
}

const drop = find("drop");
if (drop) {
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.dataset.over = "yes";
  });
  drop.addEventListener("dragleave", () => { delete drop.dataset.over; });
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    delete drop.dataset.over;
    take(await fromDrop(event.dataTransfer));
  });
  for (const kind of ["files", "folder"]) {
    const field = find(kind);
    action(kind).addEventListener("click", () => field.click());
    field.addEventListener("change", () => {
      take(fromFiles(field.files));
      field.value = "";
    });
  }
  action("pause").addEventListener("click", () => (queue.paused ? queue.resume() : queue.pause()));
  action("retry").addEventListener("click", () => queue.retry());
  find("mapping").addEventListener("change", async (event) => {
    const file = event.target.files[0];
    if (!file) return;
    const answer = await attempt(() => call("PUT", `${config.api}/respondents`, file));
    event.target.value = ""; // the same file, mended, can be chosen again
    if (answer) {
      find("mapping-result").textContent = mappingWords(answer);
      await askWhoIsWho();
    }
  });
  addEventListener("beforeunload", (event) => {
    if (queue.busy) event.preventDefault();
  });
}

// analysis

let stopWatching = null;

function onProgress(now) {
  if (!now || now.state === null) return;
  const words = progressWords(now);
  find("progress-title").textContent = words.title;
  find("progress-bar").max = Math.max(1, now.total);
  find("progress-bar").value = now.done;
  find("progress-count").textContent = words.count;
  find("progress-rate").textContent = words.rate;
  const labels = { used: t("used"), no_face: t("no face"), several_faces: t("several faces"),
    low_quality: t("low quality"), unreadable: t("unreadable") };
  find("progress-counts").textContent = Object.entries(now.counts ?? {})
    .map(([name, count]) => `${count} ${labels[name] ?? name}`).join(", ");
  if (["done", "cancelled", "failed"].includes(now.state)) {
    stopWatching?.();
    stopWatching = null;
    location.assign(now.state === "done" ? config.report : location.pathname);
  }
}

function follow() {
  find("progress").hidden = false;
  if (find("upload")) find("upload").hidden = true;
  for (const part of ["start", "there"]) if (find(part)) find(part).hidden = true;
  stopWatching ??= watch({ ...config, onProgress });
}

action("start")?.addEventListener("click", async () => {
  if (queue.busy) {
    showError(t("Wait for the upload to end, or the report would leave files out."));
    return;
  }
  const job = await attempt(() =>
    call("POST", `${config.api}/jobs`, { model: find("model").value }));
  if (job) {
    config.job = job;
    follow();
    find("progress-title").focus(); // the button is gone
  }
});

action("cancel").addEventListener("click", () =>
  attempt(() => call("POST", `${config.api}/jobs/${config.job.id}/cancel`)));

action("delete").addEventListener("click", async () => {
  const yes = await confirmed({
    title: t("Delete the survey?"), text: t("Pictures, figures and reports are deleted for good."), yes: t("Delete"), danger: true,
  });
  if (!yes) return;
  const gone = await attempt(async () => {
    await call("DELETE", config.api);
    return true;
  });
  if (gone) location.assign("/surveys");
});

action("delete-pictures")?.addEventListener("click", async () => {
  const yes = await confirmed({
    title: t("Delete the pictures?"), text: t("The figures stay; examples and review go."), yes: t("Delete"), danger: true,
  });
  if (!yes) return;
  const gone = await attempt(async () => {
    await call("DELETE", `${config.api}/pictures`);
    return true;
  });
  if (gone) location.reload();
});

if (find("share")) {
  sharingDialog({
    dialog: find("share"),
    button: action("share"),
    api: config.api,
    me: config.me,
    sharing: config.sharing,
    left: () => location.assign("/surveys"),
  });
}

if (config.job && !["done", "cancelled", "failed"].includes(config.job.state)) follow();

document.documentElement.dataset.ready = "yes"; // every control above works from here on

// tags

find("tags-form")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = event.target.elements.tags;
  const said = find("tags-said");
  const tags = field.value.split(",").map((tag) => tag.trim()).filter(Boolean);
  said.textContent = "";
  const kept = await attempt(() => call("PUT", `${config.api}/tags`, { tags }));
  if (kept === undefined) return;
  field.value = kept.tags.join(", ");
  said.textContent = t("Saved.");
});
