// Files out of a drop or a file field, with the path each has within what was dropped.

const SYSTEM_FILES = new Set([
  "thumbs.db", "ehthumbs.db", "desktop.ini", ".ds_store", ".picasa.ini", "picasa.ini", "icon\r",
  ".localized", ".nomedia", ".directory",
]);
const SYSTEM_FOLDERS = new Set([
  "__macosx", "@eadir", "#recycle", "$recycle.bin", ".appledouble", ".trashes", ".spotlight-v100",
  ".fseventsd", ".thumbnails", ".picasaoriginals", "lost+found", ".git", ".svn",
  "system volume information", ".ipynb_checkpoints", "#snapshot",
]);

// what people put beside their pictures (webapp/survey/intake/placing.py)
const DOCUMENT = new RegExp(`\\.(${[
  "txt|md|rtf|log|pdf|html|htm|url|lnk|ini",
  "csv|tsv|xls|xlsx|ods|json|xml|yaml|yml",
  "doc|docx|odt|ppt|pptx",
].join("|")})$`, "i");

/** Left behind by an operating system or program: nobody meant to send it (webapp/files/kinds). */
export function isSystemFile(path) {
  const parts = path.toLowerCase().split("/");
  const name = parts[parts.length - 1];
  return parts.slice(0, -1).some((part) => SYSTEM_FOLDERS.has(part)) || SYSTEM_FILES.has(name) ||
    name.startsWith("._");
}

function entriesOf(directory) {
  const reader = directory.createReader();
  const all = [];
  return new Promise((resolve, reject) => {
    // readEntries gives at most 100 at a time; an empty answer is the end
    const next = () =>
      reader.readEntries((some) => {
        if (some.length === 0) return resolve(all);
        all.push(...some);
        return next();
      }, reject);
    next();
  });
}

async function walk(entry, path, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path });
    return;
  }
  for (const child of await entriesOf(entry)) {
    await walk(child, `${path}/${child.name}`, found);
  }
}

/** [{file, path}] of everything in a DataTransfer, folders walked to their ends. */
export async function fromDrop(transfer) {
  // the items are only readable during the event, so entries are taken before the first await
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? null);
  if (entries.some((entry) => entry === null)) return fromFiles(transfer.files);
  const found = [];
  for (const entry of entries) await walk(entry, entry.name, found);
  return found;
}

/** [{file, path}] of a file field, where folders give relative paths. */
export function fromFiles(files) {
  return [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/**
 * The group and the path within it.
 *
 * A chosen group takes everything. Else the first folder of the path that is a group's name is
 * taken; else the folder that tells the files apart: the first, or the second where all lie in one.
 * A ZIP that lies in no folder has no group: the folders in it are the groups. Documents make no
 * groups: they go to one of the others.
 */
export function placed(items, groups, chosen) {
  if (chosen) return items.map((item) => ({ ...item, group: chosen }));
  const foldersOf = ({ path }) => path.split("/").slice(0, -1);
  const pictures = items.filter(({ path }) => !DOCUMENT.test(path));
  const telling = pictures.length > 0 ? pictures : items;
  const first = new Set(telling.map((item) => foldersOf(item)[0] ?? ""));
  const shared = first.size === 1 && telling.every((item) => foldersOf(item).length >= 2);
  const groupOf = (item) => {
    const parts = foldersOf(item);
    const loose = /\.zip$/i.test(item.path) ? "" : groups[0] ?? "All pictures";
    return parts.find((part) => groups.includes(part)) ?? (shared ? parts[1] : parts[0]) ?? loose;
  };
  const there = telling.map(groupOf);
  return items.map((item) => {
    const group = groupOf(item);
    return { ...item, group: there.includes(group) ? group : there[0] };
  });
}
