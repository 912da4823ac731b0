// A folder as one ZIP without compression: headers between the files themselves, so that the
// browser streams the parts from disk and memory holds none of them.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** CRC-32 of bytes, as ZIP wants it. */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function header(signature, fields, name) {
  const size = fields.reduce((sum, [width]) => sum + width, 4);
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return name ? [view.buffer, name] : [view.buffer];
}

/**
 * `files` are [{path, file}] with file a Blob; gives a Blob of type application/zip.
 * `progress(done, total)` is called for each file that was read.
 * @param {{path: string, file: Blob}[]} files @param {(done: number, total: number) => void} [progress]
 */
export async function zipOf(files, progress = () => {}) {
  const parts = [];
  const directory = [];
  let offset = 0;
  let done = 0;
  for (const { path, file } of files) {
    const name = new TextEncoder().encode(path);
    const sum = crc32(new Uint8Array(await file.arrayBuffer()));
    // version 2.0, names in UTF-8, stored, 1 January 1980
    const common = [
      [2, 20], [2, 0x800], [2, 0], [2, 0], [2, 33], [4, sum], [4, file.size], [4, file.size],
      [2, name.length], [2, 0],
    ];
    const local = header(0x04034b50, common, name);
    parts.push(...local, file);
    directory.push(...header(0x02014b50, [
      [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset],
    ], name));
    offset += local[0].byteLength + name.length + file.size;
    done += 1;
    progress(done, files.length);
  }
  const size = directory.reduce((total, part) => total + part.byteLength, 0);
  const end = header(0x06054b50, [
    [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, offset], [2, 0],
  ]);
  return new Blob([...parts, ...directory, ...end], { type: "application/zip" });
}
