"""The quality gate: what a finished message is like, seen frame by frame as it is painted.

The figures are those that `lipgan score` finds in the coded video, at a small part of the cost:
nothing is decoded again, and where the face is is known from the painting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import Samples, centre_columns, mel_spectrogram
from lipgan_cli.engine.media.cutout import TURNED, cut_out
from lipgan_cli.engine.media.faces import cut, region
from lipgan_cli.engine.media.film import Film
from lipgan_cli.engine.media.loudness import levelled, loudness
from lipgan_cli.engine.media.mask import Place
from lipgan_cli.engine.media.picture import FROM_RGB, Frame, luma
from lipgan_cli.engine.metrics.artefacts import SeamMeter
from lipgan_cli.engine.metrics.judge import EMBEDDING, FPS, FRAMES, TOP, Judge
from lipgan_cli.engine.metrics.lipsync import (
    FRAME_MS,
    Embedded,
    Mouth,
    SyncFigures,
    Vectors,
    Windows,
    embed_mel,
    embed_mouths,
    verdict,
    windows,
)

MOMENTS_APART = 2
"""Of so many moments, 25 a second, one is judged: its five faces hold those of its neighbours."""
FEWEST = 25
"""Judged moments below which nothing is said: 2 s. Of 1.5 s, every sixth good offset is wrong."""
SEAM_APART = 10
"""Of so many frames, the seam of one is measured."""
HELD = 256
"""Mouths that wait for the judge at most."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was seen of a piece of film, small enough to be kept with it."""

    seen: Vectors  # (m, 128) what the judge makes of its mouths
    times: NDArray[np.float64]  # (m,) seconds from the piece's beginning
    frames: int
    without_face: int  # frames
    seams: float  # sum over the frames of which the seam was measured
    measured: int  # how many these are

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as arrays, as a cache keeps it."""
        return {
            "seen": self.seen,
            "times": self.times,
            "counts": np.array([self.frames, self.without_face, self.measured], np.int64),
            "seams": np.array(self.seams, np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `to_arrays` was called on; arrays under other names are left alone."""
        frames, without_face, measured = arrays["counts"].tolist()
        seams = float(arrays["seams"])
        return cls(arrays["seen"], arrays["times"], frames, without_face, seams, measured)


@dataclass(frozen=True)
class Quality:
    """The figures of a finished message.

    Attributes:
        offset_ms: by how much its sound is late; None where it is silent, or its face is seen for
            less than two seconds.
        confidence: how sure the judge is that sound and mouth belong together; None likewise. A
            sound that does not belong gets some too, at any offset: read both.
        seam: how much the border of the painted face shows; 1 is not at all, None where no frame
            was compared with its source.
        frames_without_face: that were left as they are.
        loudness_lufs: of the message's sound, None where it is silent.
    """

    offset_ms: float | None
    confidence: float | None
    seam: float | None
    frames_without_face: int
    loudness_lufs: float | None

    def in_sync(self, least_confidence: float, late_ms: float = 0.0) -> bool | None:
        """Return whether the judge is as sure as that of an offset within a frame, 40 ms.

        late_ms: by how much the sound was asked to be late. None where nothing can be said.
        """
        if self.confidence is None or self.offset_ms is None:
            return None
        near = abs(self.offset_ms - late_ms) <= FRAME_MS
        return near and self.confidence >= least_confidence


