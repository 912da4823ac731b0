import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { moodText } from "../../static/js/mood/panel.js";
import { Leader, Settler } from "../../static/js/mood/settle.js";
import { parseResult, parseSharing, ProtocolError } from "../../static/js/lib/protocol.js";
import { EMOTIONS } from "../../static/js/lib/emotions.js";
import {
  CATALOGUE, CatalogueError, keptEntries, parseCatalogue, readCatalogue, records, safeLink,
} from "../../static/js/mood/suggest-catalogue.js";
import { choose, isMood, RULES, SHOWN, targets } from "../../static/js/mood/suggest-choose.js";
import { EXAMPLE } from "../../static/js/mood/suggest-example.js";
import { wireFace, wireResult } from "./support.mjs";

const shared = JSON.parse(readFileSync(new URL("../support/mood_cases.json", import.meta.url), "utf8"));

for (const { name, spans, changes } of shared.cases) {
  test(`settled mood, as on the server: ${name}`, () => {
    const settler = new Settler(shared.window_s);
    const found = [];
    for (const { from_s: from, to_s: to, step_s: step, state, faces } of spans) {
      const states = [state].flat();
      for (let i = 0; i < Math.round((to - from) / step); i += 1) {
        const at = from + i * step;
        const settled = settler.update(at, { state: states[i % states.length], faces });
        if (settled) found.push([at, settled.state, settled.faces, step, settled.sinceS]);
      }
    }
    assert.deepEqual(found.map(([, s, f]) => [s, f]), changes.map(([, s, f]) => [s, f]));
    found.forEach(([at, , , step, since], i) => {
      assert.ok(Math.abs(at - changes[i][0]) <= step + 1e-6, `${at} is not ${changes[i][0]}`);
      assert.ok(since <= at);
    });
  });
}

test("paused is said once", () => {
  const settler = new Settler();
  for (let i = 0; i < 30; i += 1) settler.update(i / 10, { state: "happy", faces: 1 });
  assert.equal(settler.pause(5).state, "paused");
  assert.equal(settler.pause(6), null);
});

test("the largest face leads until another is much larger; a bad picture is doubt", () => {
  const leader = new Leader();
  const read = (...faces) => leader.read(parseResult(wireResult(1, faces.map(wireFace))));
  const one = { track: 1, label: "happy", box: [0, 0, 100, 100] };
  assert.equal(read(one).state, "happy");
  assert.equal(read(one, { track: 2, label: "sad", box: [200, 0, 310, 110] }).state, "happy");
  assert.deepEqual(read(one, { track: 2, label: "sad", box: [200, 0, 400, 200] }), { state: "sad", faces: 2 });
  assert.equal(read({ track: 3, label: "angry", quality: { ok: false, advice: "x" } }).state, "uncertain");
  assert.deepEqual(read(), { state: "nobody", faces: 0 });
});

test("what the server says of listeners is checked, and said in words", () => {
  assert.deepEqual(parseSharing({ mood: null, listeners: 2 }), { mood: null, listeners: 2 });
  assert.equal(parseSharing({ mood: { state: "happy", since_ms: 5, more: 1 }, listeners: 0 }).mood.state, "happy");
  for (const bad of [null, {}, { mood: 5, listeners: 1 }, { mood: {}, listeners: 1 }, { mood: null, listeners: "1" }]) {
    assert.throws(() => parseSharing(bad), ProtocolError);
  }
  assert.equal(moodText({ state: "happy", since_ms: 1000 }, 13_400), "Shared now: Happy, for 12 s.");
  assert.match(moodText({ state: "nobody", since_ms: 0 }, 0), /No face/);
  assert.match(moodText({ state: "paused", since_ms: 0 }, 0), /Paused/);
  assert.match(moodText(null, 0), /Nothing has settled/);
});

const HEAD = "title,kind,link,moods\n";

test("a list with quotes, a byte order mark, semicolons, tabs, other orders and line ends", () => {
  const plain = parseCatalogue(`\ufeff${HEAD}"A, ""quoted"" song",music,https://a.example/x,happy sad\r\nWalk,,,any\r\n`);
  assert.deepEqual(plain.problems, []);
  assert.deepEqual(plain.entries, [
    { title: 'A, "quoted" song', kind: "music", link: "https://a.example/x", moods: ["happy", "sad"] },
    { title: "Walk", kind: "", link: "", moods: ["any"] },
  ]);
  const semicolons = parseCatalogue('Moods;Title;Note;Kind;Link\nhappy, sad|neutral;"Two\nlines";x;book;\n');
  assert.deepEqual(semicolons.entries, [{ title: "Two\nlines", kind: "book", link: "", moods: ["happy", "sad", "neutral"] }]);
  assert.equal(parseCatalogue("title\tkind\tlink\tmoods\rSong\tmusic\t\tfear").entries[0].moods[0], "fear");
});

