// The picture's source: a camera or a video file. Every way it can fail has words of its own.

import { t } from "../lib/i18n.js";

const WANTED = Object.freeze({ width: 1280, height: 720 });
const FRAMES_PER_S = 30;
const FIRST_PICTURE_MS = 10_000;
const MOST_NOISE = 16; // mean grey levels; some browsers add one or two, which reads well

const FAILURES = Object.freeze({
  insecure: {
    title: t("The camera needs a safe address"),
    text: t("Browsers lend the camera only to pages from this computer or over HTTPS, and this page came over plain HTTP."),
    hint: t("Open http://127.0.0.1:5000 on the computer that runs Mien, or put it behind HTTPS. A video file works here too."),
  },
  hidden: {
    title: t("This browser hides pictures from pages"),
    text: t("Its protection against fingerprinting gives this page noise in place of what the camera or a video shows, so no face can be read."),
    hint: t("Allow this page to read canvas data in the browser's settings and try again, or use another browser."),
  },
  unsupported: {
    title: t("This browser cannot lend a camera"),
    text: t("It does not offer camera access to web pages."),
    hint: t("Try a current Firefox, Chrome, Edge or Safari. A video file works here too."),
  },
  denied: {
    title: t("The camera was not allowed"),
    text: t("Your browser or your system said no, so Mien sees nothing."),
    hint: t("Press the camera sign in the address bar, allow the camera for this page, then try again. On phones and Macs the browser itself also needs the camera permission in the system settings."),
  },
  none: {
    title: t("No camera was found"),
    text: t("This computer shows no camera to the browser."),
    hint: t("Plug one in or switch it on (some laptops have a key or a slider for it), then try again. A video file works too."),
  },
  gone: {
    title: t("That camera is no longer there"),
    text: t("The camera you chose is not connected any more."),
    hint: t("Plug it in again or choose another one, then try again."),
  },
  busy: {
    title: t("The camera is in use"),
    text: t("Another program holds the camera, so the browser cannot read it."),
    hint: t("Close the video call or other program that uses it, then try again."),
  },
  unplugged: {
    title: t("The camera was disconnected"),
    text: t("It was running and went away: unplugged, switched off, or taken by the system."),
    hint: t("Connect it again, then try again."),
  },
  frozen: {
    title: t("The picture stands still"),
    text: t("The camera is on but sends nothing new, so nothing can be read."),
    hint: t("Reading goes on by itself as soon as it does. If it stays, another program or the system may hold the camera: start it again."),
  },
  blank: {
    title: t("The camera sends no picture"),
    text: t("It opened, but no picture came within ten seconds."),
    hint: t("Open the lens cover or switch the camera on and off, then try again."),
  },
  file: {
    title: t("That file cannot be played"),
    text: t("The browser found no picture it can decode in it."),
    hint: t("MP4 (H.264) and WebM play nearly everywhere. Choose another file."),
  },
  unknown: {
    title: t("The camera did not start"),
    text: t("The browser gave no reason that Mien knows."),
    hint: t("Try again; if it stays, reload the page."),
  },
});

/** {title, text, hint} of a reason. */
export function wordsFor(reason) {
  return FAILURES[reason] ?? FAILURES.unknown;
}

/** A source that could not be opened or went away: {reason, title, text, hint}. */
export class SourceError extends Error {
  constructor(reason, cause) {
    const words = wordsFor(reason);
    super(words.title, cause ? { cause } : undefined);
    this.name = "SourceError";
    this.reason = reason in FAILURES ? reason : "unknown";
    this.title = words.title;
    this.text = words.text;
    this.hint = words.hint;
  }
}

/** Which of our reasons an error of getUserMedia stands for (names of old browsers included). */
export function reasonOf(error, { chosen = false } = {}) {
  switch (error?.name) {
    case "NotAllowedError":
    case "PermissionDeniedError":
    case "PermissionDismissedError":
      return "denied";
    case "SecurityError":
      return "insecure";
    case "NotFoundError":
    case "DevicesNotFoundError":
      return chosen ? "gone" : "none";
    case "OverconstrainedError":
    case "ConstraintNotSatisfiedError":
      return chosen ? "gone" : "none";
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return "busy";
    default:
      return "unknown";
  }
}

