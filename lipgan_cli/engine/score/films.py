"""What is measured of faces in videos: lip-sync, lips, seam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.faces import region
from lipgan_cli.engine.media.landmarks import installed_landmarks
from lipgan_cli.engine.media.video import VideoInfo, probe, read_frames
from lipgan_cli.engine.metrics.artefacts import SeamMeter
from lipgan_cli.engine.metrics.film_sync import (
    ask_syncnet,
    compare_lips,
    joint_distance,
    judge_film,
    judge_pair,
    sound_of,
    watch,
)
from lipgan_cli.engine.metrics.landmarks import LipFigures
from lipgan_cli.engine.metrics.lipsync import SyncFigures
from lipgan_cli.engine.metrics.scene import Scene, look
from lipgan_cli.engine.metrics.syncnet import SyncNetFigures
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.score.options import Measures, sync_judge, syncnet


@dataclass(frozen=True)
class VideoFigures:
    """What is measured of the face in a video, or in a generated one beside the real one.

    Attributes:
        sync: what the judge says under each condition, `film_sync.judge_film` and `judge_pair`.
        distance: Frechet distance of the judge's vectors of generated and real video.
        syncnet: what SyncNet says, where its weights are there.
        lips: how alike the mouths move, where the extra `faces` is installed.
        seam: how much the border of the painted face shows; 1 is not at all.
    """

    sync: Mapping[str, SyncFigures]
    distance: float | None = None
    syncnet: Mapping[str, SyncNetFigures] | None = None
    lips: Mapping[str, LipFigures] | None = None
    seam: float | None = None


@dataclass(frozen=True)
class FilmRequest:
    """A video whose sound is to be judged."""

    video: Path
    measures: Measures = field(default_factory=Measures)


@dataclass(frozen=True)
class FilmScore:
    """The lip-sync of one video."""

    video: Path
    figures: VideoFigures


def score_film(request: FilmRequest, progress: Progress) -> FilmScore:
    """Judge the lip-sync of a video.

    Raises:
        InputError: it cannot be read, or has no sound or too little of a face.
    """
    judge = sync_judge(request.measures)
    network = syncnet(request.measures)
    info = probe(request.video)
    if info.photo:
        raise InputError(f"{info.path} is a picture, and has no lip-sync", "give a video")
    sound = sound_of(info)
    scene = look(info, progress)
    watched = watch(judge, scene, info, sound, None, progress)
    asked = None if network is None else {"own": ask_syncnet(network, scene, info, progress)}
    return FilmScore(info.path, VideoFigures(judge_film(watched), syncnet=asked))


def watch_pair(
    scene: Scene, generated: VideoInfo, measures: Measures, progress: Progress
) -> VideoFigures:
    """Judge a generated video beside the real one of a scene, which may be silent.

    Raises:
        InputError: the generated video has no sound, or there is too little of a face.
    """
    judge = sync_judge(measures)
    network = syncnet(measures)
    finder = installed_landmarks()
    sound = sound_of(generated)
    own = sound_of(scene.info) if scene.info.has_audio else np.zeros(0, np.float32)
    real = watch(judge, scene, scene.info, own, finder, progress)
    painted = watch(judge, scene, generated, sound, finder, progress)
    lips = None
    if real.points is not None and painted.points is not None:
        lips = compare_lips(real.points, painted.points)
    asked = None
    if network is not None:
        films = {"real": scene.info, "generated": generated}
        asked = {
            name: ask_syncnet(network, scene, film, progress)
            for name, film in films.items()
            if film.has_audio
        }
    return VideoFigures(
        sync=judge_pair(real, painted),
        distance=joint_distance(real, painted),
        syncnet=asked,
        lips=lips,
        seam=_seam(scene, generated, progress),
    )


def _seam(scene: Scene, generated: VideoInfo, progress: Progress) -> float | None:
    meter = SeamMeter()
    with progress.task("seeking the seam", len(scene.squares), "frames") as task:
        frames = zip(scene.squares, read_frames(scene.info), read_frames(generated), strict=False)
        for square, one, other in frames:
            if not np.isnan(square[0]):
                meter.add(one, other, region(square))
            task.advance()
    return meter.value()
