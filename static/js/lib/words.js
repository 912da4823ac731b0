// What the page says about the connection, the server and the picture.

import { describe, innerNameOf, nameOf, percent } from "./emotions.js";
import { HISTORY } from "../live/history.js";
import { number, t, tn } from "./i18n.js";

const TROUBLE = Object.freeze({
  worker_crashed:
    t("The reader stopped at one frame and is starting again. Only that frame was lost."),
  inference_unavailable: t("The reader is starting again. Your camera keeps running."),
  inference_timeout: t("Reading a frame took too long. Trying again."),
  ack_timeout: t("The server has not answered for a while. Trying again."),
  disconnected: t("The connection to the server was lost. Trying again by itself."),
  frame_in_flight: t("The server is still busy with an earlier frame. Trying again."),
  rate_limited: t("The server asked for fewer frames, so fewer are sent."),
  too_many_sessions: t("The server has as many viewers as it can take. Trying again every few seconds."),
  payload_too_large: t("The frames were too large for this server, so smaller ones are sent."),
  protocol: t("The server's answer was not understood. It may have been updated: reload the page."),
});

/** The state of the connection. */
export const CONNECTION_WORDS = Object.freeze({
  off: t("Ready"),
  connecting: t("Connecting"),
  connected: t("Connected"),
  reconnecting: t("Reconnecting"),
  refused: t("Refused by the server"),
});

/** What the reading says while it shows no face: a title and what to do. */
export const BLANK = Object.freeze({
  idle: Object.freeze([t("No face yet"), t("Start the camera or open a video file.")]),
  starting: Object.freeze([t("Starting"), t("One moment.")]),
  looking: Object.freeze([t("Looking for a face"), t("Face the camera, with light on your face.")]),
  absent: Object.freeze([t("No face in view"), t("Face the camera and come a little closer.")]),
  dark: Object.freeze([t("Too dark to find a face"), t("More light on the face would help.")]),
  silent: Object.freeze([t("No fresh reading"), t("The reader has not answered for a while. It goes on by itself.")]),
  cut: Object.freeze([t("No connection"), t("The server cannot be reached. Reading goes on when it is back.")]),
  frozen: Object.freeze([t("The picture stands still"), t("The camera sends nothing new, so there is nothing to read.")]),
  paused: Object.freeze([t("Paused"), t("Nothing is sent while this tab is hidden.")]),
  failed: Object.freeze([t("No picture"), t("Mien sees nothing until a camera or a video runs.")]),
});

/** The same for a face that was chosen after it had left. */
export function awayText(number) {
  return [t("Face {number} is not in view", { number }), t("Its last minute is below. Choose another face to read on.")];
}

const RECOVERED = Object.freeze({
  worker_crashed: t("The reader had stopped and was started again."),
  inference_unavailable: t("The reader was started again."),
  disconnected: t("The connection is back."),
});

/**
 * What an error means for the person at the screen.
 * @param {{code: string, message?: string}} error
 */
export function troubleText({ code, message }) {
  return TROUBLE[code] ?? (message || t("Something went wrong. Trying again."));
}

/**
 * What to say when results come again, or null when it is not worth a word. `downMs` is how long
 * there was none, or null when that is not known.
 */
export function recoveryText(code, downMs) {
  const what = RECOVERED[code];
  if (!what || downMs === null) return what ?? null;
  return t("{what} Reading again after {seconds} s.", { what, seconds: number(downMs / 1000, 1) });
}

/** What a `status` event means for the person at the screen, or null when it is not worth a word. */
export function statusText({ reason, model, message, workers }) {
  if (message) return message;
  if (reason === "model_changed") return model ? t("The model was changed: {model} reads now.", { model }) : null;
  if (reason === "workers_lost") {
    return workers?.ready > 0
      ? t("A reader stopped and is starting again. The others go on.")
      : t("The reader stopped and is starting again. Your camera keeps running.");
  }
  if (reason === "workers_back") return t("The reader that had stopped is running again.");
  return null;
}

/** Shares of time in words: "Happy 62 %, neutral 30 %"; at most `most`, none below 5 %. */
export function summary(shares, most = 2) {
  return shares
    .filter(({ share }) => share >= 0.05)
    .slice(0, most)
    .map(({ label, share }, i) => {
      const name = i === 0 ? nameOf(label) : innerNameOf(label);
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
    const name = label ? innerNameOf(label) : t("not seen");
    return `${name} ${Math.round(ms / 1000)} s`;
  });
  if (!said.length) return t("Seen for a moment.");
  return `${said[0][0].toUpperCase()}${said.join(", ").slice(1)}.`;
}

/** The picture in one sentence, for the screen reader; `dark` when no face can be found in it. */
export function spokenText(faces, chosen, { dark = false } = {}) {
  if (faces.length === 0) return dark ? t("No face in the picture. It is dark: more light would help.") : t("No face in the picture.");
  if (!chosen && faces.length > 1) return t("{count} faces. The chosen one is not in view.", { count: faces.length });
  const said = describe(chosen ?? faces[0]);
  const what = said.tone === "sure" ? `${said.title}.` : `${said.title}. ${said.detail}`;
  return faces.length === 1 ? t("One face. {what}", { what }) : t("{count} faces. The chosen one: {what}", { count: faces.length, what });
}