/** Throws SourceError where what a page draws is not what it can read back. */
function checkReading() {
  const side = 16;
  const colour = [40, 120, 200, 255];
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = `rgb(${colour.slice(0, 3)})`;
  context.fillRect(0, 0, side, side);
  const off = context.getImageData(0, 0, side, side).data
    .reduce((sum, value, i) => sum + Math.abs(value - colour[i % 4]), 0);
  if (off / (4 * side * side) > MOST_NOISE) throw new SourceError("hidden");
}

/** The cameras that may be chosen: [{id, label}]; labels are empty until access was given. */
export async function listCameras() {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter((device) => device.kind === "videoinput" && device.deviceId)
    .map((device, i) => ({ id: device.deviceId, label: device.label || t("Camera {number}", { number: i + 1 }) }));
}

function constraints({ deviceId, facing, size }) {
  const wanted = {
    width: { ideal: size.width }, height: { ideal: size.height }, frameRate: { ideal: FRAMES_PER_S },
  };
  if (deviceId) return { ...wanted, deviceId: { exact: deviceId } };
  return facing ? { ...wanted, facingMode: { ideal: facing } } : wanted;
}

/**
 * Opens a camera into `video`: the one with `deviceId`, else one that looks in the direction
 * `facing` ("user" or "environment"), as near to `size` (pixels) as it can. `onLost(SourceError)` is called when it goes away later.
 * Returns {kind, deviceId, facing, turns, ended, muted, stop()}; whoever opens it stops it: `muted` while
 * the track says that it sends nothing, `ended` once it never will. Throws SourceError.
 */
export async function openCamera(video, { deviceId = null, facing = null, size = WANTED, onLost }) {
  if (!window.isSecureContext) throw new SourceError("insecure");
  if (!navigator.mediaDevices?.getUserMedia) throw new SourceError("unsupported");
  checkReading();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: constraints({ deviceId, facing, size }),
    });
  } catch (error) {
    throw new SourceError(reasonOf(error, { chosen: deviceId !== null }), error);
  }
  const [track] = stream.getVideoTracks();
  const stop = () => {
    track.removeEventListener("ended", lost);
    stream.getTracks().forEach((t) => t.stop());
    if (video.srcObject === stream) video.srcObject = null;
  };
  const lost = () => {
    stop();
    onLost(new SourceError("unplugged"));
  };
  track.addEventListener("ended", lost);
  video.srcObject = stream;
  try {
    await firstPicture(video, "blank");
  } catch (error) {
    stop();
    throw error;
  }
  const settings = track.getSettings?.() ?? {};
  return {
    kind: "camera",
    deviceId: settings.deviceId ?? deviceId,
    facing: settings.facingMode ?? "user",
    turns: Boolean(settings.facingMode), // it says where it looks, as those of phones do
    get muted() {
      return track.muted;
    },
    get ended() {
      return track.readyState === "ended";
    },
    stop,
  };
}

/** Plays a video file in a loop into `video`; as openCamera. Nothing is uploaded but the frames. */
export async function openFile(video, file, { onLost }) {
  checkReading();
  const url = URL.createObjectURL(file);
  const failed = () => {
    stop();
    onLost(new SourceError("file"));
  };
  const stop = () => {
    video.removeEventListener("error", failed);
    video.loop = false;
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(url);
  };
  video.srcObject = null;
  video.loop = true;
  video.src = url;
  try {
    await firstPicture(video, "file");
  } catch (error) {
    stop();
    throw error;
  }
  video.addEventListener("error", failed);
  return { kind: "file", deviceId: null, facing: "environment", turns: false, muted: false, ended: false, stop };
}

/** Resolves when `video` shows a picture; otherwise rejects with SourceError(reason). */
function firstPicture(video, reason) {
  return new Promise((resolve, reject) => {
    const done = (call, value) => {
      clearTimeout(timer);
      video.removeEventListener("loadeddata", shown);
      video.removeEventListener("error", broken);
      call(value);
    };
    const shown = () => (video.videoWidth ? done(resolve) : broken());
    const broken = () => done(reject, new SourceError(reason, video.error ?? undefined));
    const timer = setTimeout(broken, FIRST_PICTURE_MS);
    video.addEventListener("loadeddata", shown);
    video.addEventListener("error", broken);
    video.play().catch((error) => {
      // A later stop() interrupts play(); everything else means that there is nothing to show.
      if (error.name !== "AbortError") broken();
    });
  });
}
