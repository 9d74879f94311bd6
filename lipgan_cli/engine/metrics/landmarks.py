"""How alike two mouths move, by dlib's points of them: their distance, and how they open.

Points are (T, 20, 2): x, y of dlib's 48..67 in T frames, in pixels of a face crop of 96x96.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.faces import CROP, DROP, SCALE
from lipgan_cli.engine.media.landmarks import INNER_LIPS, LIPS, Landmarks
from lipgan_cli.engine.media.mask import in_crop

Crops = NDArray[np.uint8]
MouthPoints = NDArray[np.float64]

ENLARGED = 3
"""How much larger a crop is made before the points are set: dlib's are whole pixels."""

_MOUTH = slice(LIPS.start, INNER_LIPS.stop)
_CORNERS = (0, 6)  # outer ones
_UPPER, _LOWER = [13, 14, 15], [19, 18, 17]  # of the inner lips, each above its other


@dataclass(frozen=True)
class LipFigures:
    """How alike generated and real mouths move.

    Attributes:
        distance: LMD, see `landmark_distance`.
        correlation: of their opening over time; None where one of them does not move.
    """

    distance: float
    correlation: float | None

    @classmethod
    def of(cls, real: MouthPoints, generated: MouthPoints) -> LipFigures:
        """Compare two mouths over the same frames."""
        return cls(landmark_distance(real, generated), opening_correlation(real, generated))


def mouth_points(crops: Crops, finder: Landmarks) -> MouthPoints:
    """Return the points of the mouths in face crops, uint8 RGB (T, 96, 96, 3)."""
    side = CROP * ENLARGED
    half, x, y = side / SCALE / 2, side / 2, side / 2 - DROP * side
    box = (x - half, y - half, x + half, y + half)  # where the detector found the face
    found = np.empty((len(crops), _MOUTH.stop - _MOUTH.start, 2))
    for index, face in enumerate(crops):
        grey = cv2.cvtColor(np.ascontiguousarray(face), cv2.COLOR_RGB2GRAY)
        large = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
        points = finder.points(large.astype(np.uint8, copy=False), box)
        found[index] = in_crop(points, (0, 0, side))[_MOUTH]
    return found


def landmark_distance(real: MouthPoints, generated: MouthPoints) -> float:
    """LMD: the mean distance of corresponding points, in pixels of a crop of 96x96.

    In every frame the two mouths' mean points are laid over each other, so that shape counts and
    place does not; then the mean over frames and points. LMD of pictures of another size does not
    compare, nor that of code that sums over the points. Chen et al. 2018 (arXiv:1803.10404).
    """
    if real.shape != generated.shape or not len(real):
        raise ValueError("the same frames of both are needed, one at least")
    one, other = (points - points.mean(axis=1, keepdims=True) for points in (real, generated))
    return float(np.linalg.norm(one - other, axis=2).mean())


def opening(points: MouthPoints) -> NDArray[np.float64]:
    """Return how far the inner lips are apart in each frame, in widths of the mouth: (T,).

    The mean of three distances from the upper to the lower lip. The width is the mean over all
    frames: a mouth that is rounded does not thereby open.
    """
    apart = np.linalg.norm(points[:, _UPPER] - points[:, _LOWER], axis=2).mean(axis=1)
    left, right = _CORNERS
    width = np.linalg.norm(points[:, left] - points[:, right], axis=1).mean()
    shares: NDArray[np.float64] = apart / max(float(width), 1e-9)
    return shares


def opening_correlation(real: MouthPoints, generated: MouthPoints) -> float | None:
    """Pearson's correlation of two mouths' openings over the frames of a clip.

    None where one of them stays the same in all frames.
    """
    if real.shape != generated.shape or not len(real):
        raise ValueError("the same frames of both are needed, one at least")
    one, other = opening(real), opening(generated)
    if min(float(np.ptp(one)), float(np.ptp(other))) < 1e-9:
        return None
    return float(np.corrcoef(one, other)[0, 1])
