// Which face is which: a number in a square of the face's own colour. The colours live in
// tokens.css as --face-1 to --face-8; expressions have colours and shapes of their own, so a
// square with a number never means one. Face 9 has the colour of face 1 and another number.

export const FACE_COLOURS = 8;

/** The CSS variable with the colour of the face with this number (from 1). */
export function faceColour(number) {
  return `--face-${((Math.max(1, number) - 1) % FACE_COLOURS) + 1}`;
}

/** A new tag for the face with this number. */
export function faceTag(number) {
  const tag = document.createElement("span");
  tag.className = "face-tag";
  showTag(tag, number);
  return tag;
}

/** Makes `tag` that of another face; null hides it. */
export function showTag(tag, number) {
  if (tag.hidden !== (number === null)) tag.hidden = number === null;
  const text = number === null ? "" : String(number);
  if (tag.textContent === text) return;
  tag.textContent = text;
  if (number !== null) tag.style.setProperty("--face", `var(${faceColour(number)})`);
}
