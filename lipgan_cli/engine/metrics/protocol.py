"""The measuring protocol: a model's faces against the real ones, with the controls beside them.

Every sixth frame i of a clip of n frames is made from reference frame (i + n // 2) mod n, and
measured against the real frame. `right` hears the clip's own audio; the controls are `swapped`
(the audio of the speaker's test clip (k + m // 2) mod m at the same time, m clips in the order of
their keys), `still` (silence) and `copy` (the reference itself). Lip-sync is the gap of `right` to
`swapped` and to `still` in the mouth region, not the gap to `copy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import SILENCE, mel_windows
from lipgan_cli.engine.metrics.image import (
    FigureTable,
    PairFigures,
    PairSummary,
    Picture,
    compare_crop,
)
from lipgan_cli.engine.progress import Progress, Silent

EVERY = 6
"""Frames from one measured frame of a clip to the next."""

BATCH = 64
"""Faces in one call of the model."""

Faces = NDArray[np.uint8]
Windows = NDArray[np.float32]

Animate = Callable[[Faces, Faces, Windows], Faces]
"""Reference and target uint8 RGB (B, 96, 96, 3) and mel windows (B, 80, 27) -> faces as target."""

Keep = Callable[[str, int, Picture, Picture], None]
"""Is handed every measured frame: clip key, frame number, real face, face from the right audio."""


class MeasuredClip(Protocol):
    """What the protocol needs of a prepared clip."""

    @property
    def key(self) -> str:
        """`speaker/clip`, unique in its dataset."""

    @property
    def speaker(self) -> str:
        """Who speaks."""

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds of the frames on the mel's clock."""

    def __len__(self) -> int:
        """Number of frames."""

    def face(self, index: int, /) -> Picture:
        """The crop of one frame, uint8 RGB (96, 96, 3)."""

    def mel(self) -> NDArray[np.float32]:
        """The clip's mel-spectrogram (80, columns)."""


@dataclass(frozen=True)
class GroupFigures:
    """The figures of one speaker, or of all.

    `swapped` and `gap_to_swapped` cover the frames whose speaker has another clip to take audio
    from; they are None where there is none. A gap is the mean over frames of the mouth region's
    PSNR in dB, `right` minus control; frames where either is infinite are left out of it.
    """

    name: str
    clips: int
    frames: int
    right: PairSummary
    swapped: PairSummary | None
    still: PairSummary
    copy: PairSummary
    gap_to_swapped: float | None
    gap_to_still: float | None


@dataclass(frozen=True)
class ProtocolFigures:
    """The figures of each speaker, in the order of the clips, and of all frames together."""

    speakers: tuple[GroupFigures, ...]
    total: GroupFigures


CONDITIONS = ("right", "swapped", "still", "copy")
"""What a frame is measured under."""


@dataclass(frozen=True)
class Measured:
    """Every frame that was measured, a row each.

    Attributes:
        speakers: of each speaker the number of clips and of rows.
        frames: clip key and frame number of each row.
        tables: the figures under each of `CONDITIONS`; without figures where the speaker has no
            other clip.
    """

    speakers: Mapping[str, tuple[int, int]]
    frames: Sequence[tuple[str, int]]
    tables: Mapping[str, FigureTable]

    def figures(self) -> ProtocolFigures:
        """Summarise each speaker, and all."""
        groups, first = [], 0
        for speaker, (clips, rows) in self.speakers.items():
            groups.append(self._group(speaker, clips, first, first + rows))
            first += rows
        total = self._group("all", sum(clips for clips, _ in self.speakers.values()), 0, first)
        return ProtocolFigures(tuple(groups), total)

    def _group(self, name: str, clips: int, first: int, last: int) -> GroupFigures:
        own = {name: table.part(first, last) for name, table in self.tables.items()}
        has_swapped = own["swapped"].summary("psnr") is not None
        return GroupFigures(
            name=name,
            clips=clips,
            frames=last - first,
            right=PairSummary.of(own["right"]),
            swapped=PairSummary.of(own["swapped"]) if has_swapped else None,
            still=PairSummary.of(own["still"]),
            copy=PairSummary.of(own["copy"]),
            gap_to_swapped=_gap(own["right"], own["swapped"]),
            gap_to_still=_gap(own["right"], own["still"]),
        )


