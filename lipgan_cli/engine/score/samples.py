"""The pictures of a report: contact sheets, and the worst and best of a score."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import mel_windows
from lipgan_cli.engine.metrics.image import COLUMNS, FigureTable, Picture
from lipgan_cli.engine.metrics.pairs import Pair
from lipgan_cli.engine.metrics.pictures import read_picture
from lipgan_cli.engine.metrics.protocol import Faces, reference_of
from lipgan_cli.engine.metrics.report import Sample, Section

if TYPE_CHECKING:
    from lipgan_cli.engine.data.dataset import Clip
    from lipgan_cli.engine.metrics.scene import Scene
    from lipgan_cli.engine.score.models import ModelFigures
    from lipgan_cli.engine.score.pairs import PairTable

SHOWN = 6
"""Samples at each end."""
APART = 25
"""Frames of a video between two samples at most: neighbours are alike."""
MOMENTS = 8
"""Columns of a contact sheet."""
SMALL = 120
"""Pixels of the longer side of a picture there at most, so that they stand in one row."""

Thin = Callable[[Sequence[int]], list[int]]
Both = tuple[Picture, Picture]
"""A real picture and the generated one."""


def pair_sections(
    name: str, scene: Scene | None, generated: Path, table: PairTable
) -> Iterator[Section]:
    """Yield a contact sheet, the worst and the best of a generated side.

    scene: that of the real video, where videos were compared.
    """
    count = len(table.names)
    video = not table.files
    ends = _ends(table.figures, _spaced(min(APART, 1 + count // (4 * SHOWN)) if video else 1))
    sheet = _spread(count)
    wanted = {row for rows in (sheet, *ends.values()) for row in rows}
    if not video:
        seen = {row: _files(table.files[row]) for row in wanted}
        labels = {row: table.names[row] for row in wanted}
    else:
        assert scene is not None
        seen = _frames(scene, generated, wanted)
        seconds = scene.info.clock.seconds(np.arange(count))
        labels = {row: f"{seconds[row]:.2f} s" for row in wanted}
    sheets = tuple(
        Sample(
            which,
            tuple(_small(seen[row][side]) for row in sheet),
            tuple(labels[row] for row in sheet),
        )
        for side, which in enumerate(("real", "generated"))
    )
    if len(sheet) > 1:
        yield Section(f"{name}: contact sheet", samples=sheets)
    for which, rows in ends.items():
        captions = {
            row: _caption(
                f"frame {row}, {labels[row]}" if video else labels[row], table.figures, row
            )
            for row in rows
        }
        samples = tuple(Sample(captions[row], seen[row], ("real", "generated")) for row in rows)
        yield Section(f"{name}: {which}", samples=samples)


def model_sections(model: ModelFigures, clips: Mapping[str, Clip]) -> Iterator[Section]:
    """Yield contact sheets, and of the clips whose worst or best frames stand out these frames."""
    yield Section(f"{model.name}: contact sheets", samples=tuple(_sheets(model, clips)))
    order = _first_of_each([clip for clip, _ in model.measured.frames])
    for which, rows in _ends(model.measured.tables["right"], order).items():
        samples = tuple(_painted(model, clips, row) for row in rows)
        yield Section(f"{model.name}: {which}", samples=samples)


def _ends(figures: FigureTable, thin: Thin) -> dict[str, list[int]]:
    """Return the rows of the worst and the best pictures, by the mouth where there is one."""
    values = figures.column("mouth_psnr")
    if np.isnan(values).all():
        values = figures.column("psnr")
    order = [row for row in np.argsort(values, kind="stable").tolist() if not np.isnan(values[row])]
    worst = order[: -(-len(order) // 2)]
    ends = {"worst": thin(worst), "best": thin(order[len(worst) :][::-1])}
    return {which: rows for which, rows in ends.items() if rows}


def _spaced(apart: int) -> Thin:
    """Take rows that are apart by so many: in a video, neighbours are alike."""

    def thin(rows: Sequence[int]) -> list[int]:
        kept: list[int] = []
        for row in rows:
            if all(abs(row - other) >= apart for other in kept):
                kept.append(row)
            if len(kept) == SHOWN:
                break
        return kept

    return thin


def _first_of_each(groups: Sequence[str]) -> Thin:
    """Take one row of a clip."""

    def thin(rows: Sequence[int]) -> list[int]:
        first: dict[str, int] = {}
        for row in rows:
            first.setdefault(groups[row], row)
        return list(first.values())[:SHOWN]

    return thin


def _caption(name: str, figures: FigureTable, row: int) -> str:
    values = dict(zip(COLUMNS, figures.rows()[row].tolist(), strict=True))
    told = [f"{values['psnr']:.1f} dB, SSIM {values['ssim']:.3f}"]
    if not np.isnan(values["mouth_psnr"]):
        told.append(f"mouth {values['mouth_psnr']:.1f} dB, SSIM {values['mouth_ssim']:.3f}")
    return f"{name}: {'; '.join(told)}"


def _spread(count: int) -> list[int]:
    """Return some of so many rows, evenly spread, the ends left out."""
    places: list[int] = np.linspace(0, count - 1, MOMENTS + 2).round().astype(int).tolist()
    return sorted(set(places[1:-1]))


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    scale = min(1.0, SMALL / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def _files(pair: Pair) -> Both:
    return read_picture(pair[0]), read_picture(pair[1])


def _frames(scene: Scene, generated: Path, wanted: Collection[int]) -> dict[int, Both]:
    """Return some frames of both videos, the face alone where there is one; read in one go."""
    from lipgan_cli.engine.media.video import probe, read_frames, to_rgb

    found: dict[int, Both] = {}
    both = zip(read_frames(scene.info), read_frames(probe(generated)), strict=False)
    for number, (one, other) in enumerate(both):
        if number in wanted:
            face = scene.part(number, lambda height, width: (slice(0, height), slice(0, width)))
            where = face or (slice(None), slice(None))
            found[number] = to_rgb(one)[where], to_rgb(other)[where]
        if len(found) == len(wanted):
            break
    return found


def _painted(model: ModelFigures, clips: Mapping[str, Clip], row: int) -> Sample:
    key, frame = model.measured.frames[row]
    reference, real, painted = _paint(model, clips[key], np.array([frame]))
    caption = _caption(f"{key}, frame {frame}", model.measured.tables["right"], row)
    return Sample(caption, (reference[0], painted[0], real[0]), ("reference", "generated", "real"))


def _sheets(model: ModelFigures, clips: Mapping[str, Clip]) -> Iterator[Sample]:
    """Yield, of each speaker's first clip, moments as they were and as they are painted."""
    seen: set[str] = set()
    for clip in clips.values():
        if clip.speaker in seen or not len(clip):
            continue
        seen.add(clip.speaker)
        frames = np.array(_spread(len(clip)))
        _, real, painted = _paint(model, clip, frames)
        labels = tuple(f"{clip.times[frame]:.2f} s" for frame in frames)
        yield Sample(f"{clip.key}, real", tuple(real), labels)
        yield Sample(f"{clip.key}, generated from its own sound", tuple(painted), labels)


def _paint(
    model: ModelFigures, clip: Clip, frames: NDArray[np.int64]
) -> tuple[Faces, Faces, Faces]:
    """Return reference, real and painted faces of some frames, as the protocol measures them."""
    real = np.stack([clip.face(int(frame)) for frame in frames])
    references = [reference_of(int(frame), len(clip)) for frame in frames]
    reference = np.stack([clip.face(number) for number in references])
    return (
        reference,
        real,
        model.animate(reference, real, mel_windows(clip.mel(), clip.times[frames])),
    )
