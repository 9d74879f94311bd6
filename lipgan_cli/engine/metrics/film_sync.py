"""Lip-sync of a video, or of a generated one beside the real one, with controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import (
    COLUMNS_PER_SECOND,
    SAMPLE_RATE,
    Samples,
    mel_spectrogram,
    read_audio,
)
from lipgan_cli.engine.media.landmarks import Landmarks
from lipgan_cli.engine.media.loudness import levelled
from lipgan_cli.engine.media.video import VideoInfo, read_frames, to_rgb
from lipgan_cli.engine.metrics.judge import FPS, FRAMES, HEARD, Judge
from lipgan_cli.engine.metrics.landmarks import LipFigures, MouthPoints, mouth_points
from lipgan_cli.engine.metrics.lipsync import (
    FEWEST,
    REACH,
    Embedded,
    Mouth,
    SyncFigures,
    Vectors,
    Windows,
    embed_mel,
    embed_mouths,
    mouth,
    verdict,
    windows,
)
from lipgan_cli.engine.metrics.scene import Scene
from lipgan_cli.engine.metrics.sync_protocol import SHIFT, distance
from lipgan_cli.engine.metrics.syncnet import FRAMES as WINDOW
from lipgan_cli.engine.metrics.syncnet import REACH as SYNCNET_REACH
from lipgan_cli.engine.metrics.syncnet import (
    SyncNet,
    SyncNetFigures,
    crop,
    embed_clip,
    figures,
    mean_distances,
    syncnet_squares,
)
from lipgan_cli.engine.progress import Progress


@dataclass(frozen=True, eq=False)
class Watched:
    """A video as the judge sees and hears it.

    Attributes:
        film: all its moments.
        still: the vector of one of its mouths held still, (1, 128).
        points: landmarks of the mouths, where they are asked for.
    """

    film: Embedded
    still: Vectors
    points: MouthPoints | None

    def controls(self) -> dict[str, Embedded]:
        """Return what the figures of these mouths are to be compared with.

        There is no `swapped` of a sound of less than 1.7 s, in which its own place would be found.
        """
        half = len(self.film.heard) // 2
        swapped = replace(self.film, heard=np.roll(self.film.heard, half, axis=0))
        return {
            "shifted": replace(self.film, columns=self.film.columns - SHIFT),
            **({"swapped": swapped} if half > REACH + 2 * HEARD else {}),
            "still": replace(self.film, seen=np.repeat(self.still, len(self.film.seen), axis=0)),
        }


def watch(
    judge: Judge,
    scene: Scene,
    film: VideoInfo,
    sound: Samples,
    finder: Landmarks | None,
    progress: Progress,
) -> Watched:
    """Let a judge see the face of a scene in a film, and hear a sound.

    film: the scene's own video, or another one of the same scene.

    Raises:
        InputError: the face is seen for too short a time.
    """
    # Each film has its own clock: one that drifts against the other is to be found.
    seen_in = scene.seen[scene.seen < film.frames]
    laid = windows(film.clock.seconds(seen_in))
    if len(laid.times) < FEWEST:
        raise InputError(
            f"{film.path} shows a face for too short a time to judge lip-sync",
            "half a second of a face is needed",
        )
    held: list[Mouth] = []
    points: list[MouthPoints] = []

    def mouths() -> Iterator[Mouth]:
        for number, face in enumerate(scene.crops(film, progress)):
            if finder is not None:
                points.append(mouth_points(face[None], finder))
            lips = mouth(face)
            if number == len(seen_in) // 2:
                held.append(lips)
            yield lips

    seen = embed_mouths(judge, mouths(), laid)
    one = Windows(np.zeros(1), np.arange(FRAMES)[None])
    return Watched(
        Embedded(seen, laid.columns[: len(seen)], embed_mel(judge, mel_spectrogram(sound))),
        embed_mouths(judge, held * FRAMES, one),
        np.concatenate(points) if points else None,
    )


def sound_of(info: VideoInfo) -> Samples:
    """The sound of a video from its first frame to its last, mono at 16 kHz, at one loudness.

    Raises:
        InputError: it has none.
    """
    if not info.has_audio:
        raise InputError(f"{info.path} has no sound to judge", "lip-sync needs picture and sound")
    samples = read_audio(info.path, origin=info.start, seconds=info.duration)
    return levelled(samples[: round(info.duration * SAMPLE_RATE)])


def verdicts(conditions: Mapping[str, Embedded]) -> dict[str, SyncFigures]:
    """What can be said of each; the rest is left out."""
    return {name: said for name, film in conditions.items() if (said := verdict(film))}


def judge_film(watched: Watched) -> dict[str, SyncFigures]:
    """What the judge says of a video alone: `own` is its own sound, then come the controls.

    `shifted`: the sound 200 ms later. `swapped`: the sound of another moment, half of its length
    away, where there are 1.7 s of it. `still`: one mouth for all frames.
    """
    return verdicts({"own": watched.film} | watched.controls())


def pair_conditions(real: Watched, generated: Watched) -> dict[str, Embedded]:
    """What is judged of a generated video beside the real one.

    `real` and `generated` are each against their own sound; `copy` is the real mouths against the
    sound of the generated video, as if nothing had been generated. Then come the controls of the
    generated mouths, as in `judge_film`.
    """
    conditions = {
        "real": real.film,
        "generated": generated.film,
        "copy": replace(real.film, heard=generated.film.heard),
    }
    return conditions | generated.controls()


def distances(conditions: Mapping[str, Embedded]) -> dict[str, float] | None:
    """The Frechet distances of the judge's vectors to the real ones; None of less than 20 s."""
    real = conditions["real"]
    apart = {name: distance([film], [real]) for name, film in conditions.items() if name != "real"}
    found = {name: each for name, each in apart.items() if each is not None}
    return found or None


