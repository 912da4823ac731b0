// The summary of a recording as words and tables, for the page and for the clipboard.

import { EMOTIONS, percent } from "../lib/emotions.js";
import { number, t, tn } from "../lib/i18n.js";
import { meanValence, UNREADABLE } from "./analysis.js";
import { clock, innerStateName, settingText, signed, span, stateName } from "./words.js";

export const STATES = Object.freeze([...EMOTIONS, "uncertain", UNREADABLE]);
export const CAUTION =
  t("These figures count what the model read in the movement of faces. They are not a measure of what "
  + "anybody felt or thought. A model errs, more on some faces and in some light than in others; "
  + "readings that follow each other are not independent, so small differences mean nothing. "
  + "Mean valence is the score of happy less those of angry, disgust, fear and sad.");

const share = (part, whole) => (whole > 0 ? percent(part / whole) : "–");
const timed = (part, whole) => (part > 0 ? `${span(part)} (${share(part, whole)})` : "–");

/** The states that took most of the time, in words: "mostly neutral (62 %), then happy (20 %)". */
function leading({ states, faceMs }) {
  const ranked = STATES.map((state) => [state, states[state]])
    .filter(([, ms]) => ms > 0.05 * faceMs)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 2)
    .map(([state, ms]) => `${innerStateName(state)} (${share(ms, faceMs)})`);
  return ranked.length ? ranked.join(t(", then ")) : t("no state for long");
}

/** The first paragraph. */
export function leadText({ durationMs, complete }, { whole, faces, brief }) {
  const parts = [complete
    ? t("{time} recorded.", { time: span(durationMs) })
    : t("{time} recorded, until it was interrupted.", { time: span(durationMs) })];
  if (whole.observedMs === 0) {
    parts.push(t("Nothing was read in this time."));
    return parts.join(" ");
  }
  if (durationMs - whole.observedMs > 1000) {
    parts.push(t("Results cover {time} of it; the rest are pauses and gaps, which count for nothing.", { time: span(whole.observedMs) }));
  }
  if (!faces.length) parts.push(t("No face was in view for more than a moment."));
  for (const { face, totals } of faces.slice(0, 4)) {
    parts.push(t("{name} was in view for {time} and was read as {states}.", { name: face.name, time: span(totals.faceMs), states: leading(totals) }));
  }
  if (faces.length > 4) parts.push(tn("{count} more face is in the table.", "{count} more faces are in the table.", faces.length - 4));
  if (brief) parts.push(tn("{count} more face was in view for less than a second.", "{count} more faces were in view for less than a second.", brief));
  return parts.join(" ");
}

/** [[name, value]] for the row of figures. */
export function figures({ whole, faces }) {
  const minutes = whole.faceMs / 60_000;
  return [
    [t("Time with results"), span(whole.observedMs)],
    [t("Without a face"), share(whole.nobodyMs, whole.observedMs)],
    [t("Faces"), String(faces.length)],
    [t("Changes"), String(whole.changes)],
    [t("Changes a minute"), minutes > 0.1 ? number(whole.changes / minutes, 1) : "–"],
    [t("Unclear"), share(whole.states.uncertain, whole.faceMs)],
    [t("Mean valence"), signed(meanValence(whole))],
  ];
}

/** {caption, head, rows}: time per expression, a column for each face. */
export function faceTable({ whole, faces }) {
  const shown = faces.slice(0, 8);
  const several = shown.length > 1;
  return {
    caption: t("Time per expression and face, with its share of the time the face was in view"),
    head: [t("Expression"), ...shown.map(({ face }) => face.name), ...(several ? [t("All faces")] : [])],
    rows: [
      ...STATES.map((state) => [
        stateName(state),
        ...shown.map(({ totals }) => timed(totals.states[state], totals.faceMs)),
        ...(several ? [timed(whole.states[state], whole.faceMs)] : []),
      ]),
      [t("In view"), ...shown.map(({ totals }) => span(totals.faceMs)), ...(several ? [span(whole.faceMs)] : [])],
      [t("Changes"), ...shown.map(({ totals }) => String(totals.changes)), ...(several ? [String(whole.changes)] : [])],
      [
        t("Mean valence"),
        ...shown.map(({ totals }) => signed(meanValence(totals))),
        ...(several ? [signed(meanValence(whole))] : []),
      ],
    ],
  };
}

/** {caption, head, rows}: one row for each stretch between markers. */
export function segmentTable({ segments }) {
  return {
    caption: t("By marker: from each marker to the next, all faces together; shares are of the time a face was in view"),
    head: [t("From"), t("At"), t("Length"), t("With results"), t("No face"), ...STATES.map(stateName), t("Changes"), t("Mean valence")],
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
  const values = Object.entries(settings.at(-1)?.values ?? {}).map(([name, value]) => settingText(name, value));
  return [
    models.length ? t("Model {models}", { models: models.join(t(", then ")) }) : t("No model"),
    `${software.name} ${software.version}`,
    source === "camera" ? t("camera") : t("video file"),
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
