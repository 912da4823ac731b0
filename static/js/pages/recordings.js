// The page of recordings: opens one from this browser or from a file and plays it back. Logic
// lives in the modules; here elements meet them.

import { EMOTIONS, likelihood, nameOf } from "../lib/emotions.js";
import { FACE_COLOURS, faceColour } from "../lib/face-tag.js";
import { setText, showError } from "../lib/dom.js";
import { language, t } from "../lib/i18n.js";
import { icon } from "../lib/shape-icon.js";
import { PlaybackChart } from "../recordings/chart.js";
import { columnsOf, MEASURES, nextChange, readAt, zoomed } from "../recordings/columns.js";
import { drawStrip } from "../recordings/strip.js";
import { showHappened, showKept, showRuns, showSummary } from "../recordings/tables.js";
import { summaryText } from "../recordings/summary.js";
import { summarise, UNREADABLE } from "../recordings/analysis.js";
import { deletionConfirmed } from "../recordings/deletion.js";
import { exportAs } from "../recordings/download.js";
import { MAX_FILE_BYTES, parseRecording, RecordingError } from "../recordings/file.js";
import { RecordStore } from "../recordings/store.js";
import { clock, innerStateName, signed } from "../recordings/words.js";

const MOST_LANES = 8;
const DASHES = [undefined, [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 2], [12, 6], [6, 2, 2, 2, 2, 2]];

const $ = (name) => document.querySelector(`[data-${name}]`);
const dark = matchMedia("(prefers-color-scheme: dark)");
const chart = new PlaybackChart($("chart"), { onRange: setRange, onSeek: seek });

let store = null;
let shown = null; // {recording, summary, title, faces, range, curves}
let playhead = 0;
let playing = null; // {wallMs, fromMs}

const problem = (text) => showError($("problem"), text);

// --- opening

async function openFile(file) {
  problem("");
  if (file.size > MAX_FILE_BYTES) {
    problem(t("{name} is larger than {size} MB. No recording of Mien is.", { name: file.name, size: MAX_FILE_BYTES / 1e6 }));
    return;
  }
  setText($("status"), t("Reading {name}", { name: file.name }));
  try {
    show(parseRecording(await file.text()));
  } catch (error) {
    if (!(error instanceof RecordingError)) console.error(error);
    const why = error instanceof RecordingError ? error.message : t("The file could not be read.");
    problem(t("{name} cannot be shown. {why}", { name: file.name, why }));
  }
  setText($("status"), "");
}

async function openKept(id) {
  problem("");
  const recording = await store?.load(id).catch(() => {
    problem(t("This recording is damaged and cannot be shown. Delete it from the list."));
    return undefined;
  });
  if (recording) show(recording);
  else if (recording === null || !store) problem(t("This browser does not keep that recording (any more)."));
}

