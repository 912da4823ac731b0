// Large files in parts: what has arrived is not sent again, also after a reload of the page.
// Knows nothing of the page: `announce`, `put` and `finish` talk to the server.

const HEAD_BYTES = 1024;

const hex = (buffer) =>
  [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Lengths and places of the parts of a file: [{start, end}]. */
export function cutInParts(size, partBytes) {
  const parts = [];
  for (let start = 0; start < size; start += partBytes) {
    parts.push({ start, end: Math.min(size, start + partBytes) });
  }
  return parts;
}

/**
 * Hex SHA-256 of each part, or null where the browser cannot hash (no secure origin).
 * One part at a time is in memory; `onHashed(bytes)` is called with how far it is.
 * @param {Blob} file @param {number} partBytes
 * @param {{subtle?: SubtleCrypto, onHashed?: (bytes: number) => void}} [options]
 */
export async function hashesOf(
  file, partBytes, { subtle = globalThis.crypto?.subtle, onHashed = () => {} } = {},
) {
  if (!subtle) return null;
  const hashes = [];
  for (const { start, end } of cutInParts(file.size, partBytes)) {
    hashes.push(hex(await subtle.digest("SHA-256", await file.slice(start, end).arrayBuffer())));
    onHashed(end);
  }
  return hashes;
}

/** What the server learns of a file before it is sent. */
export async function announcementOf({ file, path, group }, partBytes, options = {}) {
  const hashes = await hashesOf(file, partBytes, options);
  return {
    path,
    group,
    size: file.size,
    part_bytes: partBytes,
    head: hex(await file.slice(0, HEAD_BYTES).arrayBuffer()),
    hashes,
    ...(hashes ? {} : { modified: String(file.lastModified) }),
  };
}

/**
 * Sends one large file and returns its receipt.
 *
 * `persistently(action)` tries an action again while the trouble may pass, and waits while the
 * queue is paused. `onBytes(arrived, already)` is called with how many bytes are there, and how many of
 * them were there before.
 * @param {{file: File, path: string, group: string}} item
 * @param {{partBytes: number, announce: any, put: any, finish: any, persistently: any,
 *   onBytes?: (arrived: number, already: number) => void, onHashed?: (bytes: number) => void}} ways
 */
export async function sendInParts(
  item, { partBytes, announce, put, finish, persistently, onBytes = () => {}, onHashed },
) {
  const announcement = await announcementOf(item, partBytes, { onHashed });
  let opened = await persistently(() => announce(announcement));
  if (opened.receipt) {
    onBytes(item.file.size, item.file.size);
    return opened.receipt;
  }
  const parts = cutInParts(item.file.size, partBytes);
  const length = (number) => parts[number].end - parts[number].start;
  let have = new Set(opened.have);
  const already = [...have].reduce((sum, number) => sum + length(number), 0);
  let arrived = already;
  onBytes(arrived, already);
  for (;;) {
    for (const [number, { start, end }] of parts.entries()) {
      if (have.has(number)) continue;
      await persistently(() => put(opened.upload, number, item.file.slice(start, end)));
      arrived += end - start;
      onBytes(arrived, already);
    }
    try {
      return await persistently(() => finish(opened.upload));
    } catch (error) {
      // the server lost parts (cleaned up, another machine): send those, once
      if (error.status !== 409 || !Array.isArray(error.detail?.have)) throw error;
      if (error.detail.have.length === have.size) throw error;
      have = new Set(error.detail.have);
      arrived = [...have].reduce((sum, number) => sum + length(number), 0);
      opened = await persistently(() => announce(announcement));
    }
  }
}
