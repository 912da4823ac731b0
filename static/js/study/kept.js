// What this tab keeps of a participation, so that a reload goes on: the code, what was done, what was
// not acknowledged. It ends with the tab; without storage a reload begins anew.

const NAME = "mien.study.";

function store() {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null;
  }
}

/** What is kept for `link`: an object, or null. */
export function kept(link) {
  try {
    return JSON.parse(store()?.getItem(NAME + link) ?? "null");
  } catch {
    return null;
  }
}

/** Keeps `value` for `link`, or forgets it (null). */
export function keep(link, value) {
  try {
    if (value === null) store()?.removeItem(NAME + link);
    else store()?.setItem(NAME + link, JSON.stringify(value));
  } catch {
    // full or forbidden: a reload then begins anew
  }
}
