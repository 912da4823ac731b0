// Requests of the admin pages: those of lib/http.js, and back to the login where the session ended.

import { showError } from "../lib/dom.js";
import { ApiError, call as plainCall, sendFile } from "../lib/http.js";

export { ApiError };

/** Where to log in and come back from. */
export function loginUrl(place = globalThis.location) {
  const here = `${place.pathname}${place.search}`;
  return `/admin/login?next=${encodeURIComponent(here)}`;
}

async function loggedIn(work, leave = (to) => globalThis.location.assign(to)) {
  try {
    return await work();
  } catch (error) {
    if (error.status === 401) leave(loginUrl());
    throw error;
  }
}

/**
 * lib/http.js's call(); an ended login leads to the login page.
 * @param {string} method @param {string} url @param {any} [body]
 * @param {{fetchFunction?: typeof fetch, signal?: AbortSignal, leave?: (to: string) => void}} [options]
 */
export function call(method, url, body, { leave, ...options } = {}) {
  return loggedIn(() => plainCall(method, url, body, options), leave);
}

/** lib/http.js's sendFile(), likewise. */
export function send(url, file, progress) {
  return loggedIn(() => sendFile(url, file, progress));
}

/**
 * Calls `work` with the button disabled and shows what went wrong in `message` (role="alert").
 * Returns what `work` returned, or undefined after an error.
 */
export async function press(button, message, work) {
  const { ownerDocument: page } = button;
  const focused = page?.activeElement === button;
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  message.hidden = true;
  try {
    return await work();
  } catch (error) {
    showError(message, error.message);
    return undefined;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
    if (focused && page.activeElement === page.body) button.focus({ preventScroll: true });
  }
}
