import assert from "node:assert/strict";
import { test } from "node:test";
import { remember, remembered } from "../../static/js/live/steadiness.js";

function storage(held = {}) {
  return { getItem: (k) => held[k] ?? null, setItem: (k, v) => (held[k] = v) };
}

test("a choice is remembered, an unknown or forbidden one is the usual one", () => {
  const store = storage();
  assert.equal(remembered(store), "balanced");
  remember(store, "calm");
  assert.equal(remembered(store), "calm");
  remember(store, "asleep");
  assert.equal(remembered(store), "balanced");
  const forbidden = { getItem() { throw new Error("no"); }, setItem() { throw new Error("no"); } };
  remember(forbidden, "calm");
  assert.equal(remembered(forbidden), "balanced");
  assert.equal(remembered(null), "balanced");
});
