// Progress of an analysis: over Socket.IO, by HTTP while there is no socket.

import { io } from "../../vendor/socket.io.esm.min.js";
import { call } from "../lib/http.js";
import { number, t, tn } from "../lib/i18n.js";

const POLL_MS = 2000;

/** "3 min 20 s" or "12 s". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** What a progress message says in words: {title, count, rate}. */
export function progressWords({ state, done, total, rate, eta_s: eta }) {
  const titles = {
    queued: t("Waiting for its turn"),
    running: t("Analysing"),
    reporting: t("Writing the report"),
    done: t("Done"),
    cancelled: t("Cancelled"),
    failed: t("Failed"),
  };
  const parts = [];
  if (rate) parts.push(t("{rate} files/s", { rate: number(rate, 1) }));
  if (eta !== null && eta !== undefined && done < total) parts.push(t("{time} left", { time: duration(eta) }));
  return { title: titles[state] ?? state, count: t("{done} of {total} files", { done, total }), rate: parts.join(", ") };
}

/** Calls onProgress with every message until the returned function is called. */
export function watch({ survey, namespace, api, onProgress }) {
  const socket = io(namespace, { transports: ["websocket", "polling"], tryAllTransports: true });
  let timer = null;
  const poll = async () => {
    try {
      onProgress(await call("GET", `${api}/progress`));
    } catch {
      // the next round asks again
    }
  };
  const startPolling = () => {
    if (timer === null) timer = setInterval(poll, POLL_MS);
  };
  const stopPolling = () => {
    clearInterval(timer);
    timer = null;
  };
  socket.on("connect", () => {
    socket.emit("watch", { survey }, (now) => {
      if (now && !now.error) {
        stopPolling();
        onProgress(now);
      }
    });
  });
  socket.on("progress", onProgress);
  socket.on("disconnect", startPolling);
  socket.on("connect_error", startPolling);
  startPolling();
  return () => {
    stopPolling();
    socket.close();
  };
}

const NAMED_AT_MOST = 5;

/** What a table of respondents did, in words. */
export function mappingWords({ matched, unmatched, unmatched_count: count }) {
  const done = tn("{count} file has a respondent now.", "{count} files have a respondent now.", matched);
  if (!count) return done;
  const more = count > NAMED_AT_MOST ? ` ${t("and {count} more", { count: count - NAMED_AT_MOST })}` : "";
  return t("{done} No file here is called {names}.", { done, names: `${unmatched.slice(0, NAMED_AT_MOST).join(", ")}${more}` });
}
