// One picture, read at once; nothing of it is kept. Node.js 18 or newer, or a browser.
import { readFile } from "node:fs/promises";

const answer = await fetch(`${process.env.MIEN_URL}/api/v1/analyze`, {
  method: "POST",
  headers: { "Content-Type": "image/jpeg" },
  body: await readFile("face.jpg"),
});
const result = await answer.json();
if (!answer.ok) throw new Error(result.error.message); // every error has this one shape
for (const face of result.faces) {
  console.log(face.label, face.confidence.toFixed(2), "at", face.box.join(" "));
}
