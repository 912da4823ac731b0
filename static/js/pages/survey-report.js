// Shows faces cut out of kept pictures: the browser scales the picture so that the box fills a tile.

const MARGIN = 0.25;

/** Size and offset of the picture, in tile widths, so that the box with a margin fills the tile. */
export function placement([x1, y1, x2, y2], width, height, margin = MARGIN) {
  const side = Math.max(x2 - x1, y2 - y1) * (1 + 2 * margin);
  const left = (x1 + x2) / 2 - side / 2;
  const top = (y1 + y2) / 2 - side / 2;
  return { width: width / side, height: height / side, left: -left / side, top: -top / side };
}

/** Fills `tile` with the face; says so where the picture cannot be shown. */
export function showFace(tile, api, face) {
  tile.replaceChildren();
  if (face.kind === "video") {
    tile.textContent = `${face.path} at ${(face.t_ms / 1000).toFixed(1)} s`;
    return;
  }
  const image = new Image();
  image.alt = `Face in ${face.path}`;
  image.loading = "lazy";
  image.decoding = "async";
  image.addEventListener("load", () => {
    const at = placement(face.box, image.naturalWidth, image.naturalHeight);
    for (const [name, value] of Object.entries(at)) image.style[name] = `${100 * value}%`;
  });
  image.addEventListener("error", () => {
    tile.textContent = "This picture cannot be shown here.";
  });
  image.src = `${api}/files/${face.upload}/picture`;
  tile.append(image);
}

if (typeof document !== "undefined") {
  const block = document.getElementById("config");
  const tiles = document.querySelectorAll("[data-face]");
  if (block && tiles.length > 0) {
    const { api } = JSON.parse(block.textContent);
    tiles.forEach((tile) => showFace(tile, api, JSON.parse(tile.dataset.face)));
  }
}
