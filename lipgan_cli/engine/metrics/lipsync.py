"""Lip-sync of a clip: by how much its sound is late, and how sure a judge is of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import BANDS, COLUMNS_PER_SECOND, SILENCE, centre_columns
from lipgan_cli.engine.metrics.judge import EMBEDDING, FPS, FRAMES, HEARD, TOP, Judge

REACH = round(0.6 * COLUMNS_PER_SECOND)
"""Columns by which a sound may be early or late: 600 ms, 15 frames at 25 a second."""
COLUMN_MS = 1000 / COLUMNS_PER_SECOND
FRAME_MS = 1000 / FPS
FEWEST = 10
"""Moments below which nothing can be said: less than half a second of faces."""
PIECE = 128
"""Windows embedded at once."""
PIECE_COLUMNS = 4096
"""Columns embedded at once."""

Mouth = NDArray[np.uint8]  # (48, 96) grey
Vectors = NDArray[np.float32]  # (n, 128) of unit length


@dataclass(frozen=True, eq=False)
class Windows:
    """The moments of a clip, 25 a second, about which five faces follow each other."""

    times: NDArray[np.float64]  # (m,) seconds
    faces: NDArray[np.int64]  # (m, 5) which faces are on screen, 40 ms apart

    @property
    def columns(self) -> NDArray[np.int64]:
        """The mel column at each moment, (m,)."""
        return centre_columns(self.times)


@dataclass(frozen=True, eq=False)
class Embedded:
    """What the judge makes of a clip."""

    seen: Vectors  # of each window
    columns: NDArray[np.int64]  # (m,) the mel column at each window's moment
    heard: Vectors  # of each mel column

    def against(self, heard: Vectors) -> Embedded:
        """The same faces with another sound."""
        return Embedded(self.seen, self.columns, heard)


@dataclass(frozen=True)
class SyncFigures:
    """What a judge says of the sound of a clip.

    Attributes:
        offset_ms: by how much the sound is late; negative: it comes too early. At most 600.
        confidence: how much better that offset fits than the median of all offsets; about 0 for a
            sound that does not belong to the faces. Compare it with that of the real video.
        moments: number of windows of five faces.
    """

    offset_ms: float
    confidence: float
    moments: int

    @property
    def in_sync(self) -> bool:
        """Whether the offset is at most one frame, 40 ms."""
        return abs(self.offset_ms) <= FRAME_MS


def windows(times: NDArray[np.float64]) -> Windows:
    """Lay moments, 25 a second, over faces at these times (n,), ascending, of any frame rate."""
    if len(times) < 2:
        return Windows(np.zeros(0), np.zeros((0, FRAMES), np.int64))
    step = 1 / FPS
    count = int(np.floor((times[-1] - times[0]) / step + 1e-6)) + 1
    moments = times[0] + np.arange(count) * step
    wanted = moments[:, None] + (np.arange(FRAMES) - FRAMES // 2) * step  # (m, 5)
    right = np.searchsorted(times, wanted).clip(1, len(times) - 1)
    nearest = right - (wanted - times[right - 1] < times[right] - wanted)
    # Where faces are missing, or the film is slower than the judge, the nearest may be far.
    slack = max(step, float(np.median(np.diff(times)))) / 2 + 1e-6
    there = (np.abs(times[nearest] - wanted) <= slack).all(1)
    return Windows(moments[there], nearest[there])


def mouth(face: NDArray[np.uint8]) -> Mouth:
    """What the judge sees of a face crop RGB (96, 96, 3): (48, 96) grey."""
    return cv2.cvtColor(face[TOP:], cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def stretch(mel: NDArray[np.float32], first: int, columns: int) -> NDArray[np.float32]:
    """Columns of a mel (80, n) from `first` on, (80, columns), with silence beyond its ends."""
    out = np.full((BANDS, columns), SILENCE, np.float32)
    start, end = max(first, 0), min(first + columns, mel.shape[1])
    if start < end:
        out[:, start - first : end - first] = mel[:, start:end]
    return out


def embed(
    judge: Judge, mouths: Iterable[Mouth], times: NDArray[np.float64], mel: NDArray[np.float32]
) -> Embedded:
    """Embed a clip: its mouths (48, 96) one after the other, their times (n,), its mel (80, c)."""
    laid = windows(times)
    seen = embed_mouths(judge, mouths, laid)
    return Embedded(seen, laid.columns[: len(seen)], embed_mel(judge, mel))


def embed_mouths(judge: Judge, mouths: Iterable[Mouth], laid: Windows) -> Vectors:
    """Embed the windows of mouths (48, 96), (m, 128), or as many as the mouths suffice for.

    Those of a batch are held at once.
    """
    device = judge.log_scale.device
    seen = [np.zeros((0, EMBEDDING), np.float32)]
    gathered = _gathered(mouths, laid)
    while batch := list(islice(gathered, PIECE)):
        with torch.inference_mode():
            pictures = torch.from_numpy(np.stack(batch)).to(device)  # (b, 5, 48, 96)
            seen.append(judge.embed_faces(pictures).cpu().numpy())
    return np.concatenate(seen)


def _gathered(mouths: Iterable[Mouth], laid: Windows) -> Iterator[NDArray[np.uint8]]:
    """Yield the five mouths of each window; windows are in the order of time."""
    held: dict[int, Mouth] = {}
    arriving = enumerate(mouths)
    for faces in laid.faces.tolist():
        held = {number: mouth for number, mouth in held.items() if number >= faces[0]}
        while faces[-1] not in held:
            arrived = next(arriving, None)
            if arrived is None:  # the film has ended
                return
            if arrived[0] >= faces[0]:
                held[arrived[0]] = arrived[1]
        yield np.stack([held[number] for number in faces])
    for _ in arriving:  # whoever sends them counts on being asked for all
        pass


@torch.inference_mode()
def embed_mel(judge: Judge, mel: NDArray[np.float32]) -> Vectors:
    """Embed every column of a mel (80, columns)."""
    device = judge.log_scale.device
    heard = [np.zeros((0, EMBEDDING), np.float32)]
    for first in range(0, mel.shape[1], PIECE_COLUMNS):
        count = min(PIECE_COLUMNS, mel.shape[1] - first)
        part = stretch(mel, first - HEARD, count + 2 * HEARD)
        heard.append(judge.embed_sounds(torch.from_numpy(part)[None].to(device))[0].cpu().numpy())
    return np.concatenate(heard)


def likeness(clip: Embedded) -> NDArray[np.float64]:
    """The mean cosine of faces and sound when the sound is 48 columns early .. 48 late, (97,).

    NaN where less than a third of the moments have a sound.
    """
    out = np.full(2 * REACH + 1, np.nan)
    for place, late in enumerate(range(-REACH, REACH + 1)):
        columns = clip.columns + late
        there = (columns >= 0) & (columns < len(clip.heard))
        if 3 * there.sum() >= len(columns) > 0:
            cosines = np.einsum("ij,ij->i", clip.seen[there], clip.heard[columns[there]])
            out[place] = cosines.mean()
    return out


def agreement(clip: Embedded) -> float:
    """How much better the sound fits within a frame of its own place than at the median place.

    It tells sounds that belong to the faces from others, where `verdict` seeks the best place.
    """
    curve = likeness(clip)
    if np.isnan(curve).all():
        return 0.0
    frame = COLUMNS_PER_SECOND // FPS
    near = curve[REACH - frame : REACH + frame + 1]
    return float(np.nanmax(near) - np.nanmedian(curve)) if np.isfinite(near).any() else 0.0


def area_under_curve(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """How often one of `right` is more than one of `wrong`, over all pairs: 0.5 by chance.

    The area under the ROC curve; None where there is nothing to compare.
    """
    if not right or not wrong:
        return None
    higher, lower = np.array(right)[:, None], np.array(wrong)
    return float(np.mean((higher > lower) + 0.5 * (higher == lower)))


def joint(clip: Embedded) -> Vectors:
    """Faces and the sound at the same moment as one vector, (m, 256): what a Frechet distance
    of lip-sync is taken of. Moments without a sound are left out.
    """
    there = (clip.columns >= 0) & (clip.columns < len(clip.heard))
    return np.concatenate([clip.seen[there], clip.heard[clip.columns[there]]], axis=1)


def verdict(clip: Embedded) -> SyncFigures | None:
    """By how much the sound of a clip is late, and how sure that is; None of too few moments."""
    moments = len(clip.columns)
    if moments < FEWEST:
        return None
    curve = likeness(clip)
    if np.isnan(curve).all():
        return None
    best = int(np.nanargmax(curve))
    return SyncFigures(
        offset_ms=(best - REACH + _peak(curve, best)) * COLUMN_MS,
        confidence=float(curve[best] - np.nanmedian(curve)),
        moments=moments,
    )


def _peak(curve: NDArray[np.float64], best: int) -> float:
    """Where a parabola through the highest point and its neighbours has its top, -0.5..0.5."""
    if not 0 < best < len(curve) - 1:
        return 0.0
    before, top, after = curve[best - 1 : best + 2]
    bend = before - 2 * top + after
    if not np.isfinite(bend) or bend >= 0:
        return 0.0
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5))
