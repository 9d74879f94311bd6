"""Sheets of generated faces beside ground truth, for the eye."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lipgan_cli.engine.data.dataset import Clip
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.media.audio import mel_windows
from lipgan_cli.engine.paths import atomic_path

FACES = 12
"""Columns of a sheet; its rows are reference, generated face and ground truth."""


def write_sheet(path: Path, animator: Animator, clips: list[Clip]) -> None:
    """Draw frames spread over the clips as a PNG of (288, 1152)."""
    spread = np.linspace(0, len(clips) - 1, FACES).round().astype(int)
    columns = []
    for place, clip in enumerate(clips[i] for i in spread):
        target = (place * 7 + 11) % len(clip)
        reference = clip.face((target + len(clip) // 2) % len(clip))
        window = mel_windows(clip.mel(), clip.times[target : target + 1])
        truth = clip.face(target)
        generated = animator.faces(reference[None], truth[None], window)[0]
        columns.append(np.vstack([reference, generated, truth]))
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", np.hstack(columns)[..., ::-1])[1].tobytes())
