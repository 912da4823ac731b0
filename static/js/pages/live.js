// The live page: wires camera, session, overlay and panel to the elements. Logic lives in them.

import { listCameras, openCamera, openFile, SourceError, wordsFor } from "../live/camera.js";
import { makeCapture, onEachFrame } from "../live/capture.js";
import { MotionField } from "../lib/face-motion.js";
import { Overlay } from "../live/overlay.js";
import { chore } from "../live/pace.js";
import { Panel, setText } from "../live/panel.js";
import { LiveSession } from "../live/session.js";
import { startTools } from "./live-tools.js";
import { Lanes } from "../live/lanes.js";
import { watchLight } from "../live/picture-light.js";
import { PictureWatch } from "../live/picture-watch.js";
import { awayText, BLANK, CONNECTION_WORDS } from "../lib/words.js";

const TICK_MS = 50;
const PANEL_EVERY_MS = 100;
const METERS_EVERY_MS = 250;
const TIMELINE_EVERY_MS = 200;
const TIMELINE_EVERY_REDUCED_MS = 1000;

const config = JSON.parse(document.getElementById("config").textContent);
const $ = (name) => document.querySelector(`[data-${name}]`);
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const darkTheme = matchMedia("(prefers-color-scheme: dark)");

const stage = $("stage");
const video = $("video");

let phase = "idle"; // idle | starting | running | paused (hidden tab) | frozen (old picture) | failed
let connectionState = "off";
let source = null;
let again = startCamera; // what "Try again" does
let endFrames = () => {};
let attempts = 0; // a camera that comes late, after Stop, is closed again

const field = new MotionField({ reduced: reducedMotion.matches });
const overlay = new Overlay($("overlay"), field, { numberOf: (key) => session.numberOf(key) });
const panel = new Panel($("reading"), { onChoose: chooseFace });
const lanes = new Lanes($("timeline-part"), { onChoose: chooseFace });
const isDark = watchLight(video);
const watch = new PictureWatch();
const tools = startTools({
  config,
  request: (event, payload) => session.request(event, payload),
  settings: () => ({ ...session.settings, mirror: $("mirror").checked }),
});
const session = new LiveSession({
  tap: tools.tap,
  config,
  field,
  capture: makeCapture(video),
  isDark,
  onConnection(state) {
    connectionState = state;
    $("connection").dataset.connection = state;
    setText($("connection-text"), CONNECTION_WORDS[state]);
  },
  onNotice(shown) {
    setText($("notice"), shown?.text ?? "");
    $("notice").dataset.tone = shown?.tone ?? "none";
  },
  onSpeak: (text) => setText($("announcer"), text),
});

function setPhase(next) {
  const focused = document.activeElement;
  phase = next;
  stage.dataset.state = next;
  tools.phase(next, source?.kind);
  for (const element of document.querySelectorAll("[data-panel]")) {
    element.hidden = element.dataset.panel !== next;
  }
  const on = next !== "idle" && next !== "failed";
  for (const element of document.querySelectorAll("[data-when-on]")) element.hidden = !on;
  // Focus on what was just hidden would fall back to the page's top.
  if (focused?.closest("[hidden]")) {
    const first = stage.querySelector(`[data-panel="${next}"] [data-action]`);
    (on ? first ?? $('action="stop"') : first).focus({ preventScroll: true });
  }
}

async function start(open, waiting) {
  halt();
  const attempt = (attempts += 1);
  setPhase("starting");
  setText($("starting-text"), waiting);
  panel.blank(...BLANK.starting);
  let opened;
  try {
    opened = await open({ onLost: fail });
  } catch (error) {
    if (attempt === attempts) fail(error);
    return;
  }
  if (attempt !== attempts) {
    opened.stop();
    return;
  }
  source = opened;
  $("mirror").checked = opened.facing !== "environment";
  applyMirror();
  applyRatio();
  setPhase("running");
  panel.blank(...BLANK.looking);
  overlay.start();
  session.open();
  session.begin();
  watch.restart(performance.now());
  endFrames = onEachFrame(video, () => {
    watch.picture(performance.now());
    if (phase === "frozen" && !source.muted) thaw();
    session.frameAvailable();
  });
  if (document.hidden) pause();
  if (opened.kind === "camera") await refreshCameras(opened.deviceId);
}

