// Review by keyboard: one face, one key. In random order the model's answer is shown afterwards.

import { showError } from "../lib/dom.js";
import { call } from "../lib/http.js";
import { nameOf } from "../lib/emotions.js";
import { number, t } from "../lib/i18n.js";
import { showFace } from "./survey-report.js";

const config = JSON.parse(document.getElementById("config").textContent);
const find = (name) => document.querySelector(`[data-${name}]`);
const base = `${config.api}/jobs/${config.job}/review`;
const labels = [...config.emotions, config.unusable];
const names = { [config.unusable]: t("Cannot be judged") };
const title = (word) => names[word] ?? nameOf(word);

let faces = [];
let last = null;
let working = false;

function showStatus(status) {
  const { n, agreed, kappa, interval } = status.agreement;
  const parts = [t("{labelled} of {faces} faces labelled.", { labelled: status.labelled, faces: status.faces })];
  if (n > 0) parts.push(t("You and the model agree on {agreed} of {n} faces in random order.", { agreed, n }));
  if (kappa !== null) {
    parts.push(
      t("Kappa {kappa} (95 % interval {low} to {high}; 1 is full agreement, 0 is chance).", {
        kappa: number(kappa, 2), low: number(interval[0], 2), high: number(interval[1], 2),
      }),
    );
  } else if (n > 0) {
    parts.push(t("Kappa is said from 20 labels of five people on."));
  }
  find("status").textContent = parts.join(" ");
  showTally(status.by_label);
}

function showTally(counts) {
  const usable = config.emotions.reduce((sum, emotion) => sum + counts[emotion], 0);
  find("export").hidden = usable === 0;
  find("tally").replaceChildren(...config.emotions.map((emotion) => {
    const row = document.createElement("li");
    const dot = document.createElement("span");
    dot.className = `dot dot--${emotion}`;
    row.append(dot, `${title(emotion)} `, Object.assign(document.createElement("strong"), {
      textContent: counts[emotion],
    }));
    return row;
  }));
  const missing = config.emotions.filter((emotion) => counts[emotion] === 0);
  find("missing").textContent = missing.length > 0
    ? t("Training needs every expression at least once; nothing is labelled {names} yet. "
      + "Put these folders into a larger set, or go on labelling.", { names: missing.map(title).join(", ") })
    : "";
}

function show() {
  const face = faces[0];
  find("nothing").hidden = Boolean(face);
  find("review").hidden = !face;
  if (!face) return;
  showFace(find("stage"), config.api, { ...face, kind: "image" });
  find("path").textContent = config.queue === "random"
    ? ""
    : t("The model said {emotion} ({confidence} %).", { emotion: title(face.emotion), confidence: Math.round(100 * face.confidence) });
}

async function load() {
  const answer = await call("GET", `${base}?queue=${config.queue}`);
  faces = answer.faces;
  showStatus(answer.status);
  show();
}

async function guarded(work) {
  if (working) return;
  working = true;
  find("error").hidden = true;
  try {
    await work();
  } catch (trouble) {
    showError(find("error"), trouble.message);
  } finally {
    working = false;
  }
}

const give = (label) => guarded(async () => {
  const face = faces[0];
  if (!face) return;
  const status = await call("PUT", `${base}/${face.face}`, { label, queue: config.queue });
  last = faces.shift();
  const verdict = face.emotion === label ? t("The model agrees") : t("The model said {emotion}", { emotion: title(face.emotion) });
  find("answer").textContent = t("You: {label}. {verdict} ({confidence} %).", { label: title(label), verdict, confidence: Math.round(100 * face.confidence) });
  showStatus(status);
  if (faces.length === 0) await load();
  else show();
});

const undo = () => guarded(async () => {
  if (!last) return;
  showStatus(await call("DELETE", `${base}/${last.face}`));
  faces.unshift(last);
  last = null;
  find("answer").textContent = "";
  show();
});

find("keys").replaceChildren(...labels.map((label, i) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.append(title(label), Object.assign(document.createElement("kbd"), { textContent: i + 1 }));
  button.addEventListener("click", () => give(label));
  return button;
}));
document.querySelector("[data-action=undo]").addEventListener("click", undo);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const number = Number(event.key);
  if (number >= 1 && number <= labels.length) give(labels[number - 1]);
  else if (event.key.toLowerCase() === "u") undo();
});
guarded(load);
