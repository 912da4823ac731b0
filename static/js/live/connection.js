// The Socket.IO connection: it opens, comes back by itself, and answers one frame at a time.

import { io } from "../../vendor/socket.io.esm.min.js";
import { t } from "../lib/i18n.js";
import { parseHello, parseSharing, parseStatus } from "../lib/protocol.js";
import { TransmitError } from "./sender.js";

const RECONNECT = Object.freeze({
  reconnectionDelay: 300,
  reconnectionDelayMax: 2000,
  randomizationFactor: 0.3,
});

/**
 * Opens `namespace` on this page's own origin.
 *
 * onState("connecting"|"connected"|"reconnecting"|"refused", reason, error), onHello(hello),
 * onStatus(status), onSharing(news), onProtocolError(error). `auth` goes along with every attempt.
 * Whoever opens it closes it.
 */
export function connect({
  namespace = "/live", path = "/socket.io", auth = {}, ackTimeoutMs,
  onState, onHello, onStatus, onSharing = () => {}, onProtocolError,
}) {
  const socket = io(namespace, {
    path,
    auth,
    transports: ["websocket", "polling"],
    tryAllTransports: true,
    ...RECONNECT,
  });

  let reopening = null;
  const reopenSoon = (ms) => {
    clearTimeout(reopening);
    reopening = setTimeout(() => socket.connect(), ms);
  };

  const guarded = (parse, call) => (payload) => {
    let value;
    try {
      value = parse(payload);
    } catch (error) {
      onProtocolError(error);
      return;
    }
    call(value);
  };

  socket.on("connect", () => onState("connected"));
  socket.on("hello", guarded(parseHello, onHello));
  socket.on("status", guarded(parseStatus, onStatus));
  socket.on("sharing", guarded(parseSharing, onSharing));
  socket.on("disconnect", (reason) => {
    if (reason === "io client disconnect") return;
    onState("reconnecting", reason);
    // The server may close one connection on purpose (idle time); the library leaves that to us.
    if (reason === "io server disconnect") reopenSoon(1000);
  });
  socket.on("connect_error", (error) => {
    // Refused by the namespace itself (such as too many sessions): only that stops the library.
    if (socket.active) {
      onState("reconnecting", error.message);
      return;
    }
    const inner = error.data?.error ?? error.data;
    const told = typeof inner?.message === "string" && inner.message;
    onState("refused", told || error.message, inner);
    reopenSoon(3000);
  });
  onState("connecting");

  return Object.freeze({
    get connected() {
      return socket.connected;
    },
    /** Sends one frame and resolves with the raw acknowledgement. Rejects with TransmitError. */
    sendFrame(meta, bytes) {
      return new Promise((resolve, reject) => {
        // Not while disconnected: the library would keep the frame and send it much later.
        if (!socket.connected) {
          reject(new TransmitError("disconnected", t("The connection to the server is down.")));
          return;
        }
        const lost = () => {
          reject(new TransmitError("disconnected", t("The connection went away under a frame.")));
        };
        socket.once("disconnect", lost);
        socket.timeout(ackTimeoutMs).emit("frame", meta, bytes, (timeout, ack) => {
          socket.off("disconnect", lost);
          if (!timeout) resolve(ack);
          else if (socket.connected) {
            reject(new TransmitError("ack_timeout", t("No answer within {ackTimeoutMs} ms.", { ackTimeoutMs })));
          } else lost();
        });
      });
    },
    /** Sends another event; resolves with its acknowledgement. Rejects with TransmitError. */
    request(event, payload, timeoutMs = ackTimeoutMs) {
      return new Promise((resolve, reject) => {
        if (!socket.connected) {
          reject(new TransmitError("disconnected", t("The connection to the server is down.")));
          return;
        }
        socket.timeout(timeoutMs).emit(event, payload, (timeout, ack) => {
          if (!timeout) resolve(ack);
          else reject(new TransmitError("ack_timeout", t("No answer within {ackTimeoutMs} ms.", { ackTimeoutMs: timeoutMs })));
        });
      });
    },
    close() {
      clearTimeout(reopening);
      socket.close();
    },
  });
}
