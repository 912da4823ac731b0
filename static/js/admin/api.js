// Requests of the admin pages: JSON in and out, the CSRF token, errors as ApiError, and back to
// the login where the session has ended.

import { ApiError, read } from "../lib/http.js";
import { csrfHeaders } from "../lib/csrf.js";

export { ApiError };

/** Where to log in and come back from. */
export function loginUrl(place = globalThis.location) {
  const here = `${place.pathname}${place.search}`;
  return `/admin/login?next=${encodeURIComponent(here)}`;
}

/**
 * Sends `body` (an object as JSON; a Blob, File or FormData as it is) and returns the JSON answer.
 * Throws ApiError with the server's words; an ended login leads to the login page.
 * @param {string} method @param {string} url @param {any} [body]
 * @param {{fetchFunction?: typeof fetch, signal?: AbortSignal, leave?: (to: string) => void}} [options]
 */
export async function call(
  method, url, body,
  { fetchFunction = fetch, signal, leave = (to) => globalThis.location.assign(to) } = {},
) {
  const plain = body === undefined || body instanceof Blob || body instanceof FormData;
  const headers = { Accept: "application/json", ...csrfHeaders() };
  if (!plain) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetchFunction(url, {
      method, signal, headers, body: plain ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached.");
  }
  try {
    return await read(response);
  } catch (error) {
    if (error.status === 401) leave(loginUrl());
    throw error;
  }
}

/**
 * Calls `work` with the button disabled and shows what went wrong in `message` (role="alert").
 * Returns what `work` returned, or undefined after an error.
 */
export async function press(button, message, work) {
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  message.hidden = true;
  try {
    return await work();
  } catch (error) {
    message.textContent = error.message;
    message.hidden = false;
    return undefined;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}
