"""What can be chosen of faces and blending; the command line reads it without loading them."""

from __future__ import annotations

from enum import StrEnum


class Blend(StrEnum):
    """How a generated face is put into its frame."""

    FEATHER = "feather"
    """Mouth, cheeks and chin, colour-matched, fading into the source."""
    NONE = "none"
    """The whole square as generated, as in the LipGAN paper (arXiv 2003.00418)."""


class Detector(StrEnum):
    """Which of dlib's face detectors looks."""

    HOG = "hog"
    """Fast; frontal faces."""
    MMOD = "mmod"
    """A network: slow, and finds turned faces too."""


DEFAULT_BLEND = Blend.FEATHER
DEFAULT_DETECTOR = Detector.HOG
