"""Contact sheets: moments of a result, and the faces of a video with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lipgan_cli.engine.media.detectors import as_bytes
from lipgan_cli.engine.media.picture import Frame, to_rgb
from lipgan_cli.engine.paths import atomic_path

MOMENTS = 8
WIDTH = 240  # pixels of a picture on a sheet
COLUMNS = 6  # of faces
ZOOM = 1.4  # sides of a face's square that are shown enlarged
LINE = 22  # pixels of a line of text

Rgb = NDArray[np.uint8]


@dataclass
class ContactSheet:
    """Moments of a film, evenly spread: the whole frame, the face, and when."""

    frames: int  # of the film
    _columns: list[Rgb] = field(default_factory=list)

    def wants(self, number: int) -> bool:
        """Return whether a frame is one of the moments."""
        moments = min(MOMENTS, self.frames)
        return number in {int((k + 0.5) * self.frames / moments) for k in range(moments)}

    def add(self, frame: Frame, square: NDArray[np.float64], seconds: float) -> None:
        """Add a moment; `square` begins with the face's centre and side, NaN without one."""
        rgb = to_rgb(frame)
        size = (WIDTH, max(1, round(WIDTH * rgb.shape[0] / rgb.shape[1])))
        whole = as_bytes(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
        self._columns.append(_column([whole, enlarged(rgb, square)], f"{seconds:.2f} s"))

    def save(self, path: Path, force: bool) -> None:
        """Write the sheet.

        Raises:
            LipganError: it cannot be written.
        """
        _save(np.concatenate(self._columns, axis=1), path, force)


def save_faces(faces: Sequence[tuple[Rgb, str]], path: Path, force: bool) -> None:
    """Write a sheet of faces (240, 240, 3), each with a line of text.

    Raises:
        LipganError: it cannot be written.
    """
    cells = [_column([face], text) for face, text in faces]
    while len(cells) % COLUMNS and len(cells) > COLUMNS:
        cells.append(np.full_like(cells[0], 255))
    rows = [np.concatenate(cells[k : k + COLUMNS], axis=1) for k in range(0, len(cells), COLUMNS)]
    _save(np.concatenate(rows), path, force)


def enlarged(rgb: Rgb, square: NDArray[np.float64]) -> Rgb:
    """Return a face with its surroundings, (240, 240, 3); white without a face."""
    if np.isnan(square[2]):
        return np.full((WIDTH, WIDTH, 3), 255, np.uint8)
    scale = WIDTH / (ZOOM * float(square[2]))
    shift = WIDTH / 2 - scale * (square[:2] - 0.5)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    edge = cv2.BORDER_REPLICATE
    return as_bytes(cv2.warpAffine(rgb, matrix, (WIDTH, WIDTH), flags=method, borderMode=edge))


def _column(pictures: Sequence[Rgb], text: str) -> Rgb:
    """Return pictures below each other, with a line of text."""
    label = Image.new("RGB", (WIDTH, LINE), "white")
    font = ImageFont.load_default(14)
    ImageDraw.Draw(label).text((4, 2), text, fill="black", font=font)
    return np.concatenate([*pictures, np.asarray(label, np.uint8)])


def _save(picture: Rgb, path: Path, force: bool) -> None:
    with atomic_path(path, force) as temporary:
        Image.fromarray(picture).save(temporary)
