// The recording's part of the live page: buttons, markers, export, and the offer to recover what
// an earlier visit left behind.

import { confirmed } from "../lib/confirm.js";
import { setText } from "../lib/dom.js";
import { language, number, t, tn } from "../lib/i18n.js";
import { deletionConfirmed } from "./deletion.js";
import { exportAs } from "./download.js";
import { markerKeys } from "./markers.js";
import { RecordKeeper, RecordStore } from "./store.js";
import { clock, span } from "./words.js";
import { Recorder } from "./recorder.js";

const FLUSH_EVERY_MS = 2000;

const ABOUT = t("Keeps every result with its time: scores, never pictures. It stays in this browser; nothing is sent. At most 2 h 45 min of one face.");
const NO_CAMERA = t("Start the camera or a video, then record.");

export function startRecording({ config, settings }) {
  const root = document.querySelector("[data-recording]");
  const $ = (name) => root.querySelector(`[data-${name}]`);
  const button = (name) => $(`rec="${name}"`);
  const pill = document.querySelector("[data-rec-pill]");
  const recorder = new Recorder({ onFull: () => ended(t("The recording is full: it ended by itself.")) });

  let phase = "idle";
  let kind = "camera";
  let store = null; // null where this browser has no database
  let keeper = null;
  let stored = false;
  let flushedMs = 0;
  let leaving = false;
  let offered = null;
  const ready = RecordStore.open().then((opened) => (store = opened)).catch(() => null);

  const say = (text, tone = "info") => {
    $("rec-status").dataset.tone = tone;
    setText($("rec-status"), text);
  };

  const keys = markerKeys({
    keys: $("rec-keys"),
    names: $("rec-names"),
    enabled: () => $("rec-keyboard").checked && recorder.active,
    onMark(key, name) {
      const marker = recorder.mark(key, name, performance.now());
      if (marker) say(t("Marker “{name}” at {time}.", { name: marker.name, time: clock(marker.t_ms, { tenths: true }) }));
      else if (recorder.active) say(t("No more markers fit into this recording."), "bad");
    },
  });

  function show() {
    const { state, active } = recorder;
    root.dataset.state = state;
    button("start").hidden = active;
    button("start").disabled = phase !== "running";
    button("pause").hidden = state !== "recording";
    button("resume").hidden = state !== "paused";
    button("stop").hidden = !active;
    $("rec-markers").hidden = !active;
    $("rec-clock").hidden = !active;
    $("rec-done").hidden = state !== "done";
    $("rec-open").hidden = !stored;
    $("rec-offer").hidden = active || !offered;
    pill.hidden = !active;
    pill.dataset.state = state;
    setText($("rec-text"), phase === "running" || active || state === "done" ? ABOUT : `${ABOUT} ${NO_CAMERA}`);
    showClock(performance.now());
  }

  function showClock(nowMs) {
    if (!recorder.active) return;
    const text = clock(recorder.elapsed(nowMs));
    setText($("rec-clock"), text);
    const word = recorder.state === "paused" ? t("Recording paused") : t("Recording");
    setText(document.querySelector("[data-rec-pill-text]"), `${word} ${text}`);
  }

  async function start() {
    if (recorder.state === "done" && !stored && !(await lossConfirmed())) return;
    await ready;
    if (phase !== "running" || recorder.active) return;
    offered = null;
    stored = false;
    recorder.start({
      nowMs: performance.now(),
      epochMs: Date.now(),
      id: newId(),
      software: { name: "Mien", version: config.version ?? "unknown" },
      source: kind,
      settings: settings(),
    });
    keeper = null;
    if (store) {
      stored = true;
      keeper = new RecordKeeper(store, recorder.recording, { onTrouble: notStored });
      keeper.flush();
    }
    flushedMs = performance.now();
    say(store ? "" : t("This browser keeps nothing over a reload: export before you leave the page."));
    show();
    (recorder.active ? button("pause") : button("start")).focus({ preventScroll: true });
  }

  function lossConfirmed() {
    return confirmed({
      title: t("Record again?"), text: t("The last recording is only in this page's memory and is lost."),
      yes: t("Record again"), danger: true,
    });
  }

  function notStored(error) {
    console.warn("The recording could not be stored.", error);
    stored = false;
    say(t("This browser has no room for the recording: it goes on in memory. Export it before you leave the page."), "bad");
    show();
  }

  function ended(words = "") {
    const { recording } = recorder;
    const count = recording.markers.length;
    const marks = tn("{count} marker", "{count} markers", count);
    say(t("{words} {time} recorded, {readings} readings, {marks}.", { words, time: span(recording.durationMs), readings: number(recording.readings.length), marks }).trim());
    $("rec-open").href = `/recordings#${recording.id}`;
    keeper?.close();
    keeper = null;
    show();
  }

  async function write(format) {
    const before = $("rec-status").textContent;
    say(t("Writing the file."));
    await exportAs(format, recorder.recording);
    say(before);
  }

  async function remove() {
    if (!(await deletionConfirmed())) return;
    const { recording } = recorder;
    recorder.discard();
    show();
    if (stored) await store.remove(recording.id).catch(() => say(t("It could not be deleted."), "bad"));
    stored = false;
    say(t("Deleted."));
    await offer();
    focusAfterDeletion();
  }

  function focusAfterDeletion() {
    (button("start").disabled ? root : button("start")).focus({ preventScroll: true });
  }

  /** Offers the newest recording that no page has finished and none is making now. */
  async function offer() {
    await ready;
    const rows = store ? await store.list().catch(() => []) : [];
    offered = rows.find(({ complete, live, id }) => !complete && !live && id !== recorder.recording?.id) ?? null;
    if (offered) {
      const when = new Date(offered.startedAt).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
      setText($("rec-offer-text"), t("A recording of {when} with {count} readings was interrupted. It is still in this browser.", { when, count: offered.count }));
      $("rec-recover").href = `/recordings#${offered.id}`;
    }
    show();
  }

  const actions = {
    start,
    pause: () => {
      recorder.pause(performance.now());
      say(t("Paused: nothing is kept until you go on."));
    },
    resume: () => {
      recorder.resume(performance.now());
      say("");
    },
    stop: () => {
      if (recorder.stop(performance.now())) ended();
    },
    csv: () => write("csv"),
    json: () => write("json"),
    delete: remove,
    forget: async () => {
      const { id } = offered;
      if (!(await deletionConfirmed())) return;
      await store.remove(id).catch(() => say(t("It could not be deleted."), "bad"));
      await offer();
      focusAfterDeletion();
    },
  };
  const next = { pause: "resume", resume: "pause", stop: "csv" }; // where the focus goes
  for (const element of root.querySelectorAll("[data-rec]")) {
    element.addEventListener("click", async () => {
      const name = element.dataset.rec;
      await actions[name]();
      show();
      if (next[name]) button(next[name]).focus({ preventScroll: true });
    });
  }
  document.addEventListener("keydown", keys.onKey);
  document.addEventListener("visibilitychange", () => {
    recorder.event(document.hidden ? "tab_hidden" : "tab_shown", performance.now());
    if (document.hidden) keeper?.flush();
  });
  // The page goes: what is recorded stays as it is and is offered for recovery.
  window.addEventListener("pagehide", () => {
    leaving = true;
    keeper?.flush();
  });
  window.addEventListener("pageshow", () => (leaving = false));
  window.addEventListener("beforeunload", (event) => {
    if (recorder.recording && !stored) event.preventDefault();
  });
  show();
  offer();

  return {
    hello: () => recorder.newTracks(),
    connection: (state) => recorder.connection(state, performance.now()),
    result: (result, capturedMs) => recorder.result(result, capturedMs),
    phase(name, sourceKind) {
      const nowMs = performance.now();
      if (name === "running" && phase === "starting") {
        kind = sourceKind === "camera" ? "camera" : "file";
        recorder.newTracks();
        recorder.event("camera_started", nowMs, { source: kind });
      }
      if (phase === "running" && name === "starting") recorder.event("camera_ended", nowMs);
      if (name === "failed") recorder.event("camera_lost", nowMs);
      phase = name;
      if (name === "idle" && recorder.active && !leaving) actions.stop();
      show();
    },
    tick(nowMs) {
      if (!recorder.active) return;
      showClock(nowMs);
      if (nowMs - flushedMs < FLUSH_EVERY_MS) return;
      flushedMs = nowMs;
      recorder.settings(settings(), nowMs);
      keeper?.flush();
    },
  };
}

/** A random name; crypto.randomUUID needs a safe address, as the camera does. */
function newId() {
  return globalThis.crypto?.randomUUID?.() ?? `r-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
}
