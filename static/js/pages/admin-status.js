// The status page: asks for the figures every few seconds while it is seen, and draws them.

import { ApiError, call } from "../admin/api.js";
import { bytes, clock, duration, ms, rate } from "../lib/format.js";
import { el, row, spark } from "../lib/dom.js";
import { number, t } from "../lib/i18n.js";

const config = JSON.parse(document.getElementById("config").textContent);
const find = (name) => document.querySelector(`[data-${name}]`);
const KEPT = 150; // points of the lines: five minutes at one in two seconds
const history = [];
const SOURCES = { live: t("Live pages"), api: t("Programs (API)") };
const GOOD = new Set(["ready", "idle", "busy"]);
const LOW_DISK = 0.05;
const WORKER_STATES = {
  ready: t("ready"), idle: t("idle"), busy: t("busy"), starting: t("starting"), stopped: t("stopped"),
};

function totals(now) {
  const rows = Object.values(now.results);
  return {
    perSecond: rows.reduce((sum, row_) => sum + row_.per_s, 0),
    p95: rows.some((row_) => row_.p95_ms !== null)
      ? Math.max(...rows.map((row_) => row_.p95_ms ?? 0)) : null,
    errors: rows.reduce((sum, row_) => sum + Object.values(row_.errors).reduce((a, b) => a + b, 0), 0),
  };
}

/** What a person wants to hear first: all well, or what is not. */
function summary(now) {
  const ready = now.workers.filter((worker) => GOOD.has(worker.state)).length;
  const troubles = [];
  if (now.workers.length === 0) troubles.push(t("No inference worker is configured"));
  else if (ready === 0) troubles.push(t("No inference worker is ready"));
  else if (ready < now.workers.length) {
    troubles.push(t("{count} of {total} workers not ready", { count: now.workers.length - ready, total: now.workers.length }));
  }
  for (const [name, disk] of Object.entries(now.disk)) {
    if (disk.free_bytes < disk.reserve_bytes) troubles.push(t("No uploads: only the reserve is free on the disk of {name}", { name }));
    else if (disk.free_bytes / disk.total_bytes < LOW_DISK) troubles.push(t("Disk of {name} almost full", { name }));
  }
  if (now.surveys === null) troubles.push(t("The database does not answer"));
  return troubles;
}

function figure(label, value, bad = false) {
  return el("div", { class: bad ? "figure--bad" : null }, el("dt", {}, label), el("dd", {}, value));
}

function drawFigures(now) {
  const { perSecond, p95, errors } = totals(now);
  const ready = now.workers.filter((worker) => GOOD.has(worker.state)).length;
  find("figures").replaceChildren(
    figure(t("Model"), now.model),
    figure(t("Workers ready"), t("{part} of {whole}", { part: ready, whole: now.workers.length }), ready < now.workers.length),
    figure(t("Waiting"), String(now.queue)),
    figure(t("Live connections"), t("{part} of {whole}", { part: now.live.sessions, whole: now.live.limit })),
    figure(t("Results a second"), rate(perSecond)),
    figure(t("95 % within"), ms(p95)),
    figure(t("Errors in a minute"), String(errors), errors > 0),
    figure(t("Running for"), duration(now.uptime_s)),
  );
}

function drawSpeed(now) {
  const rows = Object.entries(SOURCES).map(([source, label]) => {
    const found = now.results[source];
    if (!found) return row([label, "0", rate(0), "–", "–", "–", "0"]);
    const errors = Object.entries(found.errors).map(([code, count]) => `${count} ${code}`).join(", ");
    return row([
      label, number(found.results), rate(found.per_s), ms(found.p50_ms), ms(found.p95_ms),
      ms(found.p99_ms), [errors || "0", errors ? "bad" : null],
    ]);
  });
  find("speed").replaceChildren(...rows);
  find("sparks").replaceChildren(
    spark(t("Results a second"), history.map((point) => point.perSecond), rate(totals(now).perSecond)),
    spark(t("95 % within"), history.map((point) => point.p95), ms(totals(now).p95)),
    spark(t("Live connections"), history.map((point) => point.sessions), String(now.live.sessions)),
  );
}

function drawWorkers(now) {
  const rows = now.workers.map((worker) => row([
    worker.pid ? t("{index} (process {pid})", { index: worker.index ?? "–", pid: worker.pid }) : String(worker.index ?? "–"),
    [WORKER_STATES[worker.state] ?? worker.state, GOOD.has(worker.state) ? "good" : "bad"],
    worker.version ?? "–",
    worker.rss_mb === null ? "–" : bytes(worker.rss_mb * 1e6),
    worker.answered === null ? "–" : number(worker.answered),
    [String(worker.restarts ?? 0), worker.restarts ? "bad" : null],
    [worker.last_error ?? t("none"), "wrap"],
  ]));
  find("workers").replaceChildren(...(rows.length ? rows : [
    el("tr", {}, el("td", { colspan: "7", class: "empty" }, t("This server runs without workers."))),
  ]));
}

