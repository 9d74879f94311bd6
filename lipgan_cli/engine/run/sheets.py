"""Sheets of generated faces beside ground truth, for the eye."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from lipgan_cli.engine.data.dataset import Clip
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.media.audio import mel_windows
from lipgan_cli.engine.paths import atomic_path

FACES = 12
"""Columns of a sheet."""


class _Moments(NamedTuple):
    """Frames spread over clips: faces uint8 RGB (12, 96, 96, 3), sound (12, 80, 27)."""

    reference: np.ndarray
    truth: np.ndarray
    windows: np.ndarray


def write_sheet(path: Path, animator: Animator, clips: list[Clip]) -> None:
    """Draw reference, generated face and ground truth below each other, as a PNG of (288, 1152)."""
    moments = _moments(clips)
    rows = [moments.reference, _painted(animator, moments), moments.truth]
    with atomic_path(path) as temporary:
        picture = np.vstack([np.hstack(list(row)) for row in rows])
        temporary.write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())


def write_faces(path: Path, animators: Iterable[tuple[str, Animator]], clips: list[Clip]) -> None:
    """Draw what several generators paint for the same moments, a named row each: a JPEG."""
    # Imported here: it takes long, and nothing else in this module has a use for it.
    from matplotlib.figure import Figure

    moments = _moments(clips)
    rows = [("reference", moments.reference), ("truth", moments.truth)]
    rows += [(name, _painted(animator, moments)) for name, animator in animators]
    names = 0.1 * max(len(name) for name, _ in rows)  # inches, as a face is one
    figure = Figure((names + FACES, len(rows)), dpi=96)
    figure.subplots_adjust(left=names / (names + FACES), right=1, bottom=0, top=1, hspace=0.02)
    for place, (name, faces) in enumerate(rows):
        axes = figure.add_subplot(len(rows), 1, place + 1)
        axes.imshow(np.hstack(list(faces)))
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(name.replace("$", r"\$"), rotation=0, ha="right", va="center")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="jpeg", pil_kwargs={"quality": 90})


def _moments(clips: list[Clip]) -> _Moments:
    spread = np.linspace(0, len(clips) - 1, FACES).round().astype(int)
    references, truths, windows = [], [], []
    for place, clip in enumerate(clips[i] for i in spread):
        target = (place * 7 + 11) % len(clip)
        references.append(clip.face((target + len(clip) // 2) % len(clip)))
        truths.append(clip.face(target))
        windows.append(mel_windows(clip.mel(), clip.times[target : target + 1])[0])
    return _Moments(np.stack(references), np.stack(truths), np.stack(windows))


def _painted(animator: Animator, moments: _Moments) -> np.ndarray:
    return animator.faces(moments.reference, moments.truth, moments.windows)