function startCamera() {
  again = startCamera;
  const deviceId = $("camera").value || null;
  return start(
    (hooks) => openCamera(video, { deviceId, ...hooks }),
    "Waiting for the camera. Your browser may ask for permission.",
  );
}

function startFile(file) {
  again = () => startFile(file);
  return start((hooks) => openFile(video, file, hooks), `Opening ${file.name}`);
}

/** Ends whatever runs; the caller says what the page shows then. `keep`: the last minute stays. */
function halt({ keep = false } = {}) {
  attempts += 1;
  endFrames();
  endFrames = () => {};
  session.close();
  overlay.stop();
  source?.stop();
  source = null;
  panel.faces([], null);
  panel.tag(null);
  setText($("timeline-title"), keep ? "The 60 seconds before" : "Last 60 seconds");
  if (!keep) {
    panel.timeline(null, performance.now());
    lanes.update([], null, performance.now());
  }
  showMeters(performance.now());
}

function stop() {
  halt();
  setPhase("idle");
  panel.blank(...BLANK.idle);
}

function fail(error) {
  halt({ keep: phase !== "starting" });
  const words = error instanceof SourceError ? error : new SourceError("unknown", error);
  if (words.reason === "unknown") console.error(error);
  setText($("failure-title"), words.title);
  setText($("failure-text"), words.text);
  setText($("failure-hint"), words.hint);
  panel.blank(...BLANK.failed);
  setPhase("failed");
}

function pause() {
  if (phase !== "running" && phase !== "frozen") return;
  setPhase("paused");
  session.pause();
  showBlank(BLANK.paused);
}

function resume() {
  if (phase !== "paused") return;
  if (source.ended) {
    fail(new SourceError("unplugged"));
    return;
  }
  setPhase("running");
  watch.restart(performance.now());
  session.begin();
  panel.blank(...BLANK.looking);
  if (video.paused) video.play().catch(() => {});
}

/** Says so when the camera stands still; no reading of an old picture stays on show. */
function watchPicture(nowMs) {
  if (phase !== "running" || !watch.frozen(nowMs, source.muted)) return;
  if (source.ended) {
    fail(new SourceError("unplugged"));
    return;
  }
  session.pause();
  setPhase("frozen");
  showBlank(BLANK.frozen);
  session.say(BLANK.frozen.join(". "));
}

function thaw() {
  setPhase("running");
  session.begin();
  panel.blank(...BLANK.looking);
}

function showBlank(words) {
  panel.blank(...words);
  panel.faces([], null);
  panel.tag(null);
}

function applyMirror() {
  const mirror = $("mirror").checked;
  video.classList.toggle("is-mirrored", mirror);
  overlay.mirror = mirror;
}

function applyRatio() {
  if (!video.videoWidth) return;
  const ratio = video.videoWidth / video.videoHeight;
  document.documentElement.style.setProperty("--ratio", ratio.toFixed(4));
}

async function refreshCameras(selected = $("camera").value) {
  const cameras = await listCameras();
  const select = $("camera");
  select.replaceChildren(...cameras.map(({ id, label }) => new Option(label, id)));
  if (cameras.some(({ id }) => id === selected)) select.value = selected;
  $("camera-field").hidden = cameras.length < 2;
}

function chooseFace(key) {
  session.choose(key);
  showFaces(performance.now());
  showTimeline(performance.now());
}

