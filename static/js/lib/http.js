// Requests to the survey API: JSON in and out, and errors in the one shape.

import { csrfHeaders } from "./csrf.js";

export class ApiError extends Error {
  constructor(message, { code = "network", status = 0, detail = {} } = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
    this.detail = detail;
  }

  /** Whether trying the same again may help: the network, a restart, too many requests. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500
      || this.code === "part_damaged";
  }
}

/** Turns a response into its JSON, or throws an ApiError with the server's own words. */
export async function read(response) {
  const text = await response.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = null;
  }
  if (response.ok) return body;
  const error = body?.error ?? {};
  throw new ApiError(error.message ?? `The server answered ${response.status}.`, {
    code: error.code ?? "http_error",
    status: response.status,
    detail: error.detail ?? {},
  });
}

/**
 * fetch with JSON; `body` may be an object. Throws ApiError.
 * @param {string} method @param {string} url @param {any} [body]
 * @param {{fetchFunction?: typeof fetch, signal?: AbortSignal}} [options]
 */
export async function call(method, url, body, { fetchFunction = fetch, signal } = {}) {
  /** @type {RequestInit & {headers: Record<string, string>}} */
  const options = { method, signal, headers: { Accept: "application/json", ...csrfHeaders() } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetchFunction(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached.");
  }
  return read(response);
}
