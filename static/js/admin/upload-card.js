// One upload as the page shows it: how far it is, why it was refused, or what was measured.

import { el, row, showError } from "../lib/dom.js";
import { bytes, ms } from "../lib/format.js";
import { innerNameOf, nameOf } from "../lib/emotions.js";
import { decimalMark, number, t } from "../lib/i18n.js";

const WORDS = {
  receiving: t("Sending"), waiting: t("Waiting"), checking: t("Checking"), asks: t("Needs your answer"),
  done: t("Ready"), refused: t("Refused"), cancelled: t("Cancelled"),
};
// no emotions of ours: left out, the others share the rest
const OTHERS = { contempt: t("Contempt"), unused: t("None of these") };
const percent = (value) => (value === null || value === undefined ? "–" : `${number(100 * value, 1)} %`);

const perFace = (value) => (value && value < 1 ? `${number(value, 2)} ms` : ms(value));
const difference = (value) => (value ? t("differs by at most {value}", { value: value.toExponential(1).replace(".", decimalMark) }) : t("no difference"));

function facts(pairs) {
  return el("dl", { class: "facts" }, ...pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** What the check ran without; only what the process reported is claimed. */
function closed(enforced) {
  if (!enforced) return "–";
  const kernel = enforced.kernel_filter
    ? t("no network, no programs (kernel filter)") : t("no network, no programs for Python code only: this system has no kernel filter");
  const folder = enforced.landlock ? t("writes in its own folder only; ") : "";
  return `${kernel}; ${folder}${enforced.limits ? t("memory and time limited") : t("no memory limit on this system")}`;
}

const VERDICTS = {
  better: [t("better than the serving model"), "good"],
  worse: [t("worse than the serving model"), "bad"],
  unclear: [t("no clear difference"), "soft"],
};
const range = (interval) => (interval ? el("small", {}, t("{low} to {high}", { low: percent(interval[0]), high: percent(interval[1]) })) : null);

/**
 * Both versions' accuracy in one row, on the same faces and with the answers that people would see;
 * null where there is nothing to compare.
 */
export function comparison(compared, version) {
  if (compared?.verdict === undefined) return null;
  const [words, tone] = VERDICTS[compared.verdict];
  const difference = 100 * (compared.accuracy_candidate - compared.accuracy_active);
  const signed = t("{points} points", { points: `${difference < 0 ? "−" : "+"}${number(Math.abs(difference), 1)}` });
  const paired = compared.p_value === null ? "" : `, p ${compared.p_value < 0.001 ? `< ${number(0.001, 3)}` : `= ${number(compared.p_value, 3)}`}`;
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("Both versions on the same faces") },
    el("table", { class: "data data--pair" },
      el("caption", {}, t("What each would show for the same {faces} faces, with 95 % intervals. They agree on {agreement}.", { faces: number(compared.faces), agreement: percent(compared.agreement) })),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, t("Figure"))), ...[t("{active} (serves)", { active: compared.active }), version, t("Difference")].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, row([
        t("Accuracy"),
        el("span", {}, percent(compared.accuracy_active), range(compared.interval_active)),
        el("span", {}, percent(compared.accuracy_candidate), range(compared.interval_candidate)),
        el("span", { class: tone }, words, el("small", {}, `${signed}${paired}`)),
      ]))));
}

function measured(config, state) {
  const { report } = state;
  const found = report.measured ?? {};
  const compared = report.comparison;
  const interval = found.intervals?.accuracy;
  const pairs = [
    [t("Input"), `${report.input[0]} × ${report.input[1]}, ${report.input[2] === 1 ? t("grey") : t("colour")}`],
    [t("Outputs"), report.heads.join(", ")],
    [t("Size"), t("{bytes}, {parameters} weights", { bytes: bytes(report.bytes["model.tflite"]), parameters: number(report.parameters) })],
    [t("Per face, one core"), perFace(found.ms_per_face_cpu || found.ms_per_face)],
    [t("LiteRT against Keras"), difference(Math.max(...Object.values(report.golden_differences)))],
  ];
  const both = comparison(compared, state.version);
  if (found.accuracy === undefined) {
    pairs.push([t("Accuracy"), t("not measured: no evaluation set was chosen")]);
  } else if (!both) {
    // without a model beside it: the head that fits the labels of the set
    const values = { accuracy: percent(found.accuracy), n: number(found.n) };
    pairs.push([t("Accuracy"), interval
      ? t("{accuracy} (95 %: {low} to {high}) on {n} faces", { ...values, low: percent(interval[0]), high: percent(interval[1]) })
      : t("{accuracy} on {n} faces", values)]);
  }
  if (compared?.error) pairs.push([t("Comparison"), compared.error]);
  if (report.left_out?.length) pairs.push([t("Left out"), t("{names}; the other outputs share its probability", { names: report.left_out.map((name) => OTHERS[name] ?? name).join(", ") })]);
  if (report.missing?.length) pairs.push([t("Never said"), t("{names}: the model has no output for it", { names: report.missing.map(innerNameOf).join(", ") })]);
  pairs.push([t("Checked with"), closed(report.enforced)]);
  const link = el("a", {
    class: "button button--primary", href: config.activate.replace("VERSION", encodeURIComponent(state.version)),
  }, t("Compare and put into service…"));
  return [...(both ? [both] : []), facts(pairs), el("div", { class: "actions" }, link)];
}

