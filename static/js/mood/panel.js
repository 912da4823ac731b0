// Sharing the mood: off until the person turns it on, visible while it is on, off with one click.

import { setText } from "../lib/dom.js";
import { t, tn } from "../lib/i18n.js";
import { span, stateName } from "../recordings/words.js";

const SINCE_EVERY_MS = 1000;

/** Words for what is shared now. */
export function moodText(mood, nowMs) {
  if (!mood) return t("Nothing has settled yet.");
  const held = span(Math.max(0, Math.floor((nowMs - mood.since_ms) / 1000) * 1000)).replace(".0 s", " s");
  const name = mood.state === "paused" ? t("Paused, as no picture is read") : stateName(mood.state);
  return t("Shared now: {name}, for {held}.", { name, held });
}

export function startSharing({ config, request }) {
  const root = document.querySelector("[data-sharing]");
  const $ = (name) => root.querySelector(`[data-${name}]`);
  const pill = document.querySelector("[data-share-pill]");
  const hosts = config.mood?.webhooks ?? [];

  let phase = "idle";
  let share = null; // {code, key, path}
  let shared = null; // {mood, listeners}
  let busy = false;
  let shownMs = 0;

  const say = (text, tone = "info") => {
    $("share-status").dataset.tone = tone;
    setText($("share-status"), text);
  };

  function show() {
    $("share-on").hidden = Boolean(share);
    $("share-on").disabled = phase !== "running" || busy;
    $("share-off").hidden = !share;
    $("share-live").hidden = !share;
    $("share-hosts-field").hidden = hosts.length === 0 || Boolean(share);
    pill.hidden = !share;
    if (!share) return;
    setText($("share-code"), share.code);
    setText($("share-url"), new URL(share.path, location.href).href);
    const also = share.webhooks.length ? ` ${t("It is also sent to {hosts}.", { hosts: share.webhooks.join(t(" and ")) })}` : "";
    setText($("share-who"), `${listeners()}${also}`);
    showMood();
  }

  function listeners() {
    const count = shared?.listeners ?? 0;
    if (count === 0) return t("Nobody listens yet.");
    return tn("One program listens.", "{count} programs listen.", count);
  }

  function showMood() {
    setText($("share-mood"), moodText(shared?.mood ?? null, Date.now()));
  }

  function forget() {
    share = null;
    shared = null;
  }

  async function begin(resume = {}) {
    busy = true;
    show();
    let answer;
    try {
      answer = await request("share", { on: true, webhooks: hosts.length > 0 && $("share-hosts").checked, ...resume });
    } catch {
      answer = { error: { message: t("The server did not answer. Try again.") } };
    }
    busy = false;
    if (answer?.on !== true) {
      forget();
      say(answer?.error?.message ?? t("The server's answer was not understood."), "bad");
    } else {
      const moved = resume.code && resume.code !== answer.code;
      share = { code: answer.code, key: answer.key, path: answer.path, webhooks: answer.webhooks };
      say(moved ? t("The connection was away for too long: there is a new code.") : "");
    }
    show();
  }

  async function end() {
    forget(); // at once, and for a lost connection too: nothing is taken up again without a click
    say(t("Nothing is shared any more."));
    show();
    $("share-on").focus({ preventScroll: true });
    await request("share", { on: false }).catch(() => {});
  }

  async function copy(text) {
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    say(copied ? t("Copied.") : t("The browser did not allow copying: select the text instead."));
  }

  $("share-on").addEventListener("click", async () => {
    await begin();
    if (share) $("share-off").focus({ preventScroll: true });
  });
  $("share-off").addEventListener("click", end);
  pill.addEventListener("click", end);
  $("share-copy-code").addEventListener("click", () => copy(share.code));
  $("share-copy-url").addEventListener("click", () => copy($("share-url").textContent));
  setText($("share-hosts-names"), t("Also send it to {hosts}", { hosts: hosts.join(t(" and ")) }));
  show();

  return {
    hello() {
      if (share) begin({ code: share.code, key: share.key, webhooks: share.webhooks.length > 0 });
    },
    sharing(news) {
      shared = news; // may come before the answer that says we share
      show();
    },
    phase(name) {
      phase = name;
      // these close the connection, and the server ends what it shared
      if (share && (name === "idle" || name === "failed" || name === "starting")) {
        forget();
        say(t("Sharing ended with the camera."));
      }
      show();
    },
    tick(nowMs) {
      if (!share || nowMs - shownMs < SINCE_EVERY_MS) return;
      shownMs = nowMs;
      showMood();
    },
  };
}
