// Progress of an analysis: over Socket.IO, by HTTP while there is no socket.

import { io } from "../../vendor/socket.io.esm.min.js";
import { call } from "../lib/http.js";

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
    queued: "Waiting for its turn",
    running: "Analysing",
    reporting: "Writing the report",
    done: "Done",
    cancelled: "Cancelled",
    failed: "Failed",
  };
  const parts = [];
  if (rate) parts.push(`${rate.toFixed(1)} files/s`);
  if (eta !== null && eta !== undefined && done < total) parts.push(`${duration(eta)} left`);
  return { title: titles[state] ?? state, count: `${done} of ${total} files`, rate: parts.join(", ") };
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
  const done = `${matched} files have a respondent now.`;
  if (!count) return done;
  const more = count > NAMED_AT_MOST ? ` and ${count - NAMED_AT_MOST} more` : "";
  return `${done} No file here is called ${unmatched.slice(0, NAMED_AT_MOST).join(", ")}${more}.`;
}
