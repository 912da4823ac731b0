"""One live connection: what it may send, what is searched, and what is remembered of its faces."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any, Literal

from webapp.domain import UNCERTAIN, EmotionScores, Face, FrameResult, ReadRequest
from webapp.errors import FrameInFlight, InvalidRequest, RateLimited
from webapp.live.advice import AdviceKeeper
from webapp.live.baseline import Baseline, adjusted
from webapp.live.belief import NEW_FACE_SCORE, Belief
from webapp.live.frames import LiveFrame, parse_frame
from webapp.live.limits import TokenBucket
from webapp.live.options import LiveOptions
from webapp.live.smoothing import STEADINESS, FrameClock, Smoother
from webapp.live.steady import Steadier
from webapp.live.tracker import Tracker
from webapp.web.services import Services

SCAN_EVERY_S = 0.6


class LiveSession:
    """State of one connection. Only geometry and scores are kept, never a picture."""

    def __init__(
        self,
        services: Services,
        address: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        scan_phase: int = 0,
        scan_every_s: float = SCAN_EVERY_S,
        priority: Literal["live", "study"] = "live",
    ) -> None:
        """``scan_phase`` frames are left out of the first scan interval, so that connections that
        began together do not all ask for their full scans together. Scans are at least
        ``scan_every_s`` apart and as many frames as the settings say.
        """
        settings = services.settings
        self.address = address
        self.options = LiveOptions()
        self._services = services
        self._clock = clock
        self._max_bytes: int = settings.max_frame_bytes
        self._scan_every: int = settings.live_scan_every
        self._scan_every_s = scan_every_s
        self._priority = priority
        # half a second's worth at once, so that a browser that catches up after a pause may
        self._bucket = TokenBucket(
            settings.live_max_fps, max(2.0, settings.live_max_fps / 2), clock
        )
        self._busy = Lock()
        self._active_s = clock()
        self._seq = -1
        self._frame_clock = FrameClock()
        self._tracker = Tracker()
        self._smoother = Smoother()
        self._steadier = Steadier()
        self._advice = AdviceKeeper()
        self.baseline = Baseline()
        self._plain = Smoother()  # of tracks with a baseline: the scores without it
        self._belief = Belief()
        self._size: tuple[int, int] | None = None
        self._declared: tuple[int, int] | None = None
        self._since_scan = 0
        self._scan_phase = scan_phase % self._scan_every
        self._scan_next = True
        self._scanned_s = 0.0
        self._scans = 0
        self._mirror = True
        self._model: str | None = None
        self._uncertain_below = 0.0

    @property
    def idle_s(self) -> float:
        """Seconds since the latest frame arrived."""
        return self._clock() - self._active_s

    @property
    def busy(self) -> bool:
        """Whether a frame is being answered."""
        return self._busy.locked()

    def analyze(self, args: Sequence[Any]) -> FrameResult:
        """Answer one ``frame`` event with its arguments as they came.

        Raises a :class:`MienError`: :class:`RateLimited`, :class:`FrameInFlight`,
        :class:`InvalidRequest`, :class:`PayloadTooLarge`, or what the inference service raises.
        """
        self._active_s = self._clock()
        wait_s = self._bucket.take()
        if wait_s:
            raise RateLimited(
                f"Expected at most {self._services.settings.live_max_fps} frames a second.",
                retry_after_ms=max(1, round(wait_s * 1000)),
            )
        if not self._busy.acquire(blocking=False):
            raise FrameInFlight(
                "Expected the next frame after the answer to the one before. Received it sooner."
            )
        try:
            frame = parse_frame(args, self._max_bytes)
            if frame.seq <= self._seq:
                raise InvalidRequest(
                    f"meta.seq: expected more than {self._seq}, the latest seen. "
                    f"Received {frame.seq}.",
                    field="seq",
                )
            self._seq = frame.seq
            return self._answer(frame)
        finally:
            self._busy.release()

    def _answer(self, frame: LiveFrame) -> FrameResult:
        now_s = self._frame_clock.tick(frame.captured_ms, self._active_s)
        if self._declared != (frame.width, frame.height):
            self._declared = (frame.width, frame.height)
            self._forget()
        regions = self._tracker.predict(now_s) or None
        scans = self._scans_now() or regions is None
        # Every second frame is read mirrored: with the smoothing that averages both views of a
        # face, and more labels are right at the same cost (see bench.steadiness).
        self._mirror = self.options.smoothing and not self._mirror
        result = self._services.inference.analyze(
            frame.jpeg,
            request=ReadRequest(regions, mirror=self._mirror, turn=self._scans if scans else None),
            priority=self._priority,
        )
        if self._size != (result.width, result.height):
            # the picture's own size is the truth; boxes of another size are worth nothing
            self._size = (result.width, result.height)
            self._forget()
        if scans:
            self._scans += 1
            early_s = self._scan_every_s * self._scan_phase / self._scan_every
            self._scanned_s = self._active_s - early_s
            self._since_scan, self._scan_phase = self._scan_phase, 0
        else:
            self._since_scan += 1
        faces = self._follow(result, now_s)
        self._scan_next = self._tracker.lost and not scans
        return replace(result, seq=frame.seq, faces=faces)

    def _forget(self) -> None:
        self._tracker.reset()
        self._scan_next = True

    def _scans_now(self) -> bool:
        """Whether the whole frame is scanned, which alone finds new faces and costs most."""
        due = (
            self._since_scan + 1 >= self._scan_every
            and self._active_s - self._scanned_s >= self._scan_every_s
        )
        return self._scan_next or due

    def _follow(self, result: FrameResult, now_s: float) -> tuple[Face, ...]:
        if result.model != self._model:
            # scores of two versions are never mixed: each result names the one it came from
            self._smoother.keep(())
            self._plain.keep(())
            if self._model is not None:
                self.baseline.reset()  # it was measured with the other version
            self._model = result.model
            self._uncertain_below = self._services.uncertain_below(result.model)
        sure = [face.detection >= NEW_FACE_SCORE for face in result.faces]
        numbers = self._tracker.update([face.box for face in result.faces], now_s, sure)
        faces = []
        for face, number in zip(result.faces, numbers, strict=True):
            scores, label, unadjusted = self._read(number, face, now_s)
            box = self._steadier.update(number, face.box, now_s)
            quality = self._advice.update(number, face.quality, now_s)
            if not self.options.smoothing:
                box, quality = face.box, face.quality
            if self._belief.update(number, face.detection, self._scans):
                faces.append(
                    replace(
                        face,
                        track=number,
                        box=box,
                        scores=scores,
                        label=label,
                        quality=quality,
                        unadjusted=unadjusted,
                    )
                )
        alive = self._tracker.alive
        self._belief.keep(alive)
        self._smoother.keep(alive)
        self._steadier.keep(alive)
        self._advice.keep(alive)
        self._plain.keep(alive)
        faces.sort(key=lambda face: face.track or 0)
        self.baseline.observe(faces, alive, now_s)
        return tuple(faces)

    def _read(
        self, number: int, face: Face, now_s: float
    ) -> tuple[EmotionScores, str, EmotionScores | None]:
        """Scores and label to show of a track, and the scores without its baseline, if any."""
        off = self.baseline.for_track(number)
        raw = face.raw if off is None else adjusted(face.raw, off)
        below, how = self._uncertain_below, STEADINESS[self.options.steadiness]
        scores, label = self._smoother.update(number, raw, now_s, below, how)
        if not self.options.smoothing:
            top, score = raw.top
            scores, label = raw, face.label if off is None else top if score >= below else UNCERTAIN
        if off is None:
            return scores, label, None
        unadjusted, _ = self._plain.update(number, face.raw, now_s, below, how)
        return scores, label, unadjusted if self.options.smoothing else face.raw
