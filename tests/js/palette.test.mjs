// The palette as the style sheet has it: seen against its background, and told apart by people
// with each common colour vision deficiency. Shapes carry the difference too; this is the rest.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EMOTIONS } from "../../static/js/lib/emotions.js";
import { FACE_COLOURS, faceColour } from "../../static/js/lib/face-tag.js";

const css = readFileSync(new URL("../../static/css/tokens.css", import.meta.url), "utf8");

function variables(start) {
  const from = css.indexOf(start);
  const block = css.slice(from, css.indexOf("}", from));
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, k, v]) => [k, v]));
}

const light = variables(":root");
const dark = { ...light, ...variables("@media (prefers-color-scheme: dark)") };
const picture = variables(".on-picture");

const linear = (hex) =>
  [1, 3, 5].map((i) => {
    const v = parseInt(hex.slice(i, i + 2), 16) / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
const contrast = (a, b) => {
  const [high, low] = [luminance(linear(a)), luminance(linear(b))].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
};

// Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
const DEFICIENCIES = {
  none: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protan: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deutan: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
};

function oklab(rgb) {
  const [r, g, b] = rgb.map((v) => Math.max(0, Math.min(1, v)));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function distance(a, b, matrix) {
  const seen = [a, b].map((hex) => {
    const [r, g, b2] = linear(hex);
    return oklab([0, 3, 6].map((i) => matrix[i] * r + matrix[i + 1] * g + matrix[i + 2] * b2));
  });
  return 100 * Math.hypot(...seen[0].map((v, i) => v - seen[1][i]));
}

for (const [name, set, ground] of [
  ["light", light, light.surface],
  ["dark", dark, dark.surface],
  ["picture", picture, "#0e1312"],
]) {
  test(`${name}: expressions stand out from their background (3:1)`, () => {
    for (const emotion of EMOTIONS) {
      const ratio = contrast(set[`emotion-${emotion}`], ground);
      assert.ok(ratio >= 3, `${emotion} ${set[`emotion-${emotion}`]}: ${ratio.toFixed(2)}`);
    }
  });

  for (const [deficiency, matrix] of Object.entries(DEFICIENCIES)) {
    test(`${name}: expressions can be told apart (${deficiency})`, () => {
      const least = deficiency === "none" ? 10 : 8;
      for (let i = 0; i < EMOTIONS.length; i += 1) {
        for (let j = i + 1; j < EMOTIONS.length; j += 1) {
          const [a, b] = [EMOTIONS[i], EMOTIONS[j]].map((e) => set[`emotion-${e}`]);
          const apart = distance(a, b, matrix);
          assert.ok(apart >= least, `${EMOTIONS[i]} and ${EMOTIONS[j]}: ${apart.toFixed(1)}`);
        }
      }
    });
  }
}

const FACES = Array.from({ length: FACE_COLOURS }, (_, i) => faceColour(i + 1).slice(2));
const sets = [["light", light, light.surface], ["dark", dark, dark.surface], ["picture", picture, "#0e1312"]];

for (const [name, set, ground] of sets) {
  test(`${name}: faces stand out (3:1) and their numbers can be read on them (4.5:1)`, () => {
    for (const face of FACES) {
      const [out, number] = [contrast(set[face], ground), contrast(set[face], set["on-face"])];
      assert.ok(out >= 3 && number >= 4.5, `${face} ${set[face]}: ${out.toFixed(2)}, ${number.toFixed(2)}`);
    }
  });

  for (const [deficiency, matrix] of Object.entries(DEFICIENCIES)) {
    test(`${name}: faces can be told apart, and from expressions (${deficiency})`, () => {
      // Number and square carry the difference too; fifteen colours cannot be far apart for all.
      const [least, leastToEmotion] = deficiency === "none" ? [10, 6] : [7, 3];
      FACES.forEach((face, i) => {
        for (const other of FACES.slice(i + 1)) {
          const apart = distance(set[face], set[other], matrix);
          assert.ok(apart >= least, `${face} and ${other}: ${apart.toFixed(1)}`);
        }
        for (const emotion of EMOTIONS) {
          const apart = distance(set[face], set[`emotion-${emotion}`], matrix);
          assert.ok(apart >= leastToEmotion, `${face} and ${emotion}: ${apart.toFixed(1)}`);
        }
      });
    });
  }
}

test("a face has the same hue on light pages, on dark ones and on pictures", () => {
  const hue = (hex) => {
    const [, a, b] = oklab(linear(hex));
    return (180 / Math.PI) * Math.atan2(b, a);
  };
  for (const face of FACES) {
    assert.equal(dark[face], picture[face]);
    const apart = Math.abs(((hue(light[face]) - hue(dark[face]) + 540) % 360) - 180);
    assert.ok(apart <= 25, `${face}: ${apart.toFixed(0)} degrees`);
  }
});

test("text is readable in both themes (4.5:1)", () => {
  for (const set of [light, dark]) {
    for (const ground of ["paper", "surface", "surface-sunk"]) {
      for (const ink of ["ink", "ink-soft"]) {
        const ratio = contrast(set[ink], set[ground]);
        assert.ok(ratio >= 4.5, `${ink} on ${ground}: ${ratio.toFixed(2)}`);
      }
    }
    assert.ok(contrast(set["on-ink"], set.ink) >= 4.5);
    for (const edge of ["line-strong", "focus", "good", "warn", "bad"]) {
      assert.ok(contrast(set[edge], set.paper) >= 3, `${edge}: ${contrast(set[edge], set.paper).toFixed(2)}`);
    }
  }
});
