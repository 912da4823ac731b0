// What the panel, the lanes and the meters show of a session, many times a second.

import { setText } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { awayText, BLANK } from "../lib/words.js";
import { Lanes } from "./lanes.js";
import { Panel } from "./panel.js";

const $ = (name) => document.querySelector(`[data-${name}]`);

export class Reading {
  #session; #overlay; #isDark; #panel; #lanes;

  /** isDark(nowMs): whether the picture is too dark for a face to be found in it. */
  constructor({ session, overlay, isDark }) {
    this.#session = session;
    this.#overlay = overlay;
    this.#isDark = isDark;
    const onChoose = (key) => this.choose(key);
    this.#panel = new Panel($("reading"), { onChoose });
    this.#lanes = new Lanes($("timeline-part"), { onChoose });
  }

  /** Shows no face, and why: one of BLANK's pairs of words. */
  blank(words) {
    this.#panel.blank(...words);
    this.#panel.faces([], null);
    this.#panel.tag(null);
  }

  /** After the end of a run; `keep`: its last minute stays on show. */
  end(nowMs, { keep }) {
    this.#panel.faces([], null);
    this.#panel.tag(null);
    setText($("timeline-title"), keep ? t("The 60 seconds before") : t("Last 60 seconds"));
    if (keep) return;
    this.#panel.timeline(null, nowMs);
    this.#lanes.update([], null, nowMs);
  }

  choose(key) {
    const nowMs = performance.now();
    this.#session.choose(key);
    if (!this.#session.active) return; // what is kept of a run that ended stays as it is
    this.faces(nowMs, true);
    this.timeline(nowMs);
  }

  /** The faces of the newest result; `connected`: whether the server can be reached. */
  faces(nowMs, connected) {
    const session = this.#session;
    const fresh = session.fresh(nowMs);
    this.#overlay.chosen = session.chosenKey;
    this.#overlay.several = session.several(nowMs);
    this.#overlay.fresh = fresh;
    if (!session.latest) return;
    if (!fresh) {
      this.blank(connected ? BLANK.silent : BLANK.cut);
      return;
    }
    const chosen = session.chosen(nowMs);
    if (chosen) this.#panel.face(chosen.face, { stale: chosen.stale });
    else this.#panel.blank(...this.#noFace(nowMs));
    this.#panel.faces(session.faces, session.chosenKey);
    this.#panel.tag(this.#overlay.several ? session.numberOf(session.shownKey) : null);
  }

  timeline(nowMs) {
    const session = this.#session;
    this.#panel.timeline(session.shownHistory, nowMs);
    this.#lanes.update(session.lanes(nowMs), session.shownKey, nowMs);
  }

  meters(nowMs, running) {
    const { rate, ageMs, dropped } = this.#session.meters(nowMs);
    const measured = running && ageMs !== null;
    setText($('meter="rate"'), measured ? rate.toFixed(0) : "–");
    setText($('meter="age"'), measured ? String(Math.round(ageMs)) : "–");
    setText($('meter="dropped"'), String(dropped));
    setText($('meter="model"'), this.#session.model ?? "–");
  }

  recolour() {
    this.#panel.recolour();
    this.#lanes.recolour();
  }

  #noFace(nowMs) {
    const { chosenAway } = this.#session;
    if (chosenAway !== null) return awayText(chosenAway);
    return this.#isDark(nowMs) ? BLANK.dark : BLANK.absent;
  }
}
