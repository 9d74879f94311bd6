"""What can be chosen of faces, blending, length and coding; read without loading any of it."""

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


class Fit(StrEnum):
    """What is done where the face video and the speech are not equally long."""

    PINGPONG = "pingpong"
    """A shorter video plays back and forth, a longer one is cut."""
    LOOP = "loop"
    """A shorter video begins again, its end fading into its beginning; a longer one is cut."""
    FREEZE = "freeze"
    """A shorter video stands still at its last frame; a longer one is cut."""
    TRIM = "trim"
    """Whatever is longer is cut: a speech, too."""
    ERROR = "error"
    """Nothing is made."""


class Codec(StrEnum):
    """How the pictures are coded."""

    H264 = "h264"
    H265 = "h265"
    VP9 = "vp9"
    FFV1 = "ffv1"
    """Without loss."""


class Corner(StrEnum):
    """Where in the picture a label is."""

    TOP_LEFT = "top-left"
    TOP_RIGHT = "top-right"
    BOTTOM_LEFT = "bottom-left"
    BOTTOM_RIGHT = "bottom-right"


DEFAULT_BLEND = Blend.FEATHER
DEFAULT_CORNER = Corner.BOTTOM_RIGHT
DEFAULT_DETECTOR = Detector.HOG
DEFAULT_FIT = Fit.PINGPONG
DEFAULT_LABEL_SIZE = 0.05  # of its font, part of the picture's shorter side
DEFAULT_LABEL_OPACITY = 0.85
