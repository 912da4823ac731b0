// A participant's way through a study: notice, consent, camera check, questions, stimuli, end. The
// camera is touched after the consent only; what was done survives a reload.

import { setText, showError } from "../lib/dom.js";
import { t, tn } from "../lib/i18n.js";
import { openCamera } from "../live/camera.js";
import { participation, preview, takePart } from "./api.js";
import { BatchQueue } from "./batches.js";
import { CheckScreen } from "./check-screen.js";
import { hasVideo, nextStep, questionsOf, secondsOf } from "./flow.js";
import { keep, kept } from "./kept.js";
import { Player } from "./player.js";
import { answersOf, questionFields } from "./questions.js";
import { Reader } from "./reader.js";
import { copy, download, receiptText } from "./receipt.js";
import { Watching } from "./watching.js";

const $ = (name) => document.querySelector(`[data-${name}]`);

/** Wires the page; returns what tests look at. */
export function startStudy() {
  const config = JSON.parse(document.getElementById("config").textContent);
  const name = config.preview ? `preview-${config.study.id}` : config.link;
  let own = kept(name) ?? { done: {} }; // {code, withdrawal_code, receipt, done, waiting, position}
  let server = null; // what the server knows: order, questions, answers, ...
  let ways = null;
  let queue = null;
  let checked = false;
  let leaving = false;

  const room = $("room");
  const video = $("camera");
  const player = new Player($("stimulus"));
  const save = (more) => {
    own = { ...own, ...more };
    keep(name, own);
  };
  const reader = new Reader({
    video,
    config: { namespace: config.namespace, ackTimeoutMs: config.ack_timeout_ms, code: () => own.code },
    onResult: (result, { takenMs, rate, dark }) => {
      check.look(result, dark);
      const { stimulus } = watching;
      const stimulusMs = stimulus && player.at(takenMs);
      if (stimulusMs !== null && result.sample) {
        queue.add(stimulus.id, { t_ms: stimulusMs, ...result.sample, rate }, result.model);
      }
    },
    onLine: (trouble) => {
      check.line(trouble);
      watching.line(trouble);
      if (trouble === null) queue?.hurry();
    },
    onEnded: (reason) => stopped(reason === "replaced"
      ? { title: t("Paused"), message: t("This study was opened in another window."), retry: t("Go on here") }
      : { status: 410, message: t("It was ended or withdrawn. The camera is off.") }),
  });
  const check = new CheckScreen({ onDone: checkDone });
  const watching = new Watching({
    room,
    player,
    keepPosition: (position) => save({ position }),
    onShown: async (stimulus, ended) => {
      queue.cut();
      save({ position: null });
      await patiently(() => ways.shown(stimulus.id, ended));
    },
  });

  function show(screen) {
    document.body.dataset.step = screen;
    for (const part of document.querySelectorAll("[data-screen]")) {
      part.hidden = part.dataset.screen !== screen;
    }
    const part = document.querySelector(`[data-screen="${screen}"]`);
    part.querySelector("h1, h2")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  function trouble(error) {
    reader.stop();
    const gone = [401, 403, 404, 410].includes(error.status);
    setText($("trouble-title"), gone ? t("This participation has ended") : error.title ?? t("Something went wrong"));
    setText($("trouble-text"), error.text ?? error.message);
    setText($("trouble-hint"), error.hint ?? "");
    $("retry").hidden = gone;
    setText($("retry"), error.retry ?? t("Try again"));
    if (gone) keep(name, null);
    show("trouble");
  }

  /** Tries until the server answers; only what trying again cannot help is thrown. */
  async function patiently(work) {
    for (let waitMs = 500; ; waitMs = Math.min(4000, 2 * waitMs)) {
      try {
        return await work();
      } catch (error) {
        if (!error.passing) throw error;
        await new Promise((resolve) => { setTimeout(resolve, waitMs); });
      }
    }
  }

  function begin() {
    for (const stimulus of server.order) stimulus.shown = stimulus.id in server.shown;
    ways = participation(own.code);
    queue = new BatchQueue({
      // HTTP says what is wrong where the connection does not take it, and outlives the page
      send: (batch) => (leaving ? ways.batch(batch) : reader.sendBatch(batch).catch(() => ways.batch(batch))),
      kept: own.waiting ?? null,
      keep: (waiting) => save({ waiting }),
      acknowledged: server.acknowledged ?? 0,
      onGone: trouble,
    });
  }

  async function consent() {
    $("take-part").disabled = true;
    $("notice-error").hidden = true;
    try {
      const made = config.preview ? await preview(config.study.id) : await takePart({
        link: config.link,
        consent: true,
        notice_version: config.notice.version,
        pid: config.pid,
        columns: config.columns,
        return: config.return,
        device: matchMedia("(pointer: coarse)").matches ? "phone" : "desktop",
      });
      const { code, withdrawal_code, ...rest } = made;
      save({ code, withdrawal_code, done: {} });
      server = rest;
      begin();
      showReceipt();
    } catch (error) {
      showError($("notice-error"), error.message);
      $("take-part").disabled = false;
    }
  }

  function receipt() {
    return receiptText({
      name: config.study.name,
      contact: config.study.contact,
      at: new Date(server.receipt.consent_at),
      notice: { text: config.notice.text, version: server.receipt.notice_version, sha256: server.receipt.notice_sha256 },
      code: own.withdrawal_code,
      page: new URL("/withdraw", location.href).href,
    });
  }

  function showReceipt() {
    showCodes();
    show("receipt");
  }

  async function openTheCamera() {
    show("opening");
    try {
      const source = await openCamera(video, { facing: "user", onLost: stopped });
      video.classList.toggle("is-mirrored", source.facing !== "environment");
      reader.start(source);
      return true;
    } catch (error) {
      trouble(error);
      return false;
    }
  }

  /** The camera or the connection went away for good: the way back begins with the camera. */
  function stopped(error) {
    checked = false;
    watching.abort();
    watching.leave();
    trouble(error);
  }

  async function toCheck() {
    if (!(await openTheCamera())) return;
    check.begin();
    show("check");
  }

  function checkDone(found) {
    checked = true;
    patiently(() => ways.check(found)).catch(() => {}); // it is asked for, not needed
    next();
  }

  async function next() {
    const { step } = nextStep(server, own.done);
    if (step === "before" || step === "after") showQuestions(step);
    else if (step === "watch") checked ? showReady() : show("camera");
    else if (step === "finish") await finish();
    else showEnd();
  }

  function showQuestions(when) {
    const form = $("questions-form");
    form.dataset.when = when;
    setText($("questions-title"), when === "before" ? t("Before you watch") : t("After you watched"));
    $("questions").replaceChildren(...questionFields(questionsOf(server, when), server.answers));
    $("questions-error").hidden = true;
    show("questions");
  }

  async function answered(event) {
    event.preventDefault();
    const form = $("questions-form");
    const { when } = form.dataset;
    const { answers, missing } = answersOf(form, questionsOf(server, when));
    const error = $("questions-error");
    error.hidden = true;
    if (missing) {
      showError(error, t("Please answer: {question}", { question: missing.text }));
      form.querySelector(`[data-question="${CSS.escape(missing.id)}"] :is(input, textarea)`)?.focus();
      return;
    }
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      await patiently(() => ways.answers(answers));
      server.answers = { ...server.answers, ...answers };
      save({ done: { ...own.done, [when]: true } });
      await next();
    } catch (problem) {
      showError(error, problem.message);
    } finally {
      button.disabled = false;
    }
  }

  function showReady() {
    const left = server.order.filter((stimulus) => !stimulus.shown);
    const minutes = Math.max(1, Math.round(secondsOf(left, server.fixation_ms) / 60));
    setText($("ready-text"), tn(
      "One thing to watch, about {minutes} min.", "{count} things to watch, about {minutes} min.", left.length, { minutes },
    ));
    $("ready-sound").hidden = !hasVideo(left);
    setText($("start"), own.position ? t("Go on watching") : t("Start"));
    show("ready");
  }

  async function watch() {
    await watching.enter();
    show("watch");
    reader.restartWatch();
    try {
      await watching.run(server.order, server.fixation_ms, own.position);
      await watching.leave();
      reader.stop();
      await next();
    } catch (error) {
      await watching.leave();
      trouble(error);
    }
  }

  async function finish() {
    show("saving");
    reader.stop();
    await queue.settled();
    try {
      const ended = await patiently(() => ways.finish());
      save({ ended });
      server.state = "finished";
      showEnd();
    } catch (error) {
      trouble(error);
    }
  }

  /** Ends early. What was read is kept by the server; only the withdrawal code deletes it. */
  async function leave() {
    reader.stop();
    watching.abort();
    await watching.leave();
    showCodes();
    show("left");
    await queue.settled();
    await patiently(() => ways.leave()).catch(() => {});
    server.state = "left";
  }

  function showCodes() {
    document.querySelectorAll("[data-code]").forEach((place) => setText(place, own.withdrawal_code));
  }

  function showEnd() {
    const ended = own.ended ?? {};
    showCodes();
    $("completion").hidden = !ended.completion_code;
    setText($("completion-code"), ended.completion_code ?? "");
    $("return").hidden = !ended.return_url;
    if (ended.return_url) $("return").href = ended.return_url;
    show("end");
  }

  async function resume() {
    show("opening");
    try {
      ways = participation(own.code);
      server = await patiently(() => ways.state());
      begin();
      if (server.state === "finished") {
        showEnd();
        return;
      }
      showCodes();
      show(server.state === "left" ? "left" : "again");
    } catch (error) {
      if ([401, 404, 410].includes(error.status)) {
        keep(name, null);
        own = { done: {} };
        show("notice");
      } else trouble(error);
    }
  }

  const on = (what, call) => document.querySelectorAll(`[data-${what}]`)
    .forEach((one) => one.addEventListener("click", call));
  $("agree")?.addEventListener("change", () => { $("take-part").disabled = !$("agree").checked; });
  on("take-part", consent);
  on("decline", () => show("declined"));
  on("reconsider", () => show("notice"));
  on("download", () => download(receipt(), "mien-receipt.txt"));
  on("copy", async (event) => {
    const copied = await copy(own.withdrawal_code);
    setText(event.target, copied ? t("Copied") : t("Please copy it by hand"));
  });
  on("to-camera", () => show("camera"));
  on("open-camera", toCheck);
  on("retry", () => (server ? next() : location.reload()));
  on("resume", next);
  on("start", watch);
  on("leave", leave);
  $("questions-form").addEventListener("submit", answered);
  addEventListener("pagehide", () => {
    leaving = true;
    queue?.cut();
  });
  addEventListener("pageshow", () => { leaving = false; });
  document.addEventListener("visibilitychange", () => !document.hidden && reader.restartWatch());
  document.documentElement.dataset.ready = "yes";

  if (own.code) resume();
  else show("notice");

  return {
    get state() {
      return {
        screen: document.body.dataset.step, pending: queue?.pending ?? 0, stats: reader.stats,
        stimulus: watching.stimulus?.id ?? null, positionMs: player.positionMs,
      };
    },
  };
}