def speakers_of(clips: Iterable[MeasuredClip]) -> dict[str, list[MeasuredClip]]:
    """The clips of each speaker, in the order of their keys; those without a frame are left out."""
    speakers: dict[str, list[MeasuredClip]] = {}
    for clip in clips:
        if len(clip):
            speakers.setdefault(clip.speaker, []).append(clip)
    if not speakers:
        raise ValueError("there is no frame to measure")
    return {speaker: sorted(own, key=lambda clip: clip.key) for speaker, own in speakers.items()}


def reference_of(frame: int, frames: int) -> int:
    """The frame that shows the model who speaks: half a clip away."""
    return (frame + frames // 2) % frames


def other_of(own: Sequence[MeasuredClip], k: int) -> MeasuredClip | None:
    """The clip whose sound is swapped for that of clip k of a speaker; None where there is one."""
    return own[(k + len(own) // 2) % len(own)] if len(own) > 1 else None


def measure(
    animate: Animate,
    clips: Sequence[MeasuredClip],
    every: int = EVERY,
    gaussian: bool = False,
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> Measured:
    """Measure every `every`-th frame of one clip or more; `keep` sees each as it is made."""
    speakers = speakers_of(clips)
    counts: dict[str, tuple[int, int]] = {}
    rows: list[tuple[str, int]] = []
    tables = {condition: FigureTable() for condition in CONDITIONS}
    total = sum(len(range(0, len(clip), every)) for own in speakers.values() for clip in own)
    with (progress or Silent()).task("measuring", total, "frames") as task:
        for speaker, own in speakers.items():
            first = len(rows)
            for k, clip in enumerate(own):
                frames = _frames(animate, clip, other_of(own, k), every, gaussian, keep)
                for frame, figures in frames:
                    rows.append((clip.key, frame))
                    for condition, pair in zip(CONDITIONS, figures, strict=True):
                        tables[condition].append(pair)
                    task.advance()
            counts[speaker] = len(own), len(rows) - first
    return Measured(counts, rows, tables)


def _frames(
    animate: Animate,
    clip: MeasuredClip,
    other: MeasuredClip | None,
    every: int,
    gaussian: bool,
    keep: Keep | None,
) -> Iterator[tuple[int, tuple[PairFigures | None, ...]]]:
    """Yield frame numbers, each with its figures under all conditions."""
    mel = clip.mel()
    other_mel = None if other is None else other.mel()
    indices = np.arange(0, len(clip), every)
    for chosen in np.array_split(indices, -(-len(indices) // BATCH)):
        targets = np.stack([clip.face(i) for i in chosen])
        references = np.stack([clip.face(reference_of(i, len(clip))) for i in chosen])
        times = np.asarray(clip.times, dtype=np.float64)[chosen]
        windows = mel_windows(mel, times)
        right = animate(references, targets, windows)
        still = animate(references, targets, np.full_like(windows, SILENCE))
        swapped = (
            None
            if other_mel is None
            else animate(references, targets, mel_windows(other_mel, times))
        )
        for row, i in enumerate(chosen):
            real = targets[row]
            if keep is not None:
                keep(clip.key, int(i), real, right[row])
            yield (
                int(i),
                (
                    compare_crop(real, right[row], gaussian),
                    None if swapped is None else compare_crop(real, swapped[row], gaussian),
                    compare_crop(real, still[row], gaussian),
                    compare_crop(real, references[row], gaussian),
                ),
            )


def _gap(right: FigureTable, control: FigureTable) -> float | None:
    """The mean over frames of the mouth's PSNR less the control's, where both are finite."""
    ours, theirs = right.column("mouth_psnr"), control.column("mouth_psnr")
    there = np.isfinite(ours) & np.isfinite(theirs)
    return float((ours[there] - theirs[there]).mean()) if there.any() else None
