"""Lip-sync of a model: what a judge says of its mouths, with the controls beside them.

Every frame of every clip is painted, from the reference frame of the measuring protocol, three
times: from the clip's own sound, from that of the speaker's other clip, and from silence. `driven`
is the figure that counts: the mouth speaks what its source video never said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import BANDS, COLUMNS_PER_SECOND, SILENCE, mel_windows
from lipgan_cli.engine.media.landmarks import Landmarks
from lipgan_cli.engine.metrics.features import FeatureCollector, Statistics
from lipgan_cli.engine.metrics.judge import EMBEDDING, Judge
from lipgan_cli.engine.metrics.landmarks import LipFigures, MouthPoints, mouth_points
from lipgan_cli.engine.metrics.lipsync import (
    FRAME_MS,
    Embedded,
    Mouth,
    agreement,
    area_under_curve,
    embed_mel,
    embed_mouths,
    joint,
    mouth,
    verdict,
    windows,
)
from lipgan_cli.engine.metrics.protocol import (
    BATCH,
    Animate,
    Faces,
    MeasuredClip,
    other_of,
    reference_of,
    speakers_of,
)
from lipgan_cli.engine.progress import Progress, Silent

SHIFT = round(0.2 * COLUMNS_PER_SECOND)
SHIFT_MS = 1000 * SHIFT / COLUMNS_PER_SECOND
"""By how much the sound of the control `shifted` is late, 200 ms: five frames."""
ENOUGH = 4 * EMBEDDING
"""Moments below which there is no Frechet distance: twice as many as the vectors have numbers."""


class Condition(StrEnum):
    """Whose mouths, and against which sound."""

    REAL = "real"
    """Real mouths and their own sound: the ceiling."""
    REAL_SHIFTED = "real, shifted"
    """The same with the sound 200 ms late, which the judge should find."""
    REAL_SWAPPED = "real, swapped"
    """Real mouths against another clip's sound: the floor, and a test of the judge."""
    DRIVEN = "driven"
    """Painted from another clip's sound, against that sound."""
    RIGHT = "right"
    """Painted from the clip's own sound, against it."""
    SWAPPED = "swapped"
    """Painted from the clip's own sound, against another clip's."""
    STILL = "still"
    """Painted from silence, against the clip's own sound."""
    COPY = "copy"
    """The reference faces themselves, of another moment, against the clip's own sound."""


@dataclass(frozen=True)
class SyncSummary:
    """What a judge says of several clips.

    Attributes:
        clips: that are long enough to judge.
        in_sync: part of them whose offset is within a frame (40 ms) of what it should be: of 0, and
            of the real clip's own and 200 ms where the sound is shifted.
        offset_ms: median of by how much the sound is late.
        confidence: mean.
        distance: Frechet distance of faces and sounds to real ones; None of too few moments.
    """

    clips: int
    in_sync: float
    offset_ms: float
    confidence: float
    distance: float | None


@dataclass(frozen=True)
class SyncGroup:
    """The lip-sync of one speaker's clips, or of all.

    Attributes:
        conditions: by `Condition`; those that no clip allows are left out.
        real_auc: how well the judge tells real mouths with their own sound from real mouths with
            another clip's: the area under the curve, 0.5 by chance and 1 always.
        right_auc: the same of painted mouths. None where a speaker has one clip alone.
        lips: how alike the painted mouths move to the real ones, means over the clips: `right`
            from the clip's own sound, and the controls `swapped` (from another clip's), `still` and
            `copy`. None where landmarks are not asked for.
    """

    name: str
    conditions: Mapping[str, SyncSummary]
    real_auc: float | None
    right_auc: float | None
    lips: Mapping[str, LipFigures] | None


@dataclass(frozen=True, eq=False)
class _Clip:
    """What was found of one clip."""

    films: dict[str, Embedded]
    lips: dict[str, LipFigures]


def measure_sync(
    judge: Judge,
    animate: Animate,
    clips: Sequence[MeasuredClip],
    finder: Landmarks | None = None,
    progress: Progress | None = None,
) -> tuple[SyncGroup, ...]:
    """Judge a model on clips: the group of each speaker, and `all` where there are several.

    finder: finds the landmarks of mouths, where their movement is to be compared too.
    """
    told = progress or Silent()
    groups = speakers_of(clips)
    results: dict[str, list[_Clip]] = {}
    with told.task("judging lip-sync", sum(map(len, clips)), "frames") as task:
        for speaker, own in groups.items():
            for k, clip in enumerate(own):
                found = _judged(judge, animate, clip, other_of(own, k), finder)
                results.setdefault(speaker, []).append(found)
                task.advance(len(clip))
    if len(results) > 1:
        results["all"] = [clip for own in results.values() for clip in own]
    return tuple(_group(name, judged) for name, judged in results.items())


