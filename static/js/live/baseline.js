// The resting face: ten seconds of measuring, shown step by step, and what became of it.

import { setText } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

const TROUBLE = Object.freeze({
  no_face: t("No face in view. The count goes on when you are back."),
  several_faces: t("Only one person may be in view while a resting face is measured."),
  hard_to_read: t("The face is hard to read. Come closer, with more light on it."),
  interrupted: t("Too few pictures came through."),
});
const FAILED = Object.freeze({
  no_face: t("No face was in view for long enough."),
  several_faces: t("More than one person was in view."),
  hard_to_read: t("The face was too hard to read. More light helps."),
  interrupted: t("Too few pictures came through."),
  changing: t("The face changed while it was measured: a resting face stays the same."),
  left: t("The resting face was forgotten, because its face left the picture."),
});

/** What the page says of a state: {text, progress (0 to 1, or null), action: "start"|"cancel"|"reset"}. */
export function describeBaseline({ state, progress, remainingS, trouble }) {
  if (state === "measuring") {
    const count = t("Relax your face and look at the camera: {seconds} s to go.", { seconds: Math.ceil(remainingS) });
    return { text: trouble ? TROUBLE[trouble] ?? trouble : count, progress, action: "cancel" };
  }
  if (state === "active") {
    return {
      text: t("Scores are adjusted to your resting face; marks show them without."),
      progress: null,
      action: "reset",
    };
  }
  const text = state === "failed" ? FAILED[trouble] ?? t("It did not work.") : "";
  return { text, progress: null, action: "start" };
}

const BUTTON = Object.freeze({ start: t("Try again"), cancel: t("Cancel"), reset: t("Forget") });

/**
 * The page's part: the button under More that begins, and the line on the picture that says how far
 * it is, or that scores are adjusted, with the button that ends it. `request` as for the other
 * tools. Returns {hello, result}.
 */
export function startBaseline({ request }) {
  const root = document.querySelector("[data-baseline]");
  const [bar, text, end] = ["progress", "text", "end"].map((name) => root.querySelector(`[data-baseline-${name}]`));
  const begin = document.querySelector("[data-baseline-start]");
  let action = "start";

  function show(baseline) {
    const said = describeBaseline(baseline);
    action = said.action;
    root.dataset.state = baseline.state;
    root.hidden = !said.text;
    setText(text, said.text);
    bar.hidden = said.progress === null;
    if (said.progress !== null) bar.value = said.progress;
    end.hidden = false;
    setText(end, BUTTON[action]);
    begin.disabled = action === "cancel";
  }
  const none = () => show({ state: "none", progress: 0, remainingS: 0, trouble: null });
  const ask = async (wanted) => {
    try {
      const answer = await request("baseline", { action: wanted });
      if (answer?.error) throw new Error(answer.error.message);
    } catch (error) {
      root.hidden = false;
      bar.hidden = true;
      setText(text, t("It did not work: {message}", { message: error.message }));
    }
  };

  begin.addEventListener("click", () => {
    ask("start");
    begin.closest("[popover]").hidePopover(); // what follows is said on the picture
  });
  end.addEventListener("click", () => ask(action));
  none();
  return {
    hello: none, // a new connection knows no resting face
    result: (result) => result.baseline && show(result.baseline),
  };
}