function showFaces(nowMs) {
  overlay.chosen = session.chosenKey;
  overlay.several = session.several(nowMs);
  if (phase !== "running" || !session.latest) return;
  const chosen = session.chosen(nowMs);
  if (!session.fresh(nowMs)) {
    showBlank(connectionState === "connected" ? BLANK.silent : BLANK.cut);
    return;
  }
  if (chosen) panel.face(chosen.face, { stale: chosen.stale });
  else panel.blank(...noFaceWords(nowMs));
  panel.faces(session.faces, session.chosenKey);
  panel.tag(overlay.several ? session.numberOf(session.shownKey) : null);
}

function noFaceWords(nowMs) {
  if (session.chosenAway !== null) return awayText(session.chosenAway);
  return isDark(nowMs) ? BLANK.dark : BLANK.absent;
}

function showMeters(nowMs) {
  const { rate, ageMs, dropped } = session.meters(nowMs);
  const running = phase === "running" && ageMs !== null;
  setText($('meter="rate"'), running ? rate.toFixed(0) : "–");
  setText($('meter="age"'), running ? String(Math.round(ageMs)) : "–");
  setText($('meter="dropped"'), String(dropped));
  setText($('meter="model"'), session.model ?? "–");
}

function showTimeline(nowMs) {
  if (phase !== "running") return;
  panel.timeline(session.shownHistory, nowMs);
  lanes.update(session.lanes(nowMs), session.shownKey, nowMs);
}

const chores = [
  chore(() => PANEL_EVERY_MS, showFaces),
  chore(() => METERS_EVERY_MS, showMeters),
  chore(
    () => (reducedMotion.matches ? TIMELINE_EVERY_REDUCED_MS : TIMELINE_EVERY_MS),
    showTimeline,
  ),
  watchPicture,
  (nowMs) => session.tick(nowMs),
  (nowMs) => tools.tick(nowMs),
];
setInterval(() => {
  const nowMs = performance.now();
  chores.forEach((run) => run(nowMs));
}, TICK_MS);

const actions = {
  start: startCamera,
  retry: () => again(),
  file: () => $("file").click(),
  stop,
};
for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("click", () => actions[button.dataset.action]());
  button.disabled = false; // until the scripts are here, a click would be lost
}
$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  if (file) startFile(file);
});
$("camera").addEventListener("change", () => {
  if (source?.kind === "camera") startCamera();
});
$("mirror").addEventListener("change", applyMirror);
stage.addEventListener("click", (event) => {
  const { left, top } = stage.getBoundingClientRect();
  const key = overlay.hit(event.clientX - left, event.clientY - top);
  if (key !== null) chooseFace(key);
});
video.addEventListener("resize", applyRatio);
document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
window.addEventListener("pagehide", () => source && stop());
navigator.mediaDevices?.addEventListener?.("devicechange", () => refreshCameras());
reducedMotion.addEventListener("change", () => (field.reduced = reducedMotion.matches));
darkTheme.addEventListener("change", () => {
  panel.recolour();
  lanes.recolour();
});

for (const part of ["title", "text", "hint"]) setText($(`frozen-${part}`), wordsFor("frozen")[part]);
setPhase("idle");
panel.blank(...BLANK.idle);
showMeters(performance.now());

// What the page holds, to read only: for tests and for people who build upon the page.
Object.defineProperty(window, "mien", {
  value: Object.freeze({
    get state() {
      const nowMs = performance.now();
      const { latest } = session;
      return structuredClone({
        phase,
        connection: connectionState,
        notice: session.notice,
        chosen: session.chosenKey,
        meters: session.meters(nowMs),
        stats: session.stats,
        model: session.model,
        result: latest && { ...latest.result, capturedMs: latest.capturedMs },
        drawn: overlay.drawn.map(({ key, box, opacity }) => ({
          key, box, opacity, number: session.numberOf(key),
        })),
        lanes: session.lanes(nowMs).map(({ key, number, present }) => ({ key, number, present })),
      });
    },
  }),
});
