// The seven expressions in the order every part of Mien uses, with a name and a shape each.
// Colours live in tokens.css as --emotion-<name>, so that light and dark differ in one place.

import { t } from "./i18n.js";

export const EMOTIONS = Object.freeze([
  "angry",
  "disgust",
  "fear",
  "happy",
  "sad",
  "surprise",
  "neutral",
]);

export const UNCERTAIN = "uncertain";

const SECOND_FROM = 0.1; // the second most likely is worth a word from here on

const NAMES = Object.freeze({
  angry: t("Angry"),
  disgust: t("Disgust"),
  fear: t("Fear"),
  happy: t("Happy"),
  sad: t("Sad"),
  surprise: t("Surprise"),
  neutral: t("Neutral"),
  uncertain: t("Unclear"),
});

const INNER_NAMES = Object.freeze({
  angry: t("angry"),
  disgust: t("disgust"),
  fear: t("fear"),
  happy: t("happy"),
  sad: t("sad"),
  surprise: t("surprise"),
  neutral: t("neutral"),
  uncertain: t("unclear"),
});

// Filled outlines in a 24 x 24 box. Each is distinct from the others at 12 px without colour.
const SHAPES = Object.freeze({
  angry: "M12 2 23 21.5H1Z",
  disgust: "M6.2 1.8 12 7.6 17.8 1.8 22.2 6.2 16.4 12 22.2 17.8 17.8 22.2 12 16.4 6.2 22.2 1.8 17.8 7.6 12 1.8 6.2Z",
  fear: "M12 .8 23.2 12 12 23.2 .8 12Z",
  happy: "M12 1.5a10.5 10.5 0 1 1 0 21 10.5 10.5 0 0 1 0-21Z",
  sad: "M12 22.5C6.2 22.5 2.8 18.8 2.8 14.6 2.8 9.6 8 6.4 12 .8c4 5.6 9.2 8.8 9.2 13.8 0 4.2-3.4 7.9-9.2 7.9Z",
  surprise: "M12 .5 14.9 8.1 23 8.6 16.7 13.7 18.8 21.6 12 17.2 5.2 21.6 7.3 13.7 1 8.6 9.1 8.1Z",
  neutral: "M2.5 3.5h19v17h-19Z",
  uncertain: "M12 1.5a10.5 10.5 0 1 1 0 21 10.5 10.5 0 0 1 0-21Zm0 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z",
});

/** The name people read, for an emotion or "uncertain". */
export function nameOf(label) {
  return NAMES[label] ?? String(label);
}

/** The same within a sentence. */
export function innerNameOf(label) {
  return INNER_NAMES[label] ?? String(label);
}

/** SVG path data of the label's shape in a 24 x 24 box. */
export function shapeOf(label) {
  return SHAPES[label] ?? SHAPES.uncertain;
}

/** The index and probability of the most and second most probable of seven `scores`. */
export function topTwo(scores) {
  let first = 0;
  for (let i = 1; i < scores.length; i += 1) if (scores[i] > scores[first]) first = i;
  let second = first === 0 ? 1 : 0;
  for (let i = 0; i < scores.length; i += 1) {
    if (i !== first && scores[i] > scores[second]) second = i;
  }
  return [
    { emotion: EMOTIONS[first], score: scores[first] },
    { emotion: EMOTIONS[second], score: scores[second] },
  ];
}

/**
 * What to say of a face: advice before a label that would mislead, doubt as doubt.
 * Returns {tone: "advice"|"doubt"|"sure", icon, title, detail, short}.
 */
export function describe(face) {
  if (!face.quality.ok && face.quality.advice) {
    const advice = t(face.quality.advice); // the server says it in English: a contract
    // The server says what to do first, then why; on the picture there is room for the first.
    return {
      tone: "advice",
      icon: UNCERTAIN,
      title: t("Hard to read"),
      detail: advice,
      short: advice.split(/[:.]/)[0],
    };
  }
  const [first, second] = topTwo(face.scores);
  const named = { first: innerNameOf(first.emotion), second: innerNameOf(second.emotion) };
  if (face.label === UNCERTAIN) {
    return {
      tone: "doubt",
      icon: UNCERTAIN,
      title: t("Unclear"),
      short: t("Unclear"),
      detail: t("Perhaps {first}, perhaps {second}.", named),
    };
  }
  // The label follows the scores with a little inertia, so it may not be the most probable now.
  const own = likelihood(face.scores[EMOTIONS.indexOf(face.label)]);
  const [other, score] = face.label === first.emotion
    ? [named.second, second.score]
    : [named.first, first.score];
  return {
    tone: "sure",
    icon: face.label,
    title: nameOf(face.label),
    short: `${nameOf(face.label)}  ${own}`,
    detail: score >= SECOND_FROM
      ? t("{own} likely, {other} {share}.", { own, other, share: likelihood(score) })
      : t("{own} likely.", { own }),
  };
}

/** How likely something is, in words: "83 %", and never more than "over 99 %": no reading is sure. */
export function likelihood(probability) {
  return probability > 0.99 ? t("over 99 %") : percent(probability);
}

/** A share in words: "83 %". */
export function percent(probability) {
  return `${Math.round(probability * 100)} %`;
}
