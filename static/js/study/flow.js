// What comes next for a participant. It follows from what the server knows and what this browser kept,
// so that a reload goes on where it was.

/** The questions of `when` ("before" or "after"), none where a study asks nothing. */
export function questionsOf(state, when) {
  return state.questions?.[when] ?? [];
}

/** The next step: {step: "before"|"watch"|"after"|"finish"|"end", index?}; index is of state.order. */
export function nextStep(state, done) {
  if (state.state === "finished") return { step: "end" };
  if (unanswered(state, "before", done)) return { step: "before" };
  const index = state.order.findIndex((stimulus) => !stimulus.shown);
  if (index >= 0) return { step: "watch", index };
  if (unanswered(state, "after", done)) return { step: "after" };
  return { step: "finish" };
}

function unanswered(state, when, done) {
  const questions = questionsOf(state, when);
  if (questions.length === 0 || done[when]) return false;
  if (when === "before" && state.order.some((stimulus) => stimulus.shown)) return false;
  const answers = state.answers ?? {};
  return !questions.every((question) => question.id in answers);
}

/** The longest that the stimuli of `order` take, in seconds. */
export function secondsOf(order, fixationMs) {
  const ms = order.reduce(
    (sum, stimulus) => sum + fixationMs + ((stimulus.kind === "video" ? stimulus.duration_ms : stimulus.show_ms) ?? 0), 0,
  );
  return Math.ceil(ms / 1000);
}

/** Whether sound may be needed. */
export function hasVideo(order) {
  return order.some((stimulus) => stimulus.kind === "video");
}
