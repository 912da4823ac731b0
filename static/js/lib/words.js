// What the page says about the connection, the server and the picture.

import { describe, nameOf, percent } from "./emotions.js";
import { HISTORY } from "../live/history.js";

const TROUBLE = Object.freeze({
  worker_crashed:
    "The reader stopped at one frame and is starting again. Only that frame was lost.",
  inference_unavailable: "The reader is starting again. Your camera keeps running.",
  inference_timeout: "Reading a frame took too long. Trying again.",
  ack_timeout: "The server has not answered for a while. Trying again.",
  disconnected: "The connection to the server was lost. Trying again by itself.",
  frame_in_flight: "The server is still busy with an earlier frame. Trying again.",
  rate_limited: "The server asked for fewer frames, so fewer are sent.",
  too_many_sessions: "The server has as many viewers as it can take. Trying again every few seconds.",
  payload_too_large: "The frames were too large for this server, so smaller ones are sent.",
  protocol: "The server's answer was not understood. It may have been updated: reload the page.",
});

/** The state of the connection. */
export const CONNECTION_WORDS = Object.freeze({
  off: "Ready",
  connecting: "Connecting",
  connected: "Connected",
  reconnecting: "Reconnecting",
  refused: "Refused by the server",
});

/** What the reading says while it shows no face: a title and what to do. */
export const BLANK = Object.freeze({
  idle: Object.freeze(["No face yet", "Start the camera or open a video file."]),
  starting: Object.freeze(["Starting", "One moment."]),
  looking: Object.freeze(["Looking for a face", "Face the camera, with light on your face."]),
  absent: Object.freeze(["No face in view", "Face the camera and come a little closer."]),
  dark: Object.freeze(["Too dark to find a face", "More light on the face would help."]),
  silent: Object.freeze(["No fresh reading", "The reader has not answered for a while. It goes on by itself."]),
  cut: Object.freeze(["No connection", "The server cannot be reached. Reading goes on when it is back."]),
  frozen: Object.freeze(["The picture stands still", "The camera sends nothing new, so there is nothing to read."]),
  paused: Object.freeze(["Paused", "Nothing is sent while this tab is hidden."]),
  failed: Object.freeze(["No picture", "Mien sees nothing until a camera or a video runs."]),
});

/** The same for a face that was chosen after it had left. */
export function awayText(number) {
  return [`Face ${number} is not in view`, "Its last minute is below. Choose another face to read on."];
}

const RECOVERED = Object.freeze({
  worker_crashed: "The reader had stopped and was started again.",
  inference_unavailable: "The reader was started again.",
  disconnected: "The connection is back.",
});

/**
 * What an error means for the person at the screen.
 * @param {{code: string, message?: string}} error
 */
export function troubleText({ code, message }) {
  return TROUBLE[code] ?? (message || "Something went wrong. Trying again.");
}

/**
 * What to say when results come again, or null when it is not worth a word. `downMs` is how long
 * there was none, or null when that is not known.
 */
export function recoveryText(code, downMs) {
  const what = RECOVERED[code];
  if (!what || downMs === null) return what ?? null;
  return `${what} Reading again after ${(downMs / 1000).toFixed(1)} s.`;
}

/** What a `status` event means for the person at the screen, or null when it is not worth a word. */
export function statusText({ reason, model, message, workers }) {
  if (message) return message;
  if (reason === "model_changed") return model ? `The model was changed: ${model} reads now.` : null;
  if (reason === "workers_lost") {
    return workers?.ready > 0
      ? "A reader stopped and is starting again. The others go on."
      : "The reader stopped and is starting again. Your camera keeps running.";
  }
  if (reason === "workers_back") return "The reader that had stopped is running again.";
  return null;
}

/** Shares of time in words: "Happy 62 %, neutral 30 %"; at most `most`, none below 5 %. */
export function summary(shares, most = 2) {
  return shares
    .filter(({ share }) => share >= 0.05)
    .slice(0, most)
    .map(({ label, share }, i) => {
      const name = i === 0 ? nameOf(label) : nameOf(label).toLowerCase();
      return `${name} ${percent(share)}`;
    })
    .join(", ");
}

const MOST_PIECES = 8;
const LEAST_PIECE_MS = 1000; // what is shorter cannot be followed by ear

/** The lane of a face in words, oldest first: "Neutral 12 s, not seen 4 s, happy 20 s." */
export function laneWords(runs, nowMs) {
  const pieces = [];
  const add = (label, fromMs, toMs) => {
    const from = Math.max(fromMs, nowMs - HISTORY.spanMs);
    const ms = Math.min(toMs, nowMs) - from;
    const last = pieces.at(-1);
    if (ms < LEAST_PIECE_MS) return;
    if (last?.label === label) last.ms += ms;
    else pieces.push({ label, ms });
  };
  runs.forEach(({ label, fromMs, toMs }, i) => {
    add(label, fromMs, toMs);
    add("", toMs, runs[i + 1]?.fromMs ?? nowMs);
  });
  const said = pieces.slice(-MOST_PIECES).map(({ label, ms }) => {
    const name = label ? nameOf(label).toLowerCase() : "not seen";
    return `${name} ${Math.round(ms / 1000)} s`;
  });
  if (!said.length) return "Seen for a moment.";
  return `${said[0][0].toUpperCase()}${said.join(", ").slice(1)}.`;
}

/** The picture in one sentence, for the screen reader; `dark` when no face can be found in it. */
export function spokenText(faces, chosen, { dark = false } = {}) {
  if (faces.length === 0) return `No face in the picture.${dark ? " It is dark: more light would help." : ""}`;
  if (!chosen && faces.length > 1) return `${faces.length} faces. The chosen one is not in view.`;
  const said = describe(chosen ?? faces[0]);
  const what = said.tone === "sure" ? `${said.title}.` : `${said.title}. ${said.detail}`;
  return faces.length === 1 ? `One face. ${what}` : `${faces.length} faces. The chosen one: ${what}`;
}
