// What a participant's browser asks the server. The code is the right to it; there is no account.

import { call } from "../lib/http.js";

const ROOT = "/api/v1/participations";

/** Consents and begins: {participant, code, withdrawal_code, order, questions, fixation_ms, ...}. */
export function takePart(body) {
  return call("POST", ROOT, body);
}

/** Begins a run of the researcher's own, which enters no report; the same answer. */
export function preview(studyId) {
  return call("POST", `/api/v1/studies/${studyId}/preview`, {});
}

/** Deletes everything of the person whose code this is. */
export function withdraw(code) {
  return call("POST", "/api/v1/withdrawals", { withdrawal_code: code });
}

/** The requests of one participation. */
export function participation(code) {
  const ask = (method, path, body, options = {}) =>
    call(method, `${ROOT}/me${path}`, body, { headers: { Authorization: `Study ${code}` }, ...options });
  return Object.freeze({
    state: () => ask("GET", ""),
    batch: (batch) => ask("POST", "/batches", batch, { keepalive: true }),
    answers: (answers) => ask("PUT", "/answers", answers),
    check: (found) => ask("PUT", "/check", found),
    shown: (id, ended) => ask("POST", `/stimuli/${encodeURIComponent(id)}/shown`, { how: ended ? "ended" : "skipped" }),
    finish: () => ask("POST", "/finish", {}),
    leave: () => ask("POST", "/leave", {}),
  });
}
