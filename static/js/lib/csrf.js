// The token that shows the server that a request comes from its own page. Pages carry it only for
// somebody who is logged in; without a login there is nothing to protect and no token.

export const CSRF_HEADER = "X-CSRFToken";

/** Headers to add to a request that changes something: `{}` or the one with the token. */
export function csrfHeaders(root = globalThis.document) {
  const token = root?.querySelector?.('meta[name="csrf-token"]')?.content;
  return token ? { [CSRF_HEADER]: token } : {};
}