def _judged(
    judge: Judge,
    animate: Animate,
    clip: MeasuredClip,
    other: MeasuredClip | None,
    finder: Landmarks | None,
) -> _Clip:
    times = np.asarray(clip.times, np.float64)
    laid = windows(times)
    sounds = {"right": clip.mel(), "still": np.full((BANDS, 1), SILENCE, np.float32)}
    if other is not None:
        sounds["swapped"] = other.mel()
    mouths: dict[str, list[Mouth]] = {}
    points: dict[str, list[MouthPoints]] = {}
    for name, faces in _painted(animate, clip, times, sounds):
        mouths.setdefault(name, []).extend(mouth(face) for face in faces)
        if finder is not None:
            points.setdefault(name, []).append(mouth_points(faces, finder))
    seen = {name: embed_mouths(judge, each, laid) for name, each in mouths.items()}
    heard = {name: embed_mel(judge, mel) for name, mel in sounds.items()}
    pairs = {
        Condition.REAL: ("real", "right"),
        Condition.RIGHT: ("right", "right"),
        Condition.STILL: ("still", "right"),
        Condition.COPY: ("copy", "right"),
    }
    if other is not None:
        pairs |= {
            Condition.REAL_SWAPPED: ("real", "swapped"),
            Condition.SWAPPED: ("right", "swapped"),
            Condition.DRIVEN: ("swapped", "swapped"),
        }
    films: dict[str, Embedded] = {
        condition: Embedded(seen[faces], laid.columns, heard[sound])
        for condition, (faces, sound) in pairs.items()
    }
    real = films[Condition.REAL]
    films[Condition.REAL_SHIFTED] = replace(real, columns=real.columns - SHIFT)
    marks = {name: np.concatenate(each) for name, each in points.items()}
    truth, order = marks.get("real"), ("right", "swapped", "still", "copy")
    lips = {
        name: LipFigures.of(truth, marks[name])
        for name in order
        if truth is not None and name in marks
    }
    return _Clip(films, lips)


def _painted(
    animate: Animate,
    clip: MeasuredClip,
    times: NDArray[np.float64],
    sounds: Mapping[str, NDArray[np.float32]],
) -> Iterator[tuple[str, Faces]]:
    """Yield real faces, reference faces, and those painted from each sound, a batch at a time."""
    for start in range(0, len(clip), BATCH):
        chosen = range(start, min(start + BATCH, len(clip)))
        targets = np.stack([clip.face(i) for i in chosen])
        references = np.stack([clip.face(reference_of(i, len(clip))) for i in chosen])
        yield "real", targets
        yield "copy", references
        for name, mel in sounds.items():
            yield name, animate(references, targets, mel_windows(mel, times[chosen]))


def _group(name: str, found: Sequence[_Clip]) -> SyncGroup:
    clips = [clip.films for clip in found]
    conditions = {}
    for condition in Condition:
        shifted_from = Condition.REAL if condition is Condition.REAL_SHIFTED else ""
        summary = summarise(clips, condition, shifted_from)
        if summary is not None:
            conditions[condition.value] = summary
    return SyncGroup(
        name=name,
        conditions=conditions,
        real_auc=_auc(clips, Condition.REAL, Condition.REAL_SWAPPED),
        right_auc=_auc(clips, Condition.RIGHT, Condition.SWAPPED),
        lips=mean_lips([clip.lips for clip in found]),
    )


def mean_lips(clips: Sequence[Mapping[str, LipFigures]]) -> dict[str, LipFigures] | None:
    """The means over clips under each condition; None where there are none."""
    out = {}
    for name in dict.fromkeys(name for clip in clips for name in clip):
        there = [clip[name] for clip in clips if name in clip]
        moving = [lips.correlation for lips in there if lips.correlation is not None]
        out[name] = LipFigures(
            float(np.mean([lips.distance for lips in there])),
            float(np.mean(moving)) if moving else None,
        )
    return out or None


def summarise(
    clips: Sequence[Mapping[str, Embedded]], condition: str, shifted_from: str = ""
) -> SyncSummary | None:
    """Sum up what the judge says under a condition of all clips that have it.

    clips: what is judged by condition; `real` stands for the real ones. shifted_from: the condition
    whose sound is 200 ms late here.
    """
    there = [clip for clip in clips if condition in clip]
    found = [
        (said, verdict(clip[shifted_from]) if shifted_from else None)
        for clip in there
        if (said := verdict(clip[condition]))
    ]
    if not found:
        return None
    near = [
        abs(said.offset_ms - (own.offset_ms + SHIFT_MS if own else 0)) <= FRAME_MS
        for said, own in found
    ]
    return SyncSummary(
        clips=len(found),
        in_sync=float(np.mean(near)),
        offset_ms=float(np.median([said.offset_ms for said, _ in found])),
        confidence=float(np.mean([said.confidence for said, _ in found])),
        distance=distance(
            [clip[condition] for clip in there], [clip[Condition.REAL] for clip in there]
        ),
    )


def distance(clips: Sequence[Embedded], real: Sequence[Embedded]) -> float | None:
    """The Frechet distance of what the judge makes of clips and of the real ones.

    None where there are too few moments.
    """
    generated, truth = (_statistics(side) for side in (clips, real))
    if generated is None or truth is None:
        return None
    # It comes with pytorch-fid, which takes torchvision along.
    from lipgan_cli.engine.metrics.fid import frechet

    return max(0.0, frechet(generated, truth))  # of equal sides, rounding may be left


def _statistics(clips: Sequence[Embedded]) -> Statistics | None:
    collector, moments = FeatureCollector(), 0
    for clip in clips:
        together = joint(clip)
        collector.add(together)
        moments += len(together)
    return collector.statistics() if moments >= ENOUGH else None


def _auc(clips: Sequence[Mapping[str, Embedded]], own: Condition, other: Condition) -> float | None:
    """How often a clip's own sound agrees better than another's, over all pairs of clips."""
    there = [clip for clip in clips if own in clip and other in clip]
    right, wrong = ([agreement(clip[which]) for clip in there] for which in (own, other))
    return area_under_curve(right, wrong)
