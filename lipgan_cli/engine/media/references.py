"""References: the frames of a recording that show the network who is speaking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.detectors import as_bytes

CLOSED = 0.2
"""The part of a run's frames whose mouths count as closed."""
MOST = 64
"""References of a film, shared among its runs by their length, but one for each at least."""
POSE_ROWS, POSE_COLUMNS = 12, 24
"""Size of the small grey picture of a face's upper half by which poses are compared."""


def shortlists(
    openness: NDArray[np.float64], runs: Sequence[NDArray[np.int64]]
) -> list[NDArray[np.int64]]:
    """Return for each unbroken run which of its frames may be its references, in order.

    `openness` (n,) is that of the mouth in every frame of the film: by landmarks, or how loud the
    film's own sound is around it; NaN where it is not known. A run is its frames' numbers.
    """
    frames = sum(map(len, runs))
    return [run[shortlist(openness[run], max(1, MOST * len(run) // frames))] for run in runs]


def shortlist(openness: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return the most closed frames of `most` parts of a run, or of fewer.

    Its fifth with the most closed mouths is parted in time, because heads turn with time: so there
    are many poses. Of equals, as in a film without sound, the one in the middle of its part.
    """
    known = np.where(np.isnan(openness), np.inf, openness)
    fifth = max(1, round(CLOSED * len(known)))
    closed = np.flatnonzero(known <= np.sort(known)[fifth - 1])
    parts = np.array_split(closed, min(most, fifth))
    return np.array([_most_closed(part, known) for part in parts], np.int64)


def _most_closed(part: NDArray[np.int64], openness: NDArray[np.float64]) -> int:
    lowest = part[openness[part] == openness[part].min()]
    return int(lowest[len(lowest) // 2])


@dataclass(frozen=True)
class Gallery:
    """The references of one run."""

    faces: NDArray[np.uint8]  # RGB (m, 96, 96, 3)
    poses: NDArray[np.uint8]  # (m, 12, 24)

    @classmethod
    def of(cls, faces: Sequence[NDArray[np.uint8]]) -> Gallery:
        """Return the gallery of one face crop or more."""
        return cls(np.stack(faces), np.stack([pose(face) for face in faces]))

    def nearest(self, target: NDArray[np.uint8]) -> int:
        """Return which reference has the pose and the light of a face crop (96, 96, 3)."""
        apart = np.abs(self.poses.astype(np.int16) - pose(target)).mean(axis=(1, 2))
        return int(apart.argmin())


def pose(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the upper half of a face crop, small and grey: how the head is held, no mouth."""
    upper = cv2.cvtColor(face[: len(face) // 2], cv2.COLOR_RGB2GRAY)
    size = (POSE_COLUMNS, POSE_ROWS)
    return as_bytes(cv2.resize(upper, size, interpolation=cv2.INTER_AREA))
