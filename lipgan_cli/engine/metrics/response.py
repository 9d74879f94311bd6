"""How much a model's faces answer to the sound and to the person: what a collapse takes away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import mel_windows
from lipgan_cli.engine.metrics.image import mouth_region
from lipgan_cli.engine.metrics.protocol import Animate, MeasuredClip

CLIPS = 16
MOMENTS = 4
"""Clips asked at most, and moments of each."""


@dataclass(frozen=True)
class Response:
    """Differences between generated faces as a share of those between real ones, about 0..1.

    Attributes:
        audio: one face with the sounds of several moments, against the mouth at those moments.
        face: several clips' faces, against the same clips' real ones; None with a single clip or
            with clips that look alike.
    """

    audio: float
    face: float | None


def respond(animate: Animate, clips: Sequence[MeasuredClip]) -> Response:
    """Ask a model for each clip's face at several of its moments, and compare.

    A difference is the mean absolute one of the mouth region, over all pairs of faces.
    """
    places = np.unique(np.linspace(0, len(clips) - 1, CLIPS).round().astype(int))
    chosen = [clips[i] for i in places if len(clips[i])]
    heard, moved, painted, shown = [], [], [], []
    for clip in chosen:
        moments = np.linspace(0, len(clip) - 1, MOMENTS + 2).round().astype(int)[1:-1]
        windows = mel_windows(clip.mel(), np.asarray(clip.times, np.float64)[moments])
        face = np.repeat(clip.face(0)[None], MOMENTS, 0)
        answers = animate(face, face, windows)
        real = np.stack([clip.face(int(moment)) for moment in moments])
        heard.append(_spread(answers))
        moved.append(_spread(real))
        painted.append(answers[0])
        shown.append(real[0])
    apart = _spread(np.stack(shown))
    return Response(
        audio=float(np.mean(heard) / max(float(np.mean(moved)), 1e-6)),
        face=_spread(np.stack(painted)) / apart if apart else None,
    )


def _spread(faces: NDArray[np.uint8]) -> float:
    """The mean absolute difference of the mouth over all pairs of faces (B, 96, 96, 3)."""
    mouths = faces[:, *mouth_region(*faces.shape[1:3])].astype(np.float32)
    first, second = np.triu_indices(len(mouths), 1)
    return float(np.abs(mouths[first] - mouths[second]).mean()) if len(first) else 0.0
