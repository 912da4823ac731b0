// Every request of every page goes through here: JSON or bytes out, JSON or a page back, the CSRF
// token where the page has one, and errors in the one shape.

import { csrfHeaders } from "./csrf.js";
import { t } from "./i18n.js";

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
  throw new ApiError(error.message ?? t("The server answered {status}.", { status: response.status }), {
    code: error.code ?? "http_error",
    status: response.status,
    detail: error.detail ?? {},
  });
}

/** Whether `body` is sent as it is; anything else goes as JSON. */
function isPlain(body) {
  return body === undefined || body instanceof Blob || body instanceof FormData || body instanceof ArrayBuffer;
}

/**
 * fetch that throws ApiError where the server cannot be reached, and returns the Response.
 * @param {string} method @param {string} url @param {any} [body]
 * @param {{fetchFunction?: typeof fetch, signal?: AbortSignal, accept?: string, keepalive?: boolean,
 *   headers?: Record<string, string>}} [options]
 */
async function request(
  method, url, body,
  { fetchFunction = fetch, signal, accept = "application/json", keepalive = false, headers: more = {} } = {},
) {
  const plain = isPlain(body);
  const headers = { Accept: accept, ...csrfHeaders(), ...more };
  if (!plain) headers["Content-Type"] = "application/json";
  try {
    return await fetchFunction(url, {
      method, signal, headers, keepalive, body: plain ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(t("The server cannot be reached."));
  }
}

/**
 * Sends `body` (an object as JSON; a Blob, File, ArrayBuffer or FormData as it is) and returns the
 * JSON answer. Throws ApiError.
 * @param {string} method @param {string} url @param {any} [body]
 * @param {{fetchFunction?: typeof fetch, signal?: AbortSignal, keepalive?: boolean,
 *   headers?: Record<string, string>}} [options]
 */
export async function call(method, url, body, options) {
  return read(await request(method, url, body, options));
}

/** Fetches one of our pages: a Document. Throws ApiError. */
export async function page(url, options = {}) {
  const response = await request("GET", url, undefined, { ...options, accept: "text/html" });
  if (!response.ok) throw new ApiError(t("The server answered {status}.", { status: response.status }), { code: "http_error", status: response.status });
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/**
 * POSTs one large file, or a form with one, and resolves to the JSON answer; `progress(sentBytes)`,
 * which fetch does not tell. Throws ApiError.
 * @param {string} url @param {Blob | FormData} file @param {(sentBytes: number) => void} progress
 */
export function sendFile(url, file, progress) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", url);
    const headers = { Accept: "application/json", ...csrfHeaders() };
    if (file instanceof Blob) headers["Content-Type"] = "application/octet-stream"; // a form has its own
    for (const [name, value] of Object.entries(headers)) sending.setRequestHeader(name, value);
    sending.upload.addEventListener("progress", (event) => progress(event.loaded));
    sending.addEventListener("load", () => {
      const { status, responseText } = sending;
      resolve(read({ ok: status >= 200 && status < 300, status, text: async () => responseText }));
    });
    sending.addEventListener("error", () => reject(new ApiError(
      t("The connection ended while the file was sent. The server may have refused it; nothing of it was kept."),
    )));
    sending.send(file);
  });
}
