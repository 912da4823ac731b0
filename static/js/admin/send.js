// Sends one large file with its progress, which fetch does not tell.

import { ApiError, loginUrl } from "./api.js";
import { csrfHeaders } from "../lib/csrf.js";

/** POSTs `file` and resolves to the JSON answer; `progress(sentBytes)`. Throws ApiError. */
export function send(url, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "json";
    for (const [name, value] of Object.entries({ Accept: "application/json", ...csrfHeaders() })) {
      request.setRequestHeader(name, value);
    }
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => progress(event.loaded));
    request.addEventListener("load", () => {
      if (request.status < 300) {
        resolve(request.response);
        return;
      }
      if (request.status === 401) globalThis.location.assign(loginUrl());
      const said = request.response?.error;
      reject(new ApiError(said?.message ?? `The server answered ${request.status}.`, {
        code: said?.code ?? "http_error", status: request.status, detail: said?.detail ?? {},
      }));
    });
    request.addEventListener("error", () => reject(new ApiError(
      "The connection ended while the file was sent. The server may have refused it; nothing of it was kept.",
    )));
    request.send(file);
  });
}
