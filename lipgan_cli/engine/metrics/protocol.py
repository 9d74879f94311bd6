"""The measuring protocol: a model's faces against the real ones, with the controls beside them.

Every sixth frame i of a clip of n frames is made from reference frame (i + n // 2) mod n, and
measured against the real frame. `right` hears the clip's own audio; the controls are `swapped`
(the audio of the speaker's test clip (k + m // 2) mod m at the same time, m clips in the order of
their keys), `still` (silence) and `copy` (the reference itself). Lip-sync is the gap of `right` to
`swapped` and to `still` in the mouth region, not the gap to `copy`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import SILENCE, mel_windows
from lipgan_cli.engine.metrics.image import PairFigures, PairSummary, Picture, compare_crop
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


@dataclass(frozen=True)
class _Frame:
    right: PairFigures
    swapped: PairFigures | None
    still: PairFigures
    copy: PairFigures


def measure(
    animate: Animate,
    clips: Sequence[MeasuredClip],
    every: int = EVERY,
    gaussian: bool = False,
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> ProtocolFigures:
    """Measure every `every`-th frame of one clip or more; `keep` sees each as it is made."""
    speakers: dict[str, list[MeasuredClip]] = {}
    for clip in clips:
        if len(clip):
            speakers.setdefault(clip.speaker, []).append(clip)
    if not speakers:
        raise ValueError("there is no frame to measure")
    groups: list[tuple[str, int, list[_Frame]]] = []
    total = sum(len(range(0, len(clip), every)) for own in speakers.values() for clip in own)
    with (progress or Silent()).task("measuring", total, "frames") as task:
        for speaker, own in speakers.items():
            own.sort(key=lambda clip: clip.key)
            frames: list[_Frame] = []
            for k, clip in enumerate(own):
                other = own[(k + len(own) // 2) % len(own)] if len(own) > 1 else None
                for frame in _frames(animate, clip, other, every, gaussian, keep):
                    frames.append(frame)
                    task.advance()
            groups.append((speaker, len(own), frames))
    return ProtocolFigures(
        speakers=tuple(_summarise(*group) for group in groups),
        total=_summarise(
            "all",
            sum(count for _, count, _ in groups),
            [frame for _, _, frames in groups for frame in frames],
        ),
    )


def _frames(
    animate: Animate,
    clip: MeasuredClip,
    other: MeasuredClip | None,
    every: int,
    gaussian: bool,
    keep: Keep | None,
) -> Iterator[_Frame]:
    mel = clip.mel()
    other_mel = None if other is None else other.mel()
    indices = np.arange(0, len(clip), every)
    for chosen in np.array_split(indices, -(-len(indices) // BATCH)):
        targets = np.stack([clip.face(i) for i in chosen])
        references = np.stack([clip.face((i + len(clip) // 2) % len(clip)) for i in chosen])
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
            yield _Frame(
                right=compare_crop(real, right[row], gaussian),
                swapped=None if swapped is None else compare_crop(real, swapped[row], gaussian),
                still=compare_crop(real, still[row], gaussian),
                copy=compare_crop(real, references[row], gaussian),
            )


def _summarise(name: str, clips: int, frames: Sequence[_Frame]) -> GroupFigures:
    swapped = [(frame.right, frame.swapped) for frame in frames if frame.swapped is not None]
    return GroupFigures(
        name=name,
        clips=clips,
        frames=len(frames),
        right=PairSummary.of(frame.right for frame in frames),
        swapped=PairSummary.of(control for _, control in swapped) if swapped else None,
        still=PairSummary.of(frame.still for frame in frames),
        copy=PairSummary.of(frame.copy for frame in frames),
        gap_to_swapped=_gap(swapped),
        gap_to_still=_gap((frame.right, frame.still) for frame in frames),
    )


def _gap(pairs: Iterable[tuple[PairFigures, PairFigures]]) -> float | None:
    gaps = [
        right.mouth.psnr - control.mouth.psnr
        for right, control in pairs
        if right.mouth is not None
        and control.mouth is not None
        and math.isfinite(right.mouth.psnr)
        and math.isfinite(control.mouth.psnr)
    ]
    return float(np.mean(gaps)) if gaps else None