const table = (label, heads, rows) => el("div", {
  class: "scroll", tabindex: "0", role: "region", "aria-label": label,
}, el("table", { class: "data data--stack" },
  el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
  el("tbody", {}, ...rows)));
const WORDS = {
  queued: t("waiting"), running: t("analysing"), reporting: t("writing the report"), done: t("done"),
  cancelled: t("cancelled"), failed: t("failed"),
};

function drawJobs(now) {
  const place = find("jobs");
  if (now.surveys === null) {
    place.replaceChildren(el("p", { class: "note bad" }, t("The database does not answer now.")));
    return;
  }
  const counts = Object.entries(now.surveys.states).map(([state, n]) => `${n} ${WORDS[state] ?? state}`);
  const rows = now.surveys.jobs.map((job) => row([
    el("a", { href: `/surveys/${job.survey}` }, t("Analysis {number}", { number: job.job })), WORDS[job.state] ?? job.state,
    t("{part} of {whole}", { part: job.done === null ? "–" : number(job.done), whole: number(job.total) }),
    job.rate === null ? "–" : t("{rate} files/s", { rate: rate(job.rate) }),
  ]));
  place.replaceChildren(
    ...(rows.length ? [table(t("Table of analyses"), [t("Analysis"), t("State"), t("Files"), t("Speed")], rows)] : []),
    el("p", { class: "note" }, counts.length ? t("All analyses: {counts}.", { counts: counts.join(", ") })
      : t("No survey has been analysed yet.")),
  );
}

function drawDisk(now) {
  const names = { data: t("Database and surveys"), models: t("Models") };
  const rows = Object.entries(now.disk).map(([name, disk]) => {
    const share = disk.free_bytes / disk.total_bytes;
    return row([
      names[name] ?? name, [bytes(disk.free_bytes), share < LOW_DISK ? "bad" : null],
      bytes(disk.total_bytes), `${Math.round(share * 100)} %`, bytes(disk.reserve_bytes),
    ]);
  });
  find("disk").replaceChildren(table(t("Table of disks"), [t("Folder"), t("Free"), t("Whole disk"), t("Free part"), t("Kept from uploads")], rows));
}

function drawErrors(now) {
  const answers = now.errors.map((error) => row([
    clock(error.at), SOURCES[error.source] ?? error.source, [el("code", {}, error.code), "wrap"],
    String(error.count),
  ]));
  const log = now.log.map((line) => row([
    clock(line.at), [line.level, line.level === "warning" ? null : "bad"],
    [`${line.text}${line.exception ? ` (${line.exception})` : ""}`, "wrap"], String(line.count),
  ]));
  const parts = [];
  if (answers.length) parts.push(table(t("Table of errors"), [t("Last at"), t("From"), t("Code"), t("Times")], answers));
  if (log.length) {
    parts.push(el("h3", {}, t("From the log")),
      table(t("Table of log lines"), [t("Last at"), t("Level"), t("What"), t("Times")], log));
  }
  find("errors").replaceChildren(...(parts.length ? parts
    : [el("p", { class: "note" }, t("None since the server started."))]));
}

function draw(now) {
  const { perSecond, p95 } = totals(now);
  history.push({ perSecond, p95, sessions: now.live.sessions });
  history.splice(0, history.length - KEPT);
  const troubles = summary(now);
  const line = find("summary");
  line.textContent = troubles.length ? `${troubles.join(". ")}.` : t("All is well.");
  line.classList.toggle("bad", troubles.length > 0);
  for (const part of [drawFigures, drawSpeed, drawWorkers, drawJobs, drawDisk, drawErrors]) part(now);
  find("fresh").textContent = t("As of {at}", { at: clock(now.at) });
  find("stale").hidden = true;
}

let waiting = null;

async function refresh() {
  waiting = null;
  try {
    draw(await call("GET", config.api));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const stale = find("stale");
    stale.textContent = t("{message} The figures below are old; trying again.", { message: error.message });
    stale.hidden = false;
    find("summary").textContent = t("No answer from the server.");
    find("summary").classList.add("bad");
  }
  next();
}

function next() {
  if (waiting === null && !document.hidden) waiting = setTimeout(refresh, config.refresh_ms);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(waiting);
  waiting = null;
  if (!document.hidden) refresh();
});

draw(config.now);
next();
document.documentElement.dataset.ready = "yes";
