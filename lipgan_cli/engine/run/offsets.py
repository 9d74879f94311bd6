"""How far from the true sound a judge of lip-sync finds the best one, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REACH = 15
"""Frames by which a sound may be earlier or later."""

NEAR = 1
"""Frames from the true sound that count as found."""


@dataclass(frozen=True)
class ClipOffsets:
    """What a judge made of one clip.

    Attributes:
        near: for each window, whether the best of its sounds is within one frame of the true one.
        offset: the one at which the mean score of all windows is best, frames.
        confidence: that mean less the median of the means at all offsets.
    """

    near: NDArray[np.bool_]
    offset: int
    confidence: float


@dataclass(frozen=True)
class Found:
    """How well a judge finds the sound that belongs to the faces, on several clips.

    Attributes:
        windows: part of the windows whose best sound is within one frame of the true one.
        clips: part of the clips whose offset is within one frame of 0.
        confidence: mean of the clips'.
        measured: number of clips.
    """

    windows: float
    clips: float
    confidence: float
    measured: int


def clip_offsets(scores: NDArray[np.floating], frames: NDArray[np.integer]) -> ClipOffsets:
    """Judge a clip by the scores of its windows with its own sounds up to 15 frames away.

    Args:
        scores: (n, n), of window i with the sound of window j.
        frames: (n,), the windows' frame numbers, ascending.
    """
    away = frames[None, :] - frames[:, None]  # (n, n)
    inside = np.abs(away) <= REACH
    best = np.where(inside, scores, -np.inf).argmax(1)
    offsets = np.unique(away[inside])
    means = np.array([scores[away == offset].mean() for offset in offsets])
    return ClipOffsets(
        near=np.abs(frames[best] - frames) <= NEAR,
        offset=int(offsets[means.argmax()]),
        confidence=float(means.max() - np.median(means)),
    )


def found(clips: Sequence[ClipOffsets]) -> Found:
    """Sum several clips up."""
    return Found(
        windows=float(np.concatenate([clip.near for clip in clips]).mean()),
        clips=float(np.mean([abs(clip.offset) <= NEAR for clip in clips])),
        confidence=float(np.mean([clip.confidence for clip in clips])),
        measured=len(clips),
    )
