"""The face and the speech that come with the install, so that there is always something to try."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SPEECH = Path(str(files("lipgan_cli") / "assets" / "demo-speech.flac"))

_HEAD = (slice(0, 288), slice(30, 414))
"""Head and shoulders of the portrait, 384 x 288; the helmet below looks like a face to HOG."""


def write_portrait(path: Path) -> Path:
    """Write the demo's face, cut from the public-domain portrait that scikit-image carries."""
    from skimage import data

    portrait: NDArray[np.uint8] = data.astronaut()  # type: ignore[no-untyped-call]
    cv2.imwrite(str(path), cv2.cvtColor(portrait[_HEAD], cv2.COLOR_RGB2BGR))
    return path
