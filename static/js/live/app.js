// The live page once it is loaded: opens and closes the source, says in which phase the page is,
// and wires camera, session, overlay, toolbar and reading. Logic lives in them.

import { setText } from "../lib/dom.js";
import { MotionField } from "../lib/face-motion.js";
import { t } from "../lib/i18n.js";
import { BLANK, CONNECTION_WORDS } from "../lib/words.js";
import { startTools } from "./tools.js";
import { listCameras, openCamera, openFile, SourceError, wordsFor } from "./camera.js";
import { makeCapture, onEachFrame } from "./capture.js";
import { Overlay } from "./overlay.js";
import { chore } from "./pace.js";
import { watchLight } from "./picture-light.js";
import { PictureWatch } from "./picture-watch.js";
import { Reading } from "./reading.js";
import { LiveSession } from "./session.js";
import { Toolbar } from "./toolbar.js";

const TICK_MS = 50;
const PANEL_EVERY_MS = 100;
const METERS_EVERY_MS = 250;
const TIMELINE_EVERY_MS = 200;
const TIMELINE_EVERY_REDUCED_MS = 1000;
const STILL_EVERY_MS = 500; // a video that is paused, or of one picture, is read on

const $ = (name) => document.querySelector(`[data-${name}]`);

/** Starts the page's parts; returns {startCamera, startAgain, startFile, state}. */
export function startApp() {
  const config = JSON.parse(document.getElementById("config").textContent);
  const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
  const stage = $("stage");
  const video = $("video");

  let phase = "idle"; // idle | starting | running | paused (hidden tab) | frozen (old picture) | failed
  let connectionState = "off";
  let source = null;
  let again = () => startCamera(); // what "Try again" does
  let endFrames = () => {};
  let attempts = 0; // a camera that comes late, after Stop, is closed again

  const field = new MotionField({ reduced: reducedMotion.matches });
  const overlay = new Overlay($("overlay"), field, { numberOf: (key) => session.numberOf(key), video });
  const isDark = watchLight(video);
  const watch = new PictureWatch();
  const toolbar = new Toolbar({
    stage,
    video,
    overlay,
    hooks: {
      onStop: stop,
      onFlip: otherCamera,
      onResolution: () => source?.kind === "camera" && startCamera({ deviceId: source.deviceId }),
      onInform: (text) => session.inform(text),
      onMirror(on) {
        video.classList.toggle("is-mirrored", on);
        overlay.mirror = on;
      },
    },
  });
  const tools = startTools({
    config,
    request: (event, payload) => session.request(event, payload),
    settings: () => ({ ...session.settings, ...toolbar.settings }),
  });
  const session = new LiveSession({
    tap: tools.tap,
    config,
    field,
    capture: makeCapture(video, () => toolbar.resolution.sent),
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
  const reading = new Reading({ session, overlay, isDark });

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
    toolbar.source(source?.kind, on);
    // Focus on what was just hidden falls back to the page's top; it may have done so already where
    // Start was pressed before the rest of the page was here.
    if (focused?.closest("[hidden]") || (focused === document.body && next !== "idle")) {
      const first = stage.querySelector(`[data-panel="${next}"] [data-action]`);
      (on ? first ?? $('action="stop"') : first).focus({ preventScroll: true });
    }
  }

  async function start(open, waiting) {
    halt();
    const attempt = (attempts += 1);
    setPhase("starting");
    setText($("starting-text"), waiting);
    reading.blank(BLANK.starting);
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
    toolbar.mirror = opened.facing !== "environment";
    applyRatio();
    setPhase("running");
    reading.blank(BLANK.looking);
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

  /**
   * Opens a camera: the chosen one, unless `which` names another.
   * @param {{deviceId?: string | null, facing?: string}} [which]
   */
  function startCamera(which = { deviceId: $("camera").value || null }) {
    again = () => startCamera();
    return start(
      (hooks) => openCamera(video, { ...which, size: toolbar.resolution.camera, ...hooks }),
      t("Waiting for the camera. Your browser may ask for permission."),
    );
  }

  function startFile(file) {
    again = () => startFile(file);
    return start((hooks) => openFile(video, file, hooks), t("Opening {name}", { name: file.name }));
  }

  /** The camera on the other side of a phone, or the next one in the list. */
  function otherCamera() {
    if (source?.kind !== "camera") return;
    if (source.turns) {
      startCamera({ facing: source.facing === "user" ? "environment" : "user" });
      return;
    }
    const ids = [...$("camera").querySelectorAll("option")].map(({ value }) => value);
    startCamera({ deviceId: ids[(ids.indexOf(source.deviceId) + 1) % ids.length] });
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
    reading.end(performance.now(), { keep });
    reading.meters(performance.now(), false);
  }

  function stop() {
    halt();
    setPhase("idle");
    reading.blank(BLANK.idle);
  }

  function fail(error) {
    halt({ keep: phase !== "starting" });
    const words = error instanceof SourceError ? error : new SourceError("unknown", error);
    if (words.reason === "unknown") console.error(error);
    for (const part of ["title", "text", "hint"]) setText($(`failure-${part}`), words[part]);
    reading.blank(BLANK.failed);
    setPhase("failed");
  }

  function pause() {
    if (phase !== "running" && phase !== "frozen") return;
    setPhase("paused");
    session.pause();
    overlay.fresh = false;
    reading.blank(BLANK.paused);
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
    reading.blank(BLANK.looking);
    if (source.kind === "camera" && video.paused) video.play().catch(() => {});
  }

  /** Says so when the camera stands still; no reading of an old picture stays on show. */
  function watchPicture(nowMs) {
    if (phase !== "running" || source.kind === "file" || !watch.frozen(nowMs, source.muted)) return;
    if (source.ended) {
      fail(new SourceError("unplugged"));
      return;
    }
    session.pause();
    setPhase("frozen");
    overlay.fresh = false;
    reading.blank(BLANK.frozen);
    session.say(BLANK.frozen.join(". "));
  }

  /** Of a file the picture that is shown is the one to read, however old it is. */
  function readStill() {
    if (phase === "running" && source.kind === "file") session.frameAvailable();
  }

  function thaw() {
    setPhase("running");
    session.begin();
    reading.blank(BLANK.looking);
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
    toolbar.cameras(cameras.length, source?.kind);
  }

  const running = (show) => (nowMs) => phase === "running" && show(nowMs);
  const chores = [
    chore(() => PANEL_EVERY_MS, running((nowMs) => reading.faces(nowMs, connectionState === "connected"))),
    chore(() => METERS_EVERY_MS, (nowMs) => reading.meters(nowMs, phase === "running")),
    chore(
      () => (reducedMotion.matches ? TIMELINE_EVERY_REDUCED_MS : TIMELINE_EVERY_MS),
      running((nowMs) => reading.timeline(nowMs)),
    ),
    chore(() => STILL_EVERY_MS, readStill),
    watchPicture,
    (nowMs) => session.tick(nowMs),
    (nowMs) => tools.tick(nowMs),
  ];
  setInterval(() => {
    const nowMs = performance.now();
    chores.forEach((run) => run(nowMs));
  }, TICK_MS);

  $("camera").addEventListener("change", () => source?.kind === "camera" && startCamera());
  stage.addEventListener("click", (event) => {
    if (event.target.closest("button, input")) return;
    const { left, top } = stage.getBoundingClientRect();
    const key = overlay.hit(event.clientX - left, event.clientY - top);
    if (key !== null) reading.choose(key);
  });
  video.addEventListener("resize", applyRatio);
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
  window.addEventListener("pagehide", () => source && stop());
  navigator.mediaDevices?.addEventListener?.("devicechange", () => refreshCameras());
  reducedMotion.addEventListener("change", () => (field.reduced = reducedMotion.matches));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => reading.recolour());

  for (const part of ["title", "text", "hint"]) setText($(`frozen-${part}`), wordsFor("frozen")[part]);
  setPhase("idle");
  reading.blank(BLANK.idle);
  reading.meters(performance.now(), false);

  return Object.freeze({
    startCamera: () => startCamera(),
    startAgain: () => again(),
    startFile,
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
  });
}
