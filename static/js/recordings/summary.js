// The summary of a recording as words and tables, for the page and for the clipboard.

import { EMOTIONS, percent } from "../lib/emotions.js";
import { meanValence, UNREADABLE } from "./analysis.js";
import { clock, signed, span, stateName } from "./words.js";

export const STATES = Object.freeze([...EMOTIONS, "uncertain", UNREADABLE]);
export const CAUTION =
  "These figures count what the model read in the movement of faces. They are not a measure of what "
  + "anybody felt or thought. A model errs, more on some faces and in some light than in others; "
  + "readings that follow each other are not independent, so small differences mean nothing. "
  + "Mean valence is the score of happy less those of angry, disgust, fear and sad.";

const share = (part, whole) => (whole > 0 ? percent(part / whole) : "–");
const timed = (part, whole) => (part > 0 ? `${span(part)} (${share(part, whole)})` : "–");

/** The states that took most of the time, in words: "mostly neutral (62 %), then happy (20 %)". */
function leading({ states, faceMs }) {
  const ranked = STATES.map((state) => [state, states[state]])
    .filter(([, ms]) => ms > 0.05 * faceMs)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 2)
    .map(([state, ms]) => `${stateName(state).toLowerCase()} (${share(ms, faceMs)})`);
  return ranked.length ? ranked.join(", then ") : "no state for long";
}

/** The first paragraph. */
export function leadText({ durationMs, complete }, { whole, faces, brief }) {
  const parts = [`${span(durationMs)} recorded${complete ? "" : ", until it was interrupted"}.`];
  if (whole.observedMs === 0) {
    parts.push("Nothing was read in this time.");
    return parts.join(" ");
  }
  if (durationMs - whole.observedMs > 1000) {
    parts.push(`Results cover ${span(whole.observedMs)} of it; the rest are pauses and gaps, which count for nothing.`);
  }
  if (!faces.length) parts.push("No face was in view for more than a moment.");
  for (const { face, totals } of faces.slice(0, 4)) {
    parts.push(`${face.name} was in view for ${span(totals.faceMs)} and was read as ${leading(totals)}.`);
  }
  if (faces.length > 4) parts.push(`${faces.length - 4} more faces are in the table.`);
  if (brief) parts.push(`${brief} more ${brief === 1 ? "face was" : "faces were"} in view for less than a second.`);
  return parts.join(" ");
}

/** [[name, value]] for the row of figures. */
export function figures({ whole, faces }) {
  const minutes = whole.faceMs / 60_000;
  return [
    ["Time with results", span(whole.observedMs)],
    ["Without a face", share(whole.nobodyMs, whole.observedMs)],
    ["Faces", String(faces.length)],
    ["Changes", String(whole.changes)],
    ["Changes a minute", minutes > 0.1 ? (whole.changes / minutes).toFixed(1) : "–"],
    ["Unclear", share(whole.states.uncertain, whole.faceMs)],
    ["Mean valence", signed(meanValence(whole))],
  ];
}

/** {caption, head, rows}: time per expression, a column for each face. */
export function faceTable({ whole, faces }) {
  const shown = faces.slice(0, 8);
  const several = shown.length > 1;
  return {
    caption: "Time per expression and face, with its share of the time the face was in view",
    head: ["Expression", ...shown.map(({ face }) => face.name), ...(several ? ["All faces"] : [])],
    rows: [
      ...STATES.map((state) => [
        stateName(state),
        ...shown.map(({ totals }) => timed(totals.states[state], totals.faceMs)),
        ...(several ? [timed(whole.states[state], whole.faceMs)] : []),
      ]),
      ["In view", ...shown.map(({ totals }) => span(totals.faceMs)), ...(several ? [span(whole.faceMs)] : [])],
      ["Changes", ...shown.map(({ totals }) => String(totals.changes)), ...(several ? [String(whole.changes)] : [])],
      [
        "Mean valence",
        ...shown.map(({ totals }) => signed(meanValence(totals))),
        ...(several ? [signed(meanValence(whole))] : []),
      ],
    ],
  };
}

/** {caption, head, rows}: one row for each stretch between markers. */
export function segmentTable({ segments }) {
  return {
    caption: "By marker: from each marker to the next, all faces together; shares are of the time a face was in view",
    head: ["From", "At", "Length", "With results", "No face", ...STATES.map(stateName), "Changes", "Mean valence"],
    rows: segments.map(({ segment, totals }) => [
      segment.name,
      clock(segment.fromMs, { tenths: true }),
      span(segment.toMs - segment.fromMs),
      span(totals.observedMs),
      timed(totals.nobodyMs, totals.observedMs),
      ...STATES.map((state) => share(totals.states[state], totals.faceMs)),
      String(totals.changes),
      signed(meanValence(totals)),
    ]),
  };
}

/** What the recording is: model, software, settings, in one line. */
export function aboutText(recording) {
  const { models, software, settings, source } = recording;
  const values = Object.entries(settings.at(-1)?.values ?? {}).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
  return [
    models.length ? `Model ${models.join(", then ")}` : "No model",
    `${software.name} ${software.version}`,
    source === "camera" ? "camera" : "video file",
    ...values,
  ].join(" · ");
}

const lines = ({ caption, head, rows }) => [caption, head.join("\t"), ...rows.map((row) => row.join("\t"))].join("\n");

/** The whole summary as text; tables are separated by tabs, fit for a spreadsheet. */
export function summaryText(title, recording, summary) {
  return [
    title,
    aboutText(recording),
    leadText(recording, summary),
    figures(summary).map(([name, value]) => `${name}: ${value}`).join("\n"),
    lines(faceTable(summary)),
    lines(segmentTable(summary)),
    CAUTION,
  ].join("\n\n");
}
