// Texts in the page's language: keys, places, plurals, numbers.
import assert from "node:assert/strict";
import { test } from "node:test";

const plain = await import("../../static/js/lib/i18n.js");
globalThis.mienWords = {
  language: "de",
  plural: (n) => Number(n !== 1),
  texts: {
    "Face {number}": "Gesicht {number}",
    "{count} face": ["{count} Gesicht", "{count} Gesichter"],
    Empty: "",
  },
};
const german = await import("../../static/js/lib/i18n.js?german");

test("without a catalogue the English texts are what they are", () => {
  assert.equal(plain.language, "en");
  assert.equal(plain.t("Face {number}", { number: 3 }), "Face 3");
  assert.equal(plain.tn("{count} face", "{count} faces", 1), "1 face");
  assert.equal(plain.tn("{count} face", "{count} faces", 12345), "12,345 faces");
});

test("a catalogue gives texts, forms and numbers", () => {
  assert.equal(german.language, "de");
  assert.equal(german.t("Face {number}", { number: 3 }), "Gesicht 3");
  assert.equal(german.tn("{count} face", "{count} faces", 1), "1 Gesicht");
  assert.equal(german.tn("{count} face", "{count} faces", 0), "0 Gesichter");
  assert.equal(german.number(12345.678, 1), "12.345,7");
  assert.equal(german.number(1234), "1234");
  assert.deepEqual([plain.decimalMark, german.decimalMark], [".", ","]);
});

test("what the catalogue lacks stays English; a value cannot bring places of its own", () => {
  assert.equal(german.t("Not there"), "Not there");
  assert.equal(german.t("Empty"), "Empty");
  assert.equal(german.t("Face {number}", { number: "{number}" }), "Gesicht {number}");
  assert.equal(german.t("Face {number}"), "Gesicht {number}");
});