@dataclass(eq=False)
class Witness:
    """Sees the finished frames of a piece of film, and keeps what the figures need."""

    film: Film  # of the footage that the piece is made of
    judge: Judge
    _frames: int = 0
    _without_face: int = 0
    _mouths: list[Mouth] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)  # of these mouths
    _judged: list[Windows] = field(default_factory=list)
    _seen: list[Vectors] = field(default_factory=list)  # of the windows that were judged
    _meter: SeamMeter = field(default_factory=SeamMeter)
    _measured: int = 0

    @staticmethod
    def wants_source(number: int) -> bool:
        """Return whether the seam of a frame is measured; the piece's first has number 0."""
        return number % SEAM_APART == 0

    def see(self, place: int, source: Frame | None, finished: Frame, seconds: float) -> None:
        """Take in the next frame, I420; it may be changed afterwards.

        place: its number in the footage. source: what it was painted on, of use only
        where `wants_source` says so; without it the seam is not measured. seconds: when it is
        shown, from the piece's beginning.
        """
        number = self._frames
        self._frames += 1
        if self.film.missing[place]:
            self._without_face += 1
            return
        square = self.film.squares[place]
        upright, where = _upright(finished, square)
        self._mouths.append(_mouth(upright, where))
        self._times.append(seconds)
        if len(self._mouths) == HELD:
            self._ask()
        if source is not None and self.wants_source(number):
            self._meter.add(_upright(source, square)[0], upright, where)
            self._measured += 1

    def evidence(self) -> Evidence:
        """Return what was seen; the piece has ended."""
        self._ask()
        return Evidence(
            seen=np.concatenate([np.zeros((0, EMBEDDING), np.float32), *self._seen]),
            times=np.concatenate([np.zeros(0), *(laid.times for laid in self._judged)]),
            frames=self._frames,
            without_face=self._without_face,
            seams=(self._meter.value() or 0.0) * self._measured,
            measured=self._measured,
        )

    def _ask(self) -> None:
        """Let the judge see the mouths, and keep those that belong to its next window too."""
        times = np.array(self._times)
        laid = windows(times)
        laid = Windows(laid.times[::MOMENTS_APART], laid.faces[::MOMENTS_APART])
        self._judged.append(laid)
        self._seen.append(embed_mouths(self.judge, self._mouths, laid))
        gone = len(times)
        if len(laid.times):
            following = laid.times[-1] + (MOMENTS_APART - FRAMES // 2) / FPS
            gone = int(np.searchsorted(times, following - 1e-6))
        self._mouths, self._times = self._mouths[gone:], self._times[gone:]


def assess(
    pieces: Sequence[tuple[float, Evidence]],
    samples: Samples,
    judge: Judge,
    loudness_lufs: float | None,
) -> Quality:
    """Return the figures of a message of some pieces, each with the second at which it begins.

    samples: the message's sound, mono at 16 kHz. judge: the one that saw the pieces.
    """
    said = None if loudness(samples) is None else _verdict(pieces, samples, judge)
    measured = sum(evidence.measured for _, evidence in pieces)
    return Quality(
        offset_ms=None if said is None else said.offset_ms,
        confidence=None if said is None else said.confidence,
        seam=sum(evidence.seams for _, evidence in pieces) / measured if measured else None,
        frames_without_face=sum(evidence.without_face for _, evidence in pieces),
        loudness_lufs=loudness_lufs,
    )


def _verdict(
    pieces: Sequence[tuple[float, Evidence]], samples: Samples, judge: Judge
) -> SyncFigures | None:
    seen = np.concatenate(
        [np.zeros((0, EMBEDDING), np.float32), *(evidence.seen for _, evidence in pieces)]
    )
    times = np.concatenate([np.zeros(0), *(begin + evidence.times for begin, evidence in pieces)])
    if len(times) < FEWEST:
        return None
    heard = embed_mel(judge, mel_spectrogram(levelled(samples)))
    return verdict(Embedded(seen, centre_columns(times), heard))


def _upright(frame: Frame, square: NDArray[np.float64]) -> tuple[Frame, Place]:
    """Return the frame itself, or a part of it in which the face stands upright; and its square."""
    if abs(float(square[3])) < TURNED:
        return frame, region(square)
    turned = cut_out(frame, square, FROM_RGB)  # whose colours are not looked at
    return turned.canvas, turned.place


def _mouth(frame: Frame, place: Place) -> Mouth:
    """Return what the judge sees of an I420 frame.

    It is the luma itself: what `lipsync.mouth` gives has another contrast, which the judge takes
    out.
    """
    left, top, side = place
    square = np.array([left + side / 2, top + side / 2, side])
    return cut(luma(frame), square)[TOP:]
