import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { ApiError, call, loginUrl, press } from "../../static/js/admin/api.js";
import { bytes, clock, duration, ms, rate } from "../../static/js/lib/format.js";
import { CSRF_HEADER, csrfHeaders } from "../../static/js/lib/csrf.js";
import { call as surveyCall } from "../../static/js/lib/http.js";

const page = (token) => ({
  querySelector: (selector) =>
    selector === 'meta[name="csrf-token"]' && token ? { content: token } : null,
});

afterEach(() => {
  delete globalThis.document;
});

/** A fetch that answers with `body` and remembers how it was asked. */
function answering(status, body) {
  const asked = [];
  const fetchFunction = async (url, options) => {
    asked.push({ url, ...options });
    return { ok: status < 400, status, text: async () => JSON.stringify(body) };
  };
  return { asked, fetchFunction };
}

test("the token is sent where the page has one, and nothing where it has none", () => {
  assert.deepEqual(csrfHeaders(page("abc")), { [CSRF_HEADER]: "abc" });
  assert.deepEqual(csrfHeaders(page("")), {});
  assert.deepEqual(csrfHeaders(undefined), {});
});

test("admin and survey requests carry the token", async () => {
  globalThis.document = page("abc");
  for (const send of [call, surveyCall]) {
    const { asked, fetchFunction } = answering(200, { fine: true });
    assert.deepEqual(await send("POST", "/x", { a: 1 }, { fetchFunction }), { fine: true });
    assert.equal(asked[0].headers[CSRF_HEADER], "abc");
    assert.equal(asked[0].headers["Content-Type"], "application/json");
    assert.equal(asked[0].body, '{"a":1}');
  }
});

test("a file goes as it is", async () => {
  const { asked, fetchFunction } = answering(200, {});
  const file = new Blob(["model"]);
  await call("PUT", "/x", file, { fetchFunction });
  assert.equal(asked[0].body, file);
  assert.equal(asked[0].headers["Content-Type"], undefined);
});

test("an ended login leads to the login page, with the way back", async () => {
  const left = [];
  const error = { error: { code: "unauthorized", message: "Log in first.", detail: {} } };
  const { fetchFunction } = answering(401, error);
  globalThis.location = { pathname: "/admin/models", search: "?a=b&c" };
  await assert.rejects(
    call("GET", "/x", undefined, { fetchFunction, leave: (to) => left.push(to) }), /Log in first/,
  );
  delete globalThis.location;
  assert.deepEqual(left, ["/admin/login?next=%2Fadmin%2Fmodels%3Fa%3Db%26c"]);
  assert.equal(loginUrl({ pathname: "/admin", search: "" }), "/admin/login?next=%2Fadmin");
});

test("a server that cannot be reached is an error in words", async () => {
  const fetchFunction = async () => { throw new TypeError("Failed to fetch"); };
  await assert.rejects(call("GET", "/x", undefined, { fetchFunction }), (error) =>
    error instanceof ApiError && error.passing && /cannot be reached/.test(error.message));
});

test("a pressed button waits, then says what went wrong", async () => {
  const attributes = new Set();
  const button = {
    disabled: false,
    setAttribute: (name) => attributes.add(name),
    removeAttribute: (name) => attributes.delete(name),
  };
  const seen = [];
  const message = { hidden: true, textContent: "", scrollIntoView: () => seen.push(message.textContent) };
  const done = await press(button, message, async () => {
    assert.ok(button.disabled && attributes.has("aria-busy"));
    return 7;
  });
  assert.deepEqual([done, message.hidden, button.disabled], [7, true, false]);
  assert.equal(await press(button, message, async () => { throw new Error("No."); }), undefined);
  assert.deepEqual([message.hidden, message.textContent, attributes.size], [false, "No.", 0]);
  assert.deepEqual(seen, ["No."], "it is in sight");
});

test("numbers and times read well", () => {
  assert.deepEqual([0, 999, 1000, 91_800_000, 271e9, 5e15].map(bytes),
    ["0 B", "999 B", "1.0 kB", "91.8 MB", "271 GB", "5000 TB"]);
  assert.equal(bytes(null), "–");
  assert.deepEqual([0, 59, 60, 3661, 93784].map(duration),
    ["0 s", "59 s", "1 min", "1 h 1 min", "1 d 2 h"]);
  assert.deepEqual([null, 3.14, 27.6].map(ms), ["–", "3.1 ms", "28 ms"]);
  assert.deepEqual([0, 9.96, 120.4].map(rate), ["0.0", "10.0", "120"]);
  const now = new Date("2026-11-23T12:00:00");
  assert.equal(clock("2026-11-23T08:05:04", now), "08:05:04");
  assert.equal(clock("2026-11-22T08:05:04", now), "22 Nov 08:05:04");
});
