"""What is measured of faces in videos: lip-sync, lips, seam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lipgan_cli.engine.data.shelf import CLEAR
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.faces import region
from lipgan_cli.engine.media.landmarks import Landmarks, installed_landmarks
from lipgan_cli.engine.media.video import VideoInfo, probe, read_frames
from lipgan_cli.engine.metrics.artefacts import SeamMeter
from lipgan_cli.engine.metrics.film_sync import (
    Watched,
    ask_syncnet,
    compare_lips,
    distances,
    judge_film,
    pair_conditions,
    sound_of,
    verdicts,
    watch,
)
from lipgan_cli.engine.metrics.judge import Judge
from lipgan_cli.engine.metrics.landmarks import LipFigures
from lipgan_cli.engine.metrics.lipsync import Embedded, SyncFigures
from lipgan_cli.engine.metrics.scene import Scene, look
from lipgan_cli.engine.metrics.syncnet import SyncNet, SyncNetFigures
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.score.options import HIDDEN, Measures, sync_judge, syncnet


@dataclass(frozen=True)
class VideoFigures:
    """What is measured of the face in a video, or in a generated one beside the real one.

    Attributes:
        sync: what the judge says under each condition of `film_sync.judge_film` or
            `pair_conditions`.
        distances: Frechet distances of the judge's vectors to those of the real video, by
            condition; None of less than 20 s.
        syncnet: what SyncNet says, by condition, where its weights are there.
        lips: how alike the mouths move, where the extra `faces` is installed.
        seam: how much the border of the painted face shows; 1 is not at all.
    """

    sync: Mapping[str, SyncFigures]
    distances: Mapping[str, float] | None = None
    syncnet: Mapping[str, SyncNetFigures] | None = None
    lips: Mapping[str, LipFigures] | None = None
    seam: float | None = None
    conditions: Mapping[str, Embedded] = field(default_factory=dict, metadata=HIDDEN, repr=False)


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
        InputError: it cannot be read, or has too little of a sound or a face.
    """
    judge = sync_judge(request.measures)
    network = syncnet(request.measures)
    info = probe(request.video)
    if info.photo:
        raise InputError(f"{info.path} is a picture, and has no lip-sync", "give a video")
    sound = sound_of(info)
    scene = look(info, progress)
    watched = watch(judge, scene, info, sound, None, progress)
    said = judge_film(watched)
    _check_judged(info.path, said.get("own"), progress)
    asked = None if network is None else ask_syncnet(network, scene, info, "own", progress)
    return FilmScore(info.path, VideoFigures(said, syncnet=asked))


def _check_judged(path: Path, said: SyncFigures | None, progress: Progress) -> None:
    if said is None:
        raise InputError(
            f"{path}: the sound covers less than a third of the face", "give a film with sound"
        )
    if said.confidence < CLEAR:
        progress.note(
            f"{path}: a confidence of {said.confidence:.2f} says little: what is heard may not be "
            "what the face says"
        )


@dataclass(frozen=True, eq=False)
class RealFilm:
    """The real video of a comparison, seen once for all generated ones, and who judges them."""

    scene: Scene
    judge: Judge
    network: SyncNet | None
    finder: Landmarks | None
    watched: Watched
    asked: Mapping[str, SyncNetFigures]


def watch_real(scene: Scene, measures: Measures, progress: Progress) -> RealFilm:
    """Let the judge see the real video of a scene, which may be silent.

    Raises:
        InputError: there is too little of a face, or no such judge.
    """
    judge, network, finder = sync_judge(measures), syncnet(measures), installed_landmarks()
    film = scene.info
    sound = sound_of(film) if film.has_audio else np.zeros(0, np.float32)
    watched = watch(judge, scene, film, sound, finder, progress)
    asked: Mapping[str, SyncNetFigures] = {}
    if network is not None and film.has_audio:
        asked = ask_syncnet(network, scene, film, "real", progress)
    return RealFilm(scene, judge, network, finder, watched, asked)


def watch_generated(real: RealFilm, generated: VideoInfo, progress: Progress) -> VideoFigures:
    """Judge a generated video beside the real one.

    Raises:
        InputError: it has too little of a sound.
    """
    scene, network = real.scene, real.network
    sound = sound_of(generated)
    painted = watch(real.judge, scene, generated, sound, real.finder, progress)
    lips = None
    if real.watched.points is not None and painted.points is not None:
        lips = compare_lips(real.watched.points, painted.points, float(generated.fps))
    asked = None
    if network is not None:
        asked = {name: each for name, each in real.asked.items() if name == "real"}
        asked |= ask_syncnet(network, scene, generated, "generated", progress)
    conditions = pair_conditions(real.watched, painted)
    said = verdicts(conditions)
    _check_judged(generated.path, said.get("generated"), progress)
    return VideoFigures(
        sync=said,
        distances=distances(conditions),
        syncnet=asked,
        lips=lips,
        seam=_seam(scene, generated, progress),
        conditions=conditions,
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
