// How calm scores and labels are: a choice for the connection, remembered by this browser.

const KEY = "mien.steadiness";
export const STEADINESS = Object.freeze(["quick", "balanced", "calm"]);
const USUAL = "balanced";

/** The remembered choice; the usual one where there is none or it is not known any more. */
export function remembered(storage) {
  try {
    const found = storage?.getItem(KEY);
    return STEADINESS.includes(found) ? found : USUAL;
  } catch {
    return USUAL; // storage may be forbidden
  }
}

/** Remembers a choice where that is allowed. */
export function remember(storage, value) {
  try {
    storage?.setItem(KEY, value);
  } catch {
    // the choice then holds until the page is closed
  }
}

/** The page's part: `request` as for the other tools. Returns {hello, settings}. */
export function startSteadiness({ request }) {
  const select = document.querySelector("[data-steadiness]");
  const storage = safeStorage();
  select.value = remembered(storage);
  const send = async () => {
    try {
      const answer = await request("options", { steadiness: select.value });
      if (answer?.error) throw new Error(answer.error.message);
      select.dataset.applied = answer.steadiness;
    } catch {
      select.dataset.applied = ""; // said again with the next hello
    }
  };
  select.addEventListener("change", () => {
    remember(storage, select.value);
    send();
  });
  return { hello: send, settings: () => ({ steadiness: select.value }) };
}

function safeStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