test("bad rows are left out and reported by number; empty lines keep the numbers right", () => {
  const { entries, problems } = parseCatalogue(
    `${HEAD}Good,a,,happy\n\n,a,,happy\nB,a,,bored\nC,a,javascript:alert(1),happy\nD,a,,\nE,a,happy\n`
    + `F,a "x" y,,happy\nG,"a"b,,happy\n${"x".repeat(201)},a,,sad\nH,a,,sad\nI,"never closed,,happy\n`,
  );
  assert.deepEqual(entries.map(({ title }) => title), ["Good", "H"]);
  assert.deepEqual(problems.map(({ row }) => row), [4, 5, 6, 7, 8, 9, 10, 11, 13]);
  const said = problems.map(({ text }) => text).join("|");
  for (const words of ["title is missing", "“bored” is not a mood", "not an http", "moods are missing", "3 fields and not 4",
    "middle of a field", "behind a closing", "more than 200", "never closed"]) {
    assert.ok(said.includes(words), words);
  }
});

test("links lead to http and https and nowhere else", () => {
  for (const bad of [
    "javascript:alert(1)", " javascript:alert(1)", "JaVaScRiPt:x", "data:text/html,x", "file:///etc/passwd", "ftp://a.example/",
    "//a.example", "a.example", "https://", "http://user:pass@a.example/", "vbscript:x", `https://a.example/${"x".repeat(3000)}`,
  ]) assert.equal(safeLink(bad), null, bad);
  assert.equal(safeLink("HTTPS://A.example/ä"), "https://a.example/%C3%A4");
  assert.equal(safeLink(""), "");
});

test("files that are no list are refused with a reason", async () => {
  const cases = [
    ["", /empty/], ["  \n\n", /empty/], ["hello", /first line/], ["a,b,c,d\n1,2,3,4", /first line/],
    [HEAD, /no entry/], [`${HEAD}x,y,z,w`, /no entry.*Row 2/], ["PK\u0003\u0004\0\0", /not a text/],
  ];
  for (const [text, words] of cases) {
    assert.throws(() => parseCatalogue(text), (error) => error instanceof CatalogueError && words.test(error.message), text);
  }
  await assert.rejects(readCatalogue({ size: CATALOGUE.maxBytes + 1 }), /larger than 1 MB/);
  const many = parseCatalogue(HEAD + "A,b,,happy\n".repeat(CATALOGUE.maxRows + 5));
  assert.equal(many.entries.length, CATALOGUE.maxRows);
  assert.equal(many.problems.length, 1);
  const endless = `"${"x".repeat(900_000)}`;
  assert.throws(() => parseCatalogue(endless), CatalogueError);
  assert.equal(records('a,"b', ",")[0].problem, "a quotation mark is never closed");
});

test("a list is read however it was saved", async () => {
  const text = "title;kind;link;moods\r\nCafé;song;;happy\r\n";
  const latin = Buffer.from(text, "latin1");
  const wide = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
  const marked = Buffer.from(`\ufeffsep=;\r\n${text}`, "utf8");
  for (const bytes of [latin, wide, marked, Buffer.from(text, "utf8")]) {
    const file = { size: bytes.length, arrayBuffer: async () => new Uint8Array(bytes).buffer };
    assert.equal(parseCatalogue(await readCatalogue(file)).entries[0].title, "Café");
  }
});

test("what this browser kept is checked again", () => {
  const good = { name: "a.csv", entries: [{ title: "A", kind: "", link: "", moods: ["any"] }] };
  assert.deepEqual(keptEntries(good), good);
  for (const bad of [null, 5, {}, { name: "x", entries: [] }, { name: "x", entries: [{}] },
    { name: "x", entries: [{ ...good.entries[0], link: "javascript:x" }] }]) assert.equal(keptEntries(bad), null);
});

test("the example is a whole list and has something for every mood, to match and to lift", () => {
  const { entries, problems } = parseCatalogue(EXAMPLE);
  assert.deepEqual(problems, []);
  for (const mood of EMOTIONS) {
    assert.ok(choose(entries, mood, "match").length, mood);
    assert.ok(choose(entries, mood, "lift").length, mood);
  }
});

test("entries for the mood come first, entries for any last, the same each time", () => {
  const entries = [..."abcdefgh"].map((title, i) => ({ title, kind: "", link: "", moods: [["any"], ["sad"], ["happy"], ["neutral"]][i % 4] }));
  const titles = (...given) => choose(entries, ...given).map(({ title }) => title).join("");
  assert.equal(titles("sad", "match"), "bfae");
  assert.equal(titles("sad", "lift"), "cgae");
  assert.equal(titles("angry", "lift"), "dhcga");
  assert.equal(titles("angry", "lift", 1), "edhcg");
  assert.equal(titles("angry", "lift"), titles("angry", "lift"));
  assert.equal(SHOWN, 5);
});

test("every expression has something to match and to lift, and the rule says it in words", () => {
  for (const mood of EMOTIONS) {
    assert.ok(isMood(mood));
    assert.deepEqual(targets(mood, "match"), [mood]);
    const [first] = targets(mood, "lift");
    assert.ok(["neutral", "happy"].includes(first));
    assert.ok(RULES.lift.includes(mood), mood);
  }
  for (const state of ["uncertain", "nobody", "paused"]) assert.equal(isMood(state), false);
});