function show(recording) {
  stop();
  const summary = summarise(recording);
  const started = new Date(recording.startedAt);
  const title = t("Recording of {when}", { when: started.toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" }) });
  const faces = summary.faces.map(({ face }) => face);
  const whole = Math.max(0.5, recording.durationMs / 1000);
  shown = { recording, summary, title, faces, whole, range: { from: 0, to: whole } };
  playhead = 0;
  $("viewer").hidden = false;
  setText($("title"), title);
  $("scrub").max = String(Math.ceil(recording.durationMs / 100) * 100);
  fillChoices();
  showHappened(recording, jumpTo);
  showRuns(summary.runs, faces, jumpTo);
  showSummary(recording, summary);
  redraw();
  seek(recording.readings.length ? recording.readings.time(0) : 0); // not where nothing was read yet
  $("title").focus();
}

// --- the chart

function fillChoices() {
  const options = shown.faces.map(({ key, name }) => new Option(name, key));
  $("face").replaceChildren(...(options.length > 1 ? [new Option(t("All faces"), "all")] : []), ...options);
  $("face").disabled = !options.length;
  $("measure").replaceChildren(...MEASURES.map(({ id, name }) => new Option(name[0].toUpperCase() + name.slice(1), id)));
}

function curves() {
  const measure = $("measure").value;
  const chosen = $("face").value;
  const faces = shown.faces.filter(({ key }) => chosen === "all" || key === chosen).slice(0, FACE_COLOURS);
  if (measure !== "all") {
    return faces.map(({ key, name, number }) => ({
      key, measure, name, colour: faceColour(number), dash: DASHES[(number - 1) % DASHES.length],
    }));
  }
  return EMOTIONS.map((emotion, k) => ({
    key: faces[0]?.key ?? "", measure: `score:${emotion}`, name: nameOf(emotion),
    colour: `--emotion-${emotion}`, dash: DASHES[k % DASHES.length],
  }));
}

function redraw() {
  const used = curves();
  const { low, high } = MEASURES.find(({ id }) => id === $("measure").value);
  shown.curves = used;
  chart.show(
    { columns: columnsOf(shown.recording, used), series: used, low, high, markers: shown.recording.markers },
    shown.range,
  );
  const only = $("measure").value === "all" && shown.faces.length > 1 && $("face").value === "all";
  $("legend").replaceChildren(
    ...used.map(({ name, colour }) => legendItem(only ? `${name} (${shown.faces[0].name})` : name, colour)),
  );
  drawLanes();
}

function legendItem(name, colour) {
  const item = document.createElement("li");
  const dot = document.createElement("span");
  dot.className = "legend__line";
  dot.style.setProperty("--line-colour", `var(${colour})`);
  item.append(dot, name);
  return item;
}

function drawLanes() {
  const lanes = shown.faces.slice(0, MOST_LANES).map(({ key, number }) => ({ number, runs: shown.summary.runs.get(key) ?? [] }));
  drawStrip($("strip"), { lanes, markers: shown.recording.markers, range: shown.range, playhead, area: chart.area });
}

function setRange(range) {
  if (!shown) return;
  const width = Math.min(shown.whole, Math.max(0.5, range.to - range.from));
  const from = Math.min(Math.max(0, range.from), shown.whole - width);
  shown.range = { from, to: from + width };
  chart.range = shown.range;
  drawLanes();
}

// --- the playhead

function seek(ms) {
  playhead = Math.min(shown.recording.durationMs, Math.max(0, ms));
  $("scrub").value = String(playhead);
  const words = clock(playhead, { tenths: true });
  $("scrub").setAttribute("aria-valuetext", words);
  setText($("now-time"), words);
  const { from, to } = shown.range;
  const s = playhead / 1000;
  if (s < from || s > to) setRange({ from: s - (to - from) / 2, to: s + (to - from) / 2 });
  chart.playhead = playhead;
  drawLanes();
  showNow();
}

function showNow() {
  const read = readAt(shown.recording, playhead);
  const items = (read ?? []).map(({ key, state, confidence, valence }) => {
    const item = document.createElement("li");
    const name = shown.faces.find((face) => face.key === key)?.name ?? t("A face in view for a moment");
    const sure = state !== UNREADABLE && state !== "uncertain" ? ` ${likelihood(confidence)}` : "";
    const words = state === UNREADABLE ? "" : `, ${t("valence {value}", { value: signed(valence) })}`;
    item.append(icon(state === UNREADABLE ? "uncertain" : state), `${name}: ${innerStateName(state)}${sure}${words}`);
    return item;
  });
  if (!items.length) {
    const item = document.createElement("li");
    item.textContent = read ? t("No face in view") : t("Nothing was read at this moment");
    items.push(item);
  }
  $("now-faces").replaceChildren(...items);
}

function play() {
  if (playhead >= shown.recording.durationMs) seek(0);
  playing = { wallMs: performance.now(), fromMs: playhead };
  $("play").setAttribute("aria-pressed", "true");
  setText($("play"), t("Pause"));
  requestAnimationFrame(step);
}

function stop() {
  playing = null;
  $("play").setAttribute("aria-pressed", "false");
  setText($("play"), t("Play"));
}

function step(nowMs) {
  if (!playing) return;
  const ms = playing.fromMs + (nowMs - playing.wallMs) * Number($("speed").value);
  seek(ms);
  if (ms >= shown.recording.durationMs) stop();
  else requestAnimationFrame(step);
}

// --- lists and tables

function jumpTo(ms) {
  stop();
  seek(ms);
}

/** Deletes recordings of this browser, once that was confirmed. */
async function forget(ids) {
  if (!(await deletionConfirmed(ids.length))) return;
  for (const id of ids) await store.remove(id).catch(() => problem(t("It could not be deleted.")));
  if (ids.includes(shown?.recording.id)) {
    stop();
    shown = null;
    $("viewer").hidden = true;
  }
  await listKept();
  ($("kept-rows").querySelector("button") ?? $("open")).focus();
}

async function listKept() {
  const rows = store ? await store.list().catch(() => []) : [];
  showKept(rows, {
    onOpen: openKept,
    onDelete: (id) => forget([id]),
  });
  $("nothing").hidden = rows.length > 0 || shown !== null;
  return rows;
}

// --- wiring

$("open").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) openFile(file).then(listKept);
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer?.files ?? [];
  if (file) openFile(file).then(listKept);
});
$("forget-all").addEventListener("click", async () => {
  const rows = await store.list();
  await forget(rows.filter(({ live }) => !live).map(({ id }) => id));
});
$("face").addEventListener("change", redraw);
$("measure").addEventListener("change", redraw);
$("scrub").addEventListener("input", () => {
  stop();
  seek(Number($("scrub").value));
});
$("play").addEventListener("click", () => (playing ? stop() : play()));
$("speed").addEventListener("change", () => playing && play());
for (const button of document.querySelectorAll("[data-step]")) {
  button.addEventListener("click", () => {
    stop();
    const way = Number(button.dataset.step);
    const change = nextChange(shown.summary.changes, playhead, way);
    if (change) seek(change.t_ms);
    setText($("status"), change ? "" : way > 0 ? t("There is no change after this.") : t("There is no change before this."));
  });
}
for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => {
    const whole = { from: 0, to: shown.whole };
    const { zoom } = button.dataset;
    setRange(zoom === "all" ? whole : zoomed(shown.range, Number(zoom), playhead / 1000, shown.whole));
  });
}
for (const button of document.querySelectorAll("[data-export]")) {
  button.addEventListener("click", () => exportAs(button.dataset.export, shown.recording));
}
$("copy").addEventListener("click", async () => {
  const text = summaryText(shown.title, shown.recording, shown.summary);
  const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  setText($("copied"), copied ? t("Copied.") : t("The browser did not allow copying: select the text instead."));
});
$("print").addEventListener("click", () => print());
dark.addEventListener("change", () => shown && redraw());
window.addEventListener("hashchange", () => openKept(decodeURIComponent(location.hash.slice(1))));
window.addEventListener("beforeprint", () => shown && redraw());

store = await RecordStore.open().catch(() => null);
await listKept();
if (location.hash.length > 1) await openKept(decodeURIComponent(location.hash.slice(1)));
await listKept();

Object.defineProperty(window, "mienPlayback", {
  value: Object.freeze({
    get state() {
      return shown && structuredClone({
        playhead, range: shown.range, faces: shown.faces, playing: playing !== null,
        changes: shown.summary.changes, whole: shown.summary.whole,
        segments: shown.summary.segments,
      });
    },
  }),
});