function question(config, state, answer) {
  const hint = state.report?.suggestion;
  const outputs = state.report?.outputs ?? config.emotions.length;
  const others = Object.keys(OTHERS);
  const start = hint?.labels ??
    Array.from({ length: outputs }, (_, i) => config.emotions[i] ?? others[0]);
  const choices = outputs === config.emotions.length ? config.emotions : [...config.emotions, ...others];
  const selects = start.map((label, place) => {
    const select = el("select", { class: "select", "aria-label": t("Output {place}", { place: place + 1 }) },
      ...choices.map((name) => el("option", { value: name, selected: name === label }, OTHERS[name] ?? nameOf(name))));
    return select;
  });
  const pixels = el("select", { class: "select" },
    ...[["0-255", t("0 to 255")], ["0-1", t("0 to 1")], ["-1-1", t("−1 to 1")]]
      .map(([value, text]) => el("option", { value, selected: value === hint?.pixels }, text)));
  const error = el("p", { class: "message message--bad", role: "alert", hidden: true });
  const button = el("button", { class: "button button--primary", type: "button" }, t("Go on with this order"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    error.hidden = true;
    try {
      await answer(state.id, { labels: selects.map((select) => select.value), pixels: pixels.value });
    } catch (problem) {
      showError(error, problem.message);
      button.disabled = false;
    }
  });
  const question = hint
    ? t("On {faces} faces of your evaluation set this order fits best ({accuracy} right). Check it against the training code.", { faces: state.report.suggestion_faces, accuracy: percent(hint.accuracy) })
    : t("Without an evaluation set Mien cannot guess it; the training code says it.");
  return [
    el("p", {}, t("Which expression does each output of the model stand for?"), " ", question),
    el("ol", { class: "order" }, ...selects.map((select) => el("li", {}, select))),
    el("label", { class: "field" }, t("Pixels that it expects"), " ", pixels),
    error,
    el("div", { class: "actions" }, button),
  ];
}

/** A list item with `draw(state)`; `answer(id, given)` and `remove(id)` do what a person asks. */
export function uploadCard(config, { answer, remove }) {
  const title = el("h3", { tabindex: "-1" });
  const badge = el("span", { class: "state" });
  const line = el("p", { class: "note", role: "status" });
  const bar = el("progress", { class: "bar", max: "1", value: "0", "aria-label": t("Progress") });
  const body = el("div", { class: "block" });
  const end = el("button", { class: "button button--quiet", type: "button" });
  const node = el("li", { class: "upload" },
    el("div", { class: "upload__head" }, title, badge, end), line, bar, body);
  let drawn = "";
  let id = "";
  end.addEventListener("click", () => remove(id).catch((error) => { line.textContent = error.message; }));

  function draw(state) {
    id = state.id;
    node.dataset.state = state.state;
    title.textContent = state.version;
    badge.textContent = WORDS[state.state] ?? state.state;
    badge.className = `state state--${{ done: "done", refused: "failed" }[state.state] ?? "busy"}`;
    const sending = state.state === "receiving";
    const busy = sending || state.state === "waiting" || state.state === "checking";
    end.textContent = busy || state.state === "asks" ? t("Cancel") : t("Remove from this list");
    end.hidden = sending || state.state === "cancelled";
    bar.hidden = !busy;
    if (sending) bar.value = state.size ? state.received / state.size : 0;
    else bar.removeAttribute("value");
    const step = state.step ? `${state.step}…` : "";
    line.textContent = sending
      ? t("{part} of {whole}", { part: bytes(state.received), whole: bytes(state.size) }) : busy ? step : state.filename;
    const key = `${state.state} ${state.reason ?? ""}`;
    if (key === drawn) return; // a question that is being answered is not drawn anew
    const answered = drawn.startsWith("asks") && document.activeElement === document.body;
    drawn = key;
    if (state.state === "refused") body.replaceChildren(el("p", { class: "message message--bad" }, state.reason));
    else if (state.state === "asks") body.replaceChildren(...question(config, state, answer));
    else if (state.state === "done") body.replaceChildren(...measured(config, state));
    else body.replaceChildren();
    if (answered) title.focus({ preventScroll: true }); // its button is gone
  }
  return { node, draw };
}
