// Where a pixel of the sent frame lies on the screen. Pure functions; boxes are [x1, y1, x2, y2].

/**
 * How a picture of `frame` size is shown whole and centred in a `view` (CSS pixels):
 * {scale, left, top, width, height}.
 */
export function contain(frame, view) {
  const scale = Math.min(view.width / frame.width, view.height / frame.height);
  const width = frame.width * scale;
  const height = frame.height * scale;
  return {
    scale,
    width,
    height,
    left: (view.width - width) / 2,
    top: (view.height - height) / 2,
  };
}

/** A box of the frame in CSS pixels of the view; mirrored left to right when `mirror`. */
export function toView(box, frame, placed, mirror) {
  const [x1, y1, x2, y2] = box;
  const left = mirror ? frame.width - x2 : x1;
  const right = mirror ? frame.width - x1 : x2;
  return [
    placed.left + left * placed.scale,
    placed.top + y1 * placed.scale,
    placed.left + right * placed.scale,
    placed.top + y2 * placed.scale,
  ];
}

/** Whether the point (x, y) is in the box, `margin` around it included. */
export function contains([x1, y1, x2, y2], x, y, margin = 0) {
  return x >= x1 - margin && x <= x2 + margin && y >= y1 - margin && y <= y2 + margin;
}

export function area([x1, y1, x2, y2]) {
  return Math.max(0, x2 - x1) * Math.max(0, y2 - y1);
}

/** Intersection over union of two boxes, in [0, 1]. */
export function iou(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (area(a) + area(b) - shared);
}