def compare_lips(real: MouthPoints, generated: MouthPoints, fps: float) -> dict[str, LipFigures]:
    """How alike mouths move, with the controls `shifted` (200 ms later), `swapped` and `still`.

    `swapped` is the mouth of another moment, half of the length away.

    Frames that only one has are left out.
    """
    common = min(len(real), len(generated))
    real, generated = real[:common], generated[:common]
    late = min(round(SHIFT / COLUMNS_PER_SECOND * fps), len(real) - 1)
    still = np.repeat(generated[len(generated) // 2][None], len(real), axis=0)
    conditions = {
        "generated": (real, generated),
        "shifted": (real[late:], generated[: len(generated) - late]),
        "swapped": (real, np.roll(generated, common // 2, axis=0)),
        "still": (real, still),
    }
    return {name: LipFigures.of(*pair) for name, pair in conditions.items()}


def ask_syncnet(
    network: SyncNet, scene: Scene, film: VideoInfo, name: str, progress: Progress
) -> dict[str, SyncNetFigures]:
    """What SyncNet says of the face of a scene in a film with sound, at 25 frames a second.

    Under `name` of the film itself; then come the controls, as in `judge_film`: `shifted` where
    there is anything left to be shifted, `swapped` where its own place would not be found.
    """
    device = next(network.parameters()).device
    samples = read_audio(film.path, origin=film.start, seconds=film.duration)
    seconds = film.clock.seconds(np.arange(film.frames))
    moments = np.arange(0.0, film.duration, 1 / FPS)
    shown = np.searchsorted(seconds, moments + 1e-6, "right") - 1
    times = np.bincount(shown.clip(0), minlength=film.frames)
    squares = syncnet_squares(scene.boxes)

    def frames() -> Iterator[NDArray[np.uint8]]:
        described = f"asking SyncNet about {film.path.name}"
        with progress.task(described, len(squares), "frames") as task:
            for count, square, frame in zip(times, squares, read_frames(film), strict=False):
                if count:
                    face = crop(to_rgb(frame), square)
                    for _ in range(count):
                        yield face
                task.advance()

    lips, sounds = embed_clip(network, frames(), samples, device)
    late, half = SHIFT * FPS // COLUMNS_PER_SECOND, len(lips) // 2
    windows_apart = SYNCNET_REACH + WINDOW - 1
    conditions = {
        name: (lips, sounds),
        # All its sounds are there, so that nothing but the place of the best one changes.
        **({"shifted": (lips[late:], sounds)} if len(lips) > late else {}),
        **({"swapped": (lips, sounds.roll(half, 0))} if half > windows_apart else {}),
        "still": (lips[half : half + 1].expand_as(lips), sounds),
    }
    return {condition: figures(mean_distances(*pair)) for condition, pair in conditions.items()}
